"""Deadlocks, and tables that many processes make at once or that one leaves half made."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pymysql
import pytest

from tests.fixtures import tables
from tests.fixtures.commands import begin
from tests.fixtures.databases import opened, url_in
from uphours.database import locks, queue
from uphours.database.database import connect
from uphours.errors import DatabaseUnavailableError

pytestmark = [pytest.mark.slow, pytest.mark.engines("postgresql", "mysql")]

#: How many processes make a store at once, and how many are killed while they make one: somewhere in each third.
AT_ONCE = 6
MAKERS = 3


def test_whoever_loses_in_a_deadlock_is_told_to_try_again_and_the_job_is_done_once(tmp_path: Path) -> None:
    database = connect(url_in(tmp_path), keep_open=True)
    tables.load(database, tmp_path, polls=tables.POLLS)
    lost = 0
    for _ in range(4):
        with database.writing() as connection:
            job = queue.submit(connection, "load", {}, now=tables.NOW)
            held = queue.claim(connection, "w", queue.KINDS, now=tables.NOW)
            assert held is not None
        has_both = threading.Barrier(2)

        def other(job: str = job, has_both: threading.Barrier = has_both) -> bool:
            """Lock the job and then the loads, the other way round than a worker does."""
            with opened(database) as sql:
                try:
                    sql.execute("SELECT job FROM jobs WHERE job = ? FOR UPDATE", (job,))
                    has_both.wait(30)
                    sql.execute("SELECT name FROM locks WHERE name = 'loads' FOR UPDATE")
                except (psycopg.errors.DeadlockDetected, pymysql.OperationalError):
                    return True
            return False

        with ThreadPoolExecutor(1) as threads:
            beside = threads.submit(other)
            try:
                with database.writing() as connection:
                    locks.take(connection, "loads")
                    has_both.wait(30)
                    queue.finish(connection, held, now=tables.NOW)
                won = True
            except DatabaseUnavailableError as error:
                won = "eadlock" not in str(error)
            assert beside.result(60) is won
        lost += not won
        if not won:  # as a worker does: it is put back, and done again
            with database.writing() as connection:
                queue.finish(connection, held, now=tables.NOW)
        with database.reading() as connection:
            found = queue.find(connection, job)
        assert found is not None
        assert found.state == "complete"
    database.close()
    assert 0 <= lost <= 4


@pytest.mark.engines("sqlite", "postgresql", "mysql")
def test_processes_that_make_a_store_at_once_make_one(tmp_path: Path) -> None:
    url = url_in(tmp_path, fresh=True)
    processes = [begin(tmp_path, "migrate", "--db", url) for _ in range(AT_ONCE)]
    ended = [process.communicate(timeout=180) for process in processes]
    assert [process.returncode for process in processes] == [0] * AT_ONCE, ended
    said = Counter(out.decode().rpartition(" is ")[2].partition(" ")[0] for out, _ in ended)
    assert said == {"now": 1, "already": AT_ONCE - 1}
    tables.load(connect(url), tmp_path, polls=tables.POLLS)


@pytest.mark.engines("sqlite", "postgresql", "mysql")
def test_whoever_is_killed_while_making_a_store_leaves_nothing_in_the_way(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(MAKERS):
        url = url_in(tmp_path, f"{number}.db", fresh=True)
        process = begin(tmp_path, "migrate", "--db", url)
        time.sleep(0.5 + 2 * (number + chance.random()) / MAKERS)
        process.kill()
        process.communicate(timeout=60)
        database = connect(url)
        database.migrate()
        tables.load(database, tmp_path, polls=tables.POLLS)
        with database.snapshot() as fleet:
            assert fleet.store_ids == ["1", "2"]
