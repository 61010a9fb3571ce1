"""The numbers by which all tables know a store; its id stands in the table of stores alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection, func, select

from uphours.database.dialects.dialect import dialect_of, parts_of
from uphours.database.tables import stores
from uphours.schema import Codes


def store_numbers(connection: Connection, store_ids: Sequence[str]) -> Codes:
    """Return the number of each store, giving new stores the next ones in order of id."""
    numbers = known_numbers(connection, store_ids)
    if new := sorted(set(store_ids) - numbers.keys()):
        last = connection.execute(select(func.coalesce(func.max(stores.c.store), 0))).scalar_one()
        added = {store_id: number for number, store_id in enumerate(new, last + 1)}
        dialect_of(connection).insert_names(connection, stores.name, [(added[name], name) for name in new])
        numbers |= added
    return np.array([numbers[store_id] for store_id in store_ids], dtype=np.int32)


def known_numbers(connection: Connection, store_ids: Sequence[str]) -> dict[str, int]:
    """Return the numbers of those of the stores that are known, by id."""
    numbers: dict[str, int] = {}
    mark = dialect_of(connection).mark
    for part in parts_of(store_ids):
        # As text: to build the same query each time takes longer than to run it.
        sql = f"SELECT store_id, store FROM stores WHERE store_id IN ({', '.join([mark] * len(part))})"
        numbers |= dict(map(tuple, connection.exec_driver_sql(sql, tuple(part))))
    return numbers
