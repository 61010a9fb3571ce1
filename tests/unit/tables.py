"""Small input tables, and single rows of what comes back."""

from collections.abc import Iterable
from typing import Any

import polars as pl

EVERY_DAY = range(7)


def polls(*rows: tuple[str, str, str]) -> pl.DataFrame:
    """Return observations: ``(store_id, status, timestamp)``."""
    return pl.DataFrame(
        list(rows), schema=dict.fromkeys(("store_id", "status", "timestamp_utc"), pl.String), orient="row"
    )


def hours(*rows: tuple[str, Iterable[int], str, str]) -> pl.DataFrame:
    """Return business hours: ``(store_id, days, start, end)``, a row for each of the days."""
    return pl.DataFrame(
        [(store, str(day), start, end) for store, days, start, end in rows for day in days],
        schema=dict.fromkeys(("store_id", "day", "start_time_local", "end_time_local"), pl.String),
        orient="row",
    )


def zones(names: dict[str, str]) -> pl.DataFrame:
    """Return time zones by store."""
    return pl.DataFrame(
        list(names.items()), schema=dict.fromkeys(("store_id", "timezone_str"), pl.String), orient="row"
    )


def row(report: pl.DataFrame, store: str, window: str) -> dict[str, Any]:
    """Return the one row of a store and window."""
    found = report.filter(pl.col("store_id") == store, pl.col("window") == window).to_dicts()
    assert len(found) == 1
    return found[0]


def up_down_unknown(report: pl.DataFrame, store: str, window: str, unit_us: int) -> tuple[float, float, float]:
    """Return the three durations of one store and window in a unit."""
    found = row(report, store, window)
    return found["uptime_us"] / unit_us, found["downtime_us"] / unit_us, found["unknown_us"] / unit_us
