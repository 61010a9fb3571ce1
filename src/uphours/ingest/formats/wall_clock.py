"""Times of day and weekdays as foreign systems write them → openings, and openings → the texts of our rows.

An opening is ``(start, end)`` in seconds since the midnight that starts its date, ``start < 24 h`` and
``start < end <= start + 24 h``.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final, TypeAlias

Opening: TypeAlias = tuple[int, int]

MINUTE: Final = 60
DAY: Final = 86_400
WHOLE_DAY: Final[Opening] = (0, DAY)
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_TIME: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]+)?)?")


def seconds(text: str, *, latest: int = DAY) -> int | None:
    """Read ``9:00``, ``09:00:00`` or ``24:00`` as seconds since midnight; None for anything else."""
    match = _TIME.fullmatch(text)
    if match is None or int(match[2]) >= 60 or int(match[3] or 0) >= 60:
        return None
    total = int(match[1]) * 3600 + int(match[2]) * MINUTE + int(match[3] or 0)
    return total if total <= latest else None


def opening(start: int, end: int) -> Opening | None:
    """Return the opening from one time of day to another, which may be up to 48:00; None where that says nothing.

    An end in the last minute of a day is midnight; then, an end before the start is on the next day. An end at the
    start is ambiguous, nothing or a whole day, and says nothing.

    >>> opening(18 * 3600, 2 * 3600) == (18 * 3600, 26 * 3600)
    True
    """
    if end % DAY >= DAY - MINUTE:
        end += DAY - end % DAY
    if end < start:
        end += DAY
    return (start, end) if 0 <= start < DAY and start < end <= start + DAY else None


def openings(start: int, end: int) -> list[tuple[int, Opening]] | None:
    """Return what is open from a time of the first date on to another one, in seconds since its midnight.

    Up to a day long it is one opening, which may end on the next date; what is longer is cut at the midnights. Each
    comes with the number of its date, 0 for the first one. None where our rows cannot say it.
    """
    if end - start <= DAY:
        pieces = [(0, opening(start, end) if start < end else None)]
    else:
        bounds = [start, *range((start // DAY + 1) * DAY, end, DAY), end]
        pieces = [(a // DAY, opening(a % DAY, b - a // DAY * DAY)) for a, b in pairwise(bounds)]
    sayable = [(number, times) for number, times in pieces if times is not None]
    return sayable if len(sayable) == len(pieces) else None


def start_and_end(times: Opening) -> tuple[str, str]:
    """Return the two texts of a row: ``18:00`` and ``02:00``, ``00:00`` and ``24:00``."""
    start, end = times
    return time_text(start), time_text(end if end <= DAY else end - DAY)


def time_text(total: int) -> str:
    """Write seconds since midnight as ``09:30``, with seconds only where there are any."""
    text = f"{total // 3600:02}:{total // 60 % 60:02}"
    return f"{text}:{total % 60:02}" if total % 60 else text


def without(openings: list[Opening], hole: Opening) -> list[Opening]:
    """Return the openings without what lies in the hole."""
    pieces = [piece for start, end in openings for piece in ((start, min(end, hole[0])), (max(start, hole[1]), end))]
    return [(start, end) for start, end in pieces if start < end]
