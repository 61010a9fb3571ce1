"""Workers, the server, and everything at once are killed under load: what was acknowledged is there, once."""

from __future__ import annotations

import random
import time
from pathlib import Path

import psutil
import pytest

from tests.faults.clients import REPORTS, Done, Site, check_database, check_logs, check_reports, clients_at_work
from tests.faults.conftest import Fleet, latest, load
from tests.fixtures.databases import opened, url_in
from tests.fixtures.services import begin_service
from uphours.database.database import Database, connect

pytestmark = pytest.mark.slow

#: Kills of each sort. Each run draws other moments, and what differs from engine to engine shows with fewer.
KILLS = {"sqlite": 5, "postgresql": 2, "mysql": 2}
TAKEN_OVER_S = 15.0
STARTED_S = 20.0


def running_jobs(database: Database) -> list[tuple[str, int, int]]:
    """Return name, fence and process of each job that is being done."""
    with opened(database) as connection:
        found = connection.execute("SELECT job, fence, worker FROM jobs WHERE state = 'running'")
    return [(job, fence, int(worker.rpartition(":")[2])) for job, fence, worker in found]


def kill_worker(site: Site, database: Database, chance: random.Random) -> float | None:
    """Kill a worker, one that works if there is one; return after how many seconds its job was somebody else's.

    Just after a start the workers are not there yet: they are waited for.
    """
    deadline = time.monotonic() + STARTED_S
    workers = {one.pid: one for one in site.running.workers()}
    working: list[tuple[str, int, int]] = []
    while not working and time.monotonic() < deadline:
        workers = {one.pid: one for one in site.running.workers()}
        working = [one for one in running_jobs(database) if one[2] in workers]
    if not working:
        if workers:
            workers[chance.choice(sorted(workers))].kill()
        return None
    job, fence, pid = chance.choice(sorted(working))
    workers[pid].kill()
    began = time.monotonic()
    while time.monotonic() - began < 2 * TAKEN_OVER_S:
        with opened(database) as connection:
            query = "SELECT state, fence FROM jobs WHERE job = ?"
            ((state, now),) = connection.execute(query, (job,))
        if now > fence or state not in ("running", "queued"):
            break
        time.sleep(0.02)
    return time.monotonic() - began


def kill_server(site: Site) -> list[psutil.Process]:
    """Kill the server alone, and start another at once; return the workers that it left."""
    left = site.running.workers()
    site.running.process.kill()
    site.running.process.wait(30)
    site.restart()
    return left


def test_nothing_that_was_acknowledged_is_lost_or_done_twice(
    fleet: Fleet, before: Database, engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    database = connect(url_in(tmp_path))
    load(database, fleet.folder)
    as_of = latest(before)
    chance = random.Random(seed)
    site = Site(tmp_path, begin_service(tmp_path))
    site.logs.append(site.running.log)
    done = Done()
    orphans: list[psutil.Process] = []
    taken_over: list[float] = []
    sorts = ["worker", "server", "all"] * KILLS[engine]
    chance.shuffle(sorts)
    try:
        with clients_at_work(site, done, as_of):
            for sort in sorts:
                time.sleep(chance.uniform(0, 1.2))
                if sort == "worker":
                    seconds = kill_worker(site, database, chance)
                    taken_over += [] if seconds is None else [seconds]
                elif sort == "server":
                    orphans += kill_server(site)
                else:
                    site.running.kill()
                    site.restart()
        _, alive = psutil.wait_procs(orphans, timeout=15)
        assert not alive
        check_database(database, done)
        assert len(done.reports) >= REPORTS
        check_reports(site, before, done)
        check_logs(site)
    finally:
        if site.running.process.poll() is None:
            assert site.running.stop() == 0
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{len(sorts)} kills: {len(done.reports)} reports, {len(done.rows)} rows; {len(taken_over)} jobs of "
            f"killed workers taken over, the slowest after {max(taken_over, default=0):.1f} s"
        )
    assert taken_over
    assert max(taken_over) < TAKEN_OVER_S
