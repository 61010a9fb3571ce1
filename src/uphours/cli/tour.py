"""The demo: load a made-up fleet, and explain one store that had trouble."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uphours.cli import edge

if TYPE_CHECKING:
    from uphours.ingest.inputs import Kind
    from uphours.load_record import Load


def demo(
    folder: Annotated[
        Path, typer.Option(help="Where the made-up files and their database go.", metavar="FOLDER")
    ] = Path("uphours-demo"),
) -> None:
    """Load a made-up fleet, and explain one of its stores that had trouble."""
    from uphours import demo as made_up
    from uphours.cli.command_line import run

    made_up.make_files(folder)
    for leftover in folder.glob("uphours.db*"):
        leftover.unlink()
    url = f"sqlite:///{folder / 'uphours.db'}"
    files = [f"--{kind} {folder / kind}.csv" for kind in made_up.KINDS]
    typer.secho(" \\\n    ".join([f"{_program()} load --db {url}", *files]), bold=True)
    loaded = _load(url, folder)
    typer.echo(f"{loaded.accepted:,} of {loaded.rows_read:,} rows loaded, {loaded.quarantined:,} rejected")
    words = ["explain", made_up.TROUBLED, "--db", url]
    typer.secho(f"\n{_program()} {' '.join(words)}", bold=True)
    run(words, standalone_mode=False)


def _program() -> str:
    return f"$ {'uphours' if shutil.which('uphours') else os.path.relpath(sys.argv[0])}"


def _load(url: str, folder: Path) -> Load:
    from uphours import demo as made_up
    from uphours.ingest.load import load_files

    files: dict[Kind, list[str]] = {kind: [f"{folder / kind}.csv"] for kind in made_up.KINDS}
    return load_files(edge.database(url), files, now=edge.now(), actor=edge.actor())
