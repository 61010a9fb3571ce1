"""Upkeep of a database: its tables, its health, what may go, where it lies."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from uphours.cli import edge
from uphours.cli.options import AsJson, Db
from uphours.cli.terminal import counted, print_json, print_table, progress_bars, say
from uphours.errors import DatabaseError, InputError


def migrate(db: Db = None) -> None:
    """Make a database, or bring its tables to this program's version.

    Any number of processes may do so at once.
    """
    from uphours.database.migrate import SCHEMA_VERSION

    database = edge.database(db)
    changed = database.migrate()
    typer.echo(f"{database.described} is {'now' if changed else 'already'} at version {SCHEMA_VERSION}")


def doctor(db: Db = None, as_json: AsJson = False) -> None:
    """Check a database: version, damage, clocks, rights, waiting jobs, speed.

    The exit code is 3 if something is bad.
    """
    from uphours.database.doctor import checkup

    database = edge.database(db)
    findings = list(checkup(database, now=edge.now))
    if as_json:
        print_json([vars(finding) for finding in findings])
    else:
        print_table(
            ("", "about", "found"),
            [(finding.state, finding.about, edge.pasteable(finding.says)) for finding in findings],
        )
    if any(finding.state == "bad" for finding in findings):
        raise DatabaseError(f"{database.described} needs attention")


def prune(
    before: Annotated[
        str,
        typer.Option(
            help="An instant such as 2025-01-01T00:00:00Z, UTC unless it names an offset; or an age, such as 400d.",
            metavar="T|DURATION",
        ),
    ],
    db: Db = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete observations before an instant, for good.

    The last one of each store before it stays.
    """
    from uphours.database.prune import instant_before
    from uphours.database.prune import prune as take_away
    from uphours.schema import instant_text

    database = edge.database(db)
    database.engine.check_there()  # a mistake in its name must not make a database
    at = instant_before(before, now=edge.now())
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Take away all observations before {instant_text(at)} from {database.described}?", abort=True)
    made = take_away(database, at, now=edge.now(), actor=edge.actor())
    typer.echo(f"{counted(made.observations, 'observation')} before {instant_text(at)} taken away")
    say("windows that begin before that instant are refused from now on")


def export(
    target: Annotated[str, typer.Argument(help="A new folder, or s3://BUCKET/PREFIX.", metavar="DIR")],
    form: Annotated[str, typer.Option("--to", help="The format: parquet.", metavar="FORMAT")],
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Write the database as Parquet files.

    Observations lie in folders by date, for Spark, DuckDB and `uphours report`.
    """
    from uphours.reports.export import FORMATS
    from uphours.reports.export import export as export_database

    if form not in FORMATS:
        raise InputError(f"there is no format {form!r} to export to; valid are {', '.join(FORMATS)}")
    with progress_bars(of_rows=True) as progress:
        made = export_database(edge.database(db), target, now=edge.now(), progress=progress)
    if as_json:
        print_json(vars(made))
    else:
        typer.echo(
            f"{counted(made.observations, 'observation')} of {counted(made.stores, 'store')} "
            f"in {counted(made.files, 'file')} → {target}"
        )


def copy(
    source: Annotated[str, typer.Option("--from", help="The database to copy.", metavar="URL")],
    target: Annotated[str, typer.Option("--to", help="A new database.", metavar="URL")],
    as_json: AsJson = False,
) -> None:
    """Copy a whole database into a new one of any engine, and compare all rows."""
    from uphours.database.copy import copy as copy_database
    from uphours.database.database import connect

    with progress_bars(of_rows=True) as progress:
        made = copy_database(connect(source), connect(target), now=edge.now(), actor=edge.actor(), progress=progress)
    if as_json:
        print_json([vars(table) for table in made])
    else:
        print_table(("table", "rows", "sha256"), [(one.table, f"{one.rows:,}", one.sha256) for one in made])
    say(f"{counted(sum(one.rows for one in made), 'row')}, the same in both databases")
