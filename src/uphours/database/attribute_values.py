"""Reading of what stores have by value, such as attributes and time zones: many stores share few values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from uphours.database.dialects.dialect import Numbers, Reader, among
from uphours.schema import Codes

Positions: TypeAlias = Callable[[npt.NDArray[np.int64]], Codes]
"""Turns the numbers that the database gives its stores into positions."""
Row: TypeAlias = tuple[int, str, int, str]
"""Position of the store, name, valid_from in days since the epoch, and value."""


def names(reader: Reader, chosen: Sequence[Numbers]) -> set[str]:
    """Return the names of the attributes that some stores have."""
    query = "SELECT DISTINCT attributes.name FROM attributes WHERE"
    return {name for stores in chosen for (name,) in reader.rows(f"{query} {among(stores)}")}


def read(reader: Reader, chosen: Sequence[Numbers], wanted: Iterable[str], positions: Positions) -> list[Row]:
    """Return the wanted attributes of some stores, in any order."""
    return [
        (place, name, valid_from, value)
        for name in wanted
        for value, valid_from, places in by_value(reader, "attributes", chosen, positions, attribute=name)
        for place in places.tolist()
    ]


def by_value(
    reader: Reader, query: str, chosen: Sequence[Numbers], positions: Positions, **parameters: str
) -> list[tuple[str, int, Codes]]:
    """Return each value, valid_from in days since the epoch, and the stores that have it, as a named query finds them.

    A value and date may come more than once, with other stores.
    """
    held = [row for some in chosen for row in reader.named(query, some, **parameters)]
    if not held:
        return []
    # All numbers at once, and no object a store: the collector of garbage would look at all of them.
    places = positions(np.fromstring(",".join(stores for *_, stores in held), dtype=np.int64, sep=","))
    ends = np.cumsum([stores.count(",") + 1 for *_, stores in held])
    parts = np.split(places, ends[:-1])
    return [(value, valid_from, part) for (value, valid_from, _), part in zip(held, parts, strict=True)]
