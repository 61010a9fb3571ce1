"""Options about the attributes of stores, tables of groups, and files that are read into memory as a whole."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Unpack

import typer

from uphours.cli import edge
from uphours.cli.files import Reading, memory_of, reading_options, say_summary
from uphours.errors import InputError
from uphours.printable import printable

if TYPE_CHECKING:
    from uphours.ingest.inputs import Kind
    from uphours.ingest.memory_fleet import MemoryFleet
    from uphours.reports.answers import Answer
    from uphours.reports.groups import Groups
    from uphours.reports.request import ReportRequest

By = Annotated[
    list[str] | None,
    typer.Option(
        "--by", help="Report groups of stores with the same attribute, such as region.", metavar="NAME[,NAME]"
    ),
]

Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        help="Only stores with this attribute, such as region=TX. May be repeated: values of one attribute are any of "
        "them, different attributes all of them.",
        metavar="NAME=VALUE",
    ),
]

Columns = Annotated[
    list[str] | None,
    typer.Option("--columns", help="Attributes as columns beside store_id, such as name,city.", metavar="NAME[,NAME]"),
]

_GAP: Final = "  "
#: Lines of a terminal that are left to the heading, the fleet, messages and the next prompt.
_OTHER_LINES: Final = 6
_FEWEST_ROWS: Final = 5


def names_in(option: str, given: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names that an option lists, which may be repeated.

    Raises
    ------
    InputError
        One is empty.
    """
    names = tuple(name.strip() for text in given or () for name in text.split(","))
    if not all(names):
        raise InputError(f"{option} has an empty name; valid are names of attributes, such as region,brand")
    return names


def answer_in_memory(request: ReportRequest, names: Mapping[Kind, Sequence[str]], **reading: Unpack[Reading]) -> Answer:
    """Read files into memory, say what was read, and make what is asked for."""
    from uphours.reports.answers import answer

    return answer(fleet_of_files(names, **reading), request, now=edge.now())


def fleet_of_files(names: Mapping[Kind, Sequence[str]], **reading: Unpack[Reading]) -> MemoryFleet:
    """Read files into memory, and say what was read."""
    from uphours.ingest.load import counts_of, read_files
    from uphours.ingest.memory_fleet import memory_fleet
    from uphours.large_files.incremental import BYTES_PER_ROW
    from uphours.load_record import Brought, Summary

    most_bytes = memory_of(reading["memory"])
    size = sum(path.stat().st_size for path in map(Path, names["polls"]) if path.is_file())
    _check_fits(size, most_bytes)
    with reading_options(reading) as options:
        loaded = read_files(names, now=edge.now(), **options)
    _check_fits(len(loaded.times) * BYTES_PER_ROW, most_bytes)
    summary = Summary(
        loaded.rejected, len(loaded.quarantine), loaded.notices, counts_of(loaded),
        pruned_before=loaded.pruned_before, brought=Brought.of(loaded),
    )  # fmt: skip
    say_summary(loaded.files, summary, reading)
    return memory_fleet(loaded)


def _check_fits(size: int, most: int) -> None:
    if size > most:
        raise InputError(
            f"polls do not fit into {most / 10**9:g} GB of memory, and targets, --compare, and workbooks with --by, "
            "--where, --columns or --outages need all at once; `uphours load` puts them into a database, which has no "
            "such limit; --memory SIZE allows more"
        )


def groups_table(groups: Groups, *, detail: bool = False) -> str:
    """Return a table for a terminal: the first groups and the fleet; columns that do not fit are left out."""
    from rich.cells import cell_len, set_cell_size

    from uphours.reports.group_files import group_cells

    size = shutil.get_terminal_size()
    shown = max(size.lines - _OTHER_LINES, _FEWEST_ROWS)
    titles, *rows, fleet = group_cells(groups, detail=detail)
    lines = [[printable(cell or "–") for cell in row] for row in [titles, *rows[:shown], fleet]]
    values = len(groups.by)
    columns = [[*column] for column in zip(*lines, strict=True)]
    widths = [max(map(cell_len, column)) for column in columns]
    padded = [
        [set_cell_size(cell, width) if place < values else " " * (width - cell_len(cell)) + cell for cell in column]
        for place, (column, width) in enumerate(zip(columns, widths, strict=True))
    ]
    while len(padded) > 1 and sum(widths) + len(_GAP) * (len(widths) - 1) > size.columns:
        padded.pop()
        widths.pop()
    text = [set_cell_size(_GAP.join(row), size.columns).rstrip() for row in zip(*padded, strict=True)]
    more = f"{len(rows):,} groups; write all with -o groups.csv" if len(rows) > shown else f"{len(rows):,} groups"
    return "\n".join([*text, "1 group" if len(rows) == 1 else more])
