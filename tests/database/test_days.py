"""The days on which polls were made are known, whoever loads, prunes or migrates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fixtures import tables
from tests.fixtures.databases import opened, url_in
from tests.fixtures.tables import NOW
from uphours.database import polled_days
from uphours.database.database import Database, connect
from uphours.database.dialects.time_partitions import PERIOD_US
from uphours.database.loads import write_each
from uphours.database.prune import prune
from uphours.ingest.load import read_rows
from uphours.schema import DAY_US, HOUR_US, instant_text, instant_us

JANUARY = instant_us("2023-01-01") // DAY_US
#: Few enough to come again, in one load and in several.
TIMES = [NOW - hours * HOUR_US for hours in (1, 2, 13, 25, 26, 49)]


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return connect(url_in(tmp_path, "store.db"))


def known(database: Database, first: int = 0, last: int = 100_000) -> Sequence[int]:
    with database.reading() as connection:
        return [*polled_days.polled(connection, first, last)]


def counted(database: Database) -> dict[int, int]:
    with database.reading() as connection:
        return polled_days.polled(connection, 0, 100_000)


def load(database: Database, folder: Path, *instants: str) -> None:
    rows = (f"{place % 3},active,{at}" for place, at in enumerate(instants))
    tables.load(database, folder, polls=tables.table("polls", *rows))


def of(*dates: int) -> list[int]:
    """Return days of January 2023."""
    return [JANUARY + date - 1 for date in dates]


def test_a_load_adds_the_days_of_its_rows(database: Database, tmp_path: Path) -> None:
    load(database, tmp_path, "2023-01-03 00:00:00 UTC", "2023-01-03 23:59:59.999999 UTC", "2023-01-05 00:00:00 UTC")
    assert known(database) == of(3, 5)
    load(database, tmp_path, "2023-01-04 12:00:00 UTC", "2023-01-05 12:00:00 UTC")
    assert known(database) == of(3, 4, 5)
    assert known(database, *of(4, 5)) == of(4, 5)
    assert known(database, *of(6, 9)) == []


def test_days_that_are_loaded_again_keep_their_counts_whatever_of_them_is_new(
    database: Database, tmp_path: Path
) -> None:
    dates = range(2, 7)
    load(database, tmp_path, *(f"2023-01-0{date} 10:00:00 UTC" for date in dates))
    load(database, tmp_path, *(f"2023-01-0{date} 10:00:00 UTC" for date in dates))
    assert counted(database) == dict.fromkeys(of(*dates), 1)
    # As many polls of each day as are there, but one of them at another time.
    load(database, tmp_path, *(f"2023-01-0{date} 1{date == 4:d}:00:00 UTC" for date in dates))
    assert counted(database) == dict.fromkeys(of(*dates), 1) | {of(4)[0]: 2}


def test_rows_that_were_set_aside_hours_and_zones_add_none(database: Database, tmp_path: Path) -> None:
    tables.load(database, tmp_path, hours=tables.HOURS, timezones=tables.TIMEZONES)
    assert known(database) == []
    rows = ("1,activ,2023-01-03 00:00:00 UTC", "1,active,2023-01-05 00:00:00 UTC")
    assert tables.load(database, tmp_path, polls=tables.table("polls", *rows)).quarantined == 1
    assert known(database) == of(5)


def test_posts_that_are_committed_together_add_the_days_of_all(database: Database) -> None:
    rows = [
        {"store_id": "1", "status": "active", "timestamp_utc": f"2023-01-0{date}T10:00:00Z"} for date in (2, 2, 4, 2)
    ]
    loaded = read_rows(rows, name="rows", now=NOW)
    for _ in range(2):  # what is known already changes nothing
        with database.writing() as connection:
            write_each(connection, loaded, np.arange(4, dtype=np.int32), 4)
        assert counted(database) == dict(zip(of(2, 4), (1, 1), strict=True))


def test_a_load_that_fails_adds_none(database: Database, tmp_path: Path) -> None:
    load(database, tmp_path, "2023-01-03 00:00:00 UTC")
    loaded = tables.read(tmp_path, "polls", tables.table("polls", "1,active,2023-01-09 00:00:00 UTC"))

    def fail() -> None:
        with database.writing() as connection:
            write_each(connection, loaded, np.zeros(1, dtype=np.int32), 1)
            raise ValueError("after it was written")

    with pytest.raises(ValueError, match="after it was written"):
        fail()
    assert known(database) == of(3)


def test_pruning_forgets_the_days_before_its_instant_and_keeps_the_one_that_it_is_in(
    database: Database, tmp_path: Path
) -> None:
    load(database, tmp_path, *(f"2023-01-0{date} 10:00:00 UTC" for date in range(1, 9)))
    prune(database, instant_us("2023-01-04 09:00"), now=NOW, actor="me")
    assert known(database) == of(4, 5, 6, 7, 8)
    prune(database, instant_us("2023-01-05"), now=NOW, actor="me")
    assert known(database) == of(5, 6, 7, 8)
    load(database, tmp_path, "2023-01-02 10:00:00 UTC")  # whoever loads it again knows it again
    assert known(database) == of(2, 5, 6, 7, 8)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    loads=st.lists(
        st.lists(st.one_of(st.sampled_from(TIMES), st.integers(NOW - 3 * PERIOD_US, NOW)), min_size=1, max_size=40),
        min_size=1,
        max_size=4,
    )
)
def test_the_days_and_their_polls_are_those_of_the_observations(
    tmp_path_factory: pytest.TempPathFactory, loads: list[list[int]]
) -> None:
    folder = tmp_path_factory.mktemp("days")
    database = connect(url_in(folder, "store.db"))
    for instants in loads:
        load(database, folder, *map(instant_text, instants))
    observed = {(place % 3, at) for instants in loads for place, at in enumerate(instants)}
    expected = Counter(at // DAY_US for _, at in observed)
    assert counted(database) == expected
    back_to_0003(database)
    assert connect(url_in(folder, "store.db")).migrate()
    assert counted(database) == expected


def back_to_0003(database: Database) -> None:
    """Leave a store as the step before left it."""
    with opened(database) as sql:
        sql.execute("DROP TABLE polled_days")
        sql.execute("UPDATE alembic_version SET version_num = '0003'")


def test_a_store_of_before_learns_its_days_from_its_observations(database: Database, tmp_path: Path) -> None:
    load(database, tmp_path, *(f"2023-01-0{date} 10:00:00 UTC" for date in (1, 2, 5)), "2022-06-01 23:59:59.999999 UTC")
    expected = known(database)
    assert len(expected) == 4
    back_to_0003(database)
    assert connect(url_in(tmp_path, "store.db")).migrate()
    assert known(database) == expected


def test_a_store_that_was_pruned_learns_only_the_days_from_then_on(database: Database, tmp_path: Path) -> None:
    load(database, tmp_path, *(f"2023-01-0{date} 10:00:00 UTC" for date in range(1, 9)))
    prune(database, instant_us("2023-01-05"), now=NOW, actor="me")
    back_to_0003(database)
    assert connect(url_in(tmp_path, "store.db")).migrate()
    assert known(database) == of(5, 6, 7, 8)


def test_a_step_that_was_broken_off_is_taken_again(database: Database, tmp_path: Path) -> None:
    load(database, tmp_path, "2023-01-03 00:00:00 UTC")
    with opened(database) as sql:  # as MySQL leaves it, where a change of tables ends the transaction
        sql.execute("DELETE FROM polled_days")
        sql.execute("UPDATE alembic_version SET version_num = '0003'")
    assert connect(url_in(tmp_path, "store.db")).migrate()
    assert known(database) == of(3)
