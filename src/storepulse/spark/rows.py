"""Rows of a table, as Spark hands them over → rows to shuffle: checked as the rows of files are.

Runs in Spark's Python workers, before the shuffle.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np
import polars as pl

from storepulse import __version__
from storepulse.errors import EngineError, InputError
from storepulse.ingest import Kind
from storepulse.ingest.reading import Batch, table_batch
from storepulse.ingest.validation import Accepted, StoreIds
from storepulse.kernel.hours import tzdata_version

if TYPE_CHECKING:
    import pyarrow as pa

Bad: TypeAlias = Literal["refuse", "leave out", "count"]
"""What becomes of bad rows: an error, nothing, or a row that counts those of a batch and shows some."""
Versions: TypeAlias = tuple[str, str]

#: What is shuffled: a poll as ``moment`` (twice its microseconds, plus 1 where it is active), a row of hours as the
#: ``setting`` "day opens closes", a zone as its name; under no store, what is to be told of bad rows, as JSON.
SHUFFLED: Final = "store_id string, moment long, setting string"
QUARANTINED: Final = "table string, raw string, reason string"

_ROWS_AT_ONCE: Final = 100_000
#: So many bad rows of a batch are shown; all are counted.
_EXAMPLES: Final = 5
_POLARS: Final = {"store_id": pl.String, "moment": pl.Int64, "setting": pl.String}


def versions() -> Versions:
    """Return what must be the same wherever a job runs: the versions of the program and of the zone rules."""
    return __version__, tzdata_version()


def check_versions(expected: Versions) -> None:
    """Compare this worker with the driver.

    Raises
    ------
    EngineError
        Another program or other zone rules: the numbers could be others.
    """
    if versions() != expected:
        here, there = (f"storepulse {program} with tzdata {zones}" for program, zones in (versions(), expected))
        raise EngineError(f"this executor has {here}, the driver has {there}; install the same on both")


@dataclass(frozen=True)
class Needed:
    """Which observations numbers at ``as_of`` can need: those in ``[start, as_of]``, and the last before."""

    start: int
    as_of: int

    def of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows without the observations that are not needed."""
        moment = pl.col("moment")
        before = moment < 2 * self.start
        is_needed = moment.is_null() | ((moment < 2 * (self.as_of + 1)) & ~before)
        if not rows.select((moment < 2 * self.start).any()).item():
            return rows if rows.select(is_needed.all()).item() else rows.filter(is_needed)
        # Both statuses of one instant are kept: which of them counts is not decided here.
        last = pl.when(before).then(moment // 2).max().over("store_id")
        return rows.filter(is_needed | (before & (moment // 2 == last)))


@dataclass(frozen=True)
class Checked:
    """Makes rows to shuffle of one table's rows."""

    kind: Kind
    table: str
    bad: Bad
    now: int | None
    needed: Needed | None
    made_with: Versions

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of `SHUFFLED`."""
        check_versions(self.made_with)
        ids = _Ids()
        for rows in gathered(batches):
            batch = table_batch(self.kind, rows, self.table)
            accepted = Accepted(ids.numbers)
            _, bad = accepted.add(self.kind, batch, self.now)
            made = _rows(self.kind, accepted, ids)
            yield from as_arrow(made if self.needed is None else self.needed.of(made))
            if bad.height and self.bad != "leave out":
                yield from self._told(batch, bad)

    def _told(self, batch: Batch, bad: pl.DataFrame) -> Iterator[pa.RecordBatch]:
        shown = list(zip(_raw(batch, bad[:_EXAMPLES]), bad["reason"].to_list(), strict=False))
        if self.bad == "refuse":
            (raw, reason), *_ = shown
            raise InputError(
                f"a row of {self.table} is bad, {raw[:200]}: {reason}. storepulse.spark.validate(…) sets such rows "
                f"aside, and its result stands for the tables"
            )
        note = json.dumps({"bad": bad.height, "table": self.table, "shown": shown})
        yield from as_arrow(pl.DataFrame({"store_id": [""], "moment": [None], "setting": [note]}, schema=_POLARS))


@dataclass(frozen=True)
class Quarantined:
    """Returns the bad rows of one table, with the reason."""

    kind: Kind
    table: str
    made_with: Versions

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of `QUARANTINED`."""
        check_versions(self.made_with)
        ids = StoreIds()
        for rows in gathered(batches):
            batch = table_batch(self.kind, rows, self.table)
            _, bad = Accepted(ids).add(self.kind, batch, None)
            if bad.height:
                raw = pl.Series("raw", _raw(batch, bad), dtype=pl.String)
                yield from as_arrow(bad.select(pl.lit(self.table).alias("table"), raw, "reason"))


def settings(store_ids: Sequence[str], hours: Any, timezones: Mapping[int, str]) -> pl.DataFrame:
    """Return hours and zones, read and checked already, as rows to shuffle; stores are given by position."""
    names = pl.Series(store_ids, dtype=pl.String)
    return _hours_rows(names, hours).vstack(_zone_rows(names, list(timezones.items())))


def gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[pl.DataFrame]:
    """Put small batches together, as tables; instants that have a zone are in UTC."""
    import pyarrow as pa

    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= _ROWS_AT_ONCE:
            yield _table(pa.Table.from_batches(waiting))
            waiting = []
    if waiting:
        yield _table(pa.Table.from_batches(waiting))


def as_arrow(table: pl.DataFrame) -> Iterator[pa.RecordBatch]:
    """Yield a table as Spark takes it: its strings are no large ones."""
    import pyarrow as pa

    made = table.to_arrow(compat_level=pl.CompatLevel.oldest())
    plain = [field.with_type(pa.string()) if field.type == pa.large_string() else field for field in made.schema]
    yield from made.cast(pa.schema(plain)).to_batches()


def _table(arrow: pa.Table) -> pl.DataFrame:
    import pyarrow as pa

    # Spark names the zone of its session, which need not be one that Polars knows. The instants are the same.
    in_utc = [
        field.with_type(pa.timestamp("us", "UTC")) if pa.types.is_timestamp(field.type) and field.type.tz else field
        for field in arrow.schema
    ]
    return pl.DataFrame(arrow.cast(pa.schema(in_utc)))


class _Ids:
    """The ids that were seen in a task, as numbers and as a series of their texts."""

    def __init__(self) -> None:
        self.numbers = StoreIds()
        self._texts = pl.Series([], dtype=pl.String)

    def texts(self) -> pl.Series:
        if new := self.numbers.texts[len(self._texts) :]:
            self._texts.extend(pl.Series(new, dtype=pl.String))
        return self._texts


def _rows(kind: Kind, accepted: Accepted, ids: _Ids) -> pl.DataFrame:
    if kind == "polls":
        (stores,), (times,), (statuses,) = accepted.stores, accepted.times, accepted.statuses
        return pl.DataFrame(
            {"store_id": ids.texts().gather(stores), "moment": times << 1 | statuses, "setting": None}, schema=_POLARS
        )
    if kind == "hours":
        return _hours_rows(ids.texts(), accepted.hours[0])
    return _zone_rows(ids.texts(), accepted.timezones)


def _hours_rows(texts: pl.Series, hours: Any) -> pl.DataFrame:
    rows = pl.DataFrame(hours, schema=dict.fromkeys(("store", "day", "opens", "closes"), pl.Int64))
    return rows.select(
        store_id=texts.gather(rows["store"]),
        moment=pl.lit(None, dtype=pl.Int64),
        setting=pl.concat_str("day", "opens", "closes", separator=" "),
    )


def _zone_rows(texts: pl.Series, zones: Sequence[tuple[int, str]]) -> pl.DataFrame:
    stores = np.array([store for store, _ in zones], dtype=np.int64)
    names = [name for _, name in zones]
    return pl.DataFrame({"store_id": texts.gather(stores), "moment": None, "setting": names}, schema=_POLARS)


def _raw(batch: Batch, bad: pl.DataFrame) -> list[str]:
    return [raw.decode() for raw in batch.raw(bad["line"].to_list())]
