"""Globs over parts of a name: ``*``, ``?`` and ``[…]`` stay inside one part, ``**`` is any number of parts."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Final

from uphours.ingest.unfinished import is_unfinished

ANY_PARTS: Final = "**"


def is_glob(text: str) -> bool:
    """Tell whether a text has any of ``*?[``."""
    return glob.has_magic(text)


def split(text: str) -> tuple[str, list[str]]:
    """Split a glob into the folder it begins in, and the pattern of each part below."""
    parts = text.split("/")
    first = next(place for place, part in enumerate(parts) if is_glob(part))
    return "/".join(parts[:first]), [part for part in parts[first:] if part]


def matches(parts: Iterable[str], patterns: Sequence[str]) -> bool:
    """Tell whether the parts of a name match the patterns, part by part, in time linear in both."""
    reached = _past_any({0}, patterns)
    for part in parts:
        stays = {place for place in reached if patterns[place : place + 1] == [ANY_PARTS]}
        goes = {place + 1 for place in reached - stays if place < len(patterns) and fnmatchcase(part, patterns[place])}
        reached = _past_any(stays | goes, patterns)
    return len(patterns) in reached


def _past_any(reached: set[int], patterns: Sequence[str]) -> set[int]:
    """Add the places after each ``**`` that was reached, for it may be no part at all."""
    for place, pattern in enumerate(patterns):
        if place in reached and pattern == ANY_PARTS:
            reached.add(place + 1)
    return reached


def is_hidden(name: str) -> bool:
    """Tell whether a name begins with a dot."""
    return name.startswith(".")


def is_left_out(name: str) -> bool:
    """Tell whether a name is hidden, or that of a file that another program has not finished."""
    return is_hidden(name) or is_unfinished(name)
