"""The functions of ``import storepulse``: the same numbers on tables that the caller already has.

Tables come in through the Arrow PyCapsule interface (Polars, pandas, PyArrow, DuckDB, …) and go out as Polars
tables, which have the same interface: ``pandas.DataFrame.from_arrow(table)``, ``pyarrow.table(table)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from storepulse import __version__, ingest, reports
from storepulse.errors import InputError, NotFoundError, StorepulseError
from storepulse.kernel import hours as local_hours
from storepulse.kernel import outages as kernel_outages
from storepulse.kernel.policy import Policy
from storepulse.kernel.windows import DEFAULT_WINDOWS, ELAPSED_US, Window
from storepulse.schema import SPAN_STATUSES, instant_text, instant_us

__all__ = [
    "InputError",
    "NotFoundError",
    "Policy",
    "StorepulseError",
    "Validated",
    "Window",
    "outages",
    "report",
    "sessions",
    "timeline",
    "validate",
]

Instant: TypeAlias = str | datetime | int
"""Text, an aware datetime, or microseconds since the epoch, UTC."""


class ArrowTable(Protocol):
    """Anything with the Arrow PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Hand the table over."""


@dataclass(frozen=True)
class Validated:
    """The fleet that some tables describe, and their rows that make no sense.

    ``quarantine``: table ``table, line, raw, reason``; ``line`` counts the rows of its table from 1.
    """

    fleet: ingest.MemoryFleet
    quarantine: pl.DataFrame


def validate(
    observations: ArrowTable | None = None,
    business_hours: ArrowTable | None = None,
    timezones: ArrowTable | None = None,
) -> Validated:
    """Take tables as they are and set bad rows aside; the functions below accept the result for the tables.

    Parameters
    ----------
    observations
        ``store_id, status, timestamp_utc``; status ``active`` or ``inactive``; timestamps as text or as
        datetimes, UTC where they have no zone.
    business_hours
        ``store_id, day | dayOfWeek | day_of_week, start_time_local, end_time_local``; day 0 is Monday. A store
        without a row is always open.
    timezones
        ``store_id, timezone_str``. A store without a row is in America/Chicago.

    Raises
    ------
    InputError
        A column is missing, or store ids are floating-point numbers.
    """
    tables: dict[ingest.Kind, ArrowTable | None] = {
        "polls": observations,
        "hours": business_hours,
        "timezones": timezones,
    }
    given = {kind: pl.DataFrame(table) for kind, table in tables.items() if table is not None}
    loaded = ingest.read_tables(given, version=__version__)
    quarantine = pl.DataFrame(
        [(loaded.files[row.file].name, row.line, row.raw.decode(), row.reason) for row in loaded.quarantine],
        schema={"table": pl.String, "line": pl.Int64, "raw": pl.String, "reason": pl.String},
        orient="row",
    )
    return Validated(ingest.memory_fleet(loaded), quarantine)


def report(
    observations: ArrowTable | Validated,
    business_hours: ArrowTable | None = None,
    timezones: ArrowTable | None = None,
    *,
    as_of: Instant | None = None,
    windows: Sequence[str | Window] | None = None,
    policy: Policy | None = None,
    stores: Sequence[str] | None = None,
    all_stores: bool = False,
) -> pl.DataFrame:
    """Return uptime, downtime and what is unknown, one row per store and window, exact.

    Parameters
    ----------
    observations, business_hours, timezones
        Tables as `validate` describes them, or its result for ``observations`` alone.
    as_of
        The instant the report speaks for; the latest observation unless given. Nothing after it is used.
    windows
        Names such as ``last_day`` or ``previous_month``, or a `Window` of your own; unless given
        ``last_hour``, ``last_day``, ``last_week``.
    stores
        Only these stores.
    all_stores
        Also the stores that were never observed.

    Returns
    -------
    polars.DataFrame
        ``store_id, window``, then int64 microseconds ``start_us, end_us, uptime_us, downtime_us, unknown_us,
        business_us, uptime_min_us, uptime_max_us``, float64 ``availability, coverage`` (null where there is
        nothing to divide by), int64 ``observations, outages, longest_outage_us``. In order of ``store_id`` as
        text, then of ``windows``.

    Raises
    ------
    InputError
        Rows are bad (`validate` gives the good and the bad apart), or an option is.
    NotFoundError
        One of ``stores`` is in none of the tables.
    """
    fleet = _fleet(observations, business_hours, timezones).of(stores)
    made = reports.run_report(
        fleet,
        as_of=None if as_of is None else instant_us(as_of),
        chosen=DEFAULT_WINDOWS if windows is None else windows,
        policy=policy,
        all_stores=all_stores,
        version=__version__,
    )
    return made.table()


def timeline(
    observations: ArrowTable | Validated,
    business_hours: ArrowTable | None = None,
    timezones: ArrowTable | None = None,
    *,
    start: Instant | None = None,
    as_of: Instant | None = None,
    policy: Policy | None = None,
) -> pl.DataFrame:
    """Return the spans of every store in ``[start, as_of)``, by default the last week.

    Returns
    -------
    polars.DataFrame
        ``store_id, start, end`` (datetimes, UTC, half-open), ``status`` (``up``, ``down``, ``unknown``) and
        ``confirmed``, ascending per store.
    """
    fleet, made = _reconstruction(observations, business_hours, timezones, start, as_of, policy)
    spans = made.spans
    stores = np.repeat(np.arange(len(fleet.store_ids)), np.diff(spans.offsets))
    return _intervals(
        fleet.store_ids,
        stores,
        spans.starts,
        spans.ends,
        status=pl.Series(SPAN_STATUSES, dtype=pl.String).gather(spans.statuses),
        confirmed=pl.Series(spans.confirmed),
    )


def outages(
    observations: ArrowTable | Validated,
    business_hours: ArrowTable | None = None,
    timezones: ArrowTable | None = None,
    *,
    start: Instant | None = None,
    as_of: Instant | None = None,
    policy: Policy | None = None,
) -> pl.DataFrame:
    """Return the outages of every store in ``[start, as_of)``, by default the last week.

    Returns
    -------
    polars.DataFrame
        ``store_id, start, end`` (datetimes, UTC; closed time in between included) and ``downtime_us`` (int64,
        open time alone), ascending per store. One that was going on at ``start`` begins there.
    """
    fleet, made = _reconstruction(observations, business_hours, timezones, start, as_of, policy)
    found = kernel_outages.outages(made.spans)
    return _intervals(fleet.store_ids, found.stores, found.starts, found.ends, downtime_us=pl.Series(found.downtime_us))


def sessions(
    business_hours: ArrowTable | None = None,
    timezones: ArrowTable | None = None,
    *,
    start: Instant,
    end: Instant,
) -> pl.DataFrame:
    """Return when every store of the tables is open, clipped to ``[start, end)``.

    Returns
    -------
    polars.DataFrame
        ``store_id, start, end`` (datetimes, UTC, half-open), ascending per store.
    """
    fleet = _fleet(None, business_hours, timezones)
    start_us, end_us = instant_us(start), instant_us(end)
    if start_us >= end_us:
        raise InputError(f"end {instant_text(end_us)} is not after start {instant_text(start_us)}")
    n = len(fleet.store_ids)
    found = local_hours.sessions(fleet.hours, np.full(n, start_us), np.full(n, end_us))
    stores = np.repeat(np.arange(n), np.diff(found.offsets))
    return _intervals(fleet.store_ids, stores, np.maximum(found.starts, start_us), np.minimum(found.ends, end_us))


def _fleet(
    observations: ArrowTable | Validated | None,
    business_hours: ArrowTable | None,
    timezones: ArrowTable | None,
) -> ingest.MemoryFleet:
    if isinstance(observations, Validated):
        if business_hours is not None or timezones is not None:
            raise InputError("a validated fleet has its hours and zones already; give it alone")
        return observations.fleet
    validated = validate(observations, business_hours, timezones)
    if len(validated.quarantine):
        table, line, raw, reason = validated.quarantine.row(0)
        raise InputError(
            f"{len(validated.quarantine)} bad rows; the first is row {line} of {table}, {raw[:200]}: {reason}. "
            f"storepulse.validate(…) sets such rows aside, and its result stands for the tables"
        )
    return validated.fleet


def _reconstruction(
    observations: ArrowTable | Validated,
    business_hours: ArrowTable | None,
    timezones: ArrowTable | None,
    start: Instant | None,
    as_of: Instant | None,
    policy: Policy | None,
) -> tuple[ingest.MemoryFleet, reports.Reconstruction]:
    fleet = _fleet(observations, business_hours, timezones)
    as_of_us = reports.latest(fleet) if as_of is None else instant_us(as_of)
    start_us = as_of_us - ELAPSED_US["last_week"] if start is None else instant_us(start)
    if start_us >= as_of_us:
        raise InputError(f"as_of {instant_text(as_of_us)} is not after start {instant_text(start_us)}")
    return fleet, reports.reconstruct(fleet, start_us, as_of_us, as_of_us, policy or Policy())


def _intervals(
    store_ids: Sequence[str],
    stores: npt.NDArray[np.integer[Any]],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    **columns: pl.Series,
) -> pl.DataFrame:
    """Build a table of intervals, in order of store id as text."""
    instant = pl.Datetime("us", "UTC")
    bounds = {"start": pl.Series(starts).cast(instant), "end": pl.Series(ends).cast(instant)}
    ids = pl.Series("store_id", store_ids, dtype=pl.String).gather(stores)
    return pl.DataFrame({"store_id": ids, **bounds, **columns}).sort("store_id", maintain_order=True)
