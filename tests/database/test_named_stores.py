"""Named stores are read in batches: many of them cost hardly more queries than the whole fleet, and say the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.fixtures import tables
from tests.fixtures.databases import given_back, url_in
from tests.fixtures.tables import NOW
from uphours.database.database import Database, connect
from uphours.database.dialects import server_dialect, sqlite
from uphours.errors import NotFoundError
from uphours.reports.measure import run_report
from uphours.schema import HOUR_US, instant_text

STORES = 3200


@pytest.fixture(scope="module")
def database(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A fleet that no test changes."""
    folder = tmp_path_factory.mktemp("fleet")
    polls = (f"s{n},{'in' if n % 7 else ''}active,{instant_text(NOW - n * HOUR_US // 11)}" for n in range(STORES))
    hours = (f"s{n},{n % 7},09:00,17:00" for n in range(0, STORES, 3))
    zones = (f"s{n},{'Asia/Kolkata' if n % 4 else 'UTC'}" for n in range(0, STORES, 2))
    with given_back(folder):
        made = connect(url_in(folder))
        tables.load(
            made, folder, polls=tables.table("polls", *polls), hours=tables.table("hours", *hours),
            timezones=tables.table("timezones", *zones),
        )  # fmt: skip
        yield made


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Count the queries of snapshots, whatever the engine."""
    queries: list[str] = []
    with monkeypatch.context() as patch:
        for reader in (server_dialect._Reader, sqlite._Reader):
            rows = reader.rows

            def spied(self: Any, sql: str, _rows: Any = rows, **parameters: Any) -> Any:
                queries.append(sql)
                return _rows(self, sql, **parameters)

            patch.setattr(reader, "rows", spied)
        yield queries


def reported(database: Database, names: list[str] | None) -> Any:
    with database.snapshot(names) as fleet:
        return run_report(fleet, as_of=NOW, all_stores=True).table()


def test_three_thousand_named_stores_cost_at_most_twice_the_queries_of_the_fleet(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"s{n}" for n in range(STORES) if n % 16]
    assert len(names) == 3000
    with counted(monkeypatch) as of_fleet:
        fleet = reported(database, None)
    with counted(monkeypatch) as of_named:
        named = reported(database, names)
    assert len(of_named) <= 2 * len(of_fleet), (of_fleet, [sql[:80] for sql in of_named])
    assert named.equals(fleet.filter(fleet["store_id"].is_in(names)))
    monkeypatch.setattr("uphours.database.database._NAMED_AT_ONCE", 400)  # in several batches it says the same
    assert reported(database, names).equals(named)


def test_one_unknown_store_among_many_is_named(database: Database) -> None:
    for unknown in ("nowhere", "s1 ", "S1", "s1\x00", "s\udcff", ""):
        names = [*(f"s{n}" for n in range(0, STORES, 2)), unknown]
        with pytest.raises(NotFoundError) as error, database.snapshot(names):
            pass
        assert error.value.name == unknown


def test_named_stores_have_their_whole_history(database: Database) -> None:
    with database.snapshot(["s3000", "s1", "s1600"]) as fleet:
        ((first, history),) = fleet.histories()
        assert first == 0
        assert history.times.tolist() == [NOW - int(name[1:]) * HOUR_US // 11 for name in fleet.store_ids]
