"""The same numbers on Apache Spark: observations, hours and zones as DataFrames, the report as a DataFrame.

Rows are checked as those of files are, shuffled once by store, and given to the unchanged kernel, some thousand
stores at a time. Everything is lazy: nothing runs before an action. This module can be imported without PySpark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storepulse.errors import InputError
from storepulse.kernel.policy import Policy
from storepulse.kernel.windows import DEFAULT_WINDOWS, Window, window_names
from storepulse.library import Instant
from storepulse.schema import instant_text, instant_us
from storepulse.spark.job import shuffled, tables, with_latest
from storepulse.spark.results import Made, Reports, Timelines
from storepulse.spark.rows import Bad

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Validated", "report", "timeline", "validate"]


@dataclass(frozen=True)
class Validated:
    """Tables whose bad rows are left out, and those rows.

    ``quarantine``: DataFrame ``table, raw, reason``; it reads the tables once more when it is asked for.
    """

    observations: DataFrame
    business_hours: DataFrame | None
    timezones: DataFrame | None
    quarantine: DataFrame


def validate(
    observations: DataFrame, business_hours: DataFrame | None = None, timezones: DataFrame | None = None
) -> Validated:
    """Take tables as they are and set bad rows aside; the functions below accept the result for the tables.

    Parameters
    ----------
    observations
        ``store_id, status, timestamp_utc``; status ``active`` or ``inactive``; timestamps as text or as timestamps,
        UTC where they have no zone. Other columns are not read.
    business_hours
        ``store_id, day | dayOfWeek | day_of_week, start_time_local, end_time_local``; day 0 is Monday. A store
        without a row is always open.
    timezones
        ``store_id, timezone_str``. A store without a row is in America/Chicago.

    Raises
    ------
    InputError
        A column is missing, or store ids are floating-point numbers. Bad rows raise nothing.
    """
    quarantined = [table.quarantined() for table in tables(observations, business_hours, timezones)]
    together = quarantined[0]
    for more in quarantined[1:]:
        together = together.unionAll(more)
    return Validated(observations, business_hours, timezones, together)


def report(
    observations: DataFrame | Validated,
    business_hours: DataFrame | None = None,
    timezones: DataFrame | None = None,
    *,
    as_of: Instant | None = None,
    windows: Sequence[str | Window] | None = None,
    policy: Policy | None = None,
    all_stores: bool = False,
    buckets: int | None = None,
) -> DataFrame:
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
    all_stores
        Also the stores that were never observed.
    buckets
        Into how many parts the stores are shuffled; unless given, Spark decides by their size.

    Returns
    -------
    pyspark.sql.DataFrame
        The columns of `storepulse.report`, in no order of rows. When it is computed, a bad row ends the job with its
        reason, unless the tables went through `validate`.

    Raises
    ------
    InputError
        A column is missing, or an option is wrong.
    """
    chosen = DEFAULT_WINDOWS if windows is None else tuple(windows)
    window_names(chosen)
    return _made(
        observations,
        business_hours,
        timezones,
        Reports(chosen, policy or Policy(), all_stores=all_stores),
        as_of=None if as_of is None else instant_us(as_of),
        buckets=buckets,
    )


def timeline(
    observations: DataFrame | Validated,
    business_hours: DataFrame | None = None,
    timezones: DataFrame | None = None,
    *,
    start: Instant | None = None,
    as_of: Instant | None = None,
    policy: Policy | None = None,
    buckets: int | None = None,
) -> DataFrame:
    """Return the spans of every store in ``[start, as_of)``, by default the last week.

    Returns
    -------
    pyspark.sql.DataFrame
        The columns of `storepulse.timeline`: ``store_id, start, end`` (timestamps, half-open), ``status`` (``up``,
        ``down``, ``unknown``) and ``confirmed``; in no order of rows.

    Raises
    ------
    InputError
        A column is missing, or ``as_of`` is not after ``start``.
    """
    start_us, as_of_us = (None if instant is None else instant_us(instant) for instant in (start, as_of))
    if start_us is not None and as_of_us is not None and start_us >= as_of_us:
        raise InputError(f"as_of {instant_text(as_of_us)} is not after start {instant_text(start_us)}")
    made = Timelines(start_us, policy or Policy())
    return _made(observations, business_hours, timezones, made, as_of=as_of_us, buckets=buckets)


def _made(
    observations: DataFrame | Validated,
    business_hours: DataFrame | None,
    timezones: DataFrame | None,
    made: Made,
    *,
    as_of: int | None,
    buckets: int | None,
) -> DataFrame:
    bad: Bad = "refuse"
    if isinstance(observations, Validated):
        if business_hours is not None or timezones is not None:
            raise InputError("validated tables have their hours and zones already; give them alone")
        bad = "leave out"
        business_hours, timezones = observations.business_hours, observations.timezones
        observations = observations.observations
    given = tables(observations, business_hours, timezones)
    rows = shuffled([table.rows(bad, made.needs(as_of)) for table in given], buckets)
    return with_latest(rows, as_of).mapInArrow(made.of_buckets(as_of), made.schema)
