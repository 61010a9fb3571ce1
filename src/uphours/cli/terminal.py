"""Printing: results to standard output, messages to standard error."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import typer

from uphours.cli import edge
from uphours.cli.outputs import STANDARD_OUTPUT, opened
from uphours.printable import printable, printable_json, printable_lines

if TYPE_CHECKING:
    from uphours.ingest.inputs import Progress


def say(message: str) -> None:
    """Print a message; its commands can be pasted as they are, and nothing in it can steer the terminal."""
    typer.echo(printable_lines(edge.pasteable(message)), err=True)


def say_wrapped(message: str) -> None:
    """Print a message, on a terminal in lines that are no wider than it."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        message = textwrap.fill(message, width, subsequent_indent="  ", break_on_hyphens=False)
    say(message)


def show(text: str) -> None:
    """Print a result for people; what is in it from outside cannot steer their terminal."""
    typer.echo(printable_lines(text))


def print_json(value: object) -> None:
    """Print a value as JSON, instants written out."""
    typer.echo(printable_json(json.dumps(_with_instants(value), ensure_ascii=False, indent=2)))


def _with_instants(value: Any) -> Any:
    """Write instants out, as the service does: what ends in ``_at``; what ends in ``_us`` stays a number."""
    from uphours.schema import instant_iso

    if isinstance(value, Mapping):
        return {
            name: instant_iso(one) if f"_{name}".endswith("_at") and isinstance(one, int) else _with_instants(one)
            for name, one in value.items()
        }
    return [_with_instants(one) for one in value] if isinstance(value, list | tuple) else value


def print_table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under titles."""
    from uphours.reports.explain import as_table

    typer.echo("\n".join(as_table([titles, *([printable(str(cell)) for cell in row] for row in rows)])))


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: ``1 row``, ``2,000 rows``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def instant(us: int | None) -> str:
    """Write an instant; a dash for none."""
    from uphours.schema import instant_text

    return "–" if us is None else instant_text(us)


def write(render: Callable[[BinaryIO], object], output: str | None) -> None:
    """Let something be written to standard output, or into a file or an object."""
    with opened(STANDARD_OUTPUT if output is None else output) as file:
        render(file)


@contextmanager
def progress_bars(*, of_rows: bool = False) -> Iterator[Progress | None]:
    """Show bars on a terminal, of bytes or of rows, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn() if of_rows else DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(printable(name), total=total)
            bars.update(tasks[name], completed=done)

        yield progress
