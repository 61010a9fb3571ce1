"""Globs that a shell has expanded: several files behind one option, as if the option stood before each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from typer.core import TyperCommand

from uphours.cli.terminal import say

_OPTIONS: Final = ("--polls", "--hours", "--timezones", "--special", "--stores", "--adjustments", "--targets")


class FilesCommand(TyperCommand):
    """A command without arguments of its own, whose options for files may each be followed by several of them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments of the command line."""
        return super().parse_args(ctx, list(_spread(args)))


def _spread(args: Sequence[str]) -> Iterator[str]:
    """Yield arguments with the option repeated before each file but the first; unfinished files are left out."""
    place = 0
    while place < len(args):
        option, equals, first = args[place].partition("=")
        if option not in _OPTIONS:
            yield args[place]
            place += 1
            continue
        files = [first] if equals else list(args[place + 1 : place + 2])
        place += 1 if equals else 2
        while place < len(args) and (args[place] == "-" or not args[place].startswith("-")):
            files.append(args[place])
            place += 1
        for file in _finished(files) if len(files) > 1 else files:
            yield option
            yield file
        if not files:
            yield option


def _finished(files: Sequence[str]) -> Iterator[str]:
    from uphours.ingest.unfinished import is_unfinished

    for file in files:
        if is_unfinished(Path(file).name):
            say(f"left out: {file} is not finished, as its name says")
        else:
            yield file
