"""Printing: results to standard output, messages to standard error, files whole or not at all."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import typer

from storepulse.errors import InputError

if TYPE_CHECKING:
    from storepulse.ingest import Progress


def say(message: str) -> None:
    """Print a message."""
    typer.echo(message, err=True)


def print_json(value: object) -> None:
    """Print a value as JSON, instants written out."""
    typer.echo(json.dumps(_with_instants(value), ensure_ascii=False, indent=2))


def _with_instants(value: Any) -> Any:
    """Write instants out, as the service does: what ends in ``_at``; what ends in ``_us`` stays a number."""
    from storepulse.schema import instant_iso

    if isinstance(value, Mapping):
        return {
            name: instant_iso(one) if f"_{name}".endswith("_at") and isinstance(one, int) else _with_instants(one)
            for name, one in value.items()
        }
    return [_with_instants(one) for one in value] if isinstance(value, list | tuple) else value


def print_table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under titles."""
    from storepulse.explanation import as_table

    typer.echo("\n".join(as_table([titles, *rows])))


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: ``1 row``, ``2,000 rows``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def instant(us: int | None) -> str:
    """Write an instant; a dash for none."""
    from storepulse.schema import instant_text

    return "–" if us is None else instant_text(us)


def write(content: bytes, output: str | None) -> None:
    """Print, or put into a file or an object that is complete or not there at all."""
    if output is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    with whole_file(output) as file:
        file.write(content)


@contextmanager
def whole_file(output: str) -> Iterator[BinaryIO]:
    """Open a file, or an object of a bucket, that is there at the end of the block, complete, or not at all."""
    from storepulse.ingest.places import is_in_bucket, put

    path = Path(output)
    try:
        if is_in_bucket(output):
            with tempfile.TemporaryFile() as content:
                yield content
                content.seek(0)
                put(output, iter(lambda: content.read(1 << 20), b""))
            return
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                yield cast(BinaryIO, file)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).chmod(0o666 & ~_umask())  # as if it had been opened by name
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink()
                raise
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


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
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done)

        yield progress
