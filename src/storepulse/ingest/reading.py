"""Bytes and tables → batches of rows as text, each row with the number of the line it stands on.

CSV, JSON Lines and Parquet. One line is one row: a quoted field cannot run over the end of its line, so a
stray quote spoils one row and not the rest of the file.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import polars as pl
from polars.exceptions import PolarsError

from storepulse.errors import InputError
from storepulse.ingest.sources import Kind, Source
from storepulse.schema import BEGINNING_OF_TIME, END_OF_TIME, INPUT_COLUMNS

_BLOCK: Final = 16 << 20
_LONGEST_LINE: Final = 256 << 20
_PARQUET_ROWS: Final = 500_000
_JSON_LINES: Final = 100_000
_UTF8_BOM: Final = b"\xef\xbb\xbf"
_DELIMITERS: Final = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Batch:
    """Some rows of one source.

    ``rows``: the columns of the kind as text (or as they were, where a table had types), ``line`` (int64) and
    ``problem`` (text: why the line is no row at all; null for the others). ``raw``: lines as they were, by number.
    """

    rows: pl.DataFrame
    raw: Callable[[Sequence[int]], list[bytes]]


def batches(source: Source, reader: io.BufferedReader) -> Iterator[Batch]:
    """Read a source from its start, whatever its format.

    Raises
    ------
    InputError
        It is empty, of no known format, or lacks a column.
    """
    head = reader.peek(4)[:64]
    if not head:
        raise InputError(f"{source.name} ({source.kind}) is empty; its first line must name the columns")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{source.name} ({source.kind}) is UTF-16 text; save it as UTF-8")
    if head.startswith(b"PAR1"):
        yield from _parquet(source, reader)
        return
    blocks = _lines(source, reader)
    start = head.removeprefix(_UTF8_BOM).lstrip()[:1]
    if start == b"[":
        raise InputError(f"{source.name} ({source.kind}) is a JSON array; give JSON Lines, one object a line")
    yield from _json_lines(source, blocks) if start == b"{" else _csv(source, blocks)


def table_batch(kind: Kind, table: pl.DataFrame, name: str, *, first_line: int = 1) -> Batch:
    """Take a table that has columns and types already; its rows are numbered from ``first_line``.

    Raises
    ------
    InputError
        It lacks a column, or its store ids are floating-point numbers.
    """
    positions = _positions(kind, table.columns, name)
    columns = [table.to_series(position).alias(column) for column, position in positions.items()]
    lines = pl.int_range(first_line, first_line + table.height, eager=True).alias("line")
    rows = pl.DataFrame([*(_as_text(column, name) for column in columns), lines]).with_columns(problem=_NO_PROBLEM)

    def raw(numbers: Sequence[int]) -> list[bytes]:
        chosen = _readable(table[[number - first_line for number in numbers]])
        return [json.dumps(row, default=str, ensure_ascii=False).encode() for row in chosen.iter_rows(named=True)]

    return Batch(rows, raw)


_NO_PROBLEM: Final = pl.lit(None, dtype=pl.String)


def _readable(table: pl.DataFrame) -> pl.DataFrame:
    """Return a table with its datetimes as text, or as numbers outside the years 1 to 9999, which have no text."""

    def text(instants: pl.Series) -> pl.Series:
        us = _microseconds(instants)
        sensible = (us > BEGINNING_OF_TIME) & (us < END_OF_TIME)
        numbers = instants.to_physical().cast(pl.String)
        return instants.set(~sensible, None).cast(pl.String).zip_with(sensible.fill_null(True), numbers)

    return table.with_columns(text(column) for column in table if column.dtype == pl.Datetime)


def _microseconds(instants: pl.Series) -> pl.Series:
    """Return datetimes as microseconds; those outside the years 1 to 9999 as the nearer end of them."""
    unit = instants.dtype.time_unit if isinstance(instants.dtype, pl.Datetime) else "us"
    numbers = instants.to_physical()  # with a zone or without, it counts from 1970 in UTC
    if unit == "ns":
        return numbers // 1000
    scale = 1000 if unit == "ms" else 1
    return numbers.clip(BEGINNING_OF_TIME // scale, END_OF_TIME // scale) * scale


def _as_text(column: pl.Series, name: str) -> pl.Series:
    if column.name == "store_id" and column.dtype.is_float():
        raise InputError(
            f"store_id in {name} is {column.dtype}, which loses digits of the ids; keep it as text or 64-bit integers"
        )
    if column.dtype == pl.Duration:
        raise InputError(
            f"{column.name} in {name} is {column.dtype}; valid are text, and what the column is named after"
        )
    if column.name == "timestamp_utc" and column.dtype in (pl.Date, pl.Datetime):
        return _microseconds(column.cast(pl.Datetime("us")) if column.dtype == pl.Date else column)
    if column.name == "day" and column.dtype.is_float():
        # pandas makes floats of integers beside a missing value
        whole = column.cast(pl.Int64, strict=False)
        return whole.cast(pl.String).zip_with((whole == column).fill_null(True), column.cast(pl.String))
    return column.cast(pl.String)


def _positions(kind: Kind, header: Sequence[str], name: str) -> dict[str, int]:
    """Return where each column of the kind stands in a header."""
    places = {title.strip().casefold(): place for place, title in reversed(list(enumerate(header)))}
    positions = {}
    for column, other_names in INPUT_COLUMNS[kind].items():
        known = [places[title.casefold()] for title in (column, *other_names) if title.casefold() in places]
        if not known:
            wanted = ", ".join(" or ".join((title, *others)) for title, others in INPUT_COLUMNS[kind].items())
            found = ", ".join(repr(title[:60]) for title in header[:20])
            raise InputError(f"{name} ({kind}) has no column {column}; it has {found}, and needs {wanted}")
        positions[column] = known[0]
    return positions


def _lines(source: Source, reader: io.BufferedReader) -> Iterator[bytes]:
    """Yield the source in blocks that end where a line ends."""
    rest = reader.read(len(_UTF8_BOM)).removeprefix(_UTF8_BOM)
    while block := reader.read(_BLOCK):
        end = block.rfind(b"\n") + 1
        if end:
            yield rest + block[:end]
            rest = block[end:]
        else:
            rest += block
        if len(rest) > _LONGEST_LINE:
            raise InputError(f"{source.name} ({source.kind}) has a line of over {_LONGEST_LINE >> 20} MiB; is it text?")
    if rest:
        yield rest


def _csv(source: Source, blocks: Iterator[bytes]) -> Iterator[Batch]:
    first = next(blocks, b"")
    header, _, body = first.partition(b"\n")
    delimiter, titles = _header(source, header)
    positions = _positions(source.kind, titles, source.name)
    line = 2
    for block in chain([body], blocks):
        yield _csv_batch(block, line, delimiter, len(titles), positions)
        line += block.count(b"\n")


def _header(source: Source, line: bytes) -> tuple[str, list[str]]:
    text = line.decode("utf-8", errors="replace").rstrip("\r")
    try:
        headers = {delimiter: next(csv.reader([text], delimiter=delimiter), []) for delimiter in _DELIMITERS}
    except csv.Error as error:
        raise InputError(f"{source.name} ({source.kind}) does not begin with a line of column names: {error}") from None
    for delimiter, titles in headers.items():
        try:
            _positions(source.kind, titles, source.name)
        except InputError:
            continue
        return delimiter, titles
    return ",", headers[","]


def _csv_batch(block: bytes, first_line: int, delimiter: str, width: int, positions: dict[str, int]) -> Batch:
    if b'"' in block:
        # Where quotes are in play each line must be read for itself: what a stray one does to its row shall
        # not depend on what follows.
        return _csv_batch_by_line(block, first_line, delimiter, width, positions)
    height = block.count(b"\n") + (not block.endswith(b"\n") and bool(block))
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
        return _csv_batch_by_line(block, first_line, delimiter, width, positions)
    rows = fields.select(
        *(pl.col(names[place]).alias(column) for column, place in positions.items()),
        line=pl.int_range(first_line, first_line + pl.len()),
        problem=_NO_PROBLEM,
    )
    # Polars fills up a line that has too few fields, so a line whose last field is empty is looked at again.
    suspects = fields.select(pl.col(names[-1]).is_null().arg_true()).to_series().to_list()
    if suspects:
        again = _csv_batch_by_line(block, first_line, delimiter, width, positions, only=suspects)
        rows = pl.concat([rows.filter(~pl.int_range(pl.len()).is_in(suspects)), again.rows]).sort("line")
    return Batch(rows, _raw_lines(block, first_line))


def _csv_batch_by_line(
    block: bytes,
    first_line: int,
    delimiter: str,
    width: int,
    positions: dict[str, int],
    only: Iterable[int] | None = None,
) -> Batch:
    """Read line by line: slower, and each line stands for itself."""
    lines = block.split(b"\n")
    table: dict[str, list[Any]] = {column: [] for column in (*positions, "line", "problem")}
    for index in range(len(lines)) if only is None else only:
        line = lines[index].removesuffix(b"\r")
        if not line.strip():
            continue
        fields, problem = _fields(line, delimiter, width)
        for column, place in positions.items():
            table[column].append(fields[place] if fields else None)
        table["line"].append(first_line + index)
        table["problem"].append(problem)
    return Batch(_text_rows(table), _raw_lines(block, first_line))


def _fields(line: bytes, delimiter: str, width: int) -> tuple[list[str | None], str | None]:
    """Split one line; return its fields, empty ones as None, or no fields and the reason."""
    try:
        fields = next(csv.reader([line.decode("utf-8")], delimiter=delimiter, strict=True))
    except UnicodeDecodeError:
        return [], "not UTF-8 text"
    except csv.Error as error:
        return [], f"not a CSV row: {error}"
    if len(fields) != width:
        return [], f"wrong number of fields: {len(fields)} instead of {width}"
    return [field or None for field in fields], None


def _json_lines(source: Source, blocks: Iterator[bytes]) -> Iterator[Batch]:
    line = 1
    for block in blocks:
        lines = block.split(b"\n")
        for start in range(0, len(lines), _JSON_LINES):
            yield _json_batch(source.kind, lines[start : start + _JSON_LINES], line + start)
        line += block.count(b"\n")


def _json_batch(kind: Kind, lines: list[bytes], first_line: int) -> Batch:
    table: dict[str, list[Any]] = {column: [] for column in (*INPUT_COLUMNS[kind], "line", "problem")}
    for number, line in enumerate(lines, first_line):
        if not line.strip():
            continue
        row, problem = _json_object(line)
        if not isinstance(row.get("store_id"), str | None):
            problem = f"store_id is {json.dumps(row['store_id'])[:60]}; valid are text and whole numbers"
        for column, other_names in INPUT_COLUMNS[kind].items():
            table[column].append(_json_text(next((row[name] for name in (column, *other_names) if name in row), None)))
        table["line"].append(number)
        table["problem"].append(problem)

    def raw(numbers: Sequence[int]) -> list[bytes]:
        return [lines[number - first_line].removesuffix(b"\r") for number in numbers]

    return Batch(_text_rows(table), raw)


def _json_object(line: bytes) -> tuple[dict[str, Any], str | None]:
    try:
        # Whole numbers stay as they are written: a 19-digit id must not pass through a float.
        row = json.loads(line, parse_int=str)
    except UnicodeDecodeError:
        return {}, "not UTF-8 text"
    except (ValueError, RecursionError) as error:
        return {}, f"not a JSON object: {error}"
    if not isinstance(row, dict):
        return {}, "not a JSON object"
    return row, None


def _json_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        # A lone surrogate (JSON can spell one) is no text that could be stored.
        return value if value is None else value.encode("utf-8", "replace").decode()
    return json.dumps(value)


def _parquet(source: Source, reader: io.BufferedReader) -> Iterator[Batch]:
    try:
        # From its bytes, not from its name: the name may look like a pattern, and the bytes may be compressed.
        table = pl.scan_parquet(io.BytesIO(reader.read()))
        height = table.select(pl.len()).collect().item()
        for start in range(0, max(height, 1), _PARQUET_ROWS):
            part = table.slice(start, _PARQUET_ROWS).collect()
            yield table_batch(source.kind, part, source.name, first_line=start + 1)
    except PolarsError as error:
        raise InputError(f"cannot read {source.name} ({source.kind}) as Parquet: {error}") from error


def _text_rows(table: dict[str, list[Any]]) -> pl.DataFrame:
    schema = {name: pl.Int64 if name == "line" else pl.String for name in table}
    return pl.DataFrame(table, schema=schema)


def _raw_lines(block: bytes, first_line: int) -> Callable[[Sequence[int]], list[bytes]]:
    def raw(numbers: Sequence[int]) -> list[bytes]:
        lines = block.split(b"\n") if numbers else []
        return [lines[number - first_line].removesuffix(b"\r") for number in numbers]

    return raw
