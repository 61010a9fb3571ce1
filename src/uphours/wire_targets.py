"""What goes over HTTP of targets; as in `uphours.wire`."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from uphours.wire import Ahead, PolicyOptions

TargetPeriod = Literal["week", "month", "quarter"]
Exhausted = Literal["past", "projected"]


class TargetsView(PolicyOptions, total=False):
    """What targets are asked for: a period, an instant, a policy, and how many stores below a target are listed.

    ``percent``: instead of the targets that are in force, one of every store with this availability.
    """

    period: str
    percent: float
    as_of: str
    all_stores: bool
    worst: int


class CalendarPeriod(TypedDict):
    """A week, month or quarter of local dates; ``end`` is not included."""

    name: str
    first: str
    end: str


class TargetRow(TypedDict):
    """A target as a row that can be sent again; without a ``target`` the name has none from ``valid_from`` on."""

    name: str
    where: str
    target: float | None
    period: TargetPeriod | None
    valid_from: str | None


class Budget(TypedDict):
    """What a target allows in a whole period, and what is used of it so far.

    ``met``: null where nothing is known. ``exhausted_at``: when the budget ran out (``exhausted`` is ``past``), or will
    at the present rate (``projected``).
    """

    availability: float | None
    met: bool | None
    budget_us: int
    used_us: int
    left_us: int
    business_us: int
    elapsed_us: int
    uptime_us: int
    unknown_us: int
    exhausted_at: str | None
    exhausted: Exhausted | None


class StoreBudget(Budget):
    """The same of one store."""

    store_id: str


class TargetOutcome(TargetRow, Budget):
    """How a target stands in a period: of all its stores together, and the stores that are below it."""

    calendar_period: CalendarPeriod
    stores: int
    stores_met: int
    stores_below: int
    stores_unknown: int
    stores_not_observed: int
    below: list[StoreBudget]


class Targets(TypedDict):
    """The targets that are in force, and all that are defined, with their dates."""

    as_of: str
    as_of_us: int
    ahead: Ahead | None
    policy: dict[str, Any]
    loads_seen: int
    entries_seen: int
    targets: list[TargetOutcome]
    defined: list[TargetRow]
