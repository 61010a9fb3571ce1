"""Rejected rows: counted and collected while files are read, and written as a CSV file to fix and load again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Final

import polars as pl

from uphours.errors import InputError, RejectedError
from uphours.ingest.guarded import REASON, guarded
from uphours.ingest.inputs import Kind
from uphours.ingest.readers.batch import Batch
from uphours.ingest.readers.csv_lines import delimited
from uphours.ingest.readers.json_rows import attribute_keys, dumped, is_id, json_attribute, json_object, json_value
from uphours.ingest.readers.titles import ATTRIBUTE_MAX_LENGTH, OF_REJECTED, RAW, optional_columns
from uphours.ingest.weeks import Late
from uphours.load_record import MOST_KEPT, RAW_BYTES, LoadedFile, Quarantined, Rejected, rejected_lines
from uphours.schema import INPUT_COLUMNS

_BLANKS: Final = " \t\r\n"
#: Attributes that become columns; a row that has others stands there as it was.
_MOST_ATTRIBUTES: Final = 900
#: Of the causes of one file this many are named in an error.
_CAUSES_NAMED: Final = 3


@dataclass
class Quarantine:
    """The rejected rows of a load: the first ones as they were, and how many there are by file and cause.

    ``most``: how many rows are kept; None: all. ``names``: of the files, by position.
    """

    most: int | None = MOST_KEPT
    names: Sequence[str] = ()
    rows: list[Quarantined] = field(default_factory=list)
    _causes: dict[tuple[int, str], Rejected] = field(default_factory=dict)

    def add(self, file: int, batch: Batch, bad: pl.DataFrame) -> None:
        """Take the rejected rows of a batch: ``line``, ``reason`` and ``cause`` of each."""
        room = bad.height if self.most is None else max(self.most - len(self.rows), 0)
        counts = bad.group_by("cause", maintain_order=True).agg(pl.len(), pl.first("line", "reason"))
        new = [row for row in counts.iter_rows() if (file, row[0]) not in self._causes]
        kept = bad.head(room)
        shown = [*kept["line"].to_list(), *(line for _, _, line, _ in new)]
        raws = [raw[:RAW_BYTES] for raw in batch.raw(shown)]
        self.rows += [
            Quarantined(file, line, raw, reason, cause)
            for (line, reason, cause), raw in zip(kept.iter_rows(), raws, strict=False)
        ]
        for (cause, _, line, reason), raw in zip(new, raws[kept.height :], strict=True):
            self._causes[file, cause] = Rejected(file, cause, 0, line, reason, raw.decode(errors="backslashreplace"))
        for cause, rows, _, _ in counts.iter_rows():
            found = self._causes[file, cause]
            self._causes[file, cause] = replace(found, rows=found.rows + rows)

    def add_late(self, file: int, late: Sequence[Late]) -> None:
        """Take rows that are rejected only when all of their file is known."""
        room = len(late) if self.most is None else max(self.most - len(self.rows), 0)
        for row in late:
            reason, cause = row.problem
            raw = row.raw[:RAW_BYTES].decode(errors="backslashreplace")
            found = self._causes.get((file, cause), Rejected(file, cause, 0, row.line, reason, raw))
            self._causes[file, cause] = replace(found, rows=found.rows + 1)
        self.rows += [Quarantined(file, row.line, row.raw[:RAW_BYTES], *row.problem) for row in late[:room]]
        if late:
            self.rows.sort(key=lambda row: (row.file, row.line))

    def count(self, file: int) -> int:
        """Return how many rows of a file were rejected."""
        return sum(found.rows for found in self._causes.values() if found.file == file)

    def rejected(self) -> list[Rejected]:
        """Return the counts, in order of file, the most frequent cause first."""
        return sorted(self._causes.values(), key=lambda found: (found.file, -found.rows, found.line))


def check_rejected(
    files: Sequence[LoadedFile], rejected: Sequence[Rejected], *, strict: Fraction | None = None
) -> None:
    """Refuse files of which no row could be used, and more rejected rows than a share of all.

    Raises
    ------
    RejectedError
        There is such a file, or there are more than that; the error names all of these files, with causes.
    """
    unusable = [place for place, file in enumerate(files) if file.rows_read and not file.accepted]
    if unusable:
        said = "; ".join(
            f"no row of {files[place].name} ({files[place].kind}) can be used: {_causes(files[place], place, rejected)}"
            for place in unusable
        )
        raise RejectedError(f"{said}; nothing was changed")
    read, bad = sum(file.rows_read for file in files), sum(file.quarantined for file in files)
    if strict is not None and bad > strict * read:
        said = "; ".join(
            f"{file.name} ({file.kind}): {_causes(file, place, rejected)}"
            for place, file in enumerate(files)
            if file.quarantined
        )
        most = f"{float(strict):.4%}"
        raise RejectedError(f"{bad:,} of {read:,} rows are rejected, more than {most}: {said}; nothing was changed")


def _causes(file: LoadedFile, place: int, rejected: Sequence[Rejected]) -> str:
    found = [one for one in rejected if one.file == place]
    said = rejected_lines(found[:_CAUSES_NAMED])
    rest = len(found) - _CAUSES_NAMED
    more = f", and {rest} more {'cause' if rest == 1 else 'causes'}" if rest > 0 else ""
    return f"{file.quarantined:,} of {file.rows_read:,} rows rejected, {', '.join(said)}{more}"


def share(text: str) -> Fraction:
    """Read a share of rows, such as ``0.01`` or ``1%``.

    Raises
    ------
    InputError
        It is not one.
    """
    number = text.strip().removesuffix("%")
    try:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?|\.[0-9]{1,9}", number.strip(), re.ASCII):
            raise ValueError
        found = Fraction(number) / (100 if text.strip().endswith("%") else 1)
        if found > 1:
            raise ValueError
    except ValueError:
        raise InputError(f"cannot read the share {text!r}; valid are 0 to 1, such as 0.01, and 0% to 100%") from None
    return found


def as_csv(rows: Iterable[Mapping[str, Any]], *, kind: Kind, header: str | None) -> bytes:
    """Return the quarantined rows of one file as a CSV file that can be loaded once they are fixed.

    The first column is ``reason``. Behind it stands, for a CSV file, the line as it was, byte for byte but for the
    apostrophes that keep spreadsheets from running a cell (`uphours.ingest.guarded`). For other files stand the
    columns of the kind, those that are optional and that a row has, the attributes that all rows have, and ``raw``,
    which holds the row as it was where the columns cannot say it.

    Parameters
    ----------
    rows
        With ``reason`` and ``raw`` each, as `uphours.database.rejected_rows.list_quarantine` returns them.
    header
        The first line of the file, if it was CSV, as `LoadedFile.header` has it; otherwise None.
    """
    return b"".join(csv_lines(rows, kind=kind, header=header))


def csv_lines(rows: Iterable[Mapping[str, Any]], *, kind: Kind, header: str | None) -> Iterator[bytes]:
    """Yield the lines of `as_csv`, the header first."""
    if header is None:
        yield from _lines_of_json(rows if kind == "polls" else list(rows), kind)
        return
    delimiter = delimited(kind, header, "the header")[0]
    sign = delimiter.encode()
    yield guarded(REASON.encode() + sign + header.encode(), delimiter) + b"\n"
    for row in rows:
        yield guarded(_cell(row["reason"].encode(), sign) + sign + row["raw"], delimiter) + b"\n"


def _lines_of_json(rows: Iterable[Mapping[str, Any]], kind: Kind) -> Iterator[bytes]:
    columns, names = [*INPUT_COLUMNS[kind]], list[str]()
    if isinstance(rows, list):  # else there are no others
        keys = [tuple(json_object(row["raw"])[0]) for row in rows]
        there = {key.strip().casefold() for some in keys for key in some}
        columns += [column for column in optional_columns(kind) if column in there]
        if kind == "stores":
            # A blank cell takes a value away, so that none may stand where a row says nothing.
            common = set[str]().union(*map(attribute_keys, keys)).intersection(*map(attribute_keys, filter(None, keys)))
            names = sorted(filter(_is_title, common))[:_MOST_ATTRIBUTES]
    header = [REASON, *columns, *names, RAW]
    yield guarded(b",".join(_cell(title.encode()) for title in header)) + b"\n"
    for row in rows:
        cells = [_cell(row["reason"].encode()), *_cells_of_json(kind, row["raw"], columns, names)]
        yield guarded(b",".join(cells)) + b"\n"


def _is_title(name: str) -> bool:
    """Tell whether the name of an attribute may be a title in a file that is loaded again."""
    return len(name) <= ATTRIBUTE_MAX_LENGTH and name not in OF_REJECTED and _text(name) == name


def csv_line(cells: Iterable[bytes]) -> bytes:
    """Return a line of CSV; line breaks inside of a cell become blanks."""
    return guarded(b",".join(map(_cell, cells))) + b"\n"


def _cells_of_json(kind: Kind, raw: bytes, columns: Sequence[str], names: Sequence[str]) -> list[bytes]:
    """Return the columns and attributes of a row of JSON, and the row itself where CSV cannot say one of them."""
    row, problem = json_object(raw)
    keys = attribute_keys(tuple(row)) if kind == "stores" else {}
    values: dict[str, object] = {name: json_attribute(row, keys[name]) if name in keys else None for name in names}
    said = {name: _text(value) for name, value in values.items()}
    # Columns of Parquet may be in capitals; an exact name comes first.
    row = {name.strip().casefold(): value for name, value in reversed(row.items())} | row
    values = {column: json_value(kind, row, column) for column in columns}
    texts = {column: _text(value) for column, value in values.items()}
    if "store_id" in values and not is_id(values["store_id"]):
        texts["store_id"] = None  # as text it would be a good id, which it was not
    cells = [*texts.values(), *said.values()]
    is_whole = problem is None and None not in cells and keys.keys() <= said.keys()
    return [*(_cell((text or "").encode()) for text in cells), b"" if is_whole else _cell(raw)]


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
