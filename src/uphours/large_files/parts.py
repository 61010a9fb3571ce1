"""Polls as pieces that can be read one after the other: the row groups of Parquet files, and other files whole."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import polars as pl
from polars.exceptions import PolarsError

from uphours.errors import InputError
from uphours.ingest.inputs import Progress, ReadAt, Source, damage_told, opened
from uphours.ingest.readers.batch import Batch
from uphours.ingest.readers.batches import batches
from uphours.ingest.readers.parquet import DAMAGED, is_not_utf8, with_texts
from uphours.ingest.readers.parquet_footer import (
    MAGIC,
    TAIL,
    Footer,
    Group,
    footer,
    footer_length,
    pruned_before_of,
    without_meaning,
)
from uphours.ingest.readers.titles import whole_positions
from uphours.ingest.readers.typed import microseconds, table_batch

#: Rows of a row group that become one table.
_ROWS: Final = 1_000_000
#: Parts of a file in a bucket that lie closer together than this are fetched together.
_GAP: Final = 1 << 20
#: Bytes that are held while they are copied.
_AT_ONCE: Final = 64 << 20


@dataclass(frozen=True)
class Table:
    """Some rows of a Parquet file: the columns of polls as they are stored, and all columns as a batch.

    ``bounds``: between these instants, both included, all of them lie, if the file speaks the truth.
    """

    rows: pl.DataFrame
    source: Source
    first_line: int
    columns: Columns
    bounds: tuple[int, int] | None
    group: Group

    def batch(self) -> Batch:
        """Return the rows as text, with all that stands beside them."""
        with self.columns.stored(None) as path:
            whole = self.columns.rows(path, self.group, None, self.first_line - 1, self.rows.height)
        return table_batch("polls", whole, self.source.name, first_line=self.first_line)


Read: TypeAlias = Table | Batch


@dataclass(frozen=True)
class Piece:
    """Polls that are read in one go: ``rows`` of them, between the instants ``bounds``, where that is known."""

    source: Source
    rows: int | None
    bounds: tuple[int, int] | None
    group: tuple[Columns, Group, int] | None = None

    @property
    def pruned_before(self) -> int | None:
        """From when on its file has all observations; None: it does not say so, or what it says is read with it."""
        return None if self.group is None else pruned_before_of(self.group[0].footer.facts, self.source.label)

    def read(self, progress: Progress | None) -> Iterator[Read]:
        """Yield what is in it, some rows at a time, in order.

        Raises
        ------
        InputError
            It cannot be read.
        """
        if self.group is None:
            with opened(self.source, progress) as (_, reader):
                yield from batches(self.source, reader)
            return
        columns, group, first = self.group
        names = list(columns.names.values())
        with columns.stored(group) as path:
            for start in range(0, group.rows, _ROWS):
                count = min(_ROWS, group.rows - start)
                rows = columns.rows(path, group, names, first + start, count)
                rows = rows.rename({name: column for column, name in columns.names.items()})
                yield Table(rows, self.source, first + start + 1, columns, self.bounds, group)
        if progress is not None:
            progress(self.source.name, columns.until(group), columns.size)


@dataclass(frozen=True)
class Columns:
    """The columns of polls in a Parquet file, by our names, and where their bytes are had from."""

    source: Source
    names: dict[str, str]
    size: int
    footer: Footer
    footer_bytes: bytes
    folder: Path

    @contextmanager
    def stored(self, group: Group | None) -> Iterator[str]:
        """Give a path under which the columns of a row group can be read; all columns of all groups for None."""
        if self.source.path is not None:
            yield str(self.source.path)
            return
        assert self.source.read_at is not None
        spans = [(0, self.size)]
        if group is not None:
            chunks = (group.chunks[name] for name in self.names.values())
            spans = _joined([(chunk.start, chunk.stop) for chunk in chunks])
        start = self.size - len(self.footer_bytes)
        with _holes(self.folder, start, self.footer_bytes, self.source.read_at, spans) as path:
            yield path

    def rows(self, path: str, group: Group, names: Sequence[str] | None, start: int, count: int) -> pl.DataFrame:
        """Return some rows of a row group, of what lies under a path, of the named columns or all: UUIDs as text.

        Raises
        ------
        InputError
            It is damaged.
        """
        types = self.footer.types
        try:
            try:
                table = _scan(path, names, start, count)
            except PolarsError as error:
                if not is_not_utf8(error):
                    raise
                # Rows with such text are rejected: it is read as bytes, from a file with another footer.
                spans = _joined([(chunk.start, chunk.stop) for chunk in group.chunks.values()])
                bare = without_meaning(self.footer_bytes, types.texts | types.strange)
                with _holes(self.folder, self.size - len(self.footer_bytes), bare, self._read_at(), spans) as copy:
                    table = _scan(copy, names, start, count)
        except DAMAGED as error:
            raise InputError(f"cannot read {self.source.label} as Parquet: {error}") from error
        return with_texts(table, types)

    def _read_at(self) -> ReadAt:
        at = _read_at(self.source)
        assert at is not None  # its footer was read
        return at[0]

    def until(self, group: Group) -> int:
        """Return up to which byte of the file a row group reaches."""
        return max(chunk.stop for chunk in group.chunks.values())


def pieces_of(sources: Sequence[Source], folder: Path) -> list[Piece]:
    """Cut sources of polls into pieces; of Parquet files the footers are read, of others nothing.

    ``folder``: what is fetched from buckets goes there, a row group at a time.

    Raises
    ------
    InputError
        A Parquet file is damaged, or lacks a column.
    """
    return [piece for source in sources for piece in _pieces_of(source, folder)]


def _pieces_of(source: Source, folder: Path) -> list[Piece]:
    at = _read_at(source)
    if at is None:
        return [Piece(source, None, None)]
    read_at, size = at
    try:
        with damage_told(source.label):
            if size < len(MAGIC) + TAIL or read_at(0, len(MAGIC)) != MAGIC:
                return [Piece(source, None, None)]
            end = read_at(max(size - (64 << 10), 0), size)
            length = footer_length(end[-TAIL:]) + TAIL
            if len(MAGIC) < length <= size and length > len(end):
                end = read_at(size - length, size)
            said = footer(end)
        end = end[-length:]
        with _parquet_path(source, size, end, read_at, folder) as path:
            schema = pl.read_parquet_schema(path)
    except (ValueError, *DAMAGED) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot read {source.label} as Parquet: {error}") from error
    positions = whole_positions("polls", list(schema), source.name)
    names = {column: list(schema)[place] for column, place in positions.items()}
    columns = Columns(source, names, size, said, end, folder)
    made, first = [], 0
    for group in said.groups:
        if group.rows:
            bounds = _bounds(group, names["timestamp_utc"], schema[names["timestamp_utc"]])
            made.append(Piece(source, group.rows, bounds, (columns, group, first)))
        first += group.rows
    return made


def _read_at(source: Source) -> tuple[ReadAt, int] | None:
    """Return how parts of a source are read, and its size; None where it can be read from its start alone."""
    path = source.path
    if path is None:
        return (source.read_at, source.size) if source.read_at and source.size else None
    with damage_told(source.label):
        if not path.is_file():
            return None  # a pipe
        size = path.stat().st_size

    def read_at(start: int, stop: int) -> bytes:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(stop - start)

    return read_at, size


@contextmanager
def _parquet_path(source: Source, size: int, end: bytes, read_at: ReadAt, folder: Path) -> Iterator[str]:
    if source.path is not None:
        yield str(source.path)
        return
    with _holes(folder, size - len(end), end, read_at, []) as path:
        yield path


def _bounds(group: Group, name: str, dtype: pl.DataType) -> tuple[int, int] | None:
    """Return between which instants the rows of a group were observed, as its statistics say."""
    chunk = group.chunks.get(name)
    if chunk is None or chunk.least is None or chunk.greatest is None or not isinstance(dtype, pl.Datetime):
        return None
    if len(chunk.least) != 8 or len(chunk.greatest) != 8:
        return None
    stored = [int.from_bytes(bound, "little", signed=True) for bound in (chunk.least, chunk.greatest)]
    least, greatest = microseconds(pl.Series(stored, dtype=pl.Int64).cast(dtype)).to_list()
    return least, greatest


def _scan(path: str, names: Sequence[str] | None, start: int, rows: int) -> pl.DataFrame:
    table = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    if names is not None:
        table = table.select(names)
    return table.slice(start, rows).collect()


@contextmanager
def _holes(folder: Path, at: int, end: bytes, read_at: ReadAt, spans: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Make a file that has some parts of another one, each in its place, holes between them, and an end of its own."""
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".parquet") as file:
        file.write(MAGIC)
        for start, stop in spans:
            file.seek(start)
            for place in range(start, stop, _AT_ONCE):
                file.write(read_at(place, min(place + _AT_ONCE, stop)))
        file.seek(at)
        file.truncate()
        file.write(end)
        file.flush()
        yield file.name


def _joined(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if joined and start - joined[-1][1] < _GAP:
            joined[-1] = joined[-1][0], max(stop, joined[-1][1])
        else:
            joined.append((start, stop))
    return joined
