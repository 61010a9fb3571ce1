"""The same numbers on Apache Spark: observations and what is known of stores as DataFrames, and so the report.

Rows are checked as those of files are, shuffled once by store, and given to the unchanged kernel, some thousand
stores at a time. Everything is lazy: nothing runs before an action. This module can be imported without PySpark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from uphours import arguments
from uphours.arguments import ReportOptions, lists
from uphours.errors import InputError
from uphours.ingest.inputs import Kind
from uphours.ingest.readers.parquet_footer import latest_limit
from uphours.kernel.policy import Policy
from uphours.reports.memberships import check_labels
from uphours.schema import Instant
from uphours.spark.job import in_order, of_stores, shuffled, tables
from uphours.spark.limits import pruned_before
from uphours.spark.results import AddedGroups, Made, PartGroups, Reports, Timelines
from uphours.spark.rows import Bad

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class SparkOptions(TypedDict, total=False):
    """Tables that not all have, and how the work is divided."""

    special_hours: DataFrame | None
    attributes: DataFrame | None
    adjustments: DataFrame | None
    buckets: int | None


class Options(SparkOptions, ReportOptions, total=False):
    """What figures of stores or groups are asked for."""


@dataclass(frozen=True)
class Validated:
    """Tables whose bad rows are left out, and those rows.

    ``quarantine``: DataFrame ``table, raw, reason, cause``; it reads the tables once more when it is asked for.
    """

    observations: DataFrame
    business_hours: DataFrame | None
    timezones: DataFrame | None
    special_hours: DataFrame | None
    attributes: DataFrame | None
    adjustments: DataFrame | None
    quarantine: DataFrame


def validate(
    observations: DataFrame,
    business_hours: DataFrame | None = None,
    timezones: DataFrame | None = None,
    *,
    special_hours: DataFrame | None = None,
    attributes: DataFrame | None = None,
    adjustments: DataFrame | None = None,
) -> Validated:
    """Take tables as they are and set bad rows aside; the functions below accept the result for the tables.

    Parameters
    ----------
    observations
        ``store_id, status, timestamp_utc``; status ``active``, ``inactive`` or ``unknown``; timestamps as text or
        as timestamps, UTC where they have no zone. Other columns are not read.
    business_hours
        ``store_id, day | dayOfWeek | day_of_week, start_time_local, end_time_local``; day 0 is Monday. A store
        without a row is always open. With ``valid_from``, a date, rows are the week that is in force from then on.
    timezones
        ``store_id, timezone_str``, also with ``valid_from``. A store without a row is in America/Chicago.
    special_hours
        ``store_id, date, start_time_local, end_time_local`` and perhaps ``name``: the rows of a date stand in for those
        of its weekday; without times, no session starts on it. The ``store_id`` ``*`` speaks for every store.
    attributes
        ``store_id``, perhaps ``valid_from``, and any other columns; ``first_day`` and ``last_day`` of the store count.
    adjustments
        ``store_id, counts_as, reason`` with ``start_utc, end_utc`` or ``start_local, end_local``, and perhaps ``note``,
        ``entry`` and ``withdraws``. Rows of Spark have no order: where entries overlap, number them in ``entry``.

    Raises
    ------
    InputError
        A column is missing, or of a type that holds no such values. Bad rows raise nothing.
    """
    given: dict[Kind, DataFrame | None] = {
        "polls": observations,
        "hours": business_hours,
        "timezones": timezones,
        "special": special_hours,
        "stores": attributes,
        "adjustments": adjustments,
    }
    quarantined = [table.quarantined() for table in tables(given)]
    together = quarantined[0]
    for more in quarantined[1:]:
        together = together.unionAll(more)
    return Validated(
        observations, business_hours, timezones, special_hours, attributes, adjustments, quarantine=together
    )


@lists(Options)
def report(
    observations: DataFrame | Validated,
    business_hours: DataFrame | None = None,
    timezones: DataFrame | None = None,
    *,
    columns: Sequence[str] | None = None,
    **options: Unpack[Options],
) -> DataFrame:
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
    where
        Only stores with these values of attributes at ``as_of``: ``{"region": ["TX", "CA"], "brand": "A"}``. A blank
        value stands for stores without one. If no store has them, there is no row.
    columns
        Names of attributes whose values at ``as_of`` stand beside ``store_id``.
    all_stores
        Also the stores that were never observed.
    buckets
        Into how many parts the stores are shuffled; unless given, Spark decides by their size.

    Returns
    -------
    pyspark.sql.DataFrame
        The columns of `uphours.report`, in no order of rows. When it is computed, a bad row ends the job with its
        reason, unless the tables went through `validate`.

    Raises
    ------
    InputError
        A column is missing, there is no column for an attribute, or an option is wrong.
    """
    request = arguments.request(options, columns=columns)
    given = _given(observations, business_hours, timezones, options)
    return _made(given, Reports(request), as_of=request.as_of, buckets=options.get("buckets"))


