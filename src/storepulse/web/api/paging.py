"""Cursors of lists that are paged by key."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Annotated

from fastapi import Query

from storepulse.errors import InputError

Limit = Annotated[int, Query(ge=1, le=1000, description="Rows of a page.")]
After = Annotated[
    str | None, Query(max_length=2000, alias="cursor", description="The `next_cursor` of the page before.")
]


def cursor(*key: int | str) -> str:
    """Write the key of a row as text that stands in a URL as it is."""
    return urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def key(text: str | None, types: Sequence[type[int] | type[str]]) -> tuple[int | str, ...] | None:
    """Read what `cursor` wrote; None for no text.

    Raises
    ------
    InputError
        It is something else.
    """
    if text is None:
        return None
    try:
        found = json.loads(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
        if isinstance(found, list) and [type(one) for one in found] == list(types) and _fits(found):
            return tuple(found)
    except (ValueError, RecursionError):
        pass
    raise InputError(f"cannot read the cursor {text[:100]!r}; valid is the next_cursor of the page before, unchanged")


def _fits(values: Sequence[int | str]) -> bool:
    return all(_is_text(value) if isinstance(value, str) else abs(value) < 2**63 for value in values)


def _is_text(value: str) -> bool:
    """Refuse lone surrogates, which JSON can spell and no database can hold."""
    return value == value.encode(errors="replace").decode()
