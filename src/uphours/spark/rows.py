"""Rows of a table, as Spark hands them over → rows to shuffle: checked as the rows of files are.

Runs in Spark's Python workers, before the shuffle.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import polars as pl

from uphours import __version__
from uphours.errors import EngineError, InputError
from uphours.ingest.given import Given
from uphours.ingest.ids import StoreIds
from uphours.ingest.inputs import Kind
from uphours.ingest.readers.arrow import frame_of_arrow
from uphours.ingest.readers.batch import Batch
from uphours.ingest.readers.typed import table_batch
from uphours.ingest.statuses import STATUS_WORDS
from uphours.ingest.validate import Accepted
from uphours.kernel.local_time import tzdata_version
from uphours.load_record import RAW_BYTES
from uphours.schema import STATUS_BITS, pack
from uphours.spark.setting_lines import POLARS, settings_of

if TYPE_CHECKING:
    import pyarrow as pa

Bad: TypeAlias = Literal["refuse", "leave out", "count"]
"""What becomes of bad rows: an error, nothing, or a row that counts them for each batch, by cause."""
Versions: TypeAlias = tuple[str, str]

#: What is shuffled: a poll as ``moment`` (`uphours.schema.pack`), all else as a ``setting``
#: (`uphours.spark.setting_lines`); under no store, how many rows a batch had and lost, as JSON.
SHUFFLED: Final = "store_id string, moment long, setting string"
#: Kinds of which a row means something only beside the other rows of its table: one task reads the whole table.
WHOLE: Final[frozenset[Kind]] = frozenset({"special", "adjustments"})
#: What a table of hours has beside its columns: 1 if some row of it has day 0, and 2 if some row has day 7.
DAYS_SEEN: Final = "days_seen"
QUARANTINED: Final = "table string, raw string, reason string, cause string"

_ROWS_AT_ONCE: Final = 100_000


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
        here, there = (f"uphours {program} with tzdata {zones}" for program, zones in (versions(), expected))
        raise EngineError(f"this executor has {here}, the driver has {there}; install the same on both")


@dataclass(frozen=True)
class Needed:
    """Which observations numbers at ``as_of`` can need: those in ``[start, as_of]``, and the last before.

    Of a store that has only later ones, one stays: it says that there is such a store.
    """

    start: int
    as_of: int

    def of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows without the observations that are not needed."""
        moment = pl.col("moment")
        instant = moment // (1 << STATUS_BITS)
        before, after = instant < self.start, instant > self.as_of
        is_needed = moment.is_null() | ~(before | after)
        any_before, any_after = rows.select(before.any().alias("before"), after.any().alias("after")).row(0)
        if any_before:
            # All statuses of one instant are kept: which of them counts is not decided here.
            last = pl.when(before).then(instant).max().over("store_id")
            is_needed |= before & (instant == last)
        if not (any_before or any_after):
            return rows
        if any_after:
            is_needed |= pl.col("store_id").is_first_distinct() & ~is_needed.any().over("store_id")
        return rows.filter(is_needed)