@lists(Options)
def groups(
    observations: DataFrame | Validated,
    business_hours: DataFrame | None = None,
    timezones: DataFrame | None = None,
    *,
    by: Sequence[str],
    **options: Unpack[Options],
) -> DataFrame:
    """Return the figures of groups of stores that share values of attributes: exact sums over the stores of each.

    A store counts in a group as long as it belongs to it: attributes change at the store's local midnight.

    Parameters
    ----------
    by
        Names of attributes, such as ``["region"]`` or ``["region", "brand"]``.
    as_of, windows, policy, where, all_stores, buckets
        As with `report`; the tables as well.

    Returns
    -------
    pyspark.sql.DataFrame
        The columns of `uphours.groups`, in one part and in the same order: the last rows are the whole fleet, with
        nulls for the attributes. When it is computed, a bad row ends the job, as with `report`.

    Raises
    ------
    InputError
        A column is missing, there is no column for an attribute, or an option is wrong.
    """
    request = arguments.request(options, by=arguments.names("by", by))
    given = _given(observations, business_hours, timezones, options)
    added = AddedGroups(request)
    of_parts = _made(given, PartGroups(request), as_of=request.as_of, buckets=options.get("buckets"))
    return of_parts.repartition(1).mapInArrow(added, added.schema)


@lists(SparkOptions)
def timeline(
    observations: DataFrame | Validated,
    business_hours: DataFrame | None = None,
    timezones: DataFrame | None = None,
    *,
    start: Instant | None = None,
    as_of: Instant | None = None,
    policy: Policy | None = None,
    **options: Unpack[SparkOptions],
) -> DataFrame:
    """Return the spans of every store in ``[start, as_of)``, by default the last week.

    Returns
    -------
    pyspark.sql.DataFrame
        The columns of `uphours.timeline`: ``store_id, start, end`` (timestamps, half-open), ``status`` (``up``,
        ``down``, ``unknown``, ``excluded``) and ``confirmed``; in no order of rows.

    Raises
    ------
    InputError
        A column is missing, or ``as_of`` is not after ``start``.
    """
    start_us, as_of_us = arguments.instant("start", start), arguments.instant("as_of", as_of)
    arguments.check_order("as_of", start_us, as_of_us)
    made = Timelines(start_us, arguments.policy(policy))
    given = _given(observations, business_hours, timezones, options)
    return _made(given, made, as_of=as_of_us, buckets=options.get("buckets"))


def _given(
    observations: DataFrame | Validated,
    business_hours: DataFrame | None,
    timezones: DataFrame | None,
    more: Mapping[str, Any],
) -> tuple[dict[Kind, DataFrame | None], Bad]:
    """Return the tables that are given, and what becomes of their bad rows."""
    others = (business_hours, timezones, *(more.get(name) for name in ("special_hours", "attributes", "adjustments")))
    bad: Bad = "refuse"
    if isinstance(observations, Validated):
        if any(table is not None for table in others):
            raise InputError("validated tables have their hours, zones and all else already; give them alone")
        bad, validated = "leave out", observations
        observations = validated.observations
        others = (
            validated.business_hours, validated.timezones, validated.special_hours, validated.attributes,
            validated.adjustments,
        )  # fmt: skip
    kinds: tuple[Kind, ...] = ("hours", "timezones", "special", "stores", "adjustments")
    return {"polls": observations, **dict(zip(kinds, others, strict=True))}, bad


def _made(
    given: tuple[dict[Kind, DataFrame | None], Bad], made: Made, *, as_of: int | None, buckets: int | None
) -> DataFrame:
    frames, bad = given
    buckets = arguments.buckets(buckets)
    checked, asked = tables(frames), made.attributes
    check_labels({name for table in checked for name in table.attribute_names()}, sorted(asked))
    rows = {table.kind: table.rows(bad, made.needs(as_of), attributes=asked) for table in checked}
    special = rows.get("special")
    if special is not None:
        rows["special"] = of_stores(special)
    before = latest_limit(*(pruned_before(table.frame) for table in checked))
    ordered = in_order(shuffled(list(rows.values()), buckets), as_of, special)
    return ordered.mapInArrow(made.of_buckets(as_of, before), made.schema)
