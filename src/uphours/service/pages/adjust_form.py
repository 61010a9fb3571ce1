"""The form that lets a stretch of a store's time count differently: what it would move first, then the entry."""

from __future__ import annotations

import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Final, cast

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from uphours.errors import ConflictError, InputError, NotFoundError, shown
from uphours.kernel.local_time import wall_clock
from uphours.reports.explain import zone_at
from uphours.schema import REASONS, SECOND_US, UNKNOWN_TIMEZONE, Schedule
from uphours.service.api import adjustments
from uphours.service.auth import Caller, Calling, needs
from uphours.service.bodies import checked
from uphours.service.deps import Service, Serving
from uphours.service.lane_routes import StoreRoute
from uphours.service.pages.query import Asked, Asking, mistake_in
from uphours.service.pages.rendering import page, path_of
from uphours.service.problems import status_of
from uphours.wire.ledger_messages import AdjustmentBody, Entry, Moved
from uphours.wire.values import STORE_ID_MAX_LENGTH

router = APIRouter(route_class=StoreRoute, include_in_schema=False)

#: On whose clock the times of the form are, and that of a store, if it has one zone for all its dates.
STORE_CLOCK: Final = "store"
UTC_CLOCK: Final = "utc"
#: More than any field may hold: what is too long for it comes back with the other fields.
LONGEST_FIELD: Final = 1 << 16
_FIGURES: Final = {
    "Uptime": "uptime_us", "Downtime": "downtime_us", "Unknown": "unknown_us", "Excluded": "excluded_us",
}  # fmt: skip


class TypedForm(ABC):
    """What stands in a form of an adjustment, as text; a dataclass."""

    #: The fields beside which there is room for what is wrong with them.
    places: ClassVar[frozenset[str]] = frozenset()

    @property
    def text(self) -> str:
        """All of it as one text, by which a preview is known to be of it."""
        return json.dumps(astuple(cast(Any, self)))

    def mistakes(self) -> dict[str, str]:
        """Return what is wrong, by name of field, as far as that shows without the database."""
        return {}

    @abstractmethod
    def body(self) -> AdjustmentBody:
        """Return it as the API takes it, of something without mistakes.

        Raises
        ------
        InputError
            A value makes no sense.
        """


@dataclass(frozen=True)
class Typed(TypedForm):
    """What stands in the form of one store."""

    store_id: str
    start: str = ""
    end: str = ""
    clock: str = STORE_CLOCK
    counts_as: str = "excluded"
    reason: str = REASONS[0]
    note: str = ""

    def said(self) -> dict[str, str]:
        """Return it as the API takes it, but for the stores.

        Raises
        ------
        InputError
            It names no clock that there is.
        """
        if self.clock not in (STORE_CLOCK, UTC_CLOCK):
            raise InputError(f"clock is {shown(self.clock)}; valid are {STORE_CLOCK} and {UTC_CLOCK}")
        names, zone = (("start_local", "end_local"), "") if self.clock == STORE_CLOCK else (("start", "end"), "Z")
        bounds = {name: f"{text}{zone}" for name, text in zip(names, (self.start, self.end), strict=True) if text}
        return bounds | {"counts_as": self.counts_as, "reason": self.reason, "note": self.note}

    def body(self) -> AdjustmentBody:
        """Return it as the API takes it."""
        return checked(AdjustmentBody, {**self.said(), "stores": [self.store_id]})


@dataclass(frozen=True)
class Step:
    """What is to become of a form: a preview, or its entry once that was shown.

    ``previewed``: what was typed when the preview was made, as one text. ``once``: that of the preview.
    """

    step: Annotated[str, Form(max_length=16)] = "preview"
    previewed: Annotated[str, Form(max_length=8 * LONGEST_FIELD)] = ""
    once: Annotated[str, Form(max_length=255)] = ""


@dataclass(frozen=True)
class Preview:
    """What would be moved by what was typed: name, before and after of each figure, in microseconds.

    ``once``: the key with which it is entered, so that a form that is sent twice makes one entry.
    """

    moved: Moved
    rows: list[tuple[str, int, int]]
    typed: str
    once: str


def _typed(
    store_id: Annotated[str, Form(min_length=1, max_length=STORE_ID_MAX_LENGTH)],
    start: Annotated[str, Form(max_length=LONGEST_FIELD)] = "",
    end: Annotated[str, Form(max_length=LONGEST_FIELD)] = "",
    clock: Annotated[str, Form(max_length=LONGEST_FIELD)] = STORE_CLOCK,
    counts_as: Annotated[str, Form(max_length=LONGEST_FIELD)] = "",
    reason: Annotated[str, Form(max_length=LONGEST_FIELD)] = "",
    note: Annotated[str, Form(max_length=LONGEST_FIELD)] = "",
) -> Typed:
    # Browsers send the lines of a text with CR LF, whatever they were given.
    return Typed(store_id, start.strip(), end.strip(), clock, counts_as, reason, note.replace("\r\n", "\n").strip())


