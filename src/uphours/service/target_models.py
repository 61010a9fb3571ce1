"""What goes out over HTTP of targets; as in `uphours.service.models`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from uphours.service.models import AheadModel
from uphours.wire_targets import Exhausted, TargetPeriod


class CalendarPeriodModel(BaseModel):
    """A week, month or quarter of local dates, on each store's own clock; ``end`` is not included."""

    name: str = Field(examples=["2026-12"])
    first: str
    end: str


class TargetRowModel(BaseModel):
    """A target as a row that can be sent again."""

    name: str
    where: str = Field(description="NAME=VALUE, several with ; between them; blank for every store.")
    target: float | None = Field(description="Percent. Null: there is no target of the name from valid_from on.")
    period: TargetPeriod | None = Field(description="Null where there is no target.")
    valid_from: str | None = Field(description="The local date from which on it is in force; null: since ever.")


class BudgetModel(BaseModel):
    """What a target allows in a whole period, and what is used of it so far."""

    availability: float | None = Field(description="Uptime over known time, so far; null: nothing is known.")
    met: bool | None = Field(description="Whether availability so far is at least the target; null: nothing is known.")
    budget_us: int = Field(description="The downtime that the target allows in the whole period, rounded down.")
    used_us: int = Field(description="Downtime so far.")
    left_us: int = Field(description="budget_us − used_us; negative where more is used.")
    business_us: int = Field(description="Business time of the whole period, known exclusions to come left out.")
    elapsed_us: int = Field(description="Business time so far.")
    uptime_us: int
    unknown_us: int
    exhausted_at: str | None = Field(description="When the budget ran out, or will in this period; null for neither.")
    exhausted: Exhausted | None = Field(
        description="`past`: the budget has run out. `projected`: it will at the present rate of downtime."
    )


class StoreBudgetModel(BudgetModel):
    """The same of one store."""

    store_id: str


class TargetModel(TargetRowModel, BudgetModel):
    """How a target stands in a period; figures are sums over its stores, each while it belongs to the target."""

    calendar_period: CalendarPeriodModel
    stores: int = Field(description="Stores that belong to it at some time of the period, and were ever observed.")
    stores_met: int
    stores_below: int
    stores_unknown: int = Field(description="Stores of which nothing is known in the period.")
    stores_not_observed: int = Field(description="Stores that were never observed, and count for nothing.")
    below: list[StoreBudgetModel] = Field(description="Stores below the target, the worst first, up to `worst`.")


class TargetList(BaseModel):
    """The targets that are in force on the first day of a period, and all that are defined."""

    as_of: str
    as_of_us: int
    ahead: AheadModel | None = Field(default=None, description="Where the latest observation is ahead of the clock.")
    policy: dict[str, Any]
    loads_seen: int
    entries_seen: int
    targets: list[TargetModel]
    defined: list[TargetRowModel]
