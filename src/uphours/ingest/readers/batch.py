"""Some rows of a source: their columns as text, each row with the number of the line it stands on, and those lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import polars as pl


class Problem(NamedTuple):
    """Why a line is no row at all: in full, and without what differs from line to line."""

    reason: str
    cause: str


@dataclass(frozen=True)
class Batch:
    """Some rows of one source.

    ``rows``: the columns of the kind as text (instants of polls as microseconds, where a table had them), null where
    the source lacks one that is optional; ``line`` (int64), ``problem`` and ``problem_cause`` (text: why the line is
    no row at all; null for the others). ``raw``: lines as they were, by number. ``attributes``: of stores, what the
    rows say, as ``line, name, value``, the value blank where it is taken away.
    ``header``: the line that names the columns, without its end; None where there is no such line. ``pruned_before``:
    from when on the source has all observations, where it is not complete; UTC microseconds.
    """

    rows: pl.DataFrame
    raw: Callable[[Sequence[int]], list[bytes]]
    header: str | None = None
    pruned_before: int | None = None
    attributes: pl.DataFrame | None = None


ATTRIBUTES: Final = {"line": pl.Int64, "name": pl.String, "value": pl.String}
#: What a table of lines has beside the columns of its kind.
OF_LINES: Final = ("line", "problem", "problem_cause")
NO_PROBLEM: Final = dict.fromkeys(OF_LINES[1:], pl.lit(None, dtype=pl.String))
NOT_UTF8: Final = Problem("not UTF-8 text", "not UTF-8 text")


def append_line(table: dict[str, list[Any]], line: int, problem: Problem | None) -> None:
    """Append what stands beside the columns of a row."""
    reason, cause = problem or (None, None)
    for column, value in zip(OF_LINES, (line, reason, cause), strict=True):
        table[column].append(value)


def text_rows(table: dict[str, list[Any]]) -> pl.DataFrame:
    """Make a table of lists of text and line numbers."""
    schema = {name: pl.Int64 if name == "line" else pl.String for name in table}
    return pl.DataFrame(table, schema=schema)
