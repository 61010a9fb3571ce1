"""The service: it, and its workers."""

from __future__ import annotations

from typing import Annotated

import typer

from uphours.cli.options import Db
from uphours.errors import InputError


def serve(
    db: Db = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on. Default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="The port; 0 takes a free one. Default: 8000.")] = None,
    watch: Annotated[
        list[str] | None,
        typer.Option(help="Read new files here again and again: folder, glob, URL, bucket; may be repeated."),
    ] = None,
    every: Annotated[str, typer.Option(help="How often, such as 15m.", metavar="DURATION")] = "1h",
    workers: Annotated[int | None, typer.Option(help="Worker processes. Default: 2.", metavar="N")] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            help="The policy of everything that the service says, unless a request names another: such as "
            "next,max_age=12h.",
            metavar="POLICY",
        ),
    ] = None,
    data_folder: Annotated[
        str | None, typer.Option(help="The folder that /store_csv_data loads.", metavar="FOLDER")
    ] = None,
    insecure: Annotated[
        bool | None, typer.Option("--insecure", help="Serve an address that others can reach without any API key.")
    ] = None,
) -> None:
    """Serve reports over HTTP, with workers.

    $UPHOURS_CONFIG names a TOML file with more settings.
    """
    from uphours.settings import settings

    chosen = settings(
        database_url=db,
        host=host,
        port=port,
        workers=workers,
        policy=policy,
        data_folder=data_folder,
        insecure=insecure,
    )
    if watch:
        added = [{"place": place, "every": every} for place in watch]
        chosen = settings(**dict(chosen) | {"sources": (*chosen.sources, *added)})
    from uphours.service import supervisor  # once the settings make sense

    supervisor.serve(chosen)


def worker(
    db: Db = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="Only jobs of this kind: report, load or source; may be repeated.")
    ] = None,
    supervised: Annotated[bool, typer.Option("--supervised", hidden=True)] = False,
) -> None:
    """Do the jobs of a service, as one more process beside those of `serve`."""
    from uphours.database.queue import KINDS
    from uphours.service import supervisor
    from uphours.settings import settings

    if unknown := set(kind or []) - set(KINDS):
        raise InputError(f"there is no kind of job {min(unknown)!r}; valid are {', '.join(KINDS)}")
    supervisor.work(settings(database_url=db), kind or KINDS, supervised=supervised)  # type: ignore[arg-type]
