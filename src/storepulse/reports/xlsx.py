"""A report as a workbook for spreadsheet programs: texts and numbers, never a formula or a link."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

import polars as pl

from storepulse.errors import InputError
from storepulse.reports.layouts import STORE_ID, Column, cells
from storepulse.reports.report import Report
from storepulse.schema import SECOND_US, instant_iso

_MOST_ROWS: Final = 1_048_576
_MOST_COLUMNS: Final = 16_384
_WIDEST: Final = 600  # pixels
_OPTIONS: Final = {
    "in_memory": True,  # or each part of the file passes through a temporary file
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}


def workbook(report: Report, columns: Sequence[Column]) -> bytes:
    """Return a workbook: the sheet Report with the cells of the CSV, the sheet About with what it was made with.

    The same report gives the same bytes: its time of creation is the report's instant.

    Raises
    ------
    InputError
        There are more stores or columns than a sheet can hold, or the report lacks a window.
    """
    from xlsxwriter import Workbook  # type: ignore[import-untyped]

    if len(report.store_ids) >= _MOST_ROWS or len(columns) >= _MOST_COLUMNS:
        raise InputError(
            f"{len(report.store_ids):,} stores in {len(columns) + 1:,} columns do not fit into a sheet; valid are up "
            f"to {_MOST_ROWS - 1:,} stores and {_MOST_COLUMNS:,} columns, and csv and parquet have no limit"
        )
    file = io.BytesIO()
    with Workbook(file, _OPTIONS) as book:
        created = datetime.fromtimestamp(report.as_of // SECOND_US, UTC)
        book.set_properties({"author": "storepulse", "created": created})
        _add_report(book, report, columns)
        _add_about(book, report, columns)
    return file.getvalue()


def _add_report(book: Any, report: Report, columns: Sequence[Column]) -> None:
    sheet = _add_sheet(book, "Report")
    text, whole, decimal = (book.add_format({"num_format": form}) for form in ("@", "0", "0.00"))
    sheet.write_row(0, 0, [STORE_ID, *(column.title for column in columns)], book.add_format({"bold": True}))
    sheet.write_column(1, 0, report.store_ids, text)
    for place, (column, texts) in enumerate(zip(columns, cells(report, columns).values(), strict=True), start=1):
        sheet.write_column(1, place, texts.cast(pl.Float64), whole if column.unit == "count" else decimal)
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, len(report.store_ids), len(columns))
    sheet.autofit(_WIDEST)
    # A column of ids is no column of numbers that somebody stored as text by mistake.
    sheet.ignore_errors({"number_stored_as_text": f"A1:A{len(report.store_ids) + 1}"})


def _add_about(book: Any, report: Report, columns: Sequence[Column]) -> None:
    sheet, bold, rows = _add_sheet(book, "About"), book.add_format({"bold": True}), count()
    for header, *lines in _tables(report, columns):
        sheet.write_row(next(rows), 0, header, bold)
        for line in [*lines, ()]:
            sheet.write_row(next(rows), 0, line)
    sheet.autofit(_WIDEST)


def _tables(report: Report, columns: Sequence[Column]) -> Iterator[list[Sequence[str]]]:
    facts, windows = report.facts(), report.windows.common.items()
    yield [["report"], ["as_of", facts["as_of"]], ["storepulse", facts["version"]], ["tzdata", facts["tzdata"]]]
    yield [["policy"], *((name, "no limit" if fact is None else str(fact)) for name, fact in facts["policy"].items())]
    yield [
        ["window", "from", "to (not included)"],
        *(
            (name, *("of each store's own" if us is None else instant_iso(us) for us in bounds))
            for name, bounds in windows
        ),
    ]
    yield [["column", "unit"], *((column.title, column.unit) for column in columns)]


def _add_sheet(book: Any, name: str) -> Any:
    sheet = book.add_worksheet(name)
    sheet.add_write_handler(str, _write_text)
    return sheet


def _write_text(sheet: Any, row: int, place: int, text: str, style: Any = None) -> Any:
    # XlsxWriter takes <r>…</r> for XML of its own and does not escape it: an id could break or forge the sheet.
    raw = text.startswith("<r>") and text.endswith("</r>")
    return sheet.write_string(row, place, f"'{text}" if raw else text, style)
