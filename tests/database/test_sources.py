"""What is known of watched sources: files read once, failures that are tried again sooner, ticks that fire once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures import tables
from tests.fixtures.commands import environment, popen
from tests.fixtures.databases import url_in, url_of
from tests.fixtures.tables import NOW
from uphours.database import sources
from uphours.database.database import Database, connect
from uphours.database.sources import FIRST_RETRY_US, SourceState
from uphours.errors import DatabaseError
from uphours.schema import DAY_US, HOUR_US, SECOND_US


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = connect(url_in(tmp_path, "store.db"), keep_open=True)
    tables.load(made, tmp_path, polls=tables.POLLS)
    yield made
    made.close()


def visit(
    database: Database, *, name: str = "a", now: int = NOW, error: str | None = None, every: int = HOUR_US
) -> SourceState:
    with database.writing() as connection:
        return sources.record_visit(connection, name, now=now, error=error, every=every)


def record(database: Database, fingerprint: str, *, name: str = "a", now: int = NOW) -> None:
    with database.writing() as connection:
        sources.record_file(connection, name, fingerprint, f"file {fingerprint}", load=1, now=now)


def known(database: Database, name: str) -> set[str]:
    with database.reading() as connection:
        return sources.known(connection, name)


def state(database: Database, name: str = "a") -> SourceState:
    with database.reading() as connection:
        return sources.states(connection)[name]


def tick(database: Database, schedule: str, due: int) -> bool:
    with database.writing() as connection:
        return sources.tick(connection, schedule, due)


def test_nothing_is_known_of_a_source_before_the_first_visit(database: Database) -> None:
    with database.reading() as connection:
        assert sources.states(connection) == {}
    assert known(database, "a") == set()


def test_files_are_known_by_source(database: Database) -> None:
    record(database, "1")
    record(database, "2")
    record(database, "1", name="b")
    assert known(database, "a") == {"1", "2"}
    assert known(database, "b") == {"1"}


def test_a_file_is_recorded_once(database: Database) -> None:
    record(database, "1")
    with pytest.raises(DatabaseError):
        record(database, "1")
    assert state(database).files_read == 1


def test_a_file_counts_when_it_is_loaded_and_not_only_when_the_visit_ends(database: Database) -> None:
    record(database, "1", now=NOW + 1)
    assert state(database) == SourceState("a", brought_at=NOW + 1, files_read=1)
    visit(database, now=NOW + 2)
    record(database, "2", now=NOW + 3)
    assert state(database) == SourceState("a", NOW + 2, NOW + 2, NOW + 3, files_read=2)


def test_a_visit_without_news_is_a_success(database: Database) -> None:
    assert visit(database) == SourceState("a", checked_at=NOW, succeeded_at=NOW)
    record(database, "1")
    assert visit(database, now=NOW + 9) == SourceState("a", NOW + 9, NOW + 9, brought_at=NOW, files_read=1)


def test_a_failing_source_is_tried_again_after_ever_longer_up_to_its_interval(database: Database) -> None:
    waits = []
    for place in range(9):
        found = visit(database, now=NOW + place, error="no such folder")
        assert (found.failures, found.error, found.checked_at) == (place + 1, "no such folder", NOW + place)
        assert found.retry_at is not None
        waits.append((found.retry_at - NOW - place) // SECOND_US)
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_a_source_that_is_read_often_is_not_tried_later_than_usual(database: Database) -> None:
    assert visit(database, error="x", every=SECOND_US).retry_at == NOW + SECOND_US
    assert FIRST_RETRY_US == 30 * SECOND_US


def test_a_source_may_fail_for_years(database: Database) -> None:
    for _ in range(80):
        found = visit(database, error="x", every=30 * DAY_US)
    assert found.retry_at == NOW + 30 * DAY_US


def test_a_success_makes_failures_forgotten(database: Database) -> None:
    visit(database, now=NOW)
    for place in range(3):
        found = visit(database, now=NOW + 1 + place, error="x")
    assert (found.failures, found.succeeded_at) == (3, NOW)
    assert visit(database, now=NOW + 9) == SourceState("a", NOW + 9, NOW + 9)
    again = visit(database, now=NOW + 10, error="x")
    assert (again.failures, again.retry_at) == (1, NOW + 10 + FIRST_RETRY_US)


def test_sources_fail_each_on_its_own(database: Database) -> None:
    visit(database, error="x")
    visit(database, name="b")
    assert (state(database).failures, state(database, "b").failures) == (1, 0)


def test_a_tick_fires_once(database: Database) -> None:
    assert [tick(database, "expire", due) for due in (NOW, NOW, NOW + 1, NOW)] == [True, False, True, False]
    assert tick(database, "source a", NOW)


_TICKING = """
import sys
from uphours.database import sources
from uphours.database.database import connect
store = connect(sys.argv[1], keep_open=True)
for due in range(40):
    with store.writing() as connection:
        if sources.tick(connection, "expire", due):
            print(due)
"""


def test_a_tick_fires_once_among_many_processes(database: Database) -> None:
    words = [sys.executable, "-c", _TICKING, url_of(database)]
    processes = [popen(words, env=environment(), stdout=subprocess.PIPE) for _ in range(4)]
    printed = b"".join(process.communicate(timeout=120)[0] for process in processes)
    assert [process.returncode for process in processes] == [0] * 4
    assert sorted(map(int, printed.split())) == list(range(40))


def test_old_ticks_are_forgotten_but_not_the_last_of_a_schedule(database: Database) -> None:
    for due in (1, 2, 3):
        tick(database, "often", due)
    tick(database, "seldom", 1)
    with database.writing() as connection:
        sources.forget_ticks(connection, before=3)
    assert [tick(database, "often", due) for due in (1, 2, 3)] == [True, True, False]
    assert not tick(database, "seldom", 1)  # its time has not passed yet: it must not fire again
