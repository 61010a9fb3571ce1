"""What is in a database: stores, loads, rows that were set aside, the audit trail."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uphours.cli import edge
from uphours.cli.attributed import Where
from uphours.cli.files import file_lines
from uphours.cli.options import AsJson, Db
from uphours.cli.terminal import counted, instant, print_json, print_table, say, show
from uphours.printable import printable
from uphours.where import where_of_texts

if TYPE_CHECKING:
    from uphours.load_record import Load


def stores(db: Db = None, where: Where = None, as_json: AsJson = False) -> None:
    """List the stores that are known."""
    from uphours.database.loads import list_stores

    database, wanted = edge.database(db), where_of_texts(where or (), "--where")
    with database.reading() as connection:
        rows = list_stores(connection)
    if wanted:
        from uphours.reports.memberships import stores_where

        with database.snapshot() as fleet:
            chosen = {*stores_where(fleet, wanted, edge.now())}
        rows = [row for row in rows if row["store_id"] in chosen]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("store_id", "time zone", "rows of hours", "first observed", "last observed"),
        [
            (
                row["store_id"],
                row["timezone"] or "(default) America/Chicago",
                (row["hours_rows"] or "none: open 24×7") if row["hours_known"] else "hours unknown",
                instant(row["first_observed_at"]),
                instant(row["last_observed_at"]),
            )
            for row in rows
        ],
    )


def loads(db: Db = None, as_json: AsJson = False) -> None:
    """List what was loaded, the newest load first."""
    from uphours.database.loads import list_loads

    with edge.database(db).reading() as connection:
        records = list_loads(connection)
    if as_json:
        print_json([record.facts() for record in records])
    else:
        show("\n\n".join("\n".join(load_lines(record)) for record in records) or "no loads yet")


def load_lines(record: Load) -> list[str]:
    """Say what a load brought and what it did, a line each."""
    from uphours.load_record import Summary

    summary = record.summary or Summary(rows_kept=record.quarantined)
    return [
        f"load {record.load} of {instant(record.started_at)}",
        *(f"  {line}" for line in file_lines(record.files, summary)),
        f"  {record.accepted:,} of {record.rows_read:,} rows accepted ({record.repeated:,} repeated, "
        f"{record.conflicting:,} conflicting), {record.quarantined:,} rejected",
        *(
            [f"  observations from {instant(record.first_observed_at)} to {instant(record.last_observed_at)}"]
            if record.first_observed_at is not None
            else []
        ),
        *(f"  {sentence}" for sentence in summary.sentences()),
    ]


def quarantine(
    db: Db = None,
    load: Annotated[int | None, typer.Option(help="Only rows of this load.", metavar="N")] = None,
    rows: Annotated[bool, typer.Option("--rows", help="List single rows.")] = False,
    as_json: AsJson = False,
) -> None:
    """Count the rejected rows by file and cause, the most frequent cause first; --rows lists them."""
    from uphours.database.rejected_rows import list_quarantine, list_rejected, rows_only_counted

    with edge.database(db).reading() as connection:
        if rows:
            _print_rows(list_quarantine(connection, load), as_json=as_json)
        else:
            _print_causes(list_rejected(connection, load), as_json=as_json)
        if more := rows_only_counted(connection, load):
            say(f"{counted(more, 'row')} of these {'is' if more == 1 else 'are'} only counted, not kept")


def _print_causes(causes: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    from uphours.load_record import SHOWN

    if as_json:
        print_json(causes)
    elif not causes:
        typer.echo("no rows were rejected")
    else:
        print_table(
            ("load", "rows", "file", "cause", "first line", "first row"),
            [
                (
                    one["load"],
                    f"{one['rows']:,}",
                    printable(one["name"], SHOWN),
                    one["cause"],
                    one["line"],
                    printable(one["raw"], SHOWN),
                )
                for one in causes
            ],
        )


def _print_rows(found: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    from uphours.load_record import SHOWN

    rows = [{**row, "raw": row["raw"].decode(errors="backslashreplace")} for row in found]
    if as_json:
        print_json(rows)
    elif not rows:
        typer.echo("no rows were rejected")
    else:
        print_table(
            ("load", "file", "line", "reason", "row"),
            [
                (
                    row["load"],
                    printable(row["file"], SHOWN),
                    row["line"],
                    printable(row["reason"], 500),
                    printable(row["raw"], SHOWN),
                )
                for row in rows
            ],
        )


def audit(
    db: Db = None,
    limit: Annotated[int, typer.Option(help="How many entries.", metavar="N")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the audit trail: who did what, the newest first."""
    from uphours.database.audit import list_audit

    with edge.database(db).reading() as connection:
        entries = list_audit(connection, limit=limit)
        older = entries and list_audit(connection, before=entries[-1].entry, limit=1)
    if as_json:
        print_json([entry.facts() for entry in entries])
    elif entries:
        print_table(
            ("entry", "at", "actor", "action", "subject", "details"),
            [
                (e.entry, instant(e.at), e.actor, e.action, e.subject, json.dumps(e.details, ensure_ascii=False))
                for e in entries
            ],
        )
    else:
        typer.echo("nothing is on record yet")
    if older:
        say("there are older entries; a greater --limit shows them too")
