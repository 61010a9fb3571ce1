"""Groups as files: CSV and a table for people, JSON and Parquet exact."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, Final

import polars as pl

from uphours.errors import InputError
from uphours.reports.answers import Answer
from uphours.reports.columns import availability_layout, cell
from uphours.reports.groups import Group, Groups
from uphours.reports.outage_list import OutageList
from uphours.reports.report import check_titles
from uphours.reports.writers import spreadsheet_safe, window_facts, write_report

#: What a report of groups can be written in.
FORMATS: Final = ("csv", "json", "parquet", "xlsx")
#: What stands for the values of the whole fleet, in the last row.
ALL: Final = "(all)"


def write_groups(
    groups: Groups, form: str, file: BinaryIO, *, detail: bool = False, outages: OutageList | None = None
) -> None:
    """Write groups in the given format; the same inputs give the same bytes.

    Columns, units and rounding are those of a report of stores. ``outages``: a sheet of the workbook.

    Raises
    ------
    InputError
        There is no such format, an attribute is called as another column, or a sum does not fit into a column.
    """
    write: dict[str, Callable[[], bytes]] = {
        "csv": lambda: _csv(groups, detail=detail),
        "json": lambda: _json(groups),
        "parquet": lambda: _parquet(groups),
        "xlsx": lambda: _xlsx(groups, detail=detail, outages=outages),
    }
    if form not in write:
        raise InputError(f"a report of groups has no format {form!r}; valid are {', '.join(FORMATS)}")
    file.write(write[form]())


def write_answer(
    made: Answer, form: str, file: BinaryIO, *, detail: bool = False, outages: OutageList | None = None
) -> None:
    """Write a report of stores or of groups; as `write_groups` and `uphours.reports.writers.write_report`."""
    if isinstance(made, Groups):
        write_groups(made, form, file, detail=detail, outages=outages)
    else:
        write_report(made, form, file, detail=detail, outages=outages)


def group_cells(groups: Groups, *, detail: bool = False) -> list[list[str | None]]:
    """Return the titles and the rows of a table for people, the fleet last; None where there is nothing to divide by.

    Raises
    ------
    InputError
        An attribute is called as another column.
    """
    names = groups.report.windows.names
    columns = availability_layout(names, detail=detail, compare=groups.report.before is not None)
    titles = [*groups.by, "stores", *(column.title for column in columns)]
    check_titles(titles)

    def row(group: Group) -> list[str | None]:
        values = group.values or (ALL,) * len(groups.by)
        return [*values, str(group.stores), *(cell(group.windows[names.index(c.window)], c) for c in columns)]

    return [[*titles], *map(row, [*groups.groups, groups.fleet])]


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
    windows = window_facts(report)

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


def _xlsx(groups: Groups, *, detail: bool, outages: OutageList | None) -> bytes:
    """Return a workbook without the sheets of the groups, whose stores a report of groups does not name."""
    from uphours.reports.xlsx import write_group_workbook

    content = io.BytesIO()
    write_group_workbook(groups, content, detail=detail, outages=outages)
    return content.getvalue()


def _parquet(groups: Groups) -> bytes:
    facts = {f"uphours.{name}": json.dumps(value) for name, value in groups.report.facts().items()}
    content = io.BytesIO()
    groups.table().write_parquet(content, metadata=facts)
    return content.getvalue()
