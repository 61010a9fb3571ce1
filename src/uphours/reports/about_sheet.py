"""The sheet About of a workbook: what the report was made with, and how to read its cells."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, TypeAlias

from uphours.reports.columns import Column
from uphours.reports.report import Report
from uphours.reports.sheets import Styles, add_sheet, date_width, heading, serial, set_page, set_widths, width_of
from uphours.schema import instant_iso

NAME: Final = "About"
_LINE: Final = 100  # letters of a sentence in one row, so that it prints whole
_PERCENT: Final = 1_000
_HUNDRED_THOUSAND: Final = 100_000


@dataclass(frozen=True)
class Moment:
    """A cell that is a date: UTC microseconds."""

    us: int


_Cell: TypeAlias = str | int | Moment | None


def add_about(
    book: Any,
    styles: Styles,
    report: Report,
    columns: Sequence[Column],
    *,
    target: int | None,
    notes: Sequence[str] = (),
) -> None:
    """Add the sheet; ``notes``: sentences about the other sheets."""
    sheet, row = add_sheet(book, NAME), 0
    bold, date = styles.style("general", title=True), styles.style("date")
    widths: dict[int, int] = {}
    for header, *lines in _tables(report, columns):
        for cells, style in ((header, bold), *((line, None) for line in [*lines, ()])):
            for place, cell in enumerate(cells):
                if isinstance(cell, Moment):
                    sheet.write_number(row, place, serial(cell.us), date)
                elif cell is not None:
                    sheet.write(row, place, cell, style)
                width = date_width() if isinstance(cell, Moment) else width_of(str(cell))
                widths[place] = max(widths.get(place, 0), width)
            row += 1
    sheet.write(row, 0, "how to read it", bold)
    for note in (*_notes(report, target), *notes):
        for line in textwrap.wrap(note, _LINE):
            row += 1
            sheet.write(row, 0, line)
        row += 1
    set_widths(sheet, [widths[place] for place in range(len(widths))])
    set_page(sheet, said=f"as of {instant_iso(report.as_of)}")


def _tables(report: Report, columns: Sequence[Column]) -> Iterator[list[Sequence[_Cell]]]:
    facts = report.facts()
    yield [
        ["report", "", "exact"],
        ["as_of", Moment(report.as_of), facts["as_of"]],
        ["stores", len(report.store_ids)],
        ["uphours", facts["version"]],
        ["tzdata", facts["tzdata"]],
        *_ledger(report),
    ]
    before = () if report.before is None else ((f"before {name}", *cells) for name, *cells in _windows(report.before))
    yield [["policy"], *((name, "no limit" if fact is None else str(fact)) for name, fact in facts["policy"].items())]
    yield [
        ["window", "from (UTC)", "to, not included (UTC)", "exact start", "exact end", ""],
        *_windows(report),
        *before,
    ]
    yield [["column", "unit", "in the CSV"], *((heading(column), column.unit, column.title) for column in columns)]


def _ledger(report: Report) -> list[Sequence[_Cell]]:
    if report.raw:
        return [["ledger", "ignored"]]
    return [["ledger", f"up to entry {report.entries_seen}"]] if report.entries_seen else []


def _windows(report: Report) -> Iterator[Sequence[_Cell]]:
    """Yield the windows; of local midnights the earliest start and the latest end."""
    for place, name in enumerate(report.windows.names):
        bounds = report.windows.common[name]
        starts, ends = report.windows.starts[:, place], report.windows.ends[:, place]
        if None not in bounds:
            first, last = bounds
            exact: tuple[str, ...] = tuple(instant_iso(us) for us in bounds if us is not None)
        else:
            exact = tuple("of each store's own" if us is None else instant_iso(us) for us in bounds)
            first, last = (int(starts.min()), int(ends.max())) if len(starts) else bounds
            exact = (*exact, "local midnight of each store; shown are the earliest start and the latest end")
        yield name, *(None if us is None else Moment(us) for us in (first, last)), *exact


def _notes(report: Report, target: int | None) -> Iterator[str]:
    yield "Dates are in UTC unless the title says local."
    yield (
        "An empty cell has nothing to divide by: nothing is known of the time in the window, or there is none. An "
        "attribute is empty where the store has none."
    )
    yield (
        "Cells have two decimals, rounded from exact microseconds, and so have totals: they can differ by hundredths "
        "from the sum of the cells above them."
    )
    yield (
        "The last row sums the rows above it. Its availability and coverage are made of the sums and are not a mean; "
        "its longest outage is the longest of any store."
    )
    if report.before is not None:
        yield (
            "A change is that from the window before, of which as much counts as has elapsed of the window: of "
            "availability in points, of downtime in hours or minutes. It is empty where nothing is known of either."
        )
    if target is not None:
        yield (
            f"Red cells are below the target of {target_text(target)}: uptime < target × (uptime + downtime), "
            "in exact microseconds."
        )


def target_text(target: int) -> str:
    """Write a share in 100,000ths as a percentage.

    >>> target_text(99_500), target_text(99_995)
    ('99.5 %', '99.995 %')
    """
    return f"{float(Fraction(target, _PERCENT)):g} %"


def is_below(uptime_us: int, downtime_us: int, target: int) -> bool:
    """Return whether availability is below a target in 100,000ths; where nothing is known it is not.

    >>> is_below(995, 5, 99_500), is_below(994, 6, 99_500), is_below(0, 0, 99_500)
    (False, True, False)
    """
    return uptime_us * _HUNDRED_THOUSAND < target * (uptime_us + downtime_us)
