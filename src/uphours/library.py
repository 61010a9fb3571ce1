"""The functions of ``import uphours``: the same numbers on tables that the caller already has.

Tables come in through the Arrow PyCapsule interface (Polars, pandas, PyArrow, DuckDB, …) and go out as Polars
tables, which have the same interface: ``pandas.DataFrame.from_arrow(table)``, ``pyarrow.table(table)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

import numpy as np
import numpy.typing as npt
import polars as pl

from uphours import arguments
from uphours.arguments import ReportOptions, Table, lists
from uphours.errors import InputError, NotFoundError, UphoursError
from uphours.ingest.inputs import Kind
from uphours.ingest.load import TABLE_NAMES, read_tables
from uphours.ingest.memory_fleet import MemoryFleet, memory_fleet
from uphours.kernel import schedule as local_hours
from uphours.kernel.periods import period_of
from uphours.kernel.policy import Policy
from uphours.kernel.windows import ELAPSED_US, Window
from uphours.reports.answers import narrowed
from uphours.reports.groups import groups as group_figures
from uphours.reports.measure import Timelines, latest_instant, run_request, timelines
from uphours.reports.memberships import with_columns
from uphours.reports.target_table import target_table
from uphours.reports.targets import targets as target_figures
from uphours.schema import SPAN_STATUSES, Instant

__all__ = [
    "InputError",
    "NotFoundError",
    "Policy",
    "UphoursError",
    "Validated",
    "Window",
    "groups",
    "outages",
    "report",
    "sessions",
    "targets",
    "timeline",
    "validate",
]


class MoreTables(TypedDict, total=False):
    """Tables that not all have."""

    special_hours: Table | None
    attributes: Table | None
    adjustments: Table | None


class TimelineOptions(MoreTables, total=False):
    """What the intervals of stores are asked for."""

    start: Instant | None
    as_of: Instant | None
    policy: Policy | None


class Options(MoreTables, ReportOptions, total=False):
    """What figures of stores or groups are asked for."""

    stores: Sequence[str] | None
    raw: bool
    compare: bool


@dataclass(frozen=True)
class Validated:
    """The fleet that some tables describe, and their rows that make no sense.

    ``quarantine``: table ``table, line, raw, reason, cause``; ``line`` counts the rows of its table from 1, or is that
    of the file which ``table`` names.
    """

    fleet: MemoryFleet
    quarantine: pl.DataFrame


def validate(
    observations: Table | None = None,
    business_hours: Table | None = None,
    timezones: Table | None = None,
    *,
    special_hours: Table | None = None,
    attributes: Table | None = None,
    adjustments: Table | None = None,
    targets: Table | None = None,
    statuses: Mapping[str, str] | None = None,
) -> Validated:
    """Take tables as they are and set bad rows aside; the functions below accept the result for the tables.

    Each table may also be the path of a file, a glob, or a list of them, read as on the command line.

    Parameters
    ----------
    observations
        ``store_id, status, timestamp_utc``; status ``active``, ``inactive`` or ``unknown``; timestamps as text or as
        datetimes, UTC where they have no zone.
    business_hours
        ``store_id, day | dayOfWeek | day_of_week, start_time_local, end_time_local``; day 0 is Monday. A store
        without a row is always open. With ``valid_from``, a date, rows are the week that is in force from then on.
    timezones
        ``store_id, timezone_str``, also with ``valid_from``. A store without a row is in America/Chicago.
    special_hours
        ``store_id, date, start_time_local, end_time_local`` and perhaps ``name``: the rows of a date stand in for those
        of its weekday; without times, no session starts on it. The ``store_id`` ``*`` speaks for every store.
    attributes
        ``store_id``, perhaps ``valid_from``, and any other columns: ``first_day`` and ``last_day`` of the store, its
        ``name``, its region, …
    adjustments
        ``store_id, counts_as, reason`` with ``start_utc, end_utc`` or ``start_local, end_local``, and perhaps ``note``,
        ``entry`` and ``withdraws``: what counts as ``excluded``, ``up``, ``down`` or ``unknown``, whatever was seen.
    targets
        ``name, target, period`` and perhaps ``where`` and ``valid_from``: the availability, in percent, expected of the
        stores with the attributes ``where`` (``region=TX``) in each ``week``, ``month`` or ``quarter``.
    statuses
        What other words for a status mean: ``{"open": "active"}``.

    Raises
    ------
    InputError
        One is no table, a column is missing, stands twice, or is of a type of no use; a file cannot be read; or a word
        is mapped to what is no status.
    """
    tables: dict[Kind, Table | None] = {
        "polls": observations,
        "hours": business_hours,
        "timezones": timezones,
        "special": special_hours,
        "stores": attributes,
        "adjustments": adjustments,
        "targets": targets,
    }
    read = {kind: arguments.table(TABLE_NAMES[kind], table) for kind, table in tables.items()}
    given = {kind: table for kind, table in read.items() if table is not None}
    loaded = read_tables(given, statuses=statuses)
    quarantine = pl.DataFrame(
        [
            (loaded.files[row.file].name, row.line, row.raw.decode(errors="backslashreplace"), row.reason, row.cause)
            for row in loaded.quarantine
        ],
        schema={"table": pl.String, "line": pl.Int64, "raw": pl.String, "reason": pl.String, "cause": pl.String},
        orient="row",
    )
    return Validated(memory_fleet(loaded), quarantine)


@lists(Options)
def report(
    observations: Table | Validated,
    business_hours: Table | None = None,
    timezones: Table | None = None,
    *,
    columns: Sequence[str] | None = None,
    **options: Unpack[Options],
) -> pl.DataFrame:
    """Return uptime, downtime and what is unknown, one row per store and window, exact.

    Parameters
    ----------
    observations, business_hours, timezones, special_hours, attributes, adjustments
        Tables as `validate` describes them, or its result for ``observations`` alone.
    as_of
        The instant the report speaks for; the latest observation unless given. Nothing after it is used.
    windows
        Names such as ``last_day`` or ``previous_month``, or a `Window` of your own; unless given
        ``last_hour``, ``last_day``, ``last_week``.
    stores
        Only these stores.
    where
        Only stores with these values at ``as_of``: ``{"region": ["TX", "CA"], "brand": "A"}``. A blank value
        stands for stores without one.
    columns
        Names of attributes whose values at ``as_of`` stand beside ``store_id``.
    all_stores
        Also the stores that were never observed.
    raw
        Ignore the ledger in all figures.
    compare
        Also the windows before, of which as much counts as has elapsed of the windows, and the changes from there.

    Returns
    -------
    polars.DataFrame
        ``store_id, window, hours_known`` (false: rows of hours or zones were given, none could be used, so nothing
        counts), then int64 microseconds ``start_us, end_us, uptime_us, downtime_us, unknown_us, excluded_us,
        scheduled_us, business_us, raw_uptime_us, raw_downtime_us, raw_unknown_us`` (without the ledger), ``watched_us,
        uptime_min_us, uptime_max_us``, float64 ``availability, coverage`` (null where there is
        nothing to divide by), int64 ``observations, outages, longest_outage_us``. With ``compare``
        ``availability_change`` and ``downtime_change_us`` (null unless both windows have an availability) and all from
        ``start_us`` on once more, of the window before, called ``before_start_us`` and so on. In order of ``store_id``
        as text, then of ``windows``.

    Raises
    ------
    InputError
        Rows are bad (`validate` gives the good and the bad apart), or an option is.
    NotFoundError
        One of ``stores`` is in none of the tables.
    """
    request = arguments.request(options, columns=columns)
    fleet = _fleet(observations, business_hours, timezones, options)
    asked = narrowed(fleet, request)
    return with_columns(run_request(asked, request), asked, request.columns).table()


@lists(Options)
def groups(
    observations: Table | Validated,
    business_hours: Table | None = None,
    timezones: Table | None = None,
    *,
    by: Sequence[str],
    **options: Unpack[Options],
) -> pl.DataFrame:
    """Return the figures of groups of stores that share values of attributes: exact sums over the stores of each.

    A store counts in a group as long as it belongs to it: attributes change at the store's local midnight.

    Parameters
    ----------
    by
        Names of attributes, such as ``["region"]`` or ``["region", "brand"]``.
    as_of, windows, policy, stores, where, all_stores, raw, compare
        As with `report`; the tables as well.

    Returns
    -------
    polars.DataFrame
        The attributes, ``window``, ``stores`` (that belong to the group at some time of the window), then the figures
        of `report` from ``uptime_us`` on; ratios are those of the sums. In order of the values as text, ``(none)``
        where a store has no value. The last rows are the whole fleet, with nulls for the attributes.

    Raises
    ------
    InputError
        Rows are bad, an option is, or no store has such an attribute.
    NotFoundError
        One of ``stores`` is in none of the tables.
    """
    names = arguments.names("by", by)
    request = arguments.request(options, by=names)
    fleet = _fleet(observations, business_hours, timezones, options)
    return group_figures(narrowed(fleet, request), request, names).table()


@lists(MoreTables)
def targets(
    observations: Table | Validated,
    business_hours: Table | None = None,
    timezones: Table | None = None,
    *,
    targets: Table | None = None,
    period: str | None = None,
    as_of: Instant | None = None,
    policy: Policy | None = None,
    all_stores: bool = False,
    **more: Unpack[MoreTables],
) -> pl.DataFrame:
    """Return what is left of the downtime that targets allow in a calendar period, of their stores and of each.

    Parameters
    ----------
    targets
        As `validate` describes them; not beside its result, which has them.
    period
        ``2026-12``, ``2026-Q4`` or ``2026-W48``; unless given, of each target the one that has not ended everywhere.
    as_of, policy, all_stores
        As with `report`; the other tables as well.

    Returns
    -------
    polars.DataFrame
        ``name, period, store_id``, int64 microseconds ``budget_us, used_us, left_us, business_us`` (whole period),
        ``elapsed_us`` (so far), ``uptime_us, unknown_us``, then ``availability``, ``met`` (null: nothing is known) and
        ``exhausted_at`` (datetime, UTC), with ``exhausted``: ``past`` where the budget has run out, ``projected`` where
        it will at the present rate. In order of name; of each the sums first (``store_id`` null), then the stores, the
        worst first.

    Raises
    ------
    InputError
        Rows are bad, an option is, or a sum does not fit into 64 bits.
    """
    name = arguments.text("period", period)
    asked = None if name is None else period_of(name)
    as_of, policy = arguments.instant("as_of", as_of), arguments.policy(policy)
    all_stores = arguments.flag("all_stores", all_stores)
    fleet = _fleet(observations, business_hours, timezones, {**more, "targets": targets})
    return target_table(target_figures(fleet, period=asked, as_of=as_of, policy=policy, all_stores=all_stores))


@lists(TimelineOptions)
def timeline(
    observations: Table | Validated,
    business_hours: Table | None = None,
    timezones: Table | None = None,
    **options: Unpack[TimelineOptions],
) -> pl.DataFrame:
    """Return the spans of every store in ``[start, as_of)``, by default the last week.

    Returns
    -------
    polars.DataFrame
        ``store_id, start, end`` (datetimes, UTC, half-open), ``status`` (``up``, ``down``, ``unknown``) and
        ``confirmed``, ascending per store.
    """
    fleet = _fleet(observations, business_hours, timezones, options)
    made = _timelines(fleet, options)
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


@lists(TimelineOptions)
def outages(
    observations: Table | Validated,
    business_hours: Table | None = None,
    timezones: Table | None = None,
    **options: Unpack[TimelineOptions],
) -> pl.DataFrame:
    """Return the outages of every store in ``[start, as_of)``, by default the last week.

    Returns
    -------
    polars.DataFrame
        ``store_id, start, end`` (datetimes, UTC; closed time in between included) and ``downtime_us`` (int64,
        open time alone), ascending per store. One that was going on at ``start`` begins there.
    """
    fleet = _fleet(observations, business_hours, timezones, options)
    made = _timelines(fleet, options)
    found = made.outages()
    return _intervals(fleet.store_ids, found.stores, found.starts, found.ends, downtime_us=pl.Series(found.downtime_us))


def sessions(
    business_hours: Table | None = None,
    timezones: Table | None = None,
    *,
    special_hours: Table | None = None,
    attributes: Table | None = None,
    start: Instant,
    end: Instant,
) -> pl.DataFrame:
    """Return when every store of the tables is open, clipped to ``[start, end)``.

    Returns
    -------
    polars.DataFrame
        ``store_id, start, end`` (datetimes, UTC, half-open), ascending per store.
    """
    start_us, end_us = arguments.interval(start, end)
    fleet = _fleet(None, business_hours, timezones, {"special_hours": special_hours, "attributes": attributes})
    n = len(fleet.store_ids)
    found = local_hours.sessions(fleet.schedule, np.full(n, start_us), np.full(n, end_us))
    stores = np.repeat(np.arange(n), np.diff(found.offsets))
    return _intervals(fleet.store_ids, stores, np.maximum(found.starts, start_us), np.minimum(found.ends, end_us))


def _fleet(
    observations: Table | Validated | None,
    business_hours: Table | None,
    timezones: Table | None,
    options: Mapping[str, Any],
) -> MemoryFleet:
    more = {name: options.get(name) for name in ("special_hours", "attributes", "adjustments", "targets")}
    if isinstance(observations, Validated):
        if any(table is not None for table in (business_hours, timezones, *more.values())):
            raise InputError("a validated fleet has its hours, zones and all else already; give it alone")
        return observations.fleet
    validated = validate(observations, business_hours, timezones, **more)
    if len(validated.quarantine):
        table, line, raw, reason, _ = validated.quarantine.row(0)
        raise InputError(
            f"{len(validated.quarantine)} bad rows; the first is row {line} of {table}, {raw[:200]}: {reason}. "
            f"uphours.validate(…) sets such rows aside, and its result stands for the tables"
        )
    return validated.fleet


def _timelines(fleet: MemoryFleet, options: TimelineOptions) -> Timelines:
    start_us = arguments.instant("start", options.get("start"))
    as_of_us = arguments.instant("as_of", options.get("as_of"))
    arguments.check_order("as_of", start_us, as_of_us)
    policy = arguments.policy(options.get("policy"))
    if as_of_us is None:
        as_of_us = latest_instant(fleet)
    if start_us is None:
        start_us = as_of_us - ELAPSED_US["last_week"]
    arguments.check_order("as_of", start_us, as_of_us)
    return timelines(fleet, start_us, as_of_us, as_of_us, policy)


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
