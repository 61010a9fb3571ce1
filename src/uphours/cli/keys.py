"""Keys of the service: made, listed, revoked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from uphours.cli import edge
from uphours.cli.command_groups import CommandList
from uphours.cli.options import AsJson, Db
from uphours.cli.terminal import counted, instant, print_json, print_table, say, show
from uphours.where import texts_of, where_of_texts

if TYPE_CHECKING:
    from uphours.database.database import Database
    from uphours.where import Where

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
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            help="It sees only the stores with this attribute, such as franchisee=F7, as if there were no others. May "
            "be repeated: values of one attribute are any of them, different attributes all of them.",
            metavar="NAME=VALUE",
        ),
    ] = None,
    db: Db = None,
) -> None:
    """Make a key.

    Its token goes to standard output, this once: the database does not keep it.
    """
    from uphours.database.api_keys import FEED, check, create

    bounds = where_of_texts(only or (), "--only")
    scopes = check(name, scope or [], bounds)  # a mistake must not make a database
    database = edge.database(db)
    with database.writing() as connection:
        key, token = create(connection, name=name, scopes=scopes, now=edge.now(), actor=edge.actor(), only=bounds)
    typer.echo(token)
    if bounds:
        _say_bounds(database, bounds)
    if FEED in scopes:
        use = "Calendar programs have it in the address that they subscribe to:\n  /v1/calendar/TOKEN.ics"
    else:
        use = "Requests carry it in a header:\n  Authorization: Bearer TOKEN"
    say(
        f"key {key.key_id} ({key.name}), scopes: {', '.join(key.scopes)}\n"
        f"The token is shown once; keep it where you keep passwords. {use}\n"
        f"`uphours keys revoke {key.key_id}` ends it."
    )


def _say_bounds(database: Database, only: Where) -> None:
    """Say how many stores a key sees: a value that no store has is most often a mistake in typing."""
    from uphours.reports.memberships import stores_seen

    with database.snapshot() as fleet:
        seen = len(stores_seen(fleet, only, edge.now()))
    more = "" if seen else "; `uphours stores --where` shows whether there are any"
    say(f"it sees the stores with {', '.join(texts_of(only))}: {counted(seen, 'store')} at present{more}")


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
        ("key_id", "name", "scopes", "only", "created", "revoked"),
        [
            (
                key.key_id, key.name, ", ".join(key.scopes), ", ".join(texts_of(key.only)) or "(all stores)",
                instant(key.created_at), instant(key.revoked_at),
            )
            for key in found
        ],
    )  # fmt: skip


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
