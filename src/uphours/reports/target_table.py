"""Targets as a table: a row for the stores of each together, and one for each store."""

from __future__ import annotations

from typing import Final

import polars as pl

from uphours.errors import InputError
from uphours.reports.downtime_budgets import Budget
from uphours.reports.targets import Targets

_DURATIONS: Final = ("budget_us", "used_us", "left_us", "business_us", "elapsed_us", "uptime_us", "unknown_us")
_SCHEMA: Final = {
    "name": pl.String,
    "period": pl.String,
    "store_id": pl.String,
    **dict.fromkeys(_DURATIONS, pl.Int64),
    "availability": pl.Float64,
    "met": pl.Boolean,
    "exhausted_at": pl.Int64,
    "exhausted": pl.String,
}


def target_table(targets: Targets) -> pl.DataFrame:
    """Return all figures, exact: in order of target; of each first the sums, then its stores, the worst first.

    Raises
    ------
    InputError
        A sum does not fit into 64 bits.
    """
    rows = [
        [outcome.target.name, outcome.period.name, store_id, *_cells(budget)]
        for outcome in targets.outcomes
        for store_id, budget in [(None, outcome.pooled), *outcome.by_store()]
    ]
    try:
        table = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    except OverflowError as error:
        raise InputError(
            "the time of all stores together does not fit into 64 bits of microseconds; valid are shorter periods, and "
            "targets of fewer stores"
        ) from error
    return table.with_columns(pl.col("exhausted_at").cast(pl.Datetime("us", "UTC")))


def _cells(budget: Budget) -> list[int | float | bool | str | None]:
    durations = [getattr(budget, name) for name in _DURATIONS]
    return [*durations, budget.availability, budget.is_met, budget.exhausted_at, budget.exhausted]
