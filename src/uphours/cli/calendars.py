"""Calendars from elsewhere: public holidays, and opening hours of other systems, as files that can be loaded."""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from uphours.cli.command_groups import CommandList
from uphours.cli.options import AsJson
from uphours.cli.outputs import format_of, opened
from uphours.cli.terminal import counted, print_json, say, show, write
from uphours.errors import InputError
from uphours.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from uphours.ingest.formats.imported import Imported
    from uphours.ingest.formats.imported import Kind as ImportedKind

#: Years that holidays can be asked for.
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2199
_REJECTED: Final = ("reason", "file", "line", "path", "store_id", "row")

app = typer.Typer(
    name="import",
    cls=CommandList,
    subcommand_metavar="COMMAND [ARGS]",
    help="Read opening hours of other systems.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def holidays(
    place: Annotated[
        str,
        typer.Argument(
            help="A country, or a region of it, as ISO 3166 writes them: US, US-TX, DE-BY.", metavar="COUNTRY[-REGION]"
        ),
    ],
    year: Annotated[
        list[int],
        typer.Option(help="A year; may be repeated.", metavar="YEAR", min=_FIRST_YEAR, max=_LAST_YEAR),
    ],
    closed: Annotated[bool, typer.Option("--closed", help="The stores are closed.")] = False,
    hours: Annotated[
        list[str] | None,
        typer.Option(
            help="Instead: when they are open, such as 10:00-16:00; may be repeated for a split shift.",
            metavar="START-END",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Only the holiday of this name, such as 'Christmas Day'; may be repeated. Default: all of them.",
            metavar="NAME",
        ),
    ] = None,
    store: Annotated[
        list[str] | None,
        typer.Option(
            help="For this store; may be repeated. Default: *, which is every store without special hours of its own "
            "on the date.",
            metavar="ID",
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Write to this CSV file or s3:// URL.", metavar="FILE")
    ] = None,
) -> None:
    """Write special hours for the public holidays of a country or region.

    The dates are those of the holidays, not the days on which they are observed instead. They come from a library that
    corrects past ones from release to release, so they are written down once, with its version. Needs the extra
    uphours[calendars].
    """
    from uphours.ingest.formats.imported import UnreadableError, store_id_of
    from uphours.ingest.formats.public_holidays import ESTIMATED, holiday_rows, library, regions
    from uphours.ingest.formats.written import SPECIAL, write_table
    from uphours.schema import EVERY_STORE_ID

    if closed is bool(hours):
        problem = "both --closed and --hours are given" if closed else "what the stores do is not said"
        raise InputError(f"{problem}; valid is one of --closed and --hours 10:00-16:00")
    try:
        stores = [one if one == EVERY_STORE_ID else store_id_of(one) for one in store or [EVERY_STORE_ID]]
    except UnreadableError as error:
        raise InputError(str(error)) from None
    format_of(output, None, ("csv",))
    rows = holiday_rows(
        place, sorted(set(year)), only=only or [], hours=hours or [], store_ids=list(dict.fromkeys(stores))
    )
    content = io.StringIO(newline="")
    write_table(content, SPECIAL, rows)
    write(lambda file: file.write(content.getvalue().encode()), output)
    days = {row.date: row.name for row in rows}
    say(f"{counted(len(days), 'date')} of {place.upper()}, by the library holidays {library().__version__}")
    if estimated := sum(ESTIMATED in name for name in days.values()):
        say(f"{counted(estimated, 'date')} of these {'is an estimate' if estimated == 1 else 'are estimates'}")
    if some := regions(place):
        say(f"holidays of regions alone are not among them; name one, such as {some[0]}, for its own")
    if output is not None:
        say(f"`uphours load --special {shlex.quote(output)}` loads them")


@app.command("hours")
def import_hours(
    files: Annotated[
        list[str], typer.Argument(help="What to read, one or several; - is standard input.", metavar="FILE")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder to write; new or empty.", metavar="FOLDER")
    ],
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="google, schema.org, osm or icalendar. Default: what is in the file says it.",
            metavar="FORMAT",
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            help="The store that a calendar is about. Default: the name of its file, without the ending.", metavar="ID"
        ),
    ] = None,
    first: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="From this date on, rules that come again each year, such as 'Dec 25 off', become special hours.",
            metavar="DATE",
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", help="Up to this date, which is not included; with --from.", metavar="DATE"),
    ] = None,
    quarantine: Annotated[
        str | None,
        typer.Option(help="Write what is rejected to this CSV file, whatever happens then.", metavar="FILE"),
    ] = None,
    strict: Annotated[
        str | None,
        typer.Option(
            help="Fail if something is rejected of more stores than this share, such as 0.01 or 1%.", metavar="SHARE"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read opening hours of Google, schema.org, OpenStreetMap or a calendar, and write files that can be loaded.

    They are hours.csv, special.csv, timezones.csv and stores.csv, each if there are rows for it. A week is used whole
    or not at all, and so is a date. A file of which nothing can be used is an error, and nothing is written. Calendars
    need the extra uphours[calendars].
    """
    from uphours.ingest.formats.causes import check_usable
    from uphours.ingest.formats.imported import Imported
    from uphours.ingest.formats.written import check_folder, write_files
    from uphours.ingest.quarantine import share

    most = None if strict is None else share(strict)
    period = _period(first, end)
    check_folder(output)
    with _quarantined(quarantine) as imported:
        _read_all(files, imported, form, store, period)
        check_usable(imported, strict=most)
        together = Imported()
        for one in imported.values():
            together.add(one)
        written = write_files(together, output)
    command = _command(written)
    if as_json:
        print_json({"files": [_facts(name, one) for name, one in imported.items()]} | _sums(together, written, command))
    else:
        show("\n".join(line for name, one in imported.items() for line in _lines(name, one)))
    if together.unknown_hours:
        stores = counted(len(together.unknown_hours), "store")
        say(f"hours of {stores} are unknown: a row of hours.csv says so, and a load rejects it on purpose")
    if together.rejected and quarantine is None:
        say("--quarantine FILE keeps what is rejected")
    if command:
        say(f"`{command}` loads the folder")


def _read_all(
    files: Sequence[str],
    imported: dict[str, Imported],
    form: str | None,
    store: str | None,
    period: tuple[date, date] | None,
) -> None:
    from uphours.ingest.formats.imported import Position
    from uphours.ingest.formats.importing import import_hours
    from uphours.ingest.inputs import STANDARD_INPUT

    if store is not None and len(files) > 1:
        raise InputError("--store is for one calendar; valid is one FILE with it, or the ids as names of the files")
    described: dict[str, Position] = {}
    for name in dict.fromkeys(files):
        is_standard = name == STANDARD_INPUT
        label = "standard input" if is_standard else name
        imported[label] = import_hours(
            sys.stdin.buffer.read() if is_standard else Path(name),
            form,  # type: ignore[arg-type]  # what is no format is refused there
            name=label,
            store_id=store or "",
            period=period,
            described=described,
        )


def _period(first: str | None, end: str | None) -> tuple[date, date] | None:
    """Return the first and the last date of a period."""
    from uphours.ingest.formats.imported import LONGEST_RANGE_DAYS

    if first is None and end is None:
        return None
    dates = {}
    for option, text in (("--from", first), ("--to", end)):
        if text is None:
            raise InputError(f"{option} is missing; valid are both, such as --from 2026-01-01 --to 2027-01-01")
        try:
            dates[option] = date.fromisoformat(text)
        except ValueError:
            raise InputError(f"cannot read the date {text!r} of {option}; valid are such as 2026-01-01") from None
    if not 0 < (dates["--to"] - dates["--from"]).days <= LONGEST_RANGE_DAYS:
        raise InputError(f"--to {end} is not after --from {first}, or more than ten years; valid are dates in between")
    return dates["--from"], dates["--to"] - timedelta(days=1)


@contextmanager
def _quarantined(path: str | None) -> Iterator[dict[str, Imported]]:
    """Collect imported files by name, and write what is rejected to a file in the end, also where the work fails."""
    imported: dict[str, Imported] = {}
    if path is None:
        yield imported
        return
    from uphours.ingest.quarantine import csv_line

    format_of(path, None, ("csv",), "--quarantine")
    try:
        yield imported
    finally:
        with opened(path) as file:
            file.write(csv_line(name.encode() for name in _REJECTED))
            for one in imported.values():
                for row in one.rejected:
                    cells = [row.reason, row.position.file, str(row.position.line), row.position.path]
                    file.write(
                        csv_line(cell.encode(errors="backslashreplace") for cell in [*cells, row.store_id, row.raw])
                    )


def _command(written: Mapping[ImportedKind, Path]) -> str:
    """Return the command that loads what was written; none for nothing."""
    options = [word for kind, path in written.items() for word in (f"--{kind}", str(path))]
    return shlex.join(["uphours", "load", *options]) if options else ""


def _lines(name: str, file: Imported) -> Iterator[str]:
    """Say what a file brought, a line each."""
    from uphours.ingest.formats.causes import causes

    yield (
        f"{file.format:<10} {printable(name, 1000)}: {counted(len(file.stores), 'store')}, "
        f"{counted(len(file.hours), 'row')} of hours, {len(file.special_hours):,} of special hours, "
        f"{counted(len(file.timezones), 'time zone')}, {counted(len(file.attributes), 'attribute')}, "
        f"{len(file.rejected):,} rejected"
    )
    for one in [*causes(file.rejected), *causes(file.notices)]:
        yield f"           {one.line()}"


def _facts(name: str, file: Imported) -> dict[str, Any]:
    from uphours.ingest.formats.causes import causes

    return {
        "name": name,
        "format": file.format,
        "stores": len(file.stores),
        "hours": len(file.hours),
        "special_hours": len(file.special_hours),
        "timezones": len(file.timezones),
        "attributes": len(file.attributes),
        "rejected": [one.facts() for one in causes(file.rejected)],
        "notices": [one.facts() for one in causes(file.notices)],
    }


def _sums(together: Imported, written: Mapping[ImportedKind, Path], command: str) -> dict[str, Any]:
    return {
        "stores": len(together.stores),
        "hours_unknown": together.unknown_hours,
        "written": [str(path) for path in written.values()],
        "load": command,
    }
