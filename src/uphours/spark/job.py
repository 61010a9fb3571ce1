"""The plan of a job: tables → checked rows → one shuffle by store. Runs on the driver, and starts nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from uphours.arguments import spark_table
from uphours.errors import InputError
from uphours.ingest.inputs import Kind
from uphours.ingest.load import TABLE_NAMES
from uphours.ingest.readers.titles import ATTRIBUTE, whole_positions
from uphours.ingest.readers.typed import table_batch
from uphours.ingest.statuses import STATUS_WORDS
from uphours.schema import EVERY_STORE_ID, STATUS_BITS
from uphours.spark.rows import (
    DAYS_SEEN,
    QUARANTINED,
    SHUFFLED,
    WHOLE,
    Bad,
    Checked,
    DaysSeen,
    Needed,
    Quarantined,
    versions,
)
from uphours.spark.setting_lines import OF_EVERY_STORE

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

#: Types that a column of a table may not have, as Polars calls them; which of them matters where, ingest knows.
_DOUBTFUL: Final = {
    "boolean": pl.Boolean, "date": pl.Date, "timestamp": pl.Datetime("us"), "timestamp_ntz": pl.Datetime("us"),
    "interval day to second": pl.Duration,
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """One of the tables of a job, with the columns that are needed and no others."""

    kind: Kind
    name: str
    frame: DataFrame

    def rows(
        self,
        bad: Bad,
        needed: Needed | None,
        now: int | None = None,
        words: Mapping[str, int] = STATUS_WORDS,
        attributes: Collection[str] = (),
    ) -> DataFrame:
        """Return its rows to shuffle; polls over 24 h after ``now`` are bad; ``words`` are those for statuses.

        ``attributes``: the names of those that are asked for.
        """
        of_polls = needed if self.kind == "polls" else None
        checked = Checked(self.kind, self.name, bad, now, of_polls, versions(), words, attributes)
        return self._whole().mapInArrow(checked, SHUFFLED)

    def attribute_names(self) -> set[str]:
        """Return the names of the attributes that it has columns for."""
        return set(self.frame.columns) - {"store_id", "valid_from"} if self.kind == "stores" else set()

    def quarantined(self) -> DataFrame:
        """Return its bad rows."""
        return self._whole().mapInArrow(Quarantined(self.kind, self.name, versions()), QUARANTINED)

    def _whole(self) -> DataFrame:
        """Return the table, in one part where its rows mean something only beside each other."""
        return self.frame.coalesce(1) if self.kind in WHOLE else self.frame


def tables(given: Mapping[Kind, DataFrame | None]) -> list[Table]:
    """Return the tables that are given; polls must be.

    Raises
    ------
    InputError
        One is no table of Spark, or a column is missing, there twice, or of a type that holds no such values.
    """
    checked = {
        kind: spark_table(TABLE_NAMES[kind], frame)
        for kind, frame in given.items()
        if frame is not None or kind == "polls"
    }
    return [table_of(kind, TABLE_NAMES[kind], frame) for kind, frame in checked.items()]


def table_of(kind: Kind, name: str, frame: DataFrame) -> Table:
    """Return one table.

    Raises
    ------
    InputError
        As `tables`.
    """
    from pyspark.sql import functions as sql

    schema: dict[str, Any] = {
        field.name: _DOUBTFUL.get(field.dataType.simpleString(), pl.String) for field in frame.schema.fields
    }
    table_batch(kind, pl.DataFrame(schema=schema), name)  # it knows what is wrong with a table
    found = whole_positions(kind, frame.columns, name)
    columns = {column.removeprefix(ATTRIBUTE): frame.columns[place] for column, place in found.items()}
    _check_once(name, frame.columns, list(columns.values()))
    chosen = [sql.col("`" + title.replace("`", "``") + "`").alias(column) for column, title in columns.items()]
    selected = frame.select(*chosen)
    return Table(kind, name, _with_days_seen(name, selected) if kind == "hours" else selected)


def _with_days_seen(name: str, hours: DataFrame) -> DataFrame:
    """Give each row what its day depends on: whether some row says 0, and whether some row says 7."""
    from pyspark.sql import functions as sql

    seen = hours.mapInArrow(DaysSeen(name, versions()), f"{DAYS_SEEN} int")
    return hours.withColumn(DAYS_SEEN, seen.select(sql.coalesce(sql.bit_or(DAYS_SEEN), sql.lit(0))).scalar())


def _check_once(name: str, titles: Sequence[str], chosen: Sequence[str]) -> None:
    """Refuse columns that Spark, which does not regard case, cannot tell apart."""
    folded = [title.casefold() for title in titles]
    for title in chosen:
        if folded.count(title.casefold()) > 1:
            raise InputError(f"{name} has the column {title} more than once; valid are tables that have it once")


def shuffled(rows: Sequence[DataFrame], buckets: int | None) -> DataFrame:
    """Put all rows of a store into one bucket, and in each bucket those of a store together.

    Settings travel with the observations: each bucket gets those of its own stores. The key is a hash, which
    Spark sorts much faster than texts; two stores that share one are told apart behind the shuffle.
    """
    from pyspark.sql import functions as sql

    together: Any = reduce(lambda one, more: one.unionAll(more), rows).withColumn("bucket", sql.xxhash64("store_id"))
    return together.repartition("bucket") if buckets is None else together.repartition(buckets, "bucket")


def in_order(rows: DataFrame, as_of: int | None, special: DataFrame | None) -> DataFrame:
    """Sort the buckets, and give them what all of them need.

    Each row has the latest observation as ``as_of`` where no instant is named; the first row of each bucket has what
    ``special``, rows to shuffle, says of every store, as `OF_EVERY_STORE`.
    """
    from pyspark.sql import functions as sql

    ordered = rows.sortWithinPartitions("bucket")
    if special is not None:
        lines = special.where(_is_of_every_store()).select(sql.sort_array(sql.collect_list("setting")))
        # What comes first in a part is numbered from the part's own multiple of 2**33 on.
        is_first = sql.monotonically_increasing_id().bitwiseAND(sql.lit((1 << 33) - 1)) == 0
        text = sql.array_join(lines.scalar(), "\n")
        ordered = ordered.withColumn(OF_EVERY_STORE, sql.when(is_first, text))
    if as_of is not None:
        return ordered
    # It looks at every column (and adds 0), or Spark would shuffle less for it, and so a second time.
    nothing = sql.pmod(sql.hash("store_id", "setting", "bucket"), sql.lit(1))
    latest = rows.select(sql.shiftright(sql.max(sql.col("moment") + nothing), STATUS_BITS))
    return ordered.withColumn("as_of", latest.scalar())


def of_stores(rows: DataFrame) -> DataFrame:
    """Return rows to shuffle without those of special hours that are of every store."""
    return rows.where(~_is_of_every_store())


def _is_of_every_store() -> Column:
    from pyspark.sql import functions as sql

    # Any other row under this id is of a store that is really called so.
    return (sql.col("store_id") == EVERY_STORE_ID) & sql.coalesce(
        sql.col("setting").startswith("special "), sql.lit(False)
    )
