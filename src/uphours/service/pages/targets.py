"""Targets: how each stands in a period, which stores are below it, and the form that sets and ends them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from uphours.errors import InputError, NotFoundError, shown
from uphours.ingest.target_rows import NAME_MAX_LENGTH, VALID_PERIODS, VALID_TARGETS, VALID_WHERE, share_of, where_of
from uphours.kernel.periods import period_around, period_of
from uphours.reports.downtime_budgets import Budget
from uphours.reports.target_table import below_csv
from uphours.reports.targets import Outcome, Targets, definition
from uphours.schema import PERIODS, instant_us
from uphours.service.api import fleet, loads
from uphours.service.api.targets import standing_for
from uphours.service.auth import Caller, Calling, needs
from uphours.service.bodies import date_of
from uphours.service.deps import Service, Serving
from uphours.service.downloads import sent_text
from uphours.service.lane_routes import ViewRoute
from uphours.service.pages.attributes import offered
from uphours.service.pages.rendering import page
from uphours.service.target_views import Standing

router = APIRouter(prefix="/targets", route_class=ViewRoute, include_in_schema=False)

#: Stores below a target that the page lists; the file has all.
_ON_A_PAGE: Final = 200
#: More than any field may hold: what is too long for it comes back with the other fields.
_LONGEST_FIELD: Final = 1 << 14
_LONGEST_PARAMETER: Final = 300
#: What the load of a target that was typed is called.
_LOADED_AS: Final = "the page of targets"


@dataclass(frozen=True)
class Asked:
    """What the address asks for: a period, an availability of one's own, a target, an instant; blank for nothing."""

    period: str
    percent: str
    target: str
    as_of: str

    def query(self, **changes: str) -> str:
        """Return the end of an address with other values for some parameters."""
        pairs = {**vars(self), **changes}
        kept = {name: value for name, value in pairs.items() if value}
        return f"?{urlencode(kept)}" if kept else ""

    def standing(self, serving: Service, caller: Caller) -> Standing:
        """Return how the targets stand that are asked for.

        Raises
        ------
        InputError
            A value makes no sense.
        """
        expected = None
        if self.percent and (expected := share_of(self.percent.replace(",", "."))) is None:
            raise InputError(
                f"cannot read the percentage {shown(self.percent)}; valid are 1 to 100, with up to three decimals"
            )
        return standing_for(
            serving,
            caller,
            period=period_of(self.period) if self.period else None,
            expected=expected,
            as_of=instant_us(self.as_of) if self.as_of else None,
            policy=serving.settings.policy,
        )


_Parameter = Annotated[str, Query(max_length=_LONGEST_PARAMETER)]


def _asked(period: _Parameter = "", percent: _Parameter = "", target: _Parameter = "", as_of: _Parameter = "") -> Asked:
    return Asked(period.strip(), percent.strip(), target, as_of.strip())


Asking = Annotated[Asked, Depends(_asked)]


@dataclass(frozen=True)
class Row:
    """A target in a period, with the stores below it, the worst first: id, name, figures."""

    outcome: Outcome
    expected: float
    where: Sequence[str]
    below: Sequence[tuple[str, str | None, Budget]]
    stores_below: int

    @property
    def window(self) -> str:
        """What the address of a store ends in to show the period."""
        return f"?{urlencode({'from_date': str(self.outcome.period.first), 'to_date': str(self.outcome.period.end)})}"

    @property
    def last(self) -> date:
        """The last date of the period."""
        return self.outcome.period.end - timedelta(days=1)


def _rows(standing: Standing) -> list[Row]:
    return [
        Row(
            outcome,
            definition(outcome.target)["target"],
            outcome.target.where.splitlines(),
            [(store_id, standing.names.get(store_id), budget) for store_id, budget in outcome.below(_ON_A_PAGE)],
            outcome.is_met.count(False),
        )
        for outcome in standing.targets.outcomes
    ]


def _chosen(rows: Sequence[Row], name: str) -> Row | None:
    """Return the target whose stores are listed: the named one, else the first one that some store is below."""
    if name:
        return next((row for row in rows if row.outcome.target.name == name), None)
    return next((row for row in rows if row.stores_below), rows[0] if rows else None)


def _periods(found: Targets, asked: str) -> dict[str, str]:
    """Return the periods to choose from, with the words for each."""
    offered = {"": "each target's own, now"}
    for kind in ("month", "quarter", "week"):
        this = period_around(kind, found.today)
        before = period_around(kind, this.first - timedelta(days=1))
        offered |= {this.name: f"this {kind}, {this.name}", before.name: f"previous {kind}, {before.name}"}
    return offered if asked in offered else offered | {asked: asked}


@dataclass(frozen=True)
class Typed:
    """What stands in the form that sets a target, as text."""

    name: str = ""
    target: str = ""
    where: str = ""
    period: str = "month"
    valid_from: str = ""

    def mistakes(self) -> dict[str, str]:
        """Return what is wrong, by name of field."""
        found = {}
        if not 0 < len(self.name) <= NAME_MAX_LENGTH:
            found["name"] = f"name is {shown(self.name)}; valid are up to {NAME_MAX_LENGTH} characters, such as norm"
        if share_of(self.target) is None:
            found["target"] = f"cannot read the target {shown(self.target)}; {VALID_TARGETS.partition(', and')[0]}"
        if where_of(self.where) is None:
            found["where"] = f"cannot read the stores {shown(self.where)}; {VALID_WHERE}"
        if self.period not in PERIODS:
            found["period"] = f"period is {shown(self.period)}; {VALID_PERIODS}"
        return found | _mistaken_date(self.valid_from)

    def row(self) -> dict[str, str]:
        """Return it as the row of a load."""
        return vars(self) | {"where": ";".join(line.strip() for line in self.where.splitlines() if line.strip())}


