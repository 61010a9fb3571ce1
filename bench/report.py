"""Reports from a database: against a bare read of its rows, of named stores, and with a year of history."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import adbc_driver_manager
import adbc_driver_sqlite
import polars as pl

from bench.fleet import Fleet, report
from bench.results import Figure, Row, compare, main, median_ms, of_medians, side
from uphours.database.database import connect
from uphours.database.dialects import sqlite
from uphours.kernel.policy import Policy
from uphours.reports.explain import explain
from uphours.reports.measure import latest_instant


def in_process(fleet: Fleet) -> list[Row]:
    def read() -> None:
        with (
            adbc_driver_sqlite.connect(str(fleet.path)) as opened,
            adbc_driver_manager.AdbcConnection(opened) as connection,
        ):
            for query in (
                "SELECT store, observed_at, status FROM observations",
                "SELECT * FROM business_hours",
                "SELECT * FROM timezones",
                "SELECT * FROM stores",
            ):
                with adbc_driver_manager.AdbcStatement(connection) as statement:
                    statement.set_sql_query(query)
                    pl.DataFrame(statement.execute_query()[0])

    name = f"report of {fleet.stores:,} stores from the database, in process"
    ours = side(lambda: report(fleet.database))
    return [compare(name, "bare read of its rows", ours, side(read), at_most=1.1, pairs=fleet.pairs(7))]


def named_stores(fleet: Fleet) -> list[Row]:
    some = fleet.store_ids[:: max(1, fleet.stores // 3000)][:3000]
    name = f"{len(some):,} named stores"

    def queries(store_ids: list[str] | None) -> int:
        with counted() as sent:
            report(fleet.database, store_ids)
        return len(sent)

    return [
        compare(
            name, "whole fleet", side(lambda: report(fleet.database, some)), side(lambda: report(fleet.database)),
            at_most=2, pairs=fleet.pairs(7),
        ),
        of_medians(name, "whole fleet", "queries", queries(some), queries(None), 2),
    ]  # fmt: skip


@contextmanager
def counted() -> Iterator[list[str]]:
    """Collect the queries that snapshots of SQLite send during a block."""
    sent: list[str] = []
    rows = sqlite._Reader.rows

    def spied(reader: Any, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        sent.append(sql)
        return rows(reader, sql, **parameters)

    with patch.object(sqlite._Reader, "rows", spied):
        yield sent


def year(fleet: Fleet) -> list[Row]:
    history = connect(f"sqlite:///{fleet.year}")
    ours, yardstick = side(lambda: report(history)), side(lambda: report(fleet.database))
    compared = compare("a year of history", "eight days", ours, yardstick, at_most=1.05, pairs=fleet.pairs(7))
    one = fleet.store_ids[fleet.stores // 2]

    def explained() -> None:
        with history.snapshot([one]) as stores:
            explain(stores, as_of=latest_instant(stores), window="last_day", policy=Policy())

    explained()
    took = median_ms(explained, fleet.pairs(9))
    return [compared, Figure("explain one store with a year of history", took, "ms", 50)]


SECTIONS = {"report": in_process, "named stores": named_stores, "year": year}

if __name__ == "__main__":
    main(SECTIONS, __doc__)