@router.post("/adjustments")
@needs("adjust", sees="stores")
def adjust(
    request: Request,
    serving: Serving,
    caller: Calling,
    asking: Asking,
    typed: Annotated[Typed, Depends(_typed)],
    step: Annotated[Step, Depends()],
) -> Response:
    """Show what an adjustment would move; once that was shown, enter it and lead back to the store."""
    return next_step(
        serving, caller, typed, step, entered=lambda _entry: f"{path_of(typed.store_id)}{asking.query}#entries",
        form=partial(_page, request, serving, caller, asking, typed),
    )  # fmt: skip


def next_step(
    serving: Service,
    caller: Caller,
    typed: TypedForm,
    step: Step,
    *,
    entered: Callable[[Entry], str],
    form: Callable[..., Response],
) -> Response:
    """Enter what was typed and lead to where it is ``entered``, if its preview was shown; else show the form.

    With a preview where there was none, or of something else, and with the mistakes of what cannot be previewed.
    """
    if mistakes := typed.mistakes():
        return form(status=422, mistakes=mistakes)
    has_changed = bool(step.previewed) and step.previewed != typed.text
    try:
        body = typed.body()
        if step.step == "enter" and step.previewed and step.once and not has_changed:
            entry = adjustments.adjust(serving, caller, Response(), body, idempotency_key=step.once)
            assert not isinstance(entry, Response)  # it was entered
            return RedirectResponse(entered(entry), 303)
        preview = _previewed(serving, caller, body, typed.text)
    except (InputError, ConflictError) as error:
        return form(status=status_of(error), mistakes=mistake_in(error, typed.places))
    return form(preview=preview, has_changed=has_changed and step.step == "enter")


def _previewed(serving: Service, caller: Caller, body: AdjustmentBody, typed: str) -> Preview:
    """Return what an adjustment would move; ``typed``: all that was typed, as one text."""
    answer = adjustments.adjust(serving, caller, Response(), body, dry_run=True)
    assert isinstance(answer, Response)  # nothing was entered
    moved: Any = json.loads(bytes(answer.body))
    rows = [(name, moved["before"][field], moved["after"][field]) for name, field in _FIGURES.items()]
    return Preview(moved, rows, typed, secrets.token_urlsafe(16))


def _page(
    request: Request,
    serving: Service,
    caller: Caller,
    asked: Asked,
    typed: Typed,
    *,
    status: int = 200,
    preview: Preview | None = None,
    mistakes: Mapping[str, str] | None = None,
    has_changed: bool = False,
) -> Response:
    try:
        with serving.snapshot(caller, [typed.store_id]) as fleet:
            zone = fleet.schedule.zone_names[zone_at(fleet.schedule, serving.now())]
    except NotFoundError:
        zone = "Etc/UTC"
    return page(
        request, "adjust", status=status, asked=asked, typed=typed, zone=zone, preview=preview,
        error="".join((mistakes or {}).values()), has_changed=has_changed,
    )  # fmt: skip


def typed_in(request: Request, store_id: str) -> Typed:
    """Return what the form holds when a page is opened: an address may name a stretch."""
    given = request.query_params
    clock = UTC_CLOCK if given.get("clock") == UTC_CLOCK else STORE_CLOCK
    return Typed(store_id, given.get("start", "")[:32], given.get("end", "")[:32], clock)


def has_one_clock(schedule: Schedule) -> bool:
    """Say whether the only store of a schedule has one known zone, so that a page can compute its times."""
    return schedule.dated_zones is None and UNKNOWN_TIMEZONE not in schedule.zone_names


def stretch(zone: str, start: int, end: int, *, is_one_clock: bool) -> dict[str, str]:
    """Return an interval as the form takes it, in whole seconds around it.

    On the clock of the store, unless that does not say which instant is meant, as in an hour that comes twice.
    """
    bounds = start // SECOND_US * SECOND_US, -(-end // SECOND_US) * SECOND_US
    local = [wall_clock(zone, us) for us in bounds]
    says_which = is_one_clock and not any(time.fold for time in local)
    first, last = (
        time.replace(tzinfo=None).isoformat(timespec="seconds")
        for time in (local if says_which else [wall_clock("UTC", us) for us in bounds])
    )
    return {"start": first, "end": last, "clock": STORE_CLOCK if says_which else UTC_CLOCK}
