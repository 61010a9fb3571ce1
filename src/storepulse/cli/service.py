"""The service: it, and its workers."""

from __future__ import annotations

from typing import Annotated

import typer

from storepulse.cli.options import Db
from storepulse.errors import InputError


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
    data_folder: Annotated[
        str | None, typer.Option(help="The folder that /store_csv_data loads.", metavar="FOLDER")
    ] = None,
    insecure: Annotated[
        bool | None, typer.Option("--insecure", help="Serve an address that others can reach without any API key.")
    ] = None,
) -> None:
    """Serve reports over HTTP: trigger, poll, fetch; with workers, and nothing else to install.

    $STOREPULSE_CONFIG names a TOML file with more settings.
    """
    from storepulse.settings import settings

    chosen = settings(
        database_url=db, host=host, port=port, workers=workers, data_folder=data_folder, insecure=insecure
    )
    if watch:
        added = [{"place": place, "every": every} for place in watch]
        chosen = settings(**dict(chosen) | {"sources": (*chosen.sources, *added)})
    from storepulse import processes  # once the settings make sense

    processes.serve(chosen)


def worker(
    db: Db = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="Only jobs of this kind: report, load or source; may be repeated.")
    ] = None,
    supervised: Annotated[bool, typer.Option("--supervised", hidden=True)] = False,
) -> None:
    """Do the jobs of a service, as one more process beside those that `serve` starts."""
    from storepulse import processes
    from storepulse.settings import settings
    from storepulse.store.jobs import KINDS

    if unknown := set(kind or []) - set(KINDS):
        raise InputError(f"there is no kind of job {min(unknown)!r}; valid are {', '.join(KINDS)}")
    processes.work(settings(database_url=db), kind or KINDS, supervised=supervised)  # type: ignore[arg-type]
