"""A report as a workbook for spreadsheet programs: texts and numbers, never a formula or a link."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, Final

import polars as pl

from uphours.errors import InputError
from uphours.reports.columns import STORE_ID, Column, cells
from uphours.reports.report import Report, check_titles
from uphours.schema import SECOND_US, instant_iso

_MOST_ROWS: Final = 1_048_576
_MOST_COLUMNS: Final = 16_384
_WIDEST: Final = 600  # pixels
#: A cell takes 0.3 KB: up to this many are held in memory; of more, a row at a time and the rest in temporary files.
_CELLS_IN_MEMORY: Final = 100_000
_BYTES_IN_MEMORY: Final = 8 << 20
_OPTIONS: Final = {"strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False}
_FILTER_WIDTH: Final = 16  # pixels of the button in a title


def write_workbook(report: Report, columns: Sequence[Column], target: BinaryIO, *, hours_known: bool = False) -> None:
    """Write a workbook: the sheet Report with the cells of the CSV, the sheet About with what it was made with.

    The same report gives the same bytes: its time of creation is the report's instant.

    Raises
    ------
    InputError
        There are more stores or columns than a sheet can hold, or the report lacks a window.
    OSError
        The target or a temporary file cannot be written.
    """
    from xlsxwriter import Workbook  # type: ignore[import-untyped]
    from xlsxwriter.exceptions import FileCreateError  # type: ignore[import-untyped]

    width = 1 + len(report.attributes) + len(columns)
    if len(report.store_ids) >= _MOST_ROWS or width > _MOST_COLUMNS:
        raise InputError(
            f"{len(report.store_ids):,} stores in {width:,} columns do not fit into a sheet; valid are up "
            f"to {_MOST_ROWS - 1:,} stores and {_MOST_COLUMNS:,} columns, and csv and parquet have no limit"
        )
    is_small = len(report.store_ids) * width <= _CELLS_IN_MEMORY
    options = _OPTIONS | {"in_memory": is_small, "constant_memory": not is_small}
    # Going back in the target is not possible in a pipe.
    with SpooledTemporaryFile(_BYTES_IN_MEMORY) as file:
        try:
            with Workbook(file, options) as book:
                created = datetime.fromtimestamp(report.as_of // SECOND_US, UTC)
                book.set_properties({"author": "uphours", "created": created})
                _add_report(book, report, columns, hours_known=hours_known)
                _add_about(book, report, columns)
        except FileCreateError as error:  # it holds what the operating system said
            raise (error.args[0] if isinstance(error.args[0], OSError) else error) from error
        file.seek(0)
        shutil.copyfileobj(file, target)


def _add_report(book: Any, report: Report, columns: Sequence[Column], *, hours_known: bool) -> None:
    from xlsxwriter.utility import cell_autofit_width  # type: ignore[import-untyped]

    sheet = _add_sheet(book, "Report")
    text, whole, decimal = (book.add_format({"num_format": form}) for form in ("@", "0", "0.00"))
    styles = [whole if column.unit == "count" else decimal for column in columns]
    said = 1 + len(report.attributes)
    titles = [STORE_ID, *report.attributes, *(c.title for c in columns), *(["hours_known"] if hours_known else [])]
    check_titles(titles)
    sheet.write_row(0, 0, titles, book.add_format({"bold": True}))
    widths = [cell_autofit_width(title) + _FILTER_WIDTH for title in titles]
    row = 1
    for part in report.in_parts():
        texts = [pl.Series(values, dtype=pl.String) for values in (part.store_ids, *part.attributes.values())]
        texts += cells(part, columns).values()
        longest = [cell_autofit_width(_longest(column)) for column in texts]
        widths = [*map(max, widths, longest), *widths[len(longest) :]]
        # Row by row: what is above the one that is written is not held any more.
        numbers_of = (column.cast(pl.Float64) for column in texts[said:])
        words_of = zip(*texts[:said], strict=True)
        for words, is_known, *numbers in zip(words_of, part.hours_known.tolist(), *numbers_of, strict=True):
            for place, word in enumerate(words):
                _write_text(sheet, row, place, word or "", text)
            for place, (number, style) in enumerate(zip(numbers, styles, strict=True), start=said):
                if number is None:
                    sheet.write_blank(row, place, None, style)
                else:
                    sheet.write_number(row, place, number, style)
            if hours_known:
                sheet.write_boolean(row, len(columns) + said, is_known)
            row += 1
    for place, width in enumerate(widths):
        sheet.set_column_pixels(place, place, min(width, _WIDEST))
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, len(report.store_ids), len(titles) - 1)
    # A column of ids is no column of numbers that someone stored as text by mistake.
    sheet.ignore_errors({"number_stored_as_text": f"A1:A{len(report.store_ids) + 1}"})


def _longest(texts: pl.Series) -> str:
    place = texts.str.len_chars().arg_max()
    return "" if place is None else str(texts[place])


def _add_about(book: Any, report: Report, columns: Sequence[Column]) -> None:
    from xlsxwriter.utility import cell_autofit_width

    sheet, bold, rows = _add_sheet(book, "About"), book.add_format({"bold": True}), count()
    widths: dict[int, int] = {}
    for header, *lines in _tables(report, columns):
        for line, style in ((header, bold), *((line, None) for line in [*lines, ()])):
            sheet.write_row(next(rows), 0, line, style)
            for place, text in enumerate(line):
                widths[place] = max(widths.get(place, 0), cell_autofit_width(text))
    for place, width in widths.items():
        sheet.set_column_pixels(place, place, min(width, _WIDEST))


def _tables(report: Report, columns: Sequence[Column]) -> Iterator[list[Sequence[str]]]:
    facts, windows = report.facts(), report.windows.common.items()
    ledger = [["ledger", "ignored"]] if report.raw else []
    yield [["report"], ["as_of", facts["as_of"]], ["uphours", facts["version"]], ["tzdata", facts["tzdata"]], *ledger]
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
