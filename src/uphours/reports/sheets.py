"""Sheets of a workbook: their names, formats, titles, widths and how they print. Texts and numbers, never a formula."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, Literal, TypeAlias

from uphours.reports.columns import Column
from uphours.schema import DAY_US

Format: TypeAlias = Literal["text", "whole", "decimal", "percent", "date", "day", "general"]

_NUMBER_FORMATS: Final[dict[Format, str]] = {
    "text": "@", "whole": "0", "decimal": "0.00", "percent": "0.00%", "date": "yyyy-mm-dd hh:mm:ss",
    "day": "yyyy-mm-dd", "general": "General",
}  # fmt: skip
_BELOW_TARGET: Final = {"bg_color": "#FFC7CE", "font_color": "#9C0006"}
_WIDEST: Final = 600  # pixels
_FILTER_WIDTH: Final = 16  # pixels of the button in a title
_DATE_SHOWN: Final = "2026-12-24 13:00:00"
_SHORT: Final = {"seconds": "s", "minutes": "min", "hours": "h", "days": "d", "points": "points"}

#: What Excel allows of the name of a sheet: UTF-16 units, signs, and names that it needs itself or takes for values.
_LONGEST_NAME: Final = 31
_NOT_IN_NAMES: Final = frozenset("[]:*?/\\")
_TAKEN: Final = ("history", "true", "false")
#: 1970-01-01 as a spreadsheet counts days.
_EPOCH_DAY: Final = 25_569
_EPOCH: Final = date(1970, 1, 1)


@dataclass
class Styles:
    """The formats of one workbook, each made once."""

    book: Any
    _made: dict[tuple[object, ...], Any] = field(default_factory=dict)

    def style(self, form: Format, *, title: bool = False, total: bool = False, below: bool = False) -> Any:
        """Return a format: of a cell, of a title, of the row of totals, of availability below its target."""
        key = (form, title, total, below)
        if key not in self._made:
            looks: dict[str, Any] = {"num_format": _NUMBER_FORMATS[form]}
            if title or total:
                looks |= {"bold": True, "bottom" if title else "top": 1}
            if below:
                looks |= _BELOW_TARGET
            self._made[key] = self.book.add_format(looks)
        return self._made[key]


def form_of(column: Column) -> Format:
    """Return in which form a column shows its figure."""
    match column.unit:
        case "percent":
            return "percent"
        case "count":
            return "whole"
    return "decimal"


def number_of(text: str | None, column: Column) -> float | None:
    """Return a cell of a column as the number that a sheet holds: percentages as a share of 1."""
    if text is None:
        return None
    return round(float(text) * 100) / 10_000 if column.unit == "percent" else float(text)


def serial(instant: int) -> float:
    """Return UTC microseconds, or local ones, as a spreadsheet counts days.

    >>> serial(36 * 60 * 60 * 1_000_000)
    25570.5
    """
    return (instant + _EPOCH_DAY * DAY_US) / DAY_US


def day_of(text: str) -> int | None:
    """Return a local date as a spreadsheet counts days, None for a text that is no date.

    >>> day_of("1970-01-02"), day_of("soon")
    (25570, None)
    """
    try:
        return date.fromisoformat(text).toordinal() - _EPOCH.toordinal() + _EPOCH_DAY
    except ValueError:
        return None


def titles_of(names: Sequence[str], columns: Sequence[Column], more: Sequence[str] = ()) -> list[str]:
    """Return the titles of a sheet: names of columns in words, durations with their unit.

    Where two of them would be the same, all names stay as they are in the CSV.
    """
    plain = [*names, *(column.title for column in columns), *more]
    titles = [*map(_in_words, names), *map(heading, columns), *map(_in_words, more)]
    return titles if len({title.casefold() for title in titles}) == len(titles) else plain


def heading(column: Column) -> str:
    """Return the title of a column of our own layouts in words, with its unit; other titles stay as they are.

    >>> heading(Column("downtime_last_week", "downtime", "last_week", "hours"))
    'Downtime last week (h)'
    """
    if column.title != f"{column.figure}_{column.window}":
        return column.title
    unit = f" ({_SHORT[column.unit]})" if column.unit in _SHORT else ""
    return _in_words(column.title) + unit


def _in_words(name: str) -> str:
    return name[:1].upper() + name[1:].replace("_", " ")


def sheet_names(wanted: Iterable[str], taken: Iterable[str]) -> list[str]:
    """Return valid names of sheets, that differ from each other and from those taken in more than upper case.

    >>> sheet_names(["TX/North", "tx:north", ""], ["Report"])
    ['TX_North', 'tx_north (2)', '_']
    """
    keys = {_key(name) for name in (*taken, *_TAKEN)}
    names = []
    for text in wanted:
        plain = "".join(sign if sign.isprintable() and sign not in _NOT_IN_NAMES else "_" for sign in text)
        # An apostrophe at either end is not allowed, nor is a name of spaces.
        stem = plain.strip(" '") or "_"
        name, number = _cut(stem, _LONGEST_NAME), 1
        while _key(name) in keys:
            number += 1
            name = f"{_cut(stem, _LONGEST_NAME - len(f' ({number})'))} ({number})"
        keys.add(_key(name))
        names.append(name)
    return names


def _cut(text: str, most: int) -> str:
    """Cut a text after some UTF-16 units, never inside a character."""
    cut = text.encode("utf-16-le")[: 2 * most].decode("utf-16-le", errors="ignore")
    return cut.rstrip(" '")


def _key(name: str) -> str:
    return name.lower().casefold()


def add_sheet(book: Any, name: str) -> Any:
    """Add a sheet in which no text becomes a formula, a link or XML."""
    from uphours.reports.fast_sheet import FastSheet

    sheet = book.add_worksheet(name, FastSheet)
    sheet.add_write_handler(str, write_text)
    return sheet


def write_text(sheet: Any, row: int, place: int, text: str, style: Any = None) -> Any:
    """Write a text as it is; an empty one leaves the cell blank."""
    if not text:
        return sheet.write_blank(row, place, None, style)
    # XlsxWriter takes <r>…</r> for XML of its own and does not escape it: an id could break or forge the sheet.
    raw = text.startswith("<r>") and text.endswith("</r>")
    return sheet.write_string(row, place, f"'{text}" if raw else text, style)


def width_of(text: str, *, has_filter: bool = False) -> int:
    """Return the pixels that a text takes, in a title with the button of its filter."""
    from xlsxwriter.utility import cell_autofit_width  # type: ignore[import-untyped]

    return int(cell_autofit_width(text)) + (_FILTER_WIDTH if has_filter else 0)


def date_width() -> int:
    """Return the pixels that a date takes."""
    return width_of(_DATE_SHOWN)


def set_widths(sheet: Any, widths: Sequence[int]) -> None:
    """Set the widths of the columns from the first one on, in pixels."""
    for place, width in enumerate(widths):
        sheet.set_column_pixels(place, place, min(width, _WIDEST))


def set_page(sheet: Any, *, said: str) -> None:
    """Print a sheet in landscape and one page wide, with a footer: what was said, and the number of the page."""
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.set_footer(f"&L{said.replace('&', '&&')}&C&A&RPage &P of &N")


def set_titles(sheet: Any, rows: int, width: int) -> None:
    """Keep the titles and the first column in sight, repeat the titles on each page, and filter the rows below.

    ``rows``: those of the table, without titles and totals.
    """
    sheet.freeze_panes(1, 1)
    sheet.repeat_rows(0)
    sheet.autofilter(0, 0, rows, width - 1)
