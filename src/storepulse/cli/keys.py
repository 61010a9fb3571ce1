"""Keys of the service: made, listed, revoked."""

from __future__ import annotations

from typing import Annotated

import typer

from storepulse.cli import edge
from storepulse.cli.options import AsJson, Db
from storepulse.cli.terminal import instant, print_json, print_table, say

app = typer.Typer(
    name="keys",
    help="Make, list and revoke the keys of the service.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="Who or what it is for, in your own words.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What it is for: read, ingest, or admin, which includes the others; may be repeated.", metavar="SCOPE"
        ),
    ] = None,
    db: Db = None,
) -> None:
    """Make a key. Its token goes to standard output, this once: the store does not keep it."""
    from storepulse.store.keys import check, create

    scopes = check(name, scope or [])  # a mistake shall not make a store
    with edge.store(db).writing() as connection:
        key, token = create(connection, name=name, scopes=scopes, now=edge.now(), actor=edge.actor())
    typer.echo(token)
    say(
        f"key {key.key_id} ({key.name}), scopes: {', '.join(key.scopes)}\n"
        "The token is shown once; keep it where you keep passwords. Requests carry it in a header:\n"
        "  Authorization: Bearer TOKEN\n"
        f"`storepulse keys revoke {key.key_id}` ends it."
    )


@app.command("list")
def list_keys(db: Db = None, as_json: AsJson = False) -> None:
    """List all keys, also the revoked ones, the oldest first. Tokens are not shown: the store does not have them."""
    from storepulse.store.keys import list_keys

    with edge.store(db).reading() as connection:
        found = list_keys(connection)
    if as_json:
        print_json([key.facts() for key in found])
        return
    if not found:
        typer.echo("no keys yet")
        return
    print_table(
        ("key_id", "name", "scopes", "created", "revoked"),
        [
            (key.key_id, key.name, ", ".join(key.scopes), instant(key.created_at), instant(key.revoked_at))
            for key in found
        ],
    )


@app.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="The id of the key, not its token.")],
    db: Db = None,
) -> None:
    """Refuse a key from now on. This cannot be undone."""
    from storepulse.store.keys import find, revoke

    store = edge.store(db)
    with store.reading() as connection:  # which, unlike writing, makes no store where there is none
        find(connection, key_id)
    with store.writing() as connection:
        key = revoke(connection, key_id, now=edge.now(), actor=edge.actor())
    typer.echo(f"key {key.key_id} ({key.name}) is revoked since {instant(key.revoked_at)}")
