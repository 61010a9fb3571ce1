"""Groups as files: CSV and a table for people, JSON and Parquet exact."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, Final

import polars as pl

from uphours.errors import InputError
from uphours.reports.columns import UNITS_US, Column, group_layout
from uphours.reports.groups import Figures, Group, Groups
from uphours.reports.report import check_titles
from uphours.reports.writers import spreadsheet_safe

#: What a report of groups can be written in.
FORMATS: Final = ("csv", "json", "parquet")
#: What stands for the values of the whole fleet, in the last row.
ALL: Final = "(all)"


def write_groups(groups: Groups, form: str, file: BinaryIO, *, detail: bool = False) -> None:
    """Write groups in the given format; the same inputs give the same bytes.

    Columns, units and rounding are those of a report of stores.

    Raises
    ------
    InputError
        There is no such format, an attribute is called as another column, or a sum does not fit into a column.
    """
    write: dict[str, Callable[[], bytes]] = {
        "csv": lambda: _csv(groups, detail=detail),
        "json": lambda: _json(groups),
        "parquet": lambda: _parquet(groups),
    }
    if form not in write:
        raise InputError(f"a report of groups has no format {form!r}; valid are {', '.join(FORMATS)}")
    file.write(write[form]())


def group_cells(groups: Groups, *, detail: bool = False) -> list[list[str | None]]:
    """Return the titles and the rows of a table for people, the fleet last; None where there is nothing to divide by.

    Raises
    ------
    InputError
        An attribute is called as another column.
    """
    names = groups.report.windows.names
    columns = group_layout(names, detail=detail)
    titles = [*groups.by, "stores", *(column.title for column in columns)]
    check_titles(titles)

    def row(group: Group) -> list[str | None]:
        values = group.values or (ALL,) * len(groups.by)
        return [*values, str(group.stores), *(_cell(group.windows[names.index(c.window)], c) for c in columns)]

    return [[*titles], *map(row, [*groups.groups, groups.fleet])]


def _cell(figures: Figures, column: Column) -> str | None:
    match column.figure:
        case "availability":
            return percentage(figures["uptime_us"], figures["uptime_us"] + figures["downtime_us"])
        case "coverage":
            return percentage(figures["watched_us"], figures["business_us"])
        case "observations" | "outages":
            return str(figures[column.figure])
    return _two_decimals(_hundredths(figures[f"{column.figure.removesuffix('_time')}_us"], UNITS_US[column.unit]))


def _hundredths(part: int, whole: int) -> int:
    """Return 100 × part / whole, rounded half to even without leaving the integers."""
    quotient, rest = divmod(part * 100, whole)
    return quotient + (2 * rest > whole or (2 * rest == whole and quotient % 2 == 1))


def percentage(part: int, whole: int) -> str | None:
    """Return a percentage with two decimals; 100 and 0 only where they are exact, None where the whole is 0."""
    if not whole:
        return None
    hundredths = _hundredths(part * 100, whole)
    if 0 < part < whole:
        hundredths = min(max(hundredths, 1), 99_99)
    return _two_decimals(hundredths)


def _two_decimals(hundredths: int) -> str:
    return f"{hundredths // 100}.{hundredths % 100:02}"


def _csv(groups: Groups, *, detail: bool) -> bytes:
    titles, *rows = group_cells(groups, detail=detail)
    safe = spreadsheet_safe(pl.Series([title or "" for title in titles], dtype=pl.String)).to_list()
    columns: Sequence[Sequence[str | None]] = list(zip(*rows, strict=True))
    cells = [pl.Series(title, column, dtype=pl.String) for title, column in zip(safe, columns, strict=True)]
    values = len(groups.by)
    table = pl.DataFrame([*(spreadsheet_safe(one).alias(one.name) for one in cells[:values]), *cells[values:]])
    return table.write_csv().encode()


def _json(groups: Groups) -> bytes:
    report = groups.report
    windows = {
        name: dict(zip(("start_us", "end_us"), report.windows.common[name], strict=True))
        for name in report.windows.names
    }

    def of(group: Group) -> dict[str, Any]:
        return {"stores": group.stores, "windows": dict(zip(windows, group.windows, strict=True))}

    said = report.facts() | {
        "by": list(groups.by),
        "windows": windows,
        "groups": [
            {"values": dict(zip(groups.by, group.values or (), strict=True)), **of(group)} for group in groups.groups
        ],
        "fleet": of(groups.fleet),
    }
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _parquet(groups: Groups) -> bytes:
    facts = {f"uphours.{name}": json.dumps(value) for name, value in groups.report.facts().items()}
    content = io.BytesIO()
    groups.table().write_parquet(content, metadata=facts)
    return content.getvalue()
