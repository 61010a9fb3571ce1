"""Services under attack: real processes on SQLite and PostgreSQL, and what must hold of them meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.api.conftest import load_small_fleet
from tests.fixtures.services import ServiceProcess, in_time, service

#: What each process of a service may take, whatever is done to it, and how long `/healthz` may take meanwhile.
MOST_BYTES: Final = 700_000_000
SLOWEST_S: Final = 1.0
WATCHER: Final = Path(__file__).with_name("watcher.py")


@dataclass
class Watch:
    """What was seen of a service while a block ran; filled when the block ends."""

    peaks: dict[str, int] = field(default_factory=dict)
    slowest_s: float = 0.0
    probes: int = 0
    failures: list[str] = field(default_factory=list)


@contextmanager
def watched(running: ServiceProcess, *, most_bytes: int = MOST_BYTES, slowest_s: float = SLOWEST_S) -> Iterator[Watch]:
    """Watch a service during a block: no process of it may grow too large, and `/healthz` must answer in time.

    Only what happens inside the block counts; an attack that goes on after it is not seen.
    """
    url = httpx.URL(running.url)
    watch = Watch()
    words = [sys.executable, str(WATCHER), str(running.process.pid), url.host, str(url.port)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as watcher:
        assert watcher.stdout is not None
        watcher.stdout.readline()  # it has begun
        try:
            yield watch
        finally:
            said, _ = watcher.communicate(timeout=60)
            vars(watch).update(json.loads(said))
    large = {process: size // 1_000_000 for process, size in watch.peaks.items() if size > most_bytes}
    assert not large, f"megabytes that processes of the service took: {large}"
    assert not watch.failures, f"/healthz failed {len(watch.failures)} of {watch.probes} times: {watch.failures[:5]}"
    assert watch.slowest_s < slowest_s, f"/healthz took {watch.slowest_s:.1f} s"


Target = Callable[..., AbstractContextManager[ServiceProcess]]


@pytest.fixture
def target(engine: str, tmp_path: Path) -> Target:
    """Start a service on a small fleet for the length of a block, with settings of the test's own.

    For example ``with target(queue_limit="2") as running, watched(running): …``.
    """

    @contextmanager
    def start(*words: str, **settings: str) -> Iterator[ServiceProcess]:
        load_small_fleet(tmp_path)
        with service(tmp_path, *words, executed=True, **settings) as running:
            workers = int(settings.get("workers", "2"))
            assert in_time(lambda: running.log.read_text().count("worker started") >= workers)
            yield running

    return start


@pytest.fixture(scope="module")
def shared(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service with a small fleet and one worker, for all tests of a file."""
    folder = tmp_path_factory.mktemp("shared")
    load_small_fleet(folder)
    with service(folder, executed=True, workers="1") as running:
        assert in_time(lambda: "worker started" in running.log.read_text())
        yield running


@pytest.fixture
def client(shared: ServiceProcess) -> Iterator[httpx.Client]:
    """A client of the shared service."""
    with shared.client() as client:
        yield client


def served(client: httpx.Client, **row: Any) -> dict[str, Any]:
    """Post a row and make a report as another client would; return the report's state. For use under an attack."""
    poll = {"store_id": "1", "status": "active", "timestamp_utc": "2023-01-24T10:00:00Z"} | row
    answer = client.post("/v1/observations", json=poll)
    assert answer.status_code == 200, answer.text
    report = client.post("/v1/reports")
    assert report.status_code == 202, report.text
    state: dict[str, Any] = {}

    def ended() -> bool:
        state.update(client.get(f"/v1/reports/{report.json()['id']}").raise_for_status().json())
        return state["finished_at"] is not None

    assert in_time(ended), state
    assert state["state"] == "complete", state
    return state
