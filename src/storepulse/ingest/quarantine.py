"""Quarantined rows → a CSV file to fix and load again; what came from CSV keeps its own columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from storepulse.ingest.reading import delimited, dumped, is_id, json_object, json_value
from storepulse.ingest.sources import Kind
from storepulse.schema import INPUT_COLUMNS

_BLANKS: Final = " \t\r\n"


def as_csv(rows: Iterable[Mapping[str, Any]], *, kind: Kind, header: str | None) -> bytes:
    """Return the quarantined rows of one file as a CSV file that can be loaded once they are fixed.

    The first column is ``reason``. Behind it stands, for a CSV file, the line as it was, byte for byte. For other
    files stand the columns of the kind and ``raw``, which holds the row as it was where the columns cannot say it.

    Parameters
    ----------
    rows
        With ``reason`` and ``raw`` each, as `storepulse.store.loads.list_quarantine` returns them.
    header
        The first line of the file, if it was CSV, as `LoadedFile.header` has it; otherwise None.
    """
    return b"".join(csv_lines(rows, kind=kind, header=header))


def csv_lines(rows: Iterable[Mapping[str, Any]], *, kind: Kind, header: str | None) -> Iterator[bytes]:
    """Yield the lines of `as_csv`, the header first."""
    if header is None:
        yield ",".join(["reason", *INPUT_COLUMNS[kind], "raw"]).encode() + b"\n"
        for row in rows:
            yield b",".join([_cell(row["reason"].encode()), *_cells_of_json(kind, row["raw"])]) + b"\n"
        return
    delimiter = delimited(kind, header, "the header")[0].encode()
    yield b"reason" + delimiter + header.encode() + b"\n"
    for row in rows:
        yield _cell(row["reason"].encode(), delimiter) + delimiter + row["raw"] + b"\n"


def csv_line(cells: Iterable[bytes]) -> bytes:
    """Return a line of CSV; line breaks inside of a cell become blanks."""
    return b",".join(map(_cell, cells)) + b"\n"


def _cells_of_json(kind: Kind, raw: bytes) -> list[bytes]:
    """Return the columns of a row of JSON, and the row itself where one of them cannot be said in CSV."""
    row, problem = json_object(raw)
    # Columns of Parquet may be in capitals; an exact name comes first.
    row = {name.strip().casefold(): value for name, value in reversed(row.items())} | row
    values = {column: json_value(kind, row, column) for column in INPUT_COLUMNS[kind]}
    texts = {column: _text(value) for column, value in values.items()}
    if not is_id(values["store_id"]):
        texts["store_id"] = None  # as text it would be a good id, which it was not
    is_whole = problem is None and None not in texts.values()
    return [*(_cell((text or "").encode()) for text in texts.values()), b"" if is_whole else _cell(raw)]


def _text(value: object) -> str | None:
    """Return a value as the text of a cell; None where no cell can hold it: it has a line break or is no Unicode."""
    if value is None:
        return ""
    text = value.strip(_BLANKS) if isinstance(value, str) else dumped(value)
    is_sayable = "\n" not in text and "\r" not in text and text.encode("utf-8", "replace").decode() == text
    return text if is_sayable else None


def _cell(content: bytes, delimiter: bytes = b",") -> bytes:
    """Quote a cell where it needs to be; a line break becomes a blank, because a row is one line."""
    content = content.replace(b"\r", b" ").replace(b"\n", b" ")
    if not any(sign in content for sign in (delimiter, b'"')):
        return content
    return b'"' + content.replace(b'"', b'""') + b'"'
