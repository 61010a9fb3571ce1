"""Cursors of lists that are paged by key."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import Query

from uphours.errors import InputError

Limit = Annotated[int, Query(ge=1, le=1000, description="Rows of a page.")]
After = Annotated[
    str | None, Query(max_length=2000, alias="cursor", description="The `next_cursor` of the page before.")
]


Kept: TypeAlias = Literal["int32", "int64", "text", "flag", "figure"]
"""What a column holds; a figure is any number, or none."""


def cursor(*key: float | str | None) -> str:
    """Write the key of a row as text that stands in a URL as it is."""
    return urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def key(text: str | None, columns: Sequence[Kept]) -> tuple[Any, ...] | None:
    """Read what `cursor` wrote; None for no text. ``columns``: what holds each part of the key.

    Raises
    ------
    InputError
        It is something else.
    """
    if text is None:
        return None
    try:
        found = json.loads(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
        if isinstance(found, list) and len(found) == len(columns) and all(map(_fits, found, columns)):
            return tuple(found)
    except (ValueError, RecursionError):
        pass
    raise InputError(f"cannot read the cursor {text[:100]!r}; valid is the next_cursor of the page before, unchanged")


def _fits(value: object, column: Kept) -> bool:
    """Say whether a column can hold a value; databases take a number that it cannot hold for a defect of ours."""
    if column == "text":
        return isinstance(value, str) and _is_text(value)
    if column == "flag":
        return isinstance(value, bool)
    if column == "figure":
        return value is None or (type(value) in (int, float) and abs(value) < 2**63)  # type: ignore[arg-type]
    return type(value) is int and abs(value) < 2 ** (31 if column == "int32" else 63)


def _is_text(value: str) -> bool:
    """Refuse lone surrogates, which JSON can spell and no database can hold."""
    return value == value.encode(errors="replace").decode()
