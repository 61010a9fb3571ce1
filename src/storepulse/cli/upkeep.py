"""Upkeep of a store: its tables, its health, what may go, where it lies."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from storepulse.cli import edge
from storepulse.cli.options import AsJson, Db
from storepulse.cli.terminal import counted, print_json, print_table, progress_bars, say
from storepulse.errors import InputError, StoreError


def migrate(db: Db = None) -> None:
    """Make a store, or bring its tables to this program's version. Any number of processes may do so at once."""
    from storepulse.store.migrations import SCHEMA_VERSION

    store = edge.store(db)
    changed = store.migrate()
    typer.echo(f"{store.described} is {'now' if changed else 'already'} at version {SCHEMA_VERSION}")


def doctor(db: Db = None, as_json: AsJson = False) -> None:
    """Look a store over: version, damage, clocks, rights, what waits, what is slow. Exit code 3 if something is bad."""
    from storepulse.store.checkup import checkup

    store = edge.store(db)
    findings = list(checkup(store, now=edge.now))
    if as_json:
        print_json([vars(finding) for finding in findings])
    else:
        print_table(("", "about", "found"), [(finding.state, finding.about, finding.says) for finding in findings])
    if any(finding.state == "bad" for finding in findings):
        raise StoreError(f"{store.described} needs attention")


def prune(
    before: Annotated[
        str,
        typer.Option(
            help="An instant such as 2025-01-01T00:00:00Z, or how long ago, such as 400d.", metavar="T|DURATION"
        ),
    ],
    db: Db = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Take away observations before an instant, for good. The last one of each store before it stays."""
    from storepulse.schema import instant_text
    from storepulse.store.retention import instant_before
    from storepulse.store.retention import prune as take_away

    store = edge.store(db)
    store.engine.check_there()  # a mistake in its name shall not make a store
    at = instant_before(before, now=edge.now())
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Take away all observations before {instant_text(at)} from {store.described}?", abort=True)
    made = take_away(store, at, now=edge.now(), actor=edge.actor())
    typer.echo(f"{counted(made.observations, 'observation')} before {instant_text(at)} taken away")
    say("windows that begin before that instant are refused from now on")


def export(
    target: Annotated[str, typer.Argument(help="A new folder, or s3://BUCKET/PREFIX.", metavar="DIR")],
    form: Annotated[str, typer.Option("--to", help="The format: parquet.", metavar="FORMAT")],
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Write the store as Parquet files, observations by date, for Spark, DuckDB and `storepulse report`."""
    from storepulse.export import FORMATS
    from storepulse.export import export as export_store

    if form not in FORMATS:
        raise InputError(f"there is no format {form!r} to export to; valid are {', '.join(FORMATS)}")
    with progress_bars(of_rows=True) as progress:
        made = export_store(edge.store(db), target, now=edge.now(), progress=progress)
    if as_json:
        print_json(vars(made))
    else:
        typer.echo(
            f"{counted(made.observations, 'observation')} of {counted(made.stores, 'store')} "
            f"in {counted(made.files, 'file')} → {target}"
        )


def copy(
    source: Annotated[str, typer.Option("--from", help="The store to copy.", metavar="URL")],
    target: Annotated[str, typer.Option("--to", help="A new database.", metavar="URL")],
    as_json: AsJson = False,
) -> None:
    """Copy a whole store into a new database of any engine, and compare all rows. Run again, it goes on."""
    from storepulse.store import connect
    from storepulse.store.copying import copy as copy_store

    with progress_bars(of_rows=True) as progress:
        made = copy_store(connect(source), connect(target), progress=progress)
    if as_json:
        print_json([vars(table) for table in made])
    else:
        print_table(("table", "rows", "sha256"), [(one.table, f"{one.rows:,}", one.sha256) for one in made])
    say(f"{counted(sum(one.rows for one in made), 'row')}, the same in both stores")
