"""Targets as a table: a row for the stores of each together, and one for each store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from uphours.errors import InputError
from uphours.reports.columns import Column, cell, percentage
from uphours.reports.downtime_budgets import Budget
from uphours.reports.targets import Outcome, Targets, definition
from uphours.reports.writers import spreadsheet_safe

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
#: The columns of the stores below a target, for people: percentages and hours.
_BELOW: Final = (
    "store_id", "name", "target", "period", "expected", "availability", "downtime", "budget", "uptime", "unknown",
    "business_time",
)  # fmt: skip
#: How a duration is written in hours.
_HOURS: Final = Column("downtime_period", "downtime", "period", "hours")


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


def below_csv(outcome: Outcome, names: Mapping[str, str]) -> bytes:
    """Return the stores below a target as a CSV file for people, the worst first; ``names``: by id, if they have one.

    Hours and percentages are rounded, and ids guarded, as in a report.
    """
    expected = definition(outcome.target)["target"]
    rows = [
        (
            store_id, names.get(store_id), outcome.target.name, outcome.period.name, f"{expected:g}",
            percentage(budget.uptime_us, budget.uptime_us + budget.used_us), *map(_in_hours, _shown(budget)),
        )
        for store_id, budget in outcome.below()
    ]  # fmt: skip
    table = pl.DataFrame(rows, schema=dict.fromkeys(_BELOW, pl.String), orient="row")
    texts = {title: spreadsheet_safe(table[title]) for title in ("store_id", "name", "target")}
    return table.with_columns(**texts).write_csv().encode()


def _shown(budget: Budget) -> list[int]:
    return [budget.used_us, budget.budget_us, budget.uptime_us, budget.unknown_us, budget.business_us]


def _in_hours(us: int) -> str | None:
    return cell({"downtime_us": us}, _HOURS)
