"""Parquet → tables whose types Polars knows, and from them batches.

Polars has no UUIDs, no 24:00 and no text that is not UTF-8, and stops at types that it does not know. Such columns are
read as what is stored: the footer that Polars is given says nothing of what they are meant as.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl
from polars.exceptions import PanicException, PolarsError

from uphours.errors import InputError
from uphours.ingest.inputs import UNLIMITED, Limits, Source, too_many_bytes, too_many_rows
from uphours.ingest.readers.batch import Batch
from uphours.ingest.readers.parquet_footer import (
    MAGIC,
    TAIL,
    Footer,
    Types,
    footer,
    footer_length,
    pruned_before_of,
    without_meaning,
)
from uphours.ingest.readers.parquet_pages import decoded_bytes
from uphours.ingest.readers.titles import whole_positions
from uphours.ingest.readers.typed import clock_texts, table_batch, uuid_texts

_ROWS_AT_ONCE: Final = 500_000
#: Of files that others send: how large one may be, what a row group may become, and how many columns are read.
_LARGEST: Final = 128 << 20
_GROUP_BYTES: Final = 128 << 20
_MOST_COLUMNS: Final = 1000
_LONGEST_FOOTER: Final = 4 << 20
#: Texts that are looked at together, and how much of each: no longer one is anything.
_BYTES_AT_ONCE: Final = 32 << 20
_LONGEST_VALUE: Final = 300
_LONGEST_BYTES: Final = 4 * _LONGEST_VALUE

#: What Polars raises on damaged files: a panic stops the one query that met it.
DAMAGED: Final = (PolarsError, PanicException)


def parquet_batches(source: Source, reader: io.BufferedReader, limits: Limits) -> Iterator[Batch]:
    """Read a Parquet file.

    Raises
    ------
    InputError
        It is damaged, lacks a column, has two for the same, or holds too much.
    """
    # From its bytes, not from its name: the name may look like a pattern, and the bytes may be compressed.
    content = _whole(source.label, reader, limits)
    try:
        said = footer(content)
        pruned_before = pruned_before_of(said.facts, source.label)
        _check(source, said, limits)
        chosen = None if limits == UNLIMITED else _small_columns(source, content, said)
        bare = said.types.strange | said.types.clocks.keys()
        table = _scanned(content, bare, chosen)
        height = table.select(pl.len()).collect().item()
        for start in range(0, max(height, 1), _ROWS_AT_ONCE):
            try:
                part = table.slice(start, _ROWS_AT_ONCE).collect()
            except PolarsError as error:
                if not is_not_utf8(error):
                    raise
                table = _scanned(content, bare | said.types.texts, chosen)
                part = table.slice(start, _ROWS_AT_ONCE).collect()
            first_line = start + 1
            for some in _of_few_bytes(part):
                batch = table_batch(source.kind, with_texts(some, said.types), source.name, first_line=first_line)
                yield replace(batch, pruned_before=pruned_before)
                first_line += some.height
    except InputError:
        raise
    except (ValueError, *DAMAGED) as error:
        raise InputError(f"cannot read {source.label} as Parquet: {error}") from error


def _whole(label: str, reader: io.BufferedReader, limits: Limits) -> bytes:
    """Read all of a file: Polars wants it in memory.

    Raises
    ------
    InputError
        The file, or what it says of itself, is larger than it may be.
    """
    if limits == UNLIMITED:
        return reader.read()
    read = io.BytesIO()  # grows with what comes: a reader that is asked for so much at once makes room for all of it
    while read.tell() <= _LARGEST and (block := reader.read(1 << 20)):
        read.write(block)
    content = read.getvalue()
    if len(content) > _LARGEST:
        size = f"{_LARGEST >> 20} MiB"
        raise InputError(f"{label} is a Parquet file of over {size}; valid are Parquet files of up to {size}")
    if content.endswith(MAGIC) and int.from_bytes(content[-TAIL : 4 - TAIL], "little") > _LONGEST_FOOTER:
        size = f"{_LONGEST_FOOTER >> 20} MiB"
        raise InputError(f"{label} has a footer of over {size}; valid are up to {size}: write larger row groups")
    return content


def _scanned(content: bytes, bare: frozenset[str], chosen: Sequence[str] | None) -> pl.LazyFrame:
    table = pl.scan_parquet(io.BytesIO(_bared(content, bare)))
    return table if chosen is None else table.select(chosen)


def _small_columns(source: Source, content: bytes, said: Footer) -> list[str]:
    """Return the columns to read: those of the kind, and as many of the others as take little memory; none is nested.

    Raises
    ------
    InputError
        Those of the kind take too much.
    """
    sizes: dict[str, int] = {}
    for group in said.groups:
        for name, size in decoded_bytes(content, group).items():
            sizes[name] = max(size, sizes.get(name, 0))
    titles = list(said.titles)
    needed = [titles[place] for place in whole_positions(source.kind, titles, source.name).values()]
    if missing := [name for name in needed if name not in sizes and said.groups]:
        raise InputError(f"the column {missing[0]!r} in {source.name} is nested; valid are text and numbers")
    total = sum(sizes.get(name, 0) for name in needed)
    if total > _GROUP_BYTES:
        raise InputError(
            f"{source.label} has a row group that becomes {total >> 20:,} MiB; valid are row groups of up to "
            f"{_GROUP_BYTES >> 20} MiB: write it with fewer rows in each, and without columns of long texts"
        )
    chosen = set(needed)
    for name in sorted(sizes, key=sizes.__getitem__):
        total += 0 if name in chosen else sizes[name]
        if total > _GROUP_BYTES or len(chosen) >= _MOST_COLUMNS:
            break
        chosen.add(name)
    return [name for name in titles if name in chosen]


def _of_few_bytes(table: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cut a table into parts whose texts are small: one long value of a dictionary may stand in every row."""
    table = table.with_columns(_spelled_out(column) for column in table if column.dtype in (pl.Categorical, pl.Enum))
    texts = [column for column in table if column.dtype in (pl.String, pl.Binary)]
    sizes = [(text.str.len_bytes() if text.dtype == pl.String else text.bin.size()).fill_null(0) for text in texts]
    longest = [int(size.to_numpy().max(initial=0)) for size in sizes]
    too_long = [text for text, size in zip(texts, longest, strict=True) if size > _LONGEST_VALUE]
    if not too_long and sum(longest) * table.height <= _BYTES_AT_ONCE:
        yield table
        return
    nothing = np.zeros(table.height, dtype=np.int64)
    ends = np.cumsum(sum((np.minimum(size.to_numpy(), _LONGEST_BYTES) for size in sizes), start=nothing))
    start = 0
    while start < table.height:
        before = int(ends[start - 1]) if start else 0
        stop = max(int(np.searchsorted(ends, before + _BYTES_AT_ONCE, side="right")), start + 1)
        yield table[start:stop].with_columns(_cut(text) for text in too_long)
        start = stop


