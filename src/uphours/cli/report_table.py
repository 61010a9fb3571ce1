"""A report as a table on a terminal: the first rows, as many as fit, none wider than the terminal."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from uphours.cli.terminal import counted
from uphours.printable import printable

if TYPE_CHECKING:
    from uphours.reports.report import Report

Row: TypeAlias = dict[str, Any]
#: Lines of a terminal that are left to the heading, the number of rows, messages and the next prompt.
_OTHER_LINES: Final = 6
_FEWEST_ROWS: Final = 5
_GAP: Final = "  "


def report_table(made: Report, *, detail: bool = False) -> str:
    """Return the table with the number of its rows below; where it is too wide, its last columns are left out."""
    size = shutil.get_terminal_size()
    stores, windows = made.windows.starts.shape
    shown = max(size.lines - _OTHER_LINES, _FEWEST_ROWS)
    rows = next(made.in_parts()).table().head(shown).to_dicts()
    attributes = list(made.attributes)
    count = f"{counted(stores * windows, 'row')}"
    more = "; write all with -o report.csv" if stores * windows > shown else ""
    columns = _columns(attributes, detail=detail, compare=made.before is not None)
    return "\n".join([*_lines(rows, size.columns, columns), f"{count}{more}"])


def _columns(attributes: Sequence[str], *, detail: bool, compare: bool) -> dict[str, Callable[[Row], str]]:
    """Return how a cell is written, by column."""
    from uphours.reports.explanation_text import minutes_text

    columns: dict[str, Callable[[Row], str]] = {
        "store": lambda row: printable(row["store_id"]),
        "window": lambda row: printable(row["window"]),
        "up": lambda row: minutes_text(row["uptime_us"]),
        "down": lambda row: minutes_text(row["downtime_us"]),
        "share": lambda row: _percent(row["availability"]),
        **(_CHANGES if compare else {}),
        **{f"{name} ": partial(_value, name) for name in attributes},  # none of the titles above
    }
    if detail:
        columns |= {
            "unknown": lambda row: minutes_text(row["unknown_us"]),
            "excluded": lambda row: minutes_text(row["excluded_us"]),
            "open": lambda row: minutes_text(row["business_us"]),
            "coverage": lambda row: _percent(row["coverage"]),
            "outages": lambda row: f"{row['outages']:,}",
            "longest": lambda row: minutes_text(row["longest_outage_us"]),
        }
    return columns


def _points(row: Row) -> str:
    change = row["availability_change"]
    return "–" if change is None else f"{round(100 * change, 2) + 0.0:+.2f}"


def _downtime_change(row: Row) -> str:
    from uphours.reports.explanation_text import minutes_text

    change = row["downtime_change_us"]
    if change is None:
        return "–"
    return f"{'-' if change < 0 else '+'}{minutes_text(abs(change))}"


#: Titles and cells of a comparison: points of availability, and down time.
_CHANGES: Final[dict[str, Callable[[Row], str]]] = {"points": _points, "down ±": _downtime_change}


def _value(name: str, row: Row) -> str:
    return printable(row[name] or "–")


def _percent(ratio: float | None) -> str:
    return "–" if ratio is None else f"{100 * ratio:.2f} %"


def _lines(rows: Sequence[Row], width: int, columns: Mapping[str, Callable[[Row], str]]) -> list[str]:
    from rich.cells import cell_len, set_cell_size

    cells = [[title, *(write(row) for row in rows)] for title, write in columns.items()]
    widths = [max(map(cell_len, column)) for column in cells]
    # The store gives way first, to as much as its title takes, then the columns on the right.
    while len(widths) > 2 and _total(widths) - widths[0] + len("store…") > width:
        cells.pop()
        widths.pop()
    widths[0] = max(min(widths[0], width - (_total(widths) - widths[0])), 1)
    lines = []
    for row in zip(*cells, strict=True):
        words = [_cut(row[0], widths[0]), set_cell_size(row[1], widths[1])]
        words += [" " * (wide - cell_len(cell)) + cell for cell, wide in zip(row[2:], widths[2:], strict=True)]
        lines.append(_cut(_GAP.join(words).rstrip(), width).rstrip())
    return lines


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _cut(text: str, width: int) -> str:
    """Return a text of a width in cells, filled up, or cut with a mark."""
    from rich.cells import cell_len, set_cell_size

    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"
