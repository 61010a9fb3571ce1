"""What is in a store: stores, loads, rows that were set aside, the audit trail."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from storepulse.cli import edge
from storepulse.cli.options import AsJson, Db
from storepulse.cli.terminal import counted, instant, print_json, print_table, say

if TYPE_CHECKING:
    from storepulse.store.loads import Load


def stores(db: Db = None, as_json: AsJson = False) -> None:
    """List the stores that are known."""
    from storepulse.store.loads import list_stores

    with edge.store(db).reading() as connection:
        rows = list_stores(connection)
    if as_json:
        print_json(rows)
        return
    print_table(
        ("store_id", "time zone", "rows of hours", "first observed", "last observed"),
        [
            (
                row["store_id"],
                row["timezone"] or "(default) America/Chicago",
                row["hours_rows"] or "none: open 24×7",
                instant(row["first_observed_at"]),
                instant(row["last_observed_at"]),
            )
            for row in rows
        ],
    )


def loads(db: Db = None, as_json: AsJson = False) -> None:
    """List what was loaded, the newest load first."""
    from storepulse.store.loads import list_loads

    with edge.store(db).reading() as connection:
        records = list_loads(connection)
    if as_json:
        print_json([record.facts() for record in records])
    else:
        typer.echo("\n\n".join("\n".join(load_lines(record)) for record in records) or "no loads yet")


def load_lines(record: Load) -> list[str]:
    """Say what a load brought, a line each."""
    return [
        f"load {record.load} of {instant(record.started_at)}",
        *(
            f"  {file.kind:<10} {file.name}: {counted(file.rows_read, 'row')}, {file.accepted:,} accepted, "
            f"{file.quarantined:,} quarantined"
            for file in record.files
        ),
        f"  {record.accepted:,} of {record.rows_read:,} rows accepted ({record.repeated:,} repeated, "
        f"{record.conflicting:,} conflicting), {record.quarantined:,} quarantined",
        *(
            [f"  observations from {instant(record.first_observed_at)} to {instant(record.last_observed_at)}"]
            if record.first_observed_at is not None
            else []
        ),
    ]


def quarantine(
    db: Db = None,
    load: Annotated[int | None, typer.Option(help="Only rows of this load.", metavar="N")] = None,
    as_json: AsJson = False,
) -> None:
    """List the rows that were set aside, each with its file, line and reason."""
    from storepulse.store.loads import list_quarantine

    with edge.store(db).reading() as connection:
        rows = [
            {**row, "raw": row["raw"].decode(errors="backslashreplace")} for row in list_quarantine(connection, load)
        ]
    if as_json:
        print_json(rows)
        return
    if not rows:
        typer.echo("no rows were set aside")
        return
    print_table(
        ("load", "file", "line", "reason", "row"),
        [(row["load"], row["file"], row["line"], row["reason"], _cut(row["raw"])) for row in rows],
    )


def _cut(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:120]}… ({len(text):,} characters)"


def audit(
    db: Db = None,
    limit: Annotated[int, typer.Option(help="How many entries.", metavar="N")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the audit trail: who did what, the newest first."""
    from storepulse.store.audit import list_audit

    with edge.store(db).reading() as connection:
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
