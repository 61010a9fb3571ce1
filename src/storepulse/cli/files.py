"""Reports straight from files: what they may take, and what becomes of rows that make no sense."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final

import typer

from storepulse import __version__
from storepulse.cli import edge
from storepulse.cli.terminal import counted, progress_bars, say, whole_file
from storepulse.errors import InputError

if TYPE_CHECKING:
    from storepulse.ingest.sources import Kind, Source
    from storepulse.reports import Report, ReportOptions
    from storepulse.store.loads import Quarantined

Quarantine = Annotated[
    str | None,
    typer.Option(help="Of files: write the rows that were set aside to this CSV file.", metavar="FILE"),
]

Memory = Annotated[
    str | None,
    typer.Option(help="Of files: what observations may take, such as 500MB or 4GB. Default: 2GB.", metavar="SIZE"),
]

Temp = Annotated[
    Path | None,
    typer.Option(help="Of files: a folder for what does not fit into memory. Default: the system's.", metavar="DIR"),
]

_SHOWN_REASONS: Final = 5
_UNITS: Final = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}


_NAME_FILES: Final = "name them with --polls, --hours and --timezones"


def check_no_files(quarantine: str | None, memory: str | None, temp: Path | None, *, why: str = _NAME_FILES) -> None:
    """Refuse options of reports from files where none is read here; ``why`` ends the sentence."""
    for name, value in (("--quarantine", quarantine), ("--memory", memory), ("--temp", temp)):
        if value is not None:
            raise InputError(f"{name} is for reports from files; {why}")


def report_of_files(
    names: Mapping[Kind, Sequence[str]],
    options: ReportOptions,
    *,
    quarantine: str | None,
    memory: str | None,
    temp: Path | None,
) -> Report:
    """Make the report, and tell of the rows that were set aside."""
    from storepulse import streaming

    memory_bytes = streaming.MEMORY_BYTES if memory is None else _size(memory, streaming.SMALLEST_MEMORY_BYTES)
    folder = Path(tempfile.gettempdir()) if temp is None else temp
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; name one that exists with --temp")
    with whole_file(quarantine) if quarantine else nullcontext() as file, progress_bars() as progress:
        told = _Aside(file)
        made = streaming.report(
            names, options, now=edge.now(), version=__version__, folder=folder, aside=told.add,
            memory_bytes=memory_bytes, progress=progress,
        )  # fmt: skip
    for line in told.first:
        say(f"set aside: {line}")
    if (more := told.count - len(told.first)) > 0:
        say(f"set aside: {counted(more, 'more row')}" + ("" if file else "; --quarantine FILE keeps them all"))
    return made


class _Aside:
    """Rows that were set aside: how many, the first ones, and all of them in a file if there is one."""

    def __init__(self, file: BinaryIO | None) -> None:
        self.count = 0
        self.first: list[str] = []
        self._file = file
        if file:
            file.write(b"reason,file,line,row\n")

    def add(self, source: Source, rows: Sequence[Quarantined]) -> None:
        from storepulse.ingest.quarantine import csv_line

        self.count += len(rows)
        for row in rows[: _SHOWN_REASONS - len(self.first)]:
            self.first.append(f"{source.name} line {row.line}: {row.reason}")
        if self._file:
            for row in rows:
                cells = (row.reason.encode(), source.name.encode(errors="backslashreplace"), str(row.line).encode())
                self._file.write(csv_line([*cells, row.raw]))


def _size(text: str, least: int) -> int:
    """Read a size such as ``500MB``."""
    unit = next((unit for unit in sorted(_UNITS, key=len, reverse=True) if text.upper().endswith(unit)), None)
    number = text[: -len(unit)].strip() if unit else ""
    if unit is None or not (number.isascii() and number.isdigit()):
        raise InputError(f"cannot read the size {text!r}; valid are 500MB, 4GB, 2GiB")
    if (size := int(number) * _UNITS[unit]) < least:
        raise InputError(f"--memory {text} is too little; valid are sizes from {least // (1 << 20)}MiB on")
    return size
