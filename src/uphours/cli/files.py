"""Reports straight from files: what they may take, and what becomes of rows that make no sense."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypedDict, Unpack

import typer

from uphours.cli import edge
from uphours.cli.outputs import format_of, opened
from uphours.cli.terminal import counted, progress_bars, say
from uphours.errors import InputError
from uphours.printable import printable

if TYPE_CHECKING:
    from uphours.ingest.inputs import Kind
    from uphours.ingest.quarantine import Quarantine
    from uphours.load_record import LoadedFile, Summary
    from uphours.reports.answers import Answer
    from uphours.reports.request import ReportRequest

QuarantineFile = Annotated[
    str | None,
    typer.Option(
        "--quarantine",
        help="Of files: write the rejected rows to this CSV file, whatever happens then.",
        metavar="FILE",
    ),
]

Strict = Annotated[
    str | None,
    typer.Option(help="Of files: fail if more rows than this share are rejected, such as 0.01 or 1%.", metavar="SHARE"),
]

Memory = Annotated[
    str | None,
    typer.Option(help="Of files: what observations may take, such as 500MB or 4GB. Default: 2GB.", metavar="SIZE"),
]

Temp = Annotated[
    Path | None,
    typer.Option(help="Of files: a folder for what does not fit into memory. Default: the system's.", metavar="DIR"),
]

_UNITS: Final = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}


FILE_OPTIONS: Final = "--polls, --hours, --timezones, --special, --stores, --adjustments"
_NAME_FILES: Final = f"name them with {FILE_OPTIONS}"


def check_no_files(
    quarantine: str | None, strict: str | None, memory: str | None, temp: Path | None, status: list[str] | None,
    valid_from: str | None, *, why: str = _NAME_FILES,
) -> None:  # fmt: skip
    """Refuse options of reports from files where none is read here; ``why`` ends the sentence."""
    for name, value in (
        ("--quarantine", quarantine), ("--strict", strict), ("--memory", memory), ("--temp", temp),
        ("--status", status), ("--valid-from", valid_from),
    ):  # fmt: skip
        if value is not None:
            raise InputError(f"{name} is for reports from files; {why}")


class Reading(TypedDict):
    """How files are read, as the options of `report` have it."""

    quarantine: str | None
    strict: str | None
    memory: str | None
    statuses: Mapping[str, str]
    valid_from: int


def answer_of_files(
    names: Mapping[Kind, Sequence[str]], request: ReportRequest, *, temp: Path | None, **reading: Unpack[Reading]
) -> Answer:
    """Make what is asked for, and say what was read."""
    from uphours.large_files.incremental import report_from_files

    memory_bytes = memory_of(reading["memory"])
    folder = Path(tempfile.gettempdir()) if temp is None else temp
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; name one that exists with --temp")
    with reading_options(reading) as options:
        made = report_from_files(names, request, now=edge.now(), folder=folder, memory_bytes=memory_bytes, **options)
    say_summary(made.files, made.summary, reading)
    return made.answer


@contextmanager
def reading_options(reading: Reading) -> Iterator[dict[str, Any]]:
    """Return how files are read as what reads them takes it; in the end rejected rows are written to their file."""
    from uphours.ingest.quarantine import share

    strict = None if reading["strict"] is None else share(reading["strict"])
    with quarantine_file(reading["quarantine"]) as rejected, progress_bars() as progress:
        yield {
            "quarantine": rejected, "strict": strict, "progress": progress, "statuses": reading["statuses"],
            "valid_from": reading["valid_from"],
        }  # fmt: skip


def say_summary(files: Sequence[LoadedFile], summary: Summary, reading: Reading) -> None:
    """Say what was read, and where rejected rows can be kept."""
    for line in [*file_lines(files, summary), *summary.sentences()]:
        say(line)
    if summary.rejected and reading["quarantine"] is None:
        say("--quarantine FILE keeps the rejected rows")


@contextmanager
def quarantine_file(path: str | None) -> Iterator[Quarantine]:
    """Collect rejected rows, and write them to a file in the end, also where the work fails."""
    from uphours.ingest.quarantine import Quarantine, csv_line

    rejected = Quarantine()
    if path is None:
        yield rejected
        return
    format_of(path, None, ("csv",), "--quarantine")
    try:
        yield rejected
    finally:
        with opened(path) as file:
            file.write(b"reason,file,line,row\n")
            for row in rejected.rows:
                name = rejected.names[row.file].encode(errors="backslashreplace")
                file.write(csv_line([row.reason.encode(), name, str(row.line).encode(), row.raw]))


def file_lines(files: Sequence[LoadedFile], summary: Summary) -> list[str]:
    """Say of each file how many of its rows were accepted, and why the others were not."""
    from uphours.load_record import rejected_lines

    lines = []
    for place, file in enumerate(files):
        rejected = [one for one in summary.rejected if one.file == place]
        lines.append(
            f"{file.kind:<10} {printable(file.name, 1000)}: {counted(file.rows_read, 'row')}, "
            f"{file.accepted:,} accepted, {file.quarantined:,} rejected"
        )
        lines += [f"           {line}" for line in rejected_lines(rejected)]
    if (more := sum(file.quarantined for file in files) - summary.rows_kept) > 0 and summary.rejected:
        lines.append(f"the first {counted(summary.rows_kept, 'rejected row')} are kept, {more:,} more are only counted")
    return lines


def memory_of(text: str | None) -> int:
    """Return the bytes that observations may take."""
    from uphours.large_files.incremental import MEMORY_BYTES, SMALLEST_MEMORY_BYTES

    return MEMORY_BYTES if text is None else _size(text, SMALLEST_MEMORY_BYTES)


def _size(text: str, least: int) -> int:
    """Read a size such as ``500MB``."""
    unit = next((unit for unit in sorted(_UNITS, key=len, reverse=True) if text.upper().endswith(unit)), None)
    number = text[: -len(unit)].strip() if unit else ""
    if unit is None or not (number.isascii() and number.isdigit()):
        raise InputError(f"cannot read the size {text!r}; valid are 500MB, 4GB, 2GiB")
    if (size := int(number) * _UNITS[unit]) < least:
        raise InputError(f"--memory {text} is too little; valid are sizes from {least // (1 << 20)}MiB on")
    return size
