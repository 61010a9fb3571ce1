"""The database server is killed, drops connections, keeps locks: nothing acknowledged is lost, no process ends."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pymysql
import pytest

from tests.faults.clients import Done, Site, check_database, check_reports, clients_at_work
from tests.faults.conftest import Fleet, load
from tests.fixtures import tables
from tests.fixtures.commands import COMMAND, begin, environment
from tests.fixtures.databases import opened, settings_in, url_in
from tests.fixtures.own_servers import KINDS, OwnServer, own_server
from tests.fixtures.services import begin_service, finished, in_time
from uphours.database import locks, queue
from uphours.database.database import Database, connect
from uphours.errors import DatabaseUnavailableError

pytestmark = [pytest.mark.slow, pytest.mark.engines("postgresql", "mysql")]

#: The server is killed so often while a load is being done, and so often while a report is.
KILLS = 5
CUTS = 25
LOCKED_S = 62.0


@pytest.fixture
def server(engine: str) -> Iterator[OwnServer]:
    with own_server(KINDS[engine]) as made:
        made.start()
        yield made


@pytest.fixture
def as_of(fleet: Fleet, tmp_path: Path) -> int:
    """Load the fleet into a store that nothing disturbs; return the instant of its reports."""
    before = connect(url_in(tmp_path, "before.db"))
    load(before, fleet.folder)
    with before.snapshot() as seen:
        found = seen.latest_observation()
    assert found is not None
    return found


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


def disturbed(database: Database, fleet: Fleet, tmp_path: Path, as_of: int, disturb: Callable[[], None]) -> None:
    """Let clients work while something happens to the database; then all must be there, and the same processes."""
    load(database, fleet.folder)
    site = Site(tmp_path, begin_service(tmp_path, database_url=url_of_all(database)))
    site.logs.append(site.running.log)
    assert in_time(lambda: len(site.running.workers()) == 2)
    before, done = family(site), Done()
    try:
        with clients_at_work(site, done, as_of, reports=12, ingests=12):
            disturb()
        assert family(site) == before
        check_database(database, done)
        check_reports(site, connect(url_in(tmp_path, "before.db")), done)
        assert "Traceback" not in site.running.log.read_text()
        assert '"level": "error"' not in site.running.log.read_text()
    finally:
        assert site.running.stop() == 0


def url_of_all(database: Database) -> str:
    """Return the URL of a store, its password included."""
    engine: Any = database.engine
    made: str = engine._url.set(drivername=engine.name).render_as_string(hide_password=False)
    return made


def test_a_server_that_is_killed_loses_nothing_and_is_found_again(
    fleet: Fleet, server: OwnServer, tmp_path: Path, as_of: int, seed: int
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

    disturbed(database, fleet, tmp_path, as_of, kill_and_start)
    assert hits == {"load": KILLS, "report": KILLS}


def test_connections_that_are_dropped_lose_nothing(fleet: Fleet, tmp_path: Path, as_of: int, seed: int) -> None:
    database = connect(url_in(tmp_path))
    chance, cuts = random.Random(seed), 0

    def cut() -> None:
        nonlocal cuts
        for _ in range(CUTS):
            time.sleep(chance.uniform(0, 0.6))
            cuts += drop_connections(database)

    disturbed(database, fleet, tmp_path, as_of, cut)
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


def test_a_lock_that_somebody_keeps_for_a_minute_is_waited_for(tmp_path: Path) -> None:
    database = connect(url_in(tmp_path))
    tables.load(database, tmp_path, polls=tables.POLLS)
    running = begin_service(tmp_path)
    try:
        with running.client(headers={"Idempotency-Key": "before"}) as client:
            first = client.post("/v1/reports").json()["id"]
            assert finished(client, first)["state"] == "complete"
        pids = [one.pid for one in running.workers()]
        holding, ends = threading.Event(), threading.Event()
        holder = threading.Thread(target=hold_jobs, args=[database, holding, ends])
        holder.start()
        assert holding.wait(30)
        try:
            with running.client() as client:
                assert client.get("/healthz").status_code == 200
                began = time.monotonic()
                # Asked as a client asks that must not lose anything.
                with ThreadPoolExecutor(1) as threads:
                    asking = threads.submit(ask_until_answered, running.url)
                    time.sleep(LOCKED_S - (time.monotonic() - began))
                    ends.set()
                    report = asking.result(120)
        finally:
            ends.set()
            holder.join()
        with running.client() as client:
            assert finished(client, report, 120)["state"] == "complete"
        assert [one.pid for one in running.workers()] == pids
        assert "Traceback" not in running.log.read_text()
    finally:
        assert running.stop() == 0


def ask_until_answered(url: str) -> str:
    with httpx.Client(base_url=url, timeout=180) as client:
        while True:
            answer = client.post("/v1/reports", json={"all_stores": True}, headers={"Idempotency-Key": "during"})
            if answer.status_code == 202:
                found: str = answer.json()["id"]
                return found
            assert answer.status_code == 503
            time.sleep(0.5)


def hold_jobs(database: Database, holding: threading.Event, ends: threading.Event) -> None:
    """Keep everybody from the jobs, as a careless person at a console may."""
    with opened(database) as sql:
        if sql.engine == "postgresql":
            sql.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
        else:
            sql.execute("LOCK TABLES jobs WRITE")
        holding.set()
        ends.wait(120)


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
def test_ten_processes_that_make_a_store_at_once_make_one(tmp_path: Path) -> None:
    url = url_in(tmp_path, fresh=True)
    processes = [begin(tmp_path, "migrate", "--db", url) for _ in range(10)]
    ended = [process.communicate(timeout=180) for process in processes]
    assert [process.returncode for process in processes] == [0] * 10, ended
    said = Counter(out.decode().rpartition(" is ")[2].partition(" ")[0] for out, _ in ended)
    assert said == {"now": 1, "already": 9}
    tables.load(connect(url), tmp_path, polls=tables.POLLS)


@pytest.mark.engines("sqlite", "postgresql", "mysql")
def test_whoever_is_killed_while_making_a_store_leaves_nothing_in_the_way(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(6):
        url = url_in(tmp_path, f"{number}.db", fresh=True)
        process = begin(tmp_path, "migrate", "--db", url)
        time.sleep(chance.uniform(0.5, 2.5))
        process.kill()
        process.communicate(timeout=60)
        database = connect(url)
        database.migrate()
        tables.load(database, tmp_path, polls=tables.POLLS)
        with database.snapshot() as fleet:
            assert fleet.store_ids == ["1", "2"]


# --- many processes ---------------------------------------------------------------------------------------

JOBS = 200
WORKERS = 4
KILL_EVERY_S = 5.0


def begin_worker(folder: Path, number: int) -> psutil.Popen:
    with (folder / f"worker-{number}.log").open("ab") as log:
        return psutil.Popen([*COMMAND, "worker"], cwd=folder, env=environment(**settings_in(folder)), stderr=log)


@pytest.mark.engines("postgresql")
def test_four_workers_and_two_services_do_two_hundred_jobs_once_each(tmp_path: Path, seed: int) -> None:
    database = connect(url_in(tmp_path))
    rows = [
        f"s{shop},active,2023-01-2{day} {hour:02}:00:00 UTC"
        for shop in range(300)
        for day in (3, 4)
        for hour in range(9)
    ]
    tables.load(database, tmp_path, polls=tables.table("polls", *rows))
    services = [begin_service(tmp_path, workers="0", queue_limit="1000") for _ in range(2)]
    workers = {number: begin_worker(tmp_path, number) for number in range(WORKERS)}
    chance, ends = random.Random(seed), threading.Event()
    kills = 0

    def kill() -> None:
        nonlocal kills
        while not ends.wait(KILL_EVERY_S):
            number = chance.randrange(WORKERS)
            workers[number].kill()
            workers[number].wait(30)
            workers[number] = begin_worker(tmp_path, number)
            kills += 1

    def ask(number: int) -> tuple[str, str]:
        with services[number % 2].client() as client:
            if number % 4:
                at = f"2023-01-24T{number % 24:02}:{number % 60:02}:00Z"
                body: dict[str, Any] = {"as_of": at, "windows": ["last_week", "last_day"], "interpolation": "nearest"}
                if number % 3:
                    body["stores"] = [f"s{number}"]
                return "reports", client.post("/v1/reports", json=body).raise_for_status().json()["id"]
            csv = tables.table("polls", f"n{number},active,2023-01-24 10:00:00 UTC")
            headers = {"Content-Type": "text/csv", "Prefer": "respond-async"}
            answer = client.post("/v1/observations", content=csv, headers=headers).raise_for_status()
            return "jobs", answer.json()["id"]

    killing = threading.Thread(target=kill)
    killing.start()
    try:
        with ThreadPoolExecutor(8) as threads:
            asked = list(threads.map(ask, range(JOBS)))
        with services[0].client() as client:

            def unfinished() -> list[dict[str, Any]]:
                states = [client.get(f"/v1/{kind}/{name}").raise_for_status().json() for kind, name in asked]
                return [state for state in states if state["finished_at"] is None]

            assert in_time(lambda: not unfinished(), 300)
            assert {client.get(f"/v1/{kind}/{name}").json()["state"] for kind, name in asked} == {"complete"}
    finally:
        ends.set()
        killing.join()
        for worker in workers.values():
            worker.terminate()
        ended = [worker.wait(30) for worker in workers.values()]
        codes = [service.stop() for service in services]
    assert codes == [0, 0]
    assert set(ended) <= {0, -signal.SIGTERM}  # the one that was just being started has no idea yet how to leave
    assert kills >= 1
    with opened(database) as sql:
        results = Counter(job for (job,) in sql.execute("SELECT job FROM results WHERE part = 0"))
        done = Counter(kind for (kind,) in sql.execute("SELECT kind FROM jobs WHERE state = 'complete'"))
        loads = sql.execute("SELECT count(*), count(DISTINCT load) FROM jobs WHERE kind = 'load'")
        written = sql.execute("SELECT count(*) FROM audit WHERE action = 'load'")
        stores = sql.execute("SELECT count(*) FROM stores WHERE store_id LIKE 'n%'")
    assert sum(results.values()) == len(results) == done["report"]
    assert loads == [(JOBS // 4, JOBS // 4)]
    assert written == [(JOBS // 4,)]
    assert stores == [(JOBS // 4,)]
    for log in tmp_path.glob("*.log"):
        assert "Traceback" not in log.read_text(), log


def test_two_schedulers_fire_each_tick_once(tmp_path: Path) -> None:
    database = connect(url_in(tmp_path))
    tables.load(database, tmp_path, polls=tables.POLLS)
    folder = tmp_path / "incoming"
    folder.mkdir()
    services = [begin_service(tmp_path, "--watch", str(folder), "--every", "1s") for _ in range(2)]
    try:
        time.sleep(8)
    finally:
        codes = [service.stop() for service in services]
    assert codes == [0, 0]
    with opened(database) as sql:
        ticks = sql.execute("SELECT schedule, due_at FROM ticks WHERE schedule LIKE 'source %'")
        visits = sql.execute("SELECT count(*) FROM jobs WHERE kind = 'source'")
    assert len(ticks) == len(set(ticks)) > 2
    assert visits[0][0] <= len(ticks)
