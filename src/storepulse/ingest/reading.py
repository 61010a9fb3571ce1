"""Bytes and tables → batches of rows as text, each row with the number of the line it stands on.

CSV, JSON Lines, JSON arrays and Parquet. One line is one row: a quoted field cannot run over the end of its line, so a
stray quote spoils one row and not the rest of the file.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any, Final, Literal, TypeAlias

import polars as pl
from polars.exceptions import PanicException, PolarsError

from storepulse.errors import InputError
from storepulse.ingest.extended import plain
from storepulse.ingest.footer import footer
from storepulse.ingest.sources import UNLIMITED, Kind, Limits, Source, too_many_bytes
from storepulse.schema import BEGINNING_OF_TIME, END_OF_TIME, INPUT_COLUMNS

_BLOCK: Final = 16 << 20
_LONGEST_LINE: Final = 256 << 20
_LONGEST_ARRAY: Final = 256 << 20
_PARQUET_ROWS: Final = 500_000
_JSON_LINES: Final = 100_000
_UTF8_BOM: Final = b"\xef\xbb\xbf"
_DELIMITERS: Final = (",", ";", "\t", "|")
#: Whole numbers stay as they are written: a 19-digit id must not pass through a float.
_DECODER: Final = json.JSONDecoder(parse_int=str)
_JSON_BLANKS: Final = re.compile(r"[ \t\n\r]*")
#: What bytes that are no UTF-8 become on their way through text.
_NOT_UTF8: Final = re.compile("[\udc80-\udcff]")

#: What Polars raises on damaged files: a panic stops the one query that met it.
DAMAGED_PARQUET: Final = (PolarsError, PanicException)

Format: TypeAlias = Literal["CSV", "JSON Lines", "JSON array", "Parquet"]


@dataclass(frozen=True)
class Batch:
    """Some rows of one source.

    ``rows``: the columns of the kind as text (or as they were, where a table had types), ``line`` (int64) and
    ``problem`` (text: why the line is no row at all; null for the others). ``raw``: lines as they were, by number.
    ``header``: the line that names the columns, without its end; None where there is no such line.
    """

    rows: pl.DataFrame
    raw: Callable[[Sequence[int]], list[bytes]]
    header: str | None = None


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
        _check_rows(source, read, limits)
        yield batch


def _check_rows(source: Source, rows: int, limits: Limits) -> None:
    if limits.rows is not None and rows > limits.rows:
        raise InputError(f"{source.label} has more than {limits.rows:,} rows; valid are files of up to so many")


def format_of(label: str, reader: io.BufferedReader) -> Format:
    """Tell the format of what a reader stands before, from its first bytes.

    Raises
    ------
    InputError
        There are no bytes, or they are UTF-16.
    """
    head = reader.peek(4)[:64]
    if not head:
        raise InputError(f"{label} is empty; its first line must name the columns")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{label} is UTF-16 text; save it as UTF-8")
    if head.startswith(b"PAR1"):
        return "Parquet"
    start = head.removeprefix(_UTF8_BOM).lstrip()[:1]
    return "JSON Lines" if start == b"{" else "JSON array" if start == b"[" else "CSV"


def table_batch(kind: Kind, table: pl.DataFrame, name: str, *, first_line: int = 1) -> Batch:
    """Take a table that has columns and types already; its rows are numbered from ``first_line``.

    Raises
    ------
    InputError
        It lacks a column, or its store ids are floating-point numbers.
    """
    positions = whole_positions(kind, table.columns, name)
    columns = [table.to_series(position).alias(column) for column, position in positions.items()]
    lines = pl.int_range(first_line, first_line + table.height, eager=True).alias("line")
    rows = pl.DataFrame([*(_as_text(column, name) for column in columns), lines]).with_columns(problem=_NO_PROBLEM)

    def raw(numbers: Sequence[int]) -> list[bytes]:
        chosen = _readable(table[[number - first_line for number in numbers]])
        return [json.dumps(row, default=str, ensure_ascii=False).encode() for row in chosen.iter_rows(named=True)]

    return Batch(rows, raw)


_NO_PROBLEM: Final = pl.lit(None, dtype=pl.String)
#: So the same id is the same text, whether mongoexport has written JSON or CSV.
_BARE_OBJECT_ID: Final = pl.col("store_id").str.replace(r"^\s*ObjectId\(([0-9a-fA-F]{24})\)\s*$", "$1")


#: A column of truth values says whether a store was active.
_STATUS_OF_TRUTH: Final = pl.Series(["inactive", "active"])


def _readable(table: pl.DataFrame) -> pl.DataFrame:
    """Return a table with its datetimes as text, or as numbers outside the years 1 to 9999, which have no text."""

    def text(instants: pl.Series) -> pl.Series:
        us = microseconds(instants)
        sensible = (us > BEGINNING_OF_TIME) & (us < END_OF_TIME)
        numbers = instants.to_physical().cast(pl.String)
        return instants.set(~sensible, None).cast(pl.String).zip_with(sensible.fill_null(True), numbers)

    return table.with_columns(text(column) for column in table if column.dtype == pl.Datetime)


def microseconds(instants: pl.Series) -> pl.Series:
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
        return microseconds(column.cast(pl.Datetime("us")) if column.dtype == pl.Date else column)
    if column.name == "status" and column.dtype == pl.Boolean:
        return _STATUS_OF_TRUTH.gather(column.cast(pl.UInt32)).alias(column.name)
    if column.name == "day" and column.dtype.is_float():
        # pandas makes floats of integers beside a missing value
        whole = column.cast(pl.Int64, strict=False)
        return whole.cast(pl.String).zip_with((whole == column).fill_null(True), column.cast(pl.String))
    return column.cast(pl.String)


def places(kind: Kind, titles: Sequence[str]) -> dict[str, int]:
    """Return where the columns of a kind stand in a header, those of them that it has."""
    by_title = {title.strip().casefold(): place for place, title in reversed(list(enumerate(titles)))}
    found = {}
    for column, other_names in INPUT_COLUMNS[kind].items():
        known = [by_title[title.casefold()] for title in (column, *other_names) if title.casefold() in by_title]
        if known:
            found[column] = known[0]
    return found


def is_whole(kind: Kind, positions: Mapping[str, int]) -> bool:
    """Say whether each column of a kind was found."""
    return len(positions) == len(INPUT_COLUMNS[kind])


def wanted(kind: Kind) -> str:
    """Name the columns of a kind, for a message."""
    return ", ".join(" or ".join((title, *others)) for title, others in INPUT_COLUMNS[kind].items())


def whole_positions(kind: Kind, titles: Sequence[str], name: str) -> dict[str, int]:
    """Return where each column of the kind stands in a header."""
    positions = places(kind, titles)
    if not is_whole(kind, positions):
        missing = next(column for column in INPUT_COLUMNS[kind] if column not in positions)
        has = shown(titles)
        raise InputError(f"{name} ({kind}) has no column {missing}; it has {has}, and needs {wanted(kind)}")
    return positions


def shown(titles: Iterable[str]) -> str:
    """Name the columns that a source has, for a message."""
    return ", ".join(repr(title[:60]) for title in islice(titles, 20))


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
            raise InputError(f"{source.label} has a line of over {_LONGEST_LINE >> 20} MiB; is it text?")
    if rest:
        yield rest


def _csv(source: Source, reader: io.BufferedReader, _limits: Limits) -> Iterator[Batch]:
    blocks = _lines(source, reader)
    header, _, body = next(blocks, b"").partition(b"\n")
    text = header_text(header)
    delimiter, titles = delimited(source.kind, text, source.label)
    positions = whole_positions(source.kind, titles, source.name)
    line = 2
    for block in chain([body], blocks):
        batch = _csv_batch(block, line, delimiter, len(titles), positions)
        rows = batch.rows.with_columns(_BARE_OBJECT_ID) if b"ObjectId(" in block else batch.rows
        yield replace(batch, rows=rows, header=text)
        line += block.count(b"\n")


def header_text(line: bytes) -> str:
    """Return the first line of a CSV file as text, without its end."""
    return line.decode("utf-8", errors="replace").rstrip("\r")


def delimited(kind: Kind, header: str, label: str) -> tuple[str, list[str]]:
    """Return the delimiter under which a header names the columns of a kind (a comma, if none does), and its titles.

    Raises
    ------
    InputError
        It is no line of column names.
    """
    headers = split(header, label)
    for delimiter, titles in headers.items():
        if is_whole(kind, places(kind, titles)):
            return delimiter, titles
    return ",", headers[","]


def split(header: str, label: str) -> dict[str, list[str]]:
    """Split a header at each of the delimiters that there are."""
    try:
        return {delimiter: next(csv.reader([header], delimiter=delimiter), []) for delimiter in _DELIMITERS}
    except csv.Error as error:
        raise InputError(
            f"{label} does not begin with a line of column names: {error}; valid are CSV, JSON and Parquet"
        ) from None


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


def _json_lines(source: Source, reader: io.BufferedReader, _limits: Limits) -> Iterator[Batch]:
    line = 1
    for block in _lines(source, reader):
        lines = block.split(b"\n")
        for start in range(0, len(lines), _JSON_LINES):
            yield _json_batch(source.kind, lines[start : start + _JSON_LINES], line + start)
        line += block.count(b"\n")


def _json_batch(kind: Kind, lines: list[bytes], first_line: int) -> Batch:
    numbered = ((number, *json_object(line)) for number, line in enumerate(lines, first_line) if line.strip())

    def raw(numbers: Sequence[int]) -> list[bytes]:
        return [lines[number - first_line].removesuffix(b"\r") for number in numbers]

    return Batch(_json_rows(kind, numbered), raw)


def json_object(line: bytes) -> tuple[dict[str, Any], str | None]:
    """Return the object that stands on a line, or an empty one and the reason why it is none."""
    try:
        return _row(json.loads(line, parse_int=str))
    except UnicodeDecodeError:
        return {}, "not UTF-8 text"
    except (ValueError, RecursionError) as error:
        return {}, f"not a JSON object: {error}"


def _row(value: object) -> tuple[dict[str, Any], str | None]:
    return (value, None) if isinstance(value, dict) else ({}, "not a JSON object")


def _json_rows(kind: Kind, numbered: Iterable[tuple[int, dict[str, Any], str | None]]) -> pl.DataFrame:
    """Make a table of JSON objects: the line of each, the object, and why it is none."""
    table: dict[str, list[Any]] = {column: [] for column in (*INPUT_COLUMNS[kind], "line", "problem")}
    for line, row, problem in numbered:
        for column in INPUT_COLUMNS[kind]:
            value = json_value(kind, row, column)
            if column == "store_id" and problem is None and not is_id(value):
                problem = f"store_id is {dumped(value)[:60]}; valid are text and whole numbers"
            table[column].append(_json_text(value))
        table["line"].append(line)
        table["problem"].append(problem)
    return _text_rows(table)


def is_id(value: object) -> bool:
    """Say whether a JSON value, its whole numbers read as text, may be an id, or says that there is none."""
    return value is None or isinstance(value, str)


def json_value(kind: Kind, row: Mapping[str, Any], column: str) -> object:
    """Return the value that a JSON object has for a column, under whichever of its names; None where it has none.

    What is extended JSON is a plain value here.
    """
    if column in row:
        value = row[column]
    else:
        value = next((row[name] for name in INPUT_COLUMNS[kind][column] if name in row), None)
    return value if isinstance(value, str) else plain(value, column)


def _json_text(value: object) -> str | None:
    if isinstance(value, str):
        # A lone surrogate (JSON can spell one) is no text that could be stored.
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    return None if value is None else dumped(value)


def dumped(value: object) -> str:
    """Return a JSON value as JSON; one that is nested too deeply for that, as a word on it."""
    try:
        return json.dumps(value)
    except RecursionError:
        return '"nested too deeply to be shown"'


def values_batch(kind: Kind, values: Sequence[object]) -> Batch:
    """Take JSON values that are parsed already, their whole numbers as text; they are numbered from 1."""
    numbered = ((number, *_row(value)) for number, value in enumerate(values, 1))

    def raw(numbers: Sequence[int]) -> list[bytes]:
        return [dumped(values[number - 1]).encode() for number in numbers]

    return Batch(_json_rows(kind, numbered), raw)


def _json_array(source: Source, reader: io.BufferedReader, _limits: Limits) -> Iterator[Batch]:
    text = _array_text(source, reader)
    found = elements(text)
    line = 1
    try:
        while part := list(islice(found, _JSON_LINES)):
            yield _elements_batch(source.kind, text, part, line)
            line += len(part)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(
            f"{source.label} is no JSON array: {error}; valid are an array of objects, and JSON Lines"
        ) from None


def _array_text(source: Source, reader: io.BufferedReader) -> str:
    content = bytearray()
    while block := reader.read(_BLOCK):
        content += block
        if len(content) > _LONGEST_ARRAY:
            raise InputError(
                f"{source.label} is a JSON array of over {_LONGEST_ARRAY >> 20} MiB; give JSON Lines, one object a line"
            )
    return array_text(content)


def array_text(content: bytes | bytearray) -> str:
    """Return JSON as text, without a byte order mark; bytes that are no UTF-8 are kept, as lone surrogates."""
    return content.removeprefix(_UTF8_BOM).decode("utf-8", "surrogateescape")


def elements(text: str) -> Iterator[tuple[object, int, int]]:
    """Yield each element of a JSON array: its value, and where its text starts and ends.

    Raises
    ------
    json.JSONDecodeError
        Here the text is no JSON array any more.
    RecursionError
        An element is nested too deeply.
    """
    at = _expect("[", text, _behind_blanks(text, 0))
    is_more = text[at : at + 1] != "]"
    while is_more:
        value, end = _DECODER.raw_decode(text, at)
        yield value, at, end
        at = _behind_blanks(text, end)
        is_more = text[at : at + 1] == ","
        if is_more:
            at = _behind_blanks(text, at + 1)
    at = _expect("]", text, at)
    if at < len(text):
        raise json.JSONDecodeError("Extra data", text, at)


def _expect(sign: str, text: str, at: int) -> int:
    if text[at : at + 1] != sign:
        raise json.JSONDecodeError(f"Expecting {sign!r}", text, at)
    return _behind_blanks(text, at + 1)


def _behind_blanks(text: str, at: int) -> int:
    blanks = _JSON_BLANKS.match(text, at)
    return blanks.end() if blanks else at


def _elements_batch(kind: Kind, text: str, part: Sequence[tuple[object, int, int]], first_line: int) -> Batch:
    def row(value: object, start: int, end: int) -> tuple[dict[str, Any], str | None]:
        is_utf8 = text.isascii() or not _NOT_UTF8.search(text, start, end)
        return _row(value) if is_utf8 else ({}, "not UTF-8 text")

    def raw(numbers: Sequence[int]) -> list[bytes]:
        spans = (part[number - first_line][1:] for number in numbers)
        return [text[start:end].encode("utf-8", "surrogateescape") for start, end in spans]

    return Batch(_json_rows(kind, ((number, *row(*found)) for number, found in enumerate(part, first_line))), raw)


def _parquet(source: Source, reader: io.BufferedReader, limits: Limits) -> Iterator[Batch]:
    # From its bytes, not from its name: the name may look like a pattern, and the bytes may be compressed.
    content = reader.read()
    _check_footer(source, content, limits)
    try:
        table = pl.scan_parquet(io.BytesIO(content))
        height = table.select(pl.len()).collect().item()
        for start in range(0, max(height, 1), _PARQUET_ROWS):
            part = table.slice(start, _PARQUET_ROWS).collect()
            yield table_batch(source.kind, part, source.name, first_line=start + 1)
    except DAMAGED_PARQUET as error:
        raise InputError(f"cannot read {source.label} as Parquet: {error}") from error


def _check_footer(source: Source, content: bytes, limits: Limits) -> None:
    """Compare what a Parquet file says of itself with the limits, before any of it is decompressed."""
    if limits == UNLIMITED:
        return
    try:
        said = footer(content)
    except ValueError as error:
        raise InputError(f"cannot read {source.label} as Parquet: {error}") from None
    _check_rows(source, said.rows, limits)
    if limits.decompressed_bytes is not None and said.uncompressed_bytes > limits.decompressed_bytes:
        raise too_many_bytes(source.label, limits.decompressed_bytes)


_READERS: Final[Mapping[Format, Callable[[Source, io.BufferedReader, Limits], Iterator[Batch]]]] = {
    "CSV": _csv,
    "JSON Lines": _json_lines,
    "JSON array": _json_array,
    "Parquet": _parquet,
}


def _text_rows(table: dict[str, list[Any]]) -> pl.DataFrame:
    schema = {name: pl.Int64 if name == "line" else pl.String for name in table}
    return pl.DataFrame(table, schema=schema)


def _raw_lines(block: bytes, first_line: int) -> Callable[[Sequence[int]], list[bytes]]:
    def raw(numbers: Sequence[int]) -> list[bytes]:
        lines = block.split(b"\n") if numbers else []
        return [lines[number - first_line].removesuffix(b"\r") for number in numbers]

    return raw
