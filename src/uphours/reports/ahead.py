"""A latest observation that lies after the clock: one poll moves the instant that everything speaks for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from uphours.schema import DAY_US, HOUR_US, MINUTE_US, SECOND_US, Fleet

if TYPE_CHECKING:
    from uphours.wire import view_messages

#: Stores that are named; the others are counted.
_NAMED: Final = 5
_UNITS: Final = ((DAY_US, "d"), (HOUR_US, "h"), (MINUTE_US, "min"), (SECOND_US, "s"))


@dataclass(frozen=True)
class Ahead:
    """By how much the latest observation is ahead of the clock, microseconds, and which stores have such observations.

    ``stores``: the first ones in order of text. ``more``: how many others there are.
    """

    by_us: int
    stores: tuple[str, ...]
    more: int

    @staticmethod
    def of(as_of: int, now: int, stores: Iterable[str]) -> Ahead:
        """Return how far ``as_of`` is ahead of ``now``, at these stores."""
        names = sorted(stores)
        return Ahead(as_of - now, tuple(names[:_NAMED]), len(names[_NAMED:]))

    def facts(self) -> view_messages.Ahead:
        """Return it as plain values."""
        return {"by_us": self.by_us, "stores": list(self.stores), "more": self.more}

    @staticmethod
    def from_facts(facts: dict[str, Any] | None) -> Ahead | None:
        """Return what has these facts."""
        return None if facts is None else Ahead(facts["by_us"], tuple(facts["stores"]), facts["more"])

    def __str__(self) -> str:
        at = f", at {', '.join(self.stores)}" if self.stores else ""
        more = f" and {self.more:,} more" if self.more else ""
        return f"the latest observation is {_in_words(self.by_us)} ahead of this machine's clock{at}{more}"


def ahead(fleet: Fleet, as_of: int, now: int) -> Ahead | None:
    """Return how far the latest observation of a fleet, ``as_of``, is ahead of the clock; None where it is not.

    Both UTC microseconds. Of a fleet that is narrowed down to some stores, only these are named.
    """
    if as_of <= now:
        return None
    last = fleet.observations(as_of, as_of, as_of)  # of each store the last one at or before
    counts = np.diff(last.offsets)
    stores = np.flatnonzero(counts > 0)
    late = stores[last.times[last.offsets[1:][stores] - 1] > now]
    return Ahead.of(as_of, now, [fleet.store_ids[store] for store in late.tolist()])


def _in_words(us: int) -> str:
    """Write a duration in its two largest units: ``20 h 3 min``."""
    for place, (unit, name) in enumerate(_UNITS):
        if us >= unit:
            smaller = _UNITS[place + 1 : place + 2]
            rest = "".join(f" {us % unit // size} {other}" for size, other in smaller if us % unit >= size)
            return f"{us // unit:,} {name}{rest}"
    return "less than 1 s"
