"""Reading of attributes of stores: their names, and their dated values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from uphours.database.dialects.dialect import Numbers, Reader, among

Held: TypeAlias = tuple[str, int, str, list[int]]
"""A name, valid_from in days since the epoch, a value, and the numbers of stores that have it from then on."""


def names(reader: Reader, chosen: Sequence[Numbers]) -> set[str]:
    """Return the names of the attributes that some stores have."""
    query = "SELECT DISTINCT attributes.name FROM attributes WHERE"
    return {name for stores in chosen for (name,) in reader.rows(f"{query} {among(stores)}")}


def read(reader: Reader, chosen: Sequence[Numbers], wanted: Iterable[str]) -> list[Held]:
    """Return the values that some stores have of the wanted attributes."""
    # A row for each value, not for each store: many stores share few values.
    return [
        (name, valid_from, value, list(map(int, stores.split(","))))
        for name in wanted
        for some in chosen
        for value, valid_from, stores in reader.named("attributes", some, attribute=name)
    ]
