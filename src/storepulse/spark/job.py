"""The plan of a job: tables → checked rows → one shuffle by store. Runs on the driver, and starts nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from storepulse.ingest import Kind
from storepulse.ingest.reading import places, table_batch
from storepulse.spark.rows import QUARANTINED, SHUFFLED, Bad, Checked, Needed, Quarantined, versions

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_NAMES: Final[dict[Kind, str]] = {"polls": "observations", "hours": "business_hours", "timezones": "timezones"}
#: Types that a column of a table may not have, as Polars calls them; which of them matters where, ingest knows.
_DOUBTFUL: Final = {"float": pl.Float32, "double": pl.Float64, "interval day to second": pl.Duration}


@dataclass(frozen=True)
class Table:
    """One of the tables of a job, with the columns that are needed and no others."""

    kind: Kind
    name: str
    frame: DataFrame

    def rows(self, bad: Bad, needed: Needed | None, now: int | None = None) -> DataFrame:
        """Return its rows to shuffle; polls over 24 h after ``now`` are bad."""
        checked = Checked(self.kind, self.name, bad, now, needed if self.kind == "polls" else None, versions())
        return self.frame.mapInArrow(checked, SHUFFLED)

    def quarantined(self) -> DataFrame:
        """Return its bad rows."""
        return self.frame.mapInArrow(Quarantined(self.kind, self.name, versions()), QUARANTINED)


def tables(
    observations: DataFrame | None, business_hours: DataFrame | None, timezones: DataFrame | None
) -> list[Table]:
    """Return the tables that are given.

    Raises
    ------
    InputError
        A column is missing, or store ids are floating-point numbers.
    """
    given: dict[Kind, DataFrame | None] = {"polls": observations, "hours": business_hours, "timezones": timezones}
    return [table_of(kind, _NAMES[kind], frame) for kind, frame in given.items() if frame is not None]


def table_of(kind: Kind, name: str, frame: DataFrame) -> Table:
    """Return one table.

    Raises
    ------
    InputError
        As `tables`.
    """
    from pyspark.sql import functions as sql

    schema = {field.name: _DOUBTFUL.get(field.dataType.simpleString(), pl.String) for field in frame.schema.fields}
    table_batch(kind, pl.DataFrame(schema=schema), name)  # it knows what is wrong with a table
    columns = {column: frame.columns[place] for column, place in places(kind, frame.columns).items()}
    chosen = [sql.col("`" + title.replace("`", "``") + "`").alias(column) for column, title in columns.items()]
    return Table(kind, name, frame.select(*chosen))


def shuffled(rows: Sequence[DataFrame], buckets: int | None) -> DataFrame:
    """Put all rows of a store into one bucket, and in each bucket those of a store together.

    Hours and zones travel with the observations: each bucket gets those of its own stores. The key is a hash, which
    Spark sorts much faster than texts; two stores that share one are told apart behind the shuffle.
    """
    from pyspark.sql import functions as sql

    together: Any = reduce(lambda one, more: one.unionAll(more), rows).withColumn("bucket", sql.xxhash64("store_id"))
    return together.repartition("bucket") if buckets is None else together.repartition(buckets, "bucket")


def with_latest(rows: DataFrame, as_of: int | None) -> DataFrame:
    """Sort the buckets, and give each row the latest observation as ``as_of`` where no instant is named."""
    from pyspark.sql import functions as sql

    ordered = rows.sortWithinPartitions("bucket")
    if as_of is not None:
        return ordered
    # It looks at every column (and adds 0), or Spark would shuffle less for it, and so a second time.
    nothing = sql.pmod(sql.hash("store_id", "setting", "bucket"), sql.lit(1))
    latest = rows.select(sql.shiftright(sql.max(sql.col("moment") + nothing), 1))
    return ordered.withColumn("as_of", latest.scalar())