@dataclass(frozen=True)
class Checked:
    """Makes rows to shuffle of one table's rows. ``attributes``: the names of those that are asked for."""

    kind: Kind
    table: str
    bad: Bad
    now: int | None
    needed: Needed | None
    made_with: Versions
    words: Mapping[str, int] = field(default_factory=lambda: STATUS_WORDS)
    attributes: Collection[str] = ()

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of `SHUFFLED`."""
        check_versions(self.made_with)
        ids = _Ids()
        for rows in _tables(self.kind, batches):
            accepted = Accepted(self.words, store_ids=ids.numbers)
            batch, bad = _judged(self.kind, self.table, rows, accepted, self.now)
            made = _rows(self.kind, accepted, ids, self.attributes)
            yield from as_arrow(made if self.needed is None else self.needed.of(made))
            if self.bad == "refuse":
                self._refuse(batch, bad)
            elif self.bad == "count":
                note = json.dumps({"table": self.table, "rows": batch.rows.height, "rejected": _by_cause(batch, bad)})
                yield from as_arrow(
                    pl.DataFrame({"store_id": [""], "moment": [None], "setting": [note]}, schema=POLARS)
                )

    def _refuse(self, batch: Batch, bad: pl.DataFrame) -> None:
        for raw, reason in zip(_raw(batch, bad[:1]), bad["reason"], strict=False):
            raise InputError(
                f"a row of {self.table} is bad, {raw[:200]}: {reason}. uphours.spark.validate(…) sets such rows "
                f"aside, and its result stands for the tables"
            )


@dataclass(frozen=True)
class DaysSeen:
    """Says of parts of a table of hours which of the days 0 and 7 they have, as `DAYS_SEEN`."""

    table: str
    made_with: Versions

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield a row for each part."""
        check_versions(self.made_with)
        for rows in gathered(batches):
            accepted = Accepted()
            accepted.add("hours", table_batch("hours", rows, self.table), None)
            zero, seven = accepted.days_seen()
            yield from as_arrow(pl.DataFrame({DAYS_SEEN: [zero + 2 * seven]}, schema={DAYS_SEEN: pl.Int32}))


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
        for rows in _tables(self.kind, batches):
            batch, bad = _judged(self.kind, self.table, rows, Accepted(store_ids=ids), None)
            if bad.height:
                raw = pl.Series("raw", _raw(batch, bad), dtype=pl.String)
                yield from as_arrow(bad.select(pl.lit(self.table).alias("table"), raw, "reason", "cause"))


def _judged(
    kind: Kind, name: str, rows: pl.DataFrame, accepted: Accepted, now: int | None
) -> tuple[Batch, pl.DataFrame]:
    """Accept the good rows of a part of a table; return all as a batch, and line, reason and cause of the bad ones."""
    seen: int | None = None
    if DAYS_SEEN in rows.columns:
        seen = rows[DAYS_SEEN][0] if rows.height else 0
        rows = rows.drop(DAYS_SEEN)
    batch = table_batch(kind, rows, name)
    _, bad = accepted.add(kind, batch, now)
    late = accepted.settle(name, None if seen is None else (bool(seen & 1), bool(seen & 2)))
    told = [(row.line, *row.problem) for row in late]
    return batch, pl.concat([bad, pl.DataFrame(told, schema=bad.schema, orient="row")])


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


def _tables(kind: Kind, batches: Iterator[pa.RecordBatch]) -> Iterator[pl.DataFrame]:
    """Put batches of a table together as far as its kind needs it."""
    parts = gathered(batches)
    if kind not in WHOLE:
        yield from parts
    elif some := list(parts):
        yield pl.concat(some)


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
    return frame_of_arrow(arrow.cast(pa.schema(in_utc)))


class _Ids:
    """The ids that were seen in a task, as numbers and as a series of their texts."""

    def __init__(self) -> None:
        self.numbers = StoreIds()
        self._texts = pl.Series([], dtype=pl.String)

    def texts(self) -> pl.Series:
        if new := self.numbers.texts[len(self._texts) :]:
            self._texts.extend(pl.Series(new, dtype=pl.String))
        return self._texts


def _rows(kind: Kind, accepted: Accepted, ids: _Ids, attributes: Collection[str]) -> pl.DataFrame:
    if kind == "polls":
        (stores,), (times,), (statuses,) = accepted.stores, accepted.times, accepted.statuses
        return pl.DataFrame(
            {"store_id": ids.texts().gather(stores), "moment": pack(times, statuses), "setting": None}, schema=POLARS
        )
    return settings_of(ids.texts(), Given.of(accepted), accepted.unreadable, attributes)


def _by_cause(batch: Batch, bad: pl.DataFrame) -> list[tuple[str, int, str, str]]:
    """Return each cause of bad rows with their number, and the reason and the text of the first one."""
    causes = bad.group_by("cause", maintain_order=True).agg(pl.len(), pl.col("line", "reason").first())
    numbers = zip(causes["cause"].to_list(), causes["len"].to_list(), strict=True)
    return [
        (cause, rows, reason, raw[:RAW_BYTES])
        for (cause, rows), reason, raw in zip(numbers, causes["reason"].to_list(), _raw(batch, causes), strict=True)
    ]


def _raw(batch: Batch, bad: pl.DataFrame) -> list[str]:
    return [raw.decode() for raw in batch.raw(bad["line"].to_list())]
