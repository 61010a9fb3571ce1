"""Many workers, services and schedulers on one database: each job is done once, each tick fires once."""

from __future__ import annotations

import random
import signal
import subprocess
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures import tables
from tests.fixtures.commands import begin
from tests.fixtures.databases import opened, url_in
from tests.fixtures.services import begin_service, in_time
from uphours.database.database import connect

pytestmark = [pytest.mark.slow, pytest.mark.engines("postgresql", "mysql")]

JOBS = 200
WORKERS = 4
KILL_EVERY_S = 5.0


def begin_worker(folder: Path, number: int) -> subprocess.Popen[bytes]:
    with (folder / f"worker-{number}.log").open("ab") as log:
        return begin(folder, "worker", stdout=None, stderr=log)


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


SOURCE_TICKS = "SELECT count(*) FROM ticks WHERE schedule LIKE 'source %'"


def test_two_schedulers_fire_each_tick_once(tmp_path: Path) -> None:
    database = connect(url_in(tmp_path))
    tables.load(database, tmp_path, polls=tables.POLLS)
    folder = tmp_path / "incoming"
    folder.mkdir()
    services = [begin_service(tmp_path, "--watch", str(folder), "--every", "1s") for _ in range(2)]
    try:
        with opened(database) as sql:  # both are there, and tick together
            assert in_time(lambda: sql.execute(SOURCE_TICKS)[0][0] >= 4)
    finally:
        codes = [service.stop() for service in services]
    assert codes == [0, 0]
    with opened(database) as sql:
        ticks = sql.execute("SELECT schedule, due_at FROM ticks WHERE schedule LIKE 'source %'")
        visits = sql.execute("SELECT count(*) FROM jobs WHERE kind = 'source'")
    assert len(ticks) == len(set(ticks)) > 2
    assert visits[0][0] <= len(ticks)
