"""Bytes → batches of rows as text, whatever their format: which is recognised by the first bytes, not by the name."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal, TypeAlias

from uphours.errors import InputError
from uphours.ingest.inputs import UNLIMITED, Limits, Source, too_many_rows
from uphours.ingest.readers.batch import Batch
from uphours.ingest.readers.blocks import UTF8_MARK
from uphours.ingest.readers.csv_lines import csv_batches
from uphours.ingest.readers.foreign import HEAD, refuse_foreign
from uphours.ingest.readers.json_rows import array_batches, json_batches
from uphours.ingest.readers.parquet import parquet_batches
from uphours.ingest.readers.parquet_footer import MAGIC

Format: TypeAlias = Literal["CSV", "JSON", "JSON array", "Parquet"]


def batches(source: Source, reader: io.BufferedReader, limits: Limits = UNLIMITED) -> Iterator[Batch]:
    """Read a source from its start, whatever its format.

    Raises
    ------
    InputError
        It is empty, of no known format, lacks a column, or has more rows than allowed.
    """
    read = 0
    for batch in _READERS[format_of(source.label, reader)](source, reader, limits):
        read += batch.rows.height
        most = limits.rows_of(source.kind)
        if most is not None and read > most:
            raise too_many_rows(source.label, most)
        yield batch


def format_of(label: str, reader: io.BufferedReader) -> Format:
    """Tell the format of what a reader stands before, from its first bytes.

    Raises
    ------
    InputError
        There are no bytes, or they are those of a format that is not read.
    """
    head = reader.peek(HEAD)[:HEAD]
    if not head:
        raise InputError(f"{label} is empty; its first line must name the columns")
    if head.startswith(MAGIC):
        return "Parquet"
    refuse_foreign(label, head)
    start = head.removeprefix(UTF8_MARK).lstrip()[:1]
    return "JSON" if start == b"{" else "JSON array" if start == b"[" else "CSV"


_READERS: Final[Mapping[Format, Callable[[Source, io.BufferedReader, Limits], Iterator[Batch]]]] = {
    "CSV": csv_batches,
    "JSON": json_batches,
    "JSON array": array_batches,
    "Parquet": parquet_batches,
}
