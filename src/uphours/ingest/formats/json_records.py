"""JSON, or one JSON value a line → the records of stores in it, each with its place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from uphours.errors import InputError
from uphours.ingest.formats.imported import Position, RejectedRow, UnreadableError

Record: TypeAlias = tuple[Position, dict[str, Any]]


def text_of(content: bytes, file: str) -> str:
    """Decode a source.

    Raises
    ------
    InputError
        It is not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8 at byte {error.start}; save it as UTF-8") from None


def documents(text: str, file: str) -> list[tuple[int, Any] | RejectedRow]:
    """Return the JSON values of a text with their lines: one that spans the text, or one a line.

    A line that is no JSON is rejected.

    Raises
    ------
    InputError
        There is no JSON in it.
    """
    try:
        return [(1, json.loads(text))]
    except (ValueError, RecursionError) as error:
        problem = error
    values: list[tuple[int, Any] | RejectedRow] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            values.append((number, json.loads(line)))
        except (ValueError, RecursionError):
            values.append(UnreadableError("the line is no JSON: {}", line).row("hours", Position(file, number), line))
    if all(isinstance(value, RejectedRow) for value in values):
        raise InputError(f"{file} is neither JSON nor JSON lines: {problem}")
    return values


def records(text: str, file: str, lists: Sequence[str]) -> Iterator[Record | RejectedRow]:
    """Yield the records of stores: those in a list of one of these names, or in a list, or the value itself."""
    values = documents(text, file)
    for value in values:
        if isinstance(value, RejectedRow):
            yield value
            continue
        number, document = value
        for position, record in _inside(document, Position(file, number), lists, is_alone=len(values) == 1):
            if isinstance(record, dict):
                yield position, record
            else:
                yield UnreadableError("the record is {}; valid is an object", record).row("hours", position, record)


def _inside(
    document: object, position: Position, lists: Sequence[str], *, is_alone: bool
) -> Iterator[tuple[Position, object]]:
    found: list[tuple[str, object]] = [("", document)]
    if isinstance(document, list):
        found = [(f"[{number}]", record) for number, record in enumerate(document)]
    elif isinstance(document, dict):
        for name in lists:
            if isinstance(inner := document.get(name), list):
                found = [(f"{name}[{number}]", record) for number, record in enumerate(inner)]
                break
            if isinstance(inner, dict):
                found = [(name, inner)]
                break
    for number, (path, record) in enumerate(found, 1):
        yield position._replace(line=number if is_alone else position.line, path=path), record
