"""Reading of attributes of stores: their names, and their dated values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from uphours.database.dialects.dialect import Numbers, Reader, among

Row: TypeAlias = tuple[int, str, int, str]
"""Number of the store, name, valid_from in days since the epoch, and value."""


def names(reader: Reader, chosen: Sequence[Numbers]) -> set[str]:
    """Return the names of the attributes that some stores have."""
    query = "SELECT DISTINCT attributes.name FROM attributes WHERE"
    return {name for stores in chosen for (name,) in reader.rows(f"{query} {among(stores)}")}


def read(reader: Reader, chosen: Sequence[Numbers], wanted: Sequence[str] | None) -> list[Row]:
    """Return the attributes of some stores; only the wanted ones, unless that is None."""
    query = "SELECT store, attributes.name, valid_from, attributes.value FROM attributes WHERE"
    values = {f"n{place}": name for place, name in enumerate(wanted or ())}
    if wanted is not None:
        query += f" attributes.name IN ({', '.join(f':{name}' for name in values)}) AND" if wanted else " FALSE AND"
    # Not every text that a database takes for the same one is the same.
    return [
        row
        for stores in chosen
        for row in reader.rows(f"{query} {among(stores)}", **values)
        if wanted is None or row[1] in wanted
    ]
