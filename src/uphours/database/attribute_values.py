"""Reading of attributes of stores: their names, and their dated values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from uphours.database.dialects.dialect import Numbers, Reader, among
from uphours.schema import Codes

Row: TypeAlias = tuple[int, str, int, str]
"""Position of the store, name, valid_from in days since the epoch, and value."""


def names(reader: Reader, chosen: Sequence[Numbers]) -> set[str]:
    """Return the names of the attributes that some stores have."""
    query = "SELECT DISTINCT attributes.name FROM attributes WHERE"
    return {name for stores in chosen for (name,) in reader.rows(f"{query} {among(stores)}")}


def read(
    reader: Reader,
    chosen: Sequence[Numbers],
    wanted: Iterable[str],
    positions: Callable[[npt.NDArray[np.int64]], Codes],
) -> list[Row]:
    """Return the wanted attributes of some stores, in any order; ``positions``: turns their numbers into positions."""
    # A row for each value comes from the database, not for each store: many stores share few values.
    held = [
        (name, valid_from, value, stores)
        for name in wanted
        for some in chosen
        for value, valid_from, stores in reader.named("attributes", some, attribute=name)
    ]
    # All numbers at once, and no object but the row for each store: the collector of garbage would look at all of them.
    texts = ",".join(stores for *_, stores in held)
    places = iter(positions(np.fromstring(texts, dtype=np.int64, sep=",")).tolist() if texts else ())
    return [
        (next(places), name, valid_from, value)
        for name, valid_from, value, stores in held
        for _ in range(stores.count(",") + 1)
    ]
