"""How observations are cut by time where the engine has partitions: four weeks to a part.

A load appends to the last part, a report of a recent window reads one or two, and what is older than an instant
goes away with whole parts (see `uphours.database.prune`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from uphours.schema import DAY_US, Instants

PERIOD_US: Final = 28 * DAY_US
#: Parts that are made at once at the most, about two years: one row from long ago must not make hundreds.
_MOST_AT_ONCE: Final = 26


def missing(bounds: Sequence[int], times: Instants) -> list[int]:
    """Return the bounds of the parts that are needed to hold observations of these instants, ascending.

    A part reaches from the bound of the one before, included, to its own, not included; the first one holds all
    that is earlier. ``bounds``: of the parts that are there, ascending.
    """
    if not len(times):
        return []
    last = _bound_after(int(times.max()))
    first = bounds[-1] + PERIOD_US if bounds else _bound_after(int(times.min()))
    return list(range(max(first, last - _MOST_AT_ONCE * PERIOD_US), last + 1, PERIOD_US))


def _bound_after(instant: int) -> int:
    return (instant // PERIOD_US + 1) * PERIOD_US


def name(bound: int) -> str:
    """Return the name of the part with this bound."""
    return f"observations_p{bound // PERIOD_US}"


def bound_of(part: str) -> int:
    """Return the bound of a part by its name."""
    return int(part.removeprefix("observations_p")) * PERIOD_US
