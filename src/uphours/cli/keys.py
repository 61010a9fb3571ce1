"""Keys of the service: made, listed, revoked."""

from __future__ import annotations

from typing import Annotated

import typer

from uphours.cli import edge
from uphours.cli.command_groups import CommandList
from uphours.cli.options import AsJson, Db
from uphours.cli.terminal import instant, print_json, print_table, say, show

app = typer.Typer(
    name="keys",
    cls=CommandList,
    subcommand_metavar="COMMAND [ARGS]",
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
            help="What it is for: read, ingest, adjust, or admin, which includes these; may be repeated. feed, for the "
            "address of a calendar feed, stands alone.",
            metavar="SCOPE",
        ),
    ] = None,
    db: Db = None,
) -> None:
    """Make a key.

    Its token goes to standard output, this once: the database does not keep it.
    """
    from uphours.database.api_keys import FEED, check, create

    scopes = check(name, scope or [])  # a mistake must not make a database
    with edge.database(db).writing() as connection:
        key, token = create(connection, name=name, scopes=scopes, now=edge.now(), actor=edge.actor())
    typer.echo(token)
    if FEED in scopes:
        use = "Calendar programs have it in the address that they subscribe to:\n  /v1/calendar/TOKEN.ics"
    else:
        use = "Requests carry it in a header:\n  Authorization: Bearer TOKEN"
    say(
        f"key {key.key_id} ({key.name}), scopes: {', '.join(key.scopes)}\n"
        f"The token is shown once; keep it where you keep passwords. {use}\n"
        f"`uphours keys revoke {key.key_id}` ends it."
    )


@app.command("list")
def list_keys(db: Db = None, as_json: AsJson = False) -> None:
    """List all keys, also the revoked ones, the oldest first.

    Tokens are not shown: the database does not have them.
    """
    from uphours.database.api_keys import list_keys

    with edge.database(db).reading() as connection:
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
    from uphours.database.api_keys import find, revoke

    database = edge.database(db)
    with database.reading() as connection:  # which, unlike writing, makes no database where there is none
        find(connection, key_id)
    with database.writing() as connection:
        key = revoke(connection, key_id, now=edge.now(), actor=edge.actor())
    show(f"key {key.key_id} ({key.name}) is revoked since {instant(key.revoked_at)}")