def _mistaken_date(text: str) -> dict[str, str]:
    try:
        if text:
            date_of("the date", text)
    except InputError as error:
        return {"valid_from": str(error)}
    return {}


_Field = Annotated[str, Form(max_length=_LONGEST_FIELD)]


def _typed(
    name: _Field = "", target: _Field = "", where: _Field = "", period: _Field = "", valid_from: _Field = ""
) -> Typed:
    percent = target.strip().replace(",", ".")
    return Typed(name.strip(), percent, where.replace("\r\n", "\n").strip(), period, valid_from.strip())


@router.get("")
@needs("read", sees="stores")
def show(request: Request, serving: Serving, caller: Calling, asking: Asking) -> Response:
    """Show how the targets stand, and the stores below one of them."""
    return _page(request, serving, caller, asking)


@router.get("/below.csv")
@needs("read", sees="stores")
def download(request: Request, serving: Serving, caller: Calling, asking: Asking) -> Response:
    """Send the stores below a target, all of them."""
    standing = asking.standing(serving, caller)
    row = _chosen(_rows(standing), asking.target)
    if row is None:
        raise NotFoundError("target", asking.target, "the page of targets lists those that are in force")
    answer = sent_text(request, below_csv(row.outcome, standing.names), "text/csv")
    name = quote(f"below-{row.outcome.target.name}-{row.outcome.period.name}.csv".replace(" ", ""), safe="")
    answer.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{name}"
    return answer


@router.post("")
@needs("admin", sees="all")
async def set_target(
    request: Request, serving: Serving, caller: Calling, typed: Annotated[Typed, Depends(_typed)]
) -> Response:
    """Set a target, and lead back to the list."""
    form = _Form(typed, mistakes=typed.mistakes())
    if not form.mistakes and await _loaded(serving, caller, typed.row(), form):
        return RedirectResponse("/targets", 303)
    return await serving.lanes["views"].run(_page, request, serving, caller, _asked(), form)


@router.post("/ending")
@needs("admin", sees="all")
async def end_target(
    request: Request, serving: Serving, caller: Calling, name: _Field = "", valid_from: _Field = ""
) -> Response:
    """End a target from a date on, or as though it had never been; and lead back to the list."""
    form = _Form(Typed(), ended=(name, valid_from), ending_mistakes=_mistaken_date(valid_from.strip()))
    row = Typed(name, period="", valid_from=valid_from.strip()).row()
    if not form.ending_mistakes and await _loaded(serving, caller, row, form):
        return RedirectResponse("/targets", 303)
    return await serving.lanes["views"].run(_page, request, serving, caller, _asked(), form)


@dataclass
class _Form:
    """What was typed into the forms and what is wrong with it, by name of field; "" for what is about none of them."""

    typed: Typed = field(default_factory=Typed)
    ended: tuple[str, str] = ("", "")
    mistakes: dict[str, str] = field(default_factory=dict)
    ending_mistakes: dict[str, str] = field(default_factory=dict)
    waits: bool = False

    @property
    def status(self) -> int:
        """The status of the page that shows it."""
        return 422 if self.mistakes or self.ending_mistakes else 202 if self.waits else 200


async def _loaded(serving: Service, caller: Caller, row: dict[str, str], form: _Form) -> bool:
    """Load a row of targets as `PUT /v1/targets` does; say whether it is there, else say in the form why not."""
    try:
        made = await loads.load_rows(serving, caller.actor, "targets", [row], _LOADED_AS)
    except InputError as error:
        form.mistakes[""] = str(error)
        return False
    form.waits = isinstance(made, Response)
    return not form.waits


def _page(request: Request, serving: Service, caller: Caller, asked: Asked, form: _Form | None = None) -> Response:
    form = form or _Form()
    values: dict[str, Any] = {"asked": asked, "form": form, "caller": caller, "rows": [], "chosen": None, "error": ""}
    status = form.status
    try:
        values |= _standing_values(serving, caller, asked)
    except InputError as error:
        values |= {"error": str(error), "periods": {asked.period: asked.period}, "defined": [], "as_of": None}
        status = 422
    return page(
        request,
        "targets",
        status=status,
        kinds=PERIODS,
        offered=offered(serving, caller) if caller.may("admin") and not caller.only else [],
        **values,
    )


def _standing_values(serving: Service, caller: Caller, asked: Asked) -> Mapping[str, Any]:
    if not fleet.any_polls(serving, caller) and not asked.as_of:
        return {"periods": {"": "each target's own, now"}, "defined": [], "as_of": None}
    standing = asked.standing(serving, caller)
    rows = _rows(standing)
    return {
        "rows": rows,
        "chosen": _chosen(rows, asked.target),
        "periods": _periods(standing.targets, asked.period),
        "defined": [definition(one) for one in standing.targets.defined],
        "as_of": standing.targets.as_of,
    }
