"""Targets, and how much of the downtime that they allow is left."""

from typing import Annotated, Any

from typing_extensions import TypedDict

from uphours.wire.fields import Doc
from uphours.wire.view_messages import Ahead, PolicyOptions
from uphours.wire.words import Exhausted, TargetPeriod


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
    """A week, month or quarter of local dates, on each store's own clock; ``end`` is not included."""

    name: Annotated[str, Doc("2026-W48, 2026-12 or 2026-Q4.")]
    first: str
    end: str


class TargetRow(TypedDict):
    """A target as a row that can be sent again."""

    name: str
    where: Annotated[str, Doc("NAME=VALUE, several with ; between them; blank for every store.")]
    target: Annotated[float | None, Doc("Percent. Null: there is no target of the name from valid_from on.")]
    period: Annotated[TargetPeriod | None, Doc("Null where there is no target.")]
    valid_from: Annotated[str | None, Doc("The local date from which on it is in force; null: since ever.")]


class Budget(TypedDict):
    """What a target allows in a whole period, and what is used of it so far."""

    availability: Annotated[float | None, Doc("Uptime over known time, so far; null: nothing is known.")]
    met: Annotated[bool | None, Doc("Whether availability so far is at least the target; null: nothing is known.")]
    budget_us: Annotated[int, Doc("The downtime that the target allows in the whole period, rounded down.")]
    used_us: Annotated[int, Doc("Downtime so far.")]
    left_us: Annotated[int, Doc("budget_us − used_us; negative where more is used.")]
    business_us: Annotated[int, Doc("Business time of the whole period, known exclusions to come left out.")]
    elapsed_us: Annotated[int, Doc("Business time so far.")]
    uptime_us: int
    unknown_us: int
    exhausted_at: Annotated[str | None, Doc("When the budget ran out, or will in this period; null for neither.")]
    exhausted: Annotated[
        Exhausted | None,
        Doc("`past`: the budget has run out. `projected`: it will at the present rate of downtime."),
    ]


class StoreBudget(Budget):
    """The same of one store."""

    store_id: str


class TargetOutcome(Budget, TargetRow):
    """How a target stands in a period; figures are sums over its stores, each while it belongs to the target."""

    calendar_period: CalendarPeriod
    stores: Annotated[int, Doc("Stores that belong to it at some time of the period, and were ever observed.")]
    stores_met: int
    stores_below: int
    stores_unknown: Annotated[int, Doc("Stores of which nothing is known in the period.")]
    stores_not_observed: Annotated[int, Doc("Stores that were never observed, and count for nothing.")]
    below: Annotated[list[StoreBudget], Doc("Stores below the target, the worst first, up to `worst`.")]


class TargetList(TypedDict):
    """The targets that are in force on the first day of a period, and all that are defined."""

    as_of: str
    as_of_us: int
    ahead: Annotated[Ahead | None, Doc("Where the latest observation is ahead of the clock.")]
    policy: dict[str, Any]
    loads_seen: int
    entries_seen: int
    targets: list[TargetOutcome]
    defined: list[TargetRow]
