"""The demo: the main job on a made-up fleet, command by command."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer


def demo(
    folder: Annotated[Path, typer.Option(help="Where the made-up files and the store go.", metavar="FOLDER")] = Path(
        "storepulse-demo"
    ),
) -> None:
    """Go through the main job on made-up data: files, load, report, explanation."""
    from storepulse import demo as made_up
    from storepulse.cli import app

    made_up.make_files(folder)
    program = "storepulse" if shutil.which("storepulse") else os.path.relpath(sys.argv[0])
    database = folder / "storepulse.db"
    for leftover in folder.glob("storepulse.db*"):
        leftover.unlink()
    url = f"sqlite:///{database}"
    polls, hours, timezones = (f"{folder / name}.csv" for name in ("polls", "hours", "timezones"))
    for words in (
        ["load", "--db", url, "--polls", polls, "--hours", hours, "--timezones", timezones],
        ["quarantine", "--db", url],
        ["report", "--db", url, *(word for store_id in made_up.SHOWN for word in ("--store", store_id))],
        ["explain", made_up.SHOWN[0], "--db", url, "--window", "last_day"],
    ):
        typer.secho(f"\n$ {program} {' '.join(words)}", bold=True)
        app(words, standalone_mode=False)
    typer.secho("\nWhat to try next", bold=True)
    for words, meaning in (
        (
            ["report", "--db", url, "--detail", "-o", "report.csv"],
            "every store, with bounds, coverage and outages",
        ),
        (
            ["report", "--db", url, "--window", "yesterday", "--max-age", "2h"],
            "yesterday in each store's own zone",
        ),
        (["explain", made_up.SHOWN[1], "--db", url, "--window", "last_week"], "another store, a whole week"),
        (["load", "--polls", "YOUR.csv", "--hours", "YOUR.csv", "--timezones", "YOUR.csv"], "your own fleet"),
    ):
        typer.echo(f"  {program} {' '.join(words)}\n      {meaning}")
