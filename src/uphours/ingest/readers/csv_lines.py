"""CSV → batches.

One line is one row: a quoted field cannot run over the end of its line, so a stray quote spoils one row and not the
rest of the file.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final

import polars as pl
from polars.exceptions import PolarsError

from uphours.errors import InputError
from uphours.ingest.guarded import unguarded
from uphours.ingest.inputs import Kind, Limits, Source
from uphours.ingest.readers.batch import NO_PROBLEM, NOT_UTF8, OF_LINES, Batch, Problem, append_line, text_rows
from uphours.ingest.readers.blocks import UTF8_MARK, blocks, ends_as_on_old_macs, pieces, with_one_line_end
from uphours.ingest.readers.titles import (
    is_whole,
    of_rejected,
    places,
    whole_positions,
    with_attributes,
    with_optional,
)

_DELIMITERS: Final = (",", ";", "\t", "|")
#: What Excel reads, and writes, before the header, to say which delimiter follows.
_SEPARATOR: Final = re.compile(rb'\s*"?sep=([,;\t|])"?[,;|\s]*', re.IGNORECASE)
#: What a line holds that a spreadsheet has written for a row without any value.
_NOTHING: Final = b'\x00\t\n\x0b\x0c\r ,;|"'
#: So the same id is the same text, whether mongoexport has written JSON or CSV.
_BARE_OBJECT_ID: Final = pl.col("store_id").str.replace(r"^\s*ObjectId\(([0-9a-fA-F]{24})\)\s*$", "$1")


#: Lines that are read at once: many more than a block of polls has. Of those that are read one by one, fewer.
_LINES_AT_ONCE: Final = 400_000
_SINGLE_LINES_AT_ONCE: Final = 50_000
_LONGEST_HEADER: Final = 64 << 10
_MOST_COLUMNS: Final = 1000


@dataclass(frozen=True)
class Header:
    """The line that names the columns: its text, the number of the line, and the delimiter that one before it names."""

    text: str
    line: int
    delimiter: str | None
    is_cut: bool = False


def csv_batches(source: Source, reader: io.BufferedReader, _limits: Limits) -> Iterator[Batch]:
    """Read a CSV file.

    Raises
    ------
    InputError
        It lacks a column, has two for the same, or a line is endless.
    """
    header, rest = _begun(blocks(source, reader))
    if header.is_cut:
        raise InputError(
            f"{source.label} begins with a line of over {_LONGEST_HEADER >> 10} KiB; valid are names of columns"
        )
    delimiter, titles = delimited(source.kind, header.text, source.label, header.delimiter)
    if len(titles) > _MOST_COLUMNS:
        raise InputError(f"{source.label} has {len(titles):,} columns; valid are up to {_MOST_COLUMNS:,}")
    positions = whole_positions(source.kind, titles, source.name)
    line = header.line + 1
    is_quarantine = of_rejected(source.kind, titles) > 0
    for block in chain.from_iterable(pieces(block, _LINES_AT_ONCE) for block in rest):
        plain = unguarded(block, delimiter) if is_quarantine else block
        for batch, lines in _batches_of(plain, line, delimiter, len(titles), positions):
            has_ids = "store_id" in positions and b"ObjectId(" in plain
            rows = batch.rows.with_columns(_BARE_OBJECT_ID) if has_ids else batch.rows
            rows, attributes = with_attributes(rows) if source.kind == "stores" else (rows, None)
            yield replace(batch, rows=with_optional(source.kind, rows), header=header.text, attributes=attributes)
            line += lines


def _batches_of(
    block: bytes, first_line: int, delimiter: str, width: int, positions: dict[str, int]
) -> Iterator[tuple[Batch, int]]:
    """Read a block at once or, where each line must be read for itself, in pieces; yield batches and their lines."""
    batch = _csv_batch_at_once(block, first_line, delimiter, width, positions)
    if batch is not None:
        yield batch, block.count(b"\n")
        return
    for piece in pieces(block, _SINGLE_LINES_AT_ONCE):
        lines = piece.count(b"\n")
        yield csv_batch_by_line(piece, first_line, delimiter, width, positions), lines
        first_line += lines


def _begun(content: Iterator[bytes]) -> tuple[Header, Iterator[bytes]]:
    """Return the header, and what follows it, the first block possibly empty."""
    line, delimiter = 0, None
    for block in content:
        start = 0
        while start < len(block):
            end = block.find(b"\n", start)
            end = len(block) if end < 0 else end
            first = block[start:end]
            start = end + 1
            line += 1
            if len(first) > _LONGEST_HEADER:
                return Header(_header_text(first[:_LONGEST_HEADER]), line, delimiter, is_cut=True), iter([])
            if separator := _SEPARATOR.fullmatch(first):
                delimiter = separator[1].decode()
            elif first.strip(_NOTHING):
                return Header(_header_text(first), line, delimiter), chain([block[start:]], content)
    return Header("", max(line, 1), delimiter), iter([])


def header_of(content: bytes) -> Header:
    """Return the header of a CSV file of which ``content`` is the beginning."""
    content = content.removeprefix(UTF8_MARK)
    return _begun(iter([with_one_line_end(content) if ends_as_on_old_macs(content) else content]))[0]


def _header_text(line: bytes) -> str:
    return line.decode("utf-8", errors="replace").rstrip("\r")


def delimited(kind: Kind, header: str, label: str, delimiter: str | None = None) -> tuple[str, list[str]]:
    """Return the delimiter under which a header names the columns of a kind (a comma, if none does), and its titles.

    Raises
    ------
    InputError
        It is no line of column names.
    """
    headers = split(header, label, delimiter)
    for sign, titles in headers.items():
        if is_whole(kind, places(kind, titles)):
            return sign, titles
    return next(iter(headers.items()))


def split(header: str, label: str, delimiter: str | None = None) -> dict[str, list[str]]:
    """Split a header at each of the delimiters that there are, or at the given one.

    Raises
    ------
    InputError
        It is no line of column names.
    """
    try:
        signs = _DELIMITERS if delimiter is None else (delimiter,)
        return {sign: next(csv.reader([header], delimiter=sign), []) for sign in signs}
    except (csv.Error, TypeError, ValueError):
        raise InputError(
            f"{label} does not begin with a line of column names, but with {header[:60]!r}; "
            "valid are CSV, JSON and Parquet, also .gz and .zst"
        ) from None


def csv_batch(block: bytes, first_line: int, delimiter: str, width: int, positions: dict[str, int]) -> Batch:
    """Read a block of lines, each of which has ``width`` fields."""
    batch = _csv_batch_at_once(block, first_line, delimiter, width, positions)
    return batch or csv_batch_by_line(block, first_line, delimiter, width, positions)


def _csv_batch_at_once(
    block: bytes, first_line: int, delimiter: str, width: int, positions: dict[str, int]
) -> Batch | None:
    """Read a block of lines at once; None where each must be read for itself."""
    if b'"' in block:
        # What a stray quote does to its row must not depend on what follows.
        return None
    height = block.count(b"\n") + (not block.endswith(b"\n") and bool(block))
    if block.count(delimiter.encode()) > height * (width - 1):
        # A line has too many fields. Polars takes 400 bytes for each of them, before it says so.
        return None
    names = [str(place) for place in range(width)]
    try:
        fields = pl.read_csv(
            block,
            has_header=False,
            separator=delimiter,
            schema=dict.fromkeys(names, pl.String),
            quote_char=None,
        )
        as_lines = fields.height == height
    except PolarsError:
        as_lines = False  # a line with too many fields, or not UTF-8
    if not as_lines:
        return None
    rows = fields.select(
        *(pl.col(names[place]).alias(column) for column, place in positions.items()),
        line=pl.int_range(first_line, first_line + pl.len()),
        **NO_PROBLEM,
    )
    # Polars fills up a line that has too few fields, so a line whose last field is empty is looked at again.
    suspects = fields.select(pl.col(names[-1]).is_null().arg_true()).to_series()
    if len(suspects) > _SINGLE_LINES_AT_ONCE:
        return None
    if len(suspects):
        again = csv_batch_by_line(block, first_line, delimiter, width, positions, only=suspects.to_list())
        rows = pl.concat([rows.filter(~pl.int_range(pl.len()).is_in(suspects.implode())), again.rows]).sort("line")
    return Batch(rows, raw_lines(block, first_line))


def csv_batch_by_line(
    block: bytes,
    first_line: int,
    delimiter: str,
    width: int,
    positions: dict[str, int],
    only: Iterable[int] | None = None,
) -> Batch:
    """Read line by line: slower, and each line stands for itself."""
    lines = block.split(b"\n")
    table: dict[str, list[Any]] = {column: [] for column in (*positions, *OF_LINES)}
    for index in range(len(lines)) if only is None else only:
        line = lines[index].removesuffix(b"\r")
        if not line.strip():
            continue
        fields, problem = _fields(line, delimiter, width)
        for column, place in positions.items():
            table[column].append(fields[place] if place < len(fields) else None)
        append_line(table, first_line + index, problem)
    return Batch(text_rows(table), raw_lines(block, first_line))


def _fields(line: bytes, delimiter: str, width: int) -> tuple[list[str | None], Problem | None]:
    """Split one line; return its fields, empty ones as None, and the problem with it.

    The fields of a line with a problem are those that can be read: of which store it speaks may be among them.

    A spreadsheet puts empty fields behind a row where some other row is longer: they say nothing.
    """
    try:
        fields = next(csv.reader([line.decode("utf-8")], delimiter=delimiter, strict=True))
    except UnicodeDecodeError:
        return _legible_fields(line, delimiter), NOT_UTF8
    except csv.Error as error:
        return _legible_fields(line, delimiter), Problem(f"not a CSV row: {error}", "not a CSV row")
    problem = None
    if len(fields) < width or any(field.strip() for field in fields[width:]):
        problem = Problem(f"wrong number of fields: {len(fields)} instead of {width}", "wrong number of fields")
    return [field or None for field in fields[:width]], problem


def _legible_fields(line: bytes, delimiter: str) -> list[str | None]:
    try:
        fields = next(csv.reader([line.decode("utf-8", "replace")], delimiter=delimiter), [])
    except csv.Error:
        return []
    return [None if "\ufffd" in field else field or None for field in fields]


def raw_lines(block: bytes, first_line: int) -> Callable[[Sequence[int]], list[bytes]]:
    """Return what gives the lines of a block by their numbers."""

    def raw(numbers: Sequence[int]) -> list[bytes]:
        lines = block.split(b"\n") if numbers else []
        return [lines[number - first_line].removesuffix(b"\r") for number in numbers]

    return raw
