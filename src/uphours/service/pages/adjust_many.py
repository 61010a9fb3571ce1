"""The form that lets time of many stores count differently: whole days or exact times, of stores by what they are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from typing import Annotated, Any, ClassVar, Final

from fastapi import APIRouter, Depends, Form, Request, Response

from uphours.errors import InputError, shown
from uphours.service.auth import Caller, Calling, needs
from uphours.service.bodies import checked, date_of
from uphours.service.deps import Service, Serving
from uphours.service.lane_routes import StoreRoute
from uphours.service.pages.adjust_form import LONGEST_FIELD, STORE_CLOCK, Preview, Step, Typed, TypedForm, next_step
from uphours.service.pages.attributes import offered
from uphours.service.pages.rendering import page
from uphours.where import plain, where_of_texts
from uphours.wire.group_messages import Attribute
from uphours.wire.ledger_messages import AdjustmentBody

router = APIRouter(route_class=StoreRoute, include_in_schema=False)

_MOST_VALUES: Final = 1_000
_A_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class ManyTyped(TypedForm):
    """What stands in the form of many stores; ``how``: the times, and how and why they count.

    ``where``: NAME=VALUE each. ``stores``: ids, one a line. ``first_day``, ``last_day``: dates, both included; without
    the second one it is one day.
    """

    places: ClassVar[frozenset[str]] = frozenset(("stores", "first_day", "last_day", "start"))

    how: Typed = field(default_factory=lambda: Typed(""))
    where: tuple[str, ...] = ()
    stores: str = ""
    every: bool = False
    first_day: str = ""
    last_day: str = ""

    @property
    def ids(self) -> list[str]:
        """The ids that were typed."""
        return [line.strip() for line in self.stores.splitlines() if line.strip()]

    def mistakes(self) -> dict[str, str]:
        """Return what is wrong, by name of field."""
        found = {}
        ways = [bool(self.where), bool(self.ids), self.every].count(True)
        if ways != 1:
            says = "stores are chosen in several ways" if ways else "no store is chosen"
            found["stores"] = f"{says}; choose values of attributes, or type ids, or tick all stores"
        has_days, has_times = bool(self.first_day or self.last_day), bool(self.how.start or self.how.end)
        if has_days and has_times:
            found["first_day"] = "days and exact times are both given; give one of them"
        elif has_times and not (self.how.start and self.how.end):
            found["start"] = "one of the two times is missing"
        elif not has_times:
            found |= self._mistaken_days()
        return found

    def _mistaken_days(self) -> dict[str, str]:
        if not self.first_day:
            return {"first_day": "the first day is missing; give a day, or two exact times"}
        for name in ("first_day", "last_day"):
            try:
                if getattr(self, name):
                    date_of(name.replace("_", " "), getattr(self, name))
            except InputError as error:
                return {name: str(error)}
        if self.last_day and self.last_day < self.first_day:
            return {"last_day": f"the last day {shown(self.last_day)} is before the first one; valid are later ones"}
        return {}

    def body(self) -> AdjustmentBody:
        """Return it as the API takes it, of something without mistakes."""
        how = self.how
        if self.first_day:
            end = date.fromisoformat(self.last_day or self.first_day) + _A_DAY
            how = replace(how, start=f"{self.first_day}T00:00", end=f"{end}T00:00", clock=STORE_CLOCK)
        which: dict[str, Any] = {"all": True} if self.every else {"stores": self.ids}
        if self.where:
            which = {"where": plain(where_of_texts(self.where))}
        return checked(AdjustmentBody, {**how.said(), **which})


_Field = Annotated[str, Form(max_length=LONGEST_FIELD)]


def _typed(
    where: Annotated[list[str] | None, Form(max_length=_MOST_VALUES)] = None,
    stores: Annotated[str, Form(max_length=1 << 18)] = "",
    every: Annotated[bool, Form()] = False,
    first_day: _Field = "",
    last_day: _Field = "",
    start: _Field = "",
    end: _Field = "",
    clock: _Field = STORE_CLOCK,
    counts_as: _Field = "",
    reason: _Field = "",
    note: _Field = "",
) -> ManyTyped:
    how = Typed("", start.strip(), end.strip(), clock, counts_as, reason, note.replace("\r\n", "\n").strip())
    chosen = tuple(text for text in where or () if text)
    return ManyTyped(how, chosen, stores.replace("\r\n", "\n").strip(), every, first_day.strip(), last_day.strip())


@router.post("/adjustments/many")
@needs("adjust", sees="stores")
def adjust_many(
    request: Request,
    serving: Serving,
    caller: Calling,
    typed: Annotated[ManyTyped, Depends(_typed)],
    step: Annotated[Step, Depends()],
) -> Response:
    """Show what an adjustment of many stores would move; once that was shown, enter it and lead to the ledger."""
    return next_step(
        serving, caller, typed, step, entered=lambda entry: f"/adjustments#entry-{entry['entry']}",
        form=partial(_page, request, serving, caller, typed),
    )  # fmt: skip


def _page(
    request: Request,
    serving: Service,
    caller: Caller,
    typed: ManyTyped,
    *,
    status: int = 200,
    preview: Preview | None = None,
    mistakes: dict[str, str] | None = None,
    has_changed: bool = False,
) -> Response:
    return page(
        request, "adjust_many", status=status, typed=typed, attributes=choices(serving, caller), preview=preview,
        mistakes=mistakes or {}, has_changed=has_changed,
    )  # fmt: skip


def choices(serving: Service, caller: Caller) -> list[Attribute]:
    """Return the attributes by which the form lets people choose stores; nothing to those who may not adjust."""
    return offered(serving, caller) if caller.may("adjust") else []
