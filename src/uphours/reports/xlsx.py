"""A report as a workbook that can be sent as it is: stores with totals, groups, outages, and how it was made."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, Final

import polars as pl

from uphours.errors import InputError
from uphours.reports import about_sheet
from uphours.reports.about_sheet import add_about, is_below
from uphours.reports.columns import STORE_ID, Column, availability_layout, cell, cells
from uphours.reports.group_files import ALL
from uphours.reports.groups import Figures, Group, Groups
from uphours.reports.outage_list import OutageList
from uphours.reports.report import Report, check_titles
from uphours.reports.sheets import (
    Styles,
    add_sheet,
    date_width,
    day_of,
    form_of,
    number_of,
    serial,
    set_page,
    set_titles,
    set_widths,
    sheet_names,
    titles_of,
    width_of,
    write_text,
)
from uphours.schema import SECOND_US, instant_iso

#: Sheets of groups in one workbook at most.
MOST_GROUPS: Final = 250
_REPORT, _GROUPS, _OUTAGES = "Report", "Groups", "Outages"
_TOTAL: Final = "Total"
#: Attributes that are local dates.
_DAYS: Final = ("first_day", "last_day")
_MOST_ROWS: Final = 1_048_576
_MOST_COLUMNS: Final = 16_384
#: A cell takes 0.3 KB: up to this many are held in memory; of more, a row at a time and the rest in temporary files.
_CELLS_IN_MEMORY: Final = 100_000
_BYTES_IN_MEMORY: Final = 8 << 20
_OPTIONS: Final = {"strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False}
_OUTAGE_TITLES: Final = (
    "Start (local)", "End (local)", "Time zone", "Start (UTC)", "End (UTC)", "Downtime (h)", "Ongoing",
)  # fmt: skip


def write_workbook(
    report: Report,
    columns: Sequence[Column],
    file: BinaryIO,
    *,
    hours_known: bool = False,
    target: int | None = None,
    outages: OutageList | None = None,
) -> None:
    """Write a workbook of the sheets Report, with a row per store and a total, Outages if they are given, and About.

    The same arguments give the same bytes: its time of creation is the report's instant.

    Parameters
    ----------
    hours_known
        Also a column that says whether the hours of a store are known.
    target
        A share of known business time, in 100,000ths: cells with a lower availability are red.
    outages
        Those of the report's stores.

    Raises
    ------
    InputError
        There are more stores or columns than a sheet can hold, or the report lacks a window.
    OSError
        The file or a temporary one cannot be written.
    """
    width = 1 + len(report.attributes) + len(columns)
    _check_size(len(report.store_ids), width)
    size = len(report.store_ids) * width + _size_of(outages)
    with _workbook(report, file, size) as (book, styles):
        _add_stores(book, styles, _REPORT, report, columns, report.sums(), hours_known=hours_known, target=target)
        if outages is not None:
            _add_outages(book, styles, report, outages)
        add_about(book, styles, report, columns, target=target, notes=_outage_notes(outages))


def write_group_workbook(
    groups: Groups,
    file: BinaryIO,
    *,
    detail: bool = False,
    members: Sequence[Report] = (),
    target: int | None = None,
    outages: OutageList | None = None,
) -> None:
    """Write a workbook of the sheets Groups, whose last row is the fleet, one for each group, Outages, and About.

    ``members``: a report of the stores of each group, in order (`member_reports`); without them there are no sheets
    of groups. The rest as with `write_workbook`.

    Raises
    ------
    InputError
        There are more groups, stores or columns than a workbook can hold, or an attribute is called as another column.
    OSError
        The file or a temporary one cannot be written.
    """
    report = groups.report
    columns = availability_layout(report.windows.names, detail=detail, compare=report.before is not None)
    width = len(groups.by) + 2 + len(columns)
    _check_size(max(len(groups.groups), len(report.store_ids)), width + len(report.attributes))
    if members:
        check_groups(groups)
    names = sheet_names(
        (", ".join(group.values or ()) for group in groups.groups[: len(members)]),
        (_GROUPS, _OUTAGES, about_sheet.NAME),
    )
    rows = len(groups.groups) + sum(len(member.store_ids) for member in members)
    with _workbook(report, file, rows * width + _size_of(outages)) as (book, styles):
        _add_groups(book, styles, groups, columns, names, target=target)
        for name, group, member in zip(names, groups.groups, members, strict=False):
            _add_stores(book, styles, name, member, columns, group.windows, hours_known=detail, target=target)
        if outages is not None:
            _add_outages(book, styles, report, outages)
        notes = [
            "A store counts in a group as long as it belongs to it; one that changes groups counts in both, and once "
            "in the last row, the fleet. A group's figures are sums over its stores."
        ]
        add_about(book, styles, report, columns, target=target, notes=[*notes, *_outage_notes(outages)])


def check_groups(groups: Groups) -> None:
    """Refuse more groups than a workbook has sheets for.

    Raises
    ------
    InputError
        There are too many.
    """
    if len(groups.groups) > MOST_GROUPS:
        raise InputError(
            f"{len(groups.groups):,} groups do not fit into a workbook, which has a sheet for each; valid are up to "
            f"{MOST_GROUPS} groups, and csv, json and parquet have no limit"
        )


def _check_size(rows: int, width: int) -> None:
    if rows + 1 >= _MOST_ROWS or width > _MOST_COLUMNS:
        raise InputError(
            f"{rows:,} stores in {width:,} columns do not fit into a sheet; valid are up "
            f"to {_MOST_ROWS - 2:,} stores and {_MOST_COLUMNS:,} columns, and csv and parquet have no limit"
        )


def _size_of(outages: OutageList | None) -> int:
    return 0 if outages is None else len(outages) * (1 + len(_OUTAGE_TITLES))


@contextmanager
def _workbook(report: Report, file: BinaryIO, size: int) -> Iterator[tuple[Any, Styles]]:
    """Make a workbook of about ``size`` cells, and write it into the file once it is whole."""
    from xlsxwriter import Workbook  # type: ignore[import-untyped]
    from xlsxwriter.exceptions import FileCreateError  # type: ignore[import-untyped]

    is_small = size <= _CELLS_IN_MEMORY
    options = _OPTIONS | {"in_memory": is_small, "constant_memory": not is_small}
    # Going back in the target is not possible in a pipe.
    with SpooledTemporaryFile(_BYTES_IN_MEMORY) as whole:
        try:
            with Workbook(whole, options) as book:
                created = datetime.fromtimestamp(report.as_of // SECOND_US, UTC)
                book.set_properties({"author": "uphours", "created": created})
                yield book, Styles(book)
        except FileCreateError as error:  # it holds what the operating system said
            raise (error.args[0] if isinstance(error.args[0], OSError) else error) from error
        whole.seek(0)
        shutil.copyfileobj(whole, file)


def _add_stores(
    book: Any,
    styles: Styles,
    name: str,
    report: Report,
    columns: Sequence[Column],
    total: Sequence[Figures],
    *,
    hours_known: bool,
    target: int | None,
) -> None:
    """Add a sheet with a row for each store; ``total``: the figures of the last row, by window."""
    sheet = add_sheet(book, name)
    n, said = len(report.store_ids), 1 + len(report.attributes)
    more = ["hours_known"] if hours_known else []
    names = [STORE_ID, *report.attributes]
    check_titles([*names, *(column.title for column in columns), *more])
    titles = titles_of(names, columns, more)
    sheet.write_row(0, 0, titles, styles.style("text", title=True))
    text, forms = styles.style("text"), [styles.style(form_of(column)) for column in columns]
    day, days = styles.style("day"), [place for place, name in enumerate(names) if name in _DAYS]
    red = styles.style("percent", below=True) if target is not None else None
    widths = [width_of(title, has_filter=True) for title in titles]
    row = 1
    for part in report.in_parts():
        texts = [pl.Series(values, dtype=pl.String) for values in (part.store_ids, *part.attributes.values())]
        shown = list(cells(part, columns).values())
        longest = [width_of(_longest(column)) for column in (*texts, *shown)]
        widths = [*map(max, widths, longest), *widths[len(longest) :]]
        below = _below(part, columns, target)
        # Row by row: what is above the one that is written is not held any more.
        numbers_of = [_numbers(column, values) for column, values in zip(columns, shown, strict=True)]
        known = part.hours_known.tolist()
        for number, words in enumerate(zip(*texts, strict=True)):
            for place, word in enumerate(words):
                write_text(sheet, row, place, word or "", text)
            for place in days:
                if (date := day_of(words[place] or "")) is not None:
                    sheet.write_number(row, place, date, day)
            for place, (values, style) in enumerate(zip(numbers_of, forms, strict=True), start=said):
                if (value := values[number]) is None:
                    sheet.write_blank(row, place, None, style)
                else:
                    sheet.write_number(row, place, value, style)
            for place, flags in below.items():
                if flags[number]:
                    sheet.write_number(row, said + place, numbers_of[place][number], red)
            if hours_known:
                sheet.write_boolean(row, len(columns) + said, known[number])
            row += 1
    totals = _write_figures(
        sheet, styles, row, [_TOTAL, *[""] * (said - 1)], total, report.windows.names, columns, target
    )
    for place in range(said + len(columns), len(titles)):
        sheet.write_blank(row, place, None, styles.style("text", total=True))
    set_widths(sheet, [*map(max, widths, totals), *widths[len(totals) :]])
    set_titles(sheet, n, len(titles))
    set_page(sheet, said=f"as of {instant_iso(report.as_of)}")
    # A column of ids is no column of numbers that someone stored as text by mistake.
    sheet.ignore_errors({"number_stored_as_text": f"A1:A{n + 1}"})


def _numbers(column: Column, texts: pl.Series) -> list[float | None]:
    """Return cells as numbers, as `number_of` does."""
    if column.unit != "percent":
        return texts.cast(pl.Float64).to_list()
    hundredths = texts.str.replace(".", "", literal=True).cast(pl.Int64).to_list()
    return [None if number is None else number / 10_000 for number in hundredths]


def _below(report: Report, columns: Sequence[Column], target: int | None) -> dict[int, list[bool]]:
    """Return of each column of availability, by position, whether the cells are below the target."""
    if target is None:
        return {}
    figures = report.figures()

    def flags(column: Column) -> list[bool]:
        window = report.windows.names.index(column.window)
        times = (figures[name][:, window].tolist() for name in ("uptime_us", "downtime_us"))
        return [is_below(up, down, target) for up, down in zip(*times, strict=True)]

    return {place: flags(column) for place, column in enumerate(columns) if column.figure == "availability"}


def _write_figures(
    sheet: Any,
    styles: Styles,
    row: int,
    words: Sequence[str],
    figures: Sequence[Figures],
    windows: Sequence[str],
    columns: Sequence[Column],
    target: int | None,
    *,
    total: bool = True,
) -> list[int]:
    """Write a row of words and of figures by window; return the widths of its cells."""
    for place, word in enumerate(words):
        write_text(sheet, row, place, word, styles.style("text", total=total))
    widths = [width_of(word) for word in words]
    for place, column in enumerate(columns, start=len(words)):
        of_window = figures[windows.index(column.window)]
        text = cell(of_window, column)
        is_red = target is not None and column.figure == "availability"
        below = is_red and is_below(of_window["uptime_us"], of_window["downtime_us"], target or 0)
        style = styles.style(form_of(column), total=total, below=below)
        if (number := number_of(text, column)) is None:
            sheet.write_blank(row, place, None, style)
        else:
            sheet.write_number(row, place, number, style)
        widths.append(width_of(text or ""))
    return widths


def _add_groups(
    book: Any,
    styles: Styles,
    groups: Groups,
    columns: Sequence[Column],
    names: Sequence[str],
    *,
    target: int | None,
) -> None:
    """Add the sheet with a row for each group; ``names``: of the sheets of their stores."""
    sheet, windows = add_sheet(book, _GROUPS), groups.report.windows.names
    by = [*groups.by, "stores"]
    check_titles([*by, *(column.title for column in columns)])
    titles = titles_of(by, columns, ["sheet"] if names else [])
    sheet.write_row(0, 0, titles, styles.style("text", title=True))
    widths = [width_of(title, has_filter=True) for title in titles]
    last = len(titles) - 1

    def add(row: int, group: Group, name: str) -> list[int]:
        total = group.values is None
        words = group.values or (ALL,) * len(groups.by)
        lengths = _write_figures(sheet, styles, row, [*words, ""], group.windows, windows, columns, target, total=total)
        sheet.write_number(row, len(words), group.stores, styles.style("whole", total=total))
        if names:
            write_text(sheet, row, last, name, styles.style("text", total=total))
            lengths.append(width_of(name))
        return lengths

    rows = zip([*groups.groups, groups.fleet], [*names, ""] if names else [""] * (len(groups.groups) + 1), strict=True)
    for row, (group, name) in enumerate(rows, start=1):
        widths = list(map(max, widths, add(row, group, name)))
    set_widths(sheet, widths)
    set_titles(sheet, len(groups.groups), len(titles))
    set_page(sheet, said=f"as of {instant_iso(groups.report.as_of)}")


def _add_outages(book: Any, styles: Styles, report: Report, outages: OutageList) -> None:
    sheet, found = add_sheet(book, _OUTAGES), outages.found
    names = [STORE_ID, *report.attributes]
    titles = [*titles_of(names, ()), *_OUTAGE_TITLES]
    sheet.write_row(0, 0, titles, styles.style("text", title=True))
    text, date, decimal = (styles.style(form) for form in ("text", "date", "decimal"))
    said = [report.store_ids, *report.attributes.values()]
    widths = [max(width_of(title, has_filter=True), date_width()) for title in titles]
    rows = zip(
        found.stores.tolist(), outages.starts_local, outages.ends_local, outages.zones, found.starts.tolist(),
        found.ends.tolist(), found.downtime_us.tolist(), found.ongoing.tolist(), strict=True,
    )  # fmt: skip
    longest = [""] * len(said)
    for row, (store, start_local, end_local, zone, start, end, downtime, ongoing) in enumerate(rows, start=1):
        words = [values[store] or "" for values in said]
        longest = [max(pair, key=len) for pair in zip(longest, words, strict=True)]
        for place, word in enumerate(words):
            write_text(sheet, row, place, word, text)
        place = len(said)
        for number, instant in ((0, start_local), (1, end_local), (3, start), (4, end)):
            if ongoing and number in (1, 4):
                sheet.write_blank(row, place + number, None, date)
            else:
                sheet.write_number(row, place + number, serial(instant), date)
        write_text(sheet, row, place + 2, zone, text)
        sheet.write_number(row, place + 5, _hours(downtime), decimal)
        write_text(sheet, row, place + 6, "yes" if ongoing else "no", text)
    if outages.left_out:
        write_text(sheet, len(outages) + 2, 0, _left_out(outages))
    set_widths(sheet, [*map(max, widths, map(width_of, longest)), *widths[len(said) :]])
    set_titles(sheet, len(outages), len(titles))
    set_page(sheet, said=f"as of {instant_iso(report.as_of)}")
    sheet.ignore_errors({"number_stored_as_text": f"A1:A{len(outages) + 1}"})


def _hours(us: int) -> float:
    column = Column("downtime", "downtime", "", "hours")
    return number_of(cell({"downtime_us": us}, column), column) or 0.0


def _left_out(outages: OutageList) -> str:
    are = "1 shorter one is" if outages.left_out == 1 else f"{outages.left_out:,} shorter ones are"
    return f"These are the {len(outages):,} outages with the most down time; {are} left out."


def _outage_notes(outages: OutageList | None) -> list[str]:
    if outages is None:
        return []
    start, end = instant_iso(outages.start), instant_iso(outages.end)
    said = (
        f"Outages are those from {start} to {end}. One that began before the earliest window of its store is shown "
        "from there on; one that goes on at the end is ongoing and has no end. Closed time does not end an outage, and "
        "its downtime is open time alone."
    )
    return [said, _left_out(outages)] if outages.left_out else [said]


def _longest(texts: pl.Series) -> str:
    place = texts.str.len_chars().arg_max()
    return "" if place is None else str(texts[place])