def _spelled_out(categories: pl.Series) -> pl.Series:
    """Return categories as text that its rows share; a cast would copy it into each of them."""
    distinct = categories.drop_nulls().unique()
    texts = distinct.cast(pl.String)
    numbers = categories.to_physical()
    return numbers.replace_strict(distinct.to_physical(), texts, default=None, return_dtype=pl.String)


def _cut(text: pl.Series) -> pl.Expr:
    column = pl.col(text.name)
    return column.str.head(_LONGEST_VALUE) if text.dtype == pl.String else column.bin.slice(0, _LONGEST_VALUE)


def parquet_titles(name: str, reader: io.BufferedReader, limits: Limits) -> list[str]:
    """Return the names of the columns of a Parquet file.

    Raises
    ------
    InputError
        It is damaged, or holds too much.
    """
    content = _whole(name, reader, limits)
    try:
        return list(pl.read_parquet_schema(io.BytesIO(_bared(content, footer(content).types.strange))))
    except (ValueError, *DAMAGED) as error:
        raise InputError(f"cannot read {name} as Parquet: {error}") from error


def is_not_utf8(error: PolarsError) -> bool:
    """Tell whether Polars has stopped at text that is not UTF-8."""
    return "utf-8" in str(error).lower() or "utf8" in str(error).lower()


def with_texts(table: pl.DataFrame, types: Types) -> pl.DataFrame:
    """Return a table with its UUIDs, and its times of day that were read as numbers, as text."""
    uuids = [uuid_texts(column) for column in table if column.name in types.uuids and column.dtype == pl.Binary]
    clocks = [
        clock_texts(column, types.clocks[column.name])
        for column in table
        if column.name in types.clocks and column.dtype.is_integer()
    ]
    return table.with_columns(*uuids, *clocks) if uuids or clocks else table


def _bared(content: bytes, names: frozenset[str]) -> bytes:
    """Return a file in which some columns are what is stored."""
    if not names:
        return content
    start = len(content) - TAIL - footer_length(content[-TAIL:])
    return content[:start] + without_meaning(content, names)


def _check(source: Source, said: Footer, limits: Limits) -> None:
    """Compare what a Parquet file says of itself with the limits, before any of it is decompressed."""
    most = limits.rows_of(source.kind)
    if most is not None and said.rows > most:
        raise too_many_rows(source.label, most)
    if limits.decompressed_bytes is not None and said.uncompressed_bytes > limits.decompressed_bytes:
        raise too_many_bytes(source.label, limits.decompressed_bytes)
