"""The days on which polls were made are known, whoever loads, prunes or migrates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storepulse import ingest
from storepulse.schema import DAY_US, instant_text, instant_us
from storepulse.store import Store, connect, days
from storepulse.store.engines.partitions import PERIOD_US
from storepulse.store.loads import write_each
from storepulse.store.retention import prune
from tests.fixtures import tables
from tests.fixtures.databases import opened, url_in
from tests.fixtures.tables import NOW, VERSION

JANUARY = instant_us("2023-01-01") // DAY_US


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return connect(url_in(tmp_path, "store.db"))


def known(store: Store, first: int = 0, last: int = 100_000) -> Sequence[int]:
    with store.reading() as connection:
        return days.polled(connection, first, last)


def load(store: Store, folder: Path, *instants: str) -> None:
    rows = (f"{place % 3},active,{at}" for place, at in enumerate(instants))
    tables.load(store, folder, polls=tables.table("polls", *rows))


def of(*dates: int) -> list[int]:
    """Return days of January 2023."""
    return [JANUARY + date - 1 for date in dates]


def test_a_load_adds_the_days_of_its_rows(store: Store, tmp_path: Path) -> None:
    load(store, tmp_path, "2023-01-03 00:00:00 UTC", "2023-01-03 23:59:59.999999 UTC", "2023-01-05 00:00:00 UTC")
    assert known(store) == of(3, 5)
    load(store, tmp_path, "2023-01-04 12:00:00 UTC", "2023-01-05 12:00:00 UTC")
    assert known(store) == of(3, 4, 5)
    assert known(store, *of(4, 5)) == of(4, 5)
    assert known(store, *of(6, 9)) == []


def test_rows_that_were_set_aside_hours_and_zones_add_none(store: Store, tmp_path: Path) -> None:
    tables.load(store, tmp_path, hours=tables.HOURS, timezones=tables.TIMEZONES)
    tables.load(store, tmp_path, polls=tables.table("polls", "1,activ,2023-01-03 00:00:00 UTC"))
    assert known(store) == []


def test_posts_that_are_committed_together_add_the_days_of_all(store: Store) -> None:
    rows = [
        {"store_id": "1", "status": "active", "timestamp_utc": f"2023-01-0{date}T10:00:00Z"} for date in (2, 2, 4, 2)
    ]
    loaded = ingest.read_rows(rows, name="rows", now=NOW, version=VERSION)
    for _ in range(2):  # what is known already changes nothing
        with store.writing() as connection:
            write_each(connection, loaded, np.arange(4, dtype=np.int32), 4)
        assert known(store) == of(2, 4)


def test_a_load_that_fails_adds_none(store: Store, tmp_path: Path) -> None:
    load(store, tmp_path, "2023-01-03 00:00:00 UTC")
    loaded = tables.read(tmp_path, "polls", tables.table("polls", "1,active,2023-01-09 00:00:00 UTC"))

    def fail() -> None:
        with store.writing() as connection:
            write_each(connection, loaded, np.zeros(1, dtype=np.int32), 1)
            raise ValueError("after it was written")

    with pytest.raises(ValueError, match="after it was written"):
        fail()
    assert known(store) == of(3)


def test_pruning_forgets_the_days_before_its_instant_and_keeps_the_one_that_it_is_in(
    store: Store, tmp_path: Path
) -> None:
    load(store, tmp_path, *(f"2023-01-0{date} 10:00:00 UTC" for date in range(1, 9)))
    prune(store, instant_us("2023-01-04 09:00"), now=NOW, actor="me")
    assert known(store) == of(4, 5, 6, 7, 8)
    prune(store, instant_us("2023-01-05"), now=NOW, actor="me")
    assert known(store) == of(5, 6, 7, 8)
    load(store, tmp_path, "2023-01-02 10:00:00 UTC")  # whoever loads it again knows it again
    assert known(store) == of(2, 5, 6, 7, 8)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(loads=st.lists(st.lists(st.integers(NOW - 3 * PERIOD_US, NOW), min_size=1, max_size=40), min_size=1, max_size=4))
def test_the_days_are_those_of_the_observations(
    tmp_path_factory: pytest.TempPathFactory, loads: list[list[int]]
) -> None:
    folder = tmp_path_factory.mktemp("days")
    store = connect(url_in(folder, "store.db"))
    for instants in loads:
        load(store, folder, *map(instant_text, instants))
    assert known(store) == sorted({at // DAY_US for instants in loads for at in instants})


def back_to_0003(store: Store) -> None:
    """Leave a store as the step before left it."""
    with opened(store) as database:
        database.execute("DROP TABLE polled_days")
        database.execute("UPDATE alembic_version SET version_num = '0003'")


def test_a_store_of_before_learns_its_days_from_its_observations(store: Store, tmp_path: Path) -> None:
    load(store, tmp_path, *(f"2023-01-0{date} 10:00:00 UTC" for date in (1, 2, 5)), "2022-06-01 23:59:59.999999 UTC")
    expected = known(store)
    assert len(expected) == 4
    back_to_0003(store)
    assert connect(url_in(tmp_path, "store.db")).migrate()
    assert known(store) == expected


def test_a_store_that_was_pruned_learns_only_the_days_from_then_on(store: Store, tmp_path: Path) -> None:
    load(store, tmp_path, *(f"2023-01-0{date} 10:00:00 UTC" for date in range(1, 9)))
    prune(store, instant_us("2023-01-05"), now=NOW, actor="me")
    back_to_0003(store)
    assert connect(url_in(tmp_path, "store.db")).migrate()
    assert known(store) == of(5, 6, 7, 8)


def test_a_step_that_was_broken_off_is_taken_again(store: Store, tmp_path: Path) -> None:
    load(store, tmp_path, "2023-01-03 00:00:00 UTC")
    with opened(store) as database:  # as MySQL leaves it, where a change of tables ends the transaction
        database.execute("DELETE FROM polled_days")
        database.execute("UPDATE alembic_version SET version_num = '0003'")
    assert connect(url_in(tmp_path, "store.db")).migrate()
    assert known(store) == of(3)
