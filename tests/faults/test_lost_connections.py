"""The database server is killed, and connections are dropped: nothing acknowledged is lost, no process ends."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pymysql
import pytest

from tests.faults.clients import Done, Site, check_database, check_reports, clients_at_work
from tests.faults.conftest import Fleet, latest, load
from tests.fixtures.databases import opened, url_in, url_of
from tests.fixtures.own_servers import KINDS, OwnServer, own_server
from tests.fixtures.services import begin_service, in_time
from uphours.database.database import Database, connect

pytestmark = [pytest.mark.slow, pytest.mark.engines("postgresql", "mysql")]

#: The server is killed so often while a load is being done, and so often while a report is; and so often connections
#: are dropped. Each run draws other moments, and `make soak` draws them for an hour.
KILLS = 5
CUTS = 25


@pytest.fixture
def server(engine: str) -> Iterator[OwnServer]:
    with own_server(KINDS[engine]) as made:
        made.start()
        yield made


def family(site: Site) -> list[int]:
    return sorted([site.running.process.pid, *(one.pid for one in site.running.workers())])


def doing(database: Database, kind: str, seconds: float = 60) -> bool:
    """Wait for a job of a kind to be done just now; it may be over within milliseconds. Say whether it was in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(psycopg.Error, pymysql.Error), opened(database) as sql:
            while time.monotonic() < deadline:
                if sql.execute("SELECT 1 FROM jobs WHERE state = 'running' AND kind = ?", (kind,)):
                    return True
                time.sleep(0.002)
    return False


def disturbed(database: Database, fleet: Fleet, before: Database, tmp_path: Path, disturb: Callable[[], None]) -> None:
    """Let clients work while something happens to the database; then all must be there, and the same processes."""
    load(database, fleet.folder)
    site = Site(tmp_path, begin_service(tmp_path, database_url=url_of(database)))
    site.logs.append(site.running.log)
    assert in_time(lambda: len(site.running.workers()) == 2)
    processes, done = family(site), Done()
    as_of = latest(before)
    try:
        with clients_at_work(site, done, as_of, reports=12, ingests=12):
            disturb()
        assert family(site) == processes
        check_database(database, done)
        check_reports(site, before, done)
        assert "Traceback" not in site.running.log.read_text()
        assert '"level": "error"' not in site.running.log.read_text()
    finally:
        assert site.running.stop() == 0


def test_a_server_that_is_killed_loses_nothing_and_is_found_again(
    fleet: Fleet, server: OwnServer, before: Database, tmp_path: Path, seed: int
) -> None:
    database = connect(server.url)
    chance, hits = random.Random(seed), Counter[str]()

    def kill_and_start() -> None:
        for kind in ["load", "report"] * KILLS:
            assert doing(database, kind), f"no {kind} is being done"
            time.sleep(chance.uniform(0, 0.05))
            server.kill()
            hits[kind] += 1
            time.sleep(chance.uniform(0, 1))
            server.start()

    disturbed(database, fleet, before, tmp_path, kill_and_start)
    assert hits == {"load": KILLS, "report": KILLS}


def test_connections_that_are_dropped_lose_nothing(fleet: Fleet, before: Database, tmp_path: Path, seed: int) -> None:
    database = connect(url_in(tmp_path))
    chance, cuts = random.Random(seed), 0

    def cut() -> None:
        nonlocal cuts
        for _ in range(CUTS):
            time.sleep(chance.uniform(0, 0.6))
            cuts += drop_connections(database)

    disturbed(database, fleet, before, tmp_path, cut)
    assert cuts > CUTS


def drop_connections(database: Database) -> int:
    """End every connection to a database but our own; return how many there were."""
    with opened(database) as sql:
        if sql.engine == "postgresql":
            mine = "datname = current_database() AND pid <> pg_backend_pid()"
            return len(sql.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}"))
        mine = "db = database() AND id <> connection_id()"
        found = sql.execute(f"SELECT id FROM information_schema.processlist WHERE {mine}")
        for (connection,) in found:
            with suppress(pymysql.Error):  # it has ended meanwhile
                sql.execute(f"KILL {connection}")
        return len(found)
