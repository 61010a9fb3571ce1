"""One client's thousands of rows, idle uploads and waiting requests keep no other client waiting."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.attacks.conftest import Target, served, watched
from tests.fixtures.databases import url_in
from tests.fixtures.services import ServiceProcess, connected, in_time, left_of_uploads
from uphours.database import api_keys
from uphours.database.database import connect

pytestmark = pytest.mark.slow

ROW = {"store_id": "1", "status": "active", "timestamp_utc": "2023-01-24T10:00:00Z"}
JSON = {"Content-Type": "application/json"}


def test_posts_of_many_rows_become_jobs_and_small_ones_are_answered_meanwhile(
    shared: ServiceProcess, client: httpx.Client
) -> None:
    def flood(number: int) -> int:
        rows = [ROW | {"store_id": f"s{number}-{place % 50}"} for place in range(6_000)]
        content = gzip.compress(json.dumps(rows).encode())
        headers = JSON | {"Content-Encoding": "gzip", "Prefer": "respond-async"}
        with shared.client() as own:
            answer = own.post("/v1/observations", content=content, headers=headers)
        assert answer.status_code in (202, 429), answer.text
        if answer.status_code == 202:
            assert answer.headers["location"].startswith("/v1/jobs/")
        return answer.status_code

    with watched(shared), ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(flood, number) for number in range(24)]
        slowest = 0.0
        while not all(one.done() for one in asked):
            began = time.monotonic()
            assert client.post("/v1/observations", json=ROW).status_code == 200
            slowest = max(slowest, time.monotonic() - began)
        assert 202 in {one.result() for one in asked}
    assert slowest < 2


@pytest.mark.parametrize("element", [b"1", b"[]", b"{}", b'""', b"null", b"[[[]]]"])
def test_half_a_million_values_in_a_megabyte_hold_no_post_up(
    shared: ServiceProcess, client: httpx.Client, element: bytes
) -> None:
    content = b"[" + b",".join([element] * ((1 << 20) // (len(element) + 1) - 2)) + b"]"

    def flood(_: int) -> int:
        with shared.client() as own:
            headers = JSON | {"Prefer": "respond-async"}
            return own.post("/v1/observations", content=content, headers=headers).status_code

    with watched(shared), ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(flood, number) for number in range(4)]
        slowest = 0.0
        while not all(one.done() for one in asked):
            began = time.monotonic()
            assert client.post("/v1/observations", json=ROW).status_code == 200
            slowest = max(slowest, time.monotonic() - began)
    assert {one.result() for one in asked} <= {202, 429}
    assert slowest < 2


@pytest.fixture
def idle(target: Target) -> Iterator[tuple[ServiceProcess, ExitStack]]:
    """A service whose queue is full of uploads that do not go on."""
    with target(queue_limit="20") as running, ExitStack() as stack:
        for _ in range(25):
            connection = stack.enter_context(connected(running, seconds=60))
            lines = "Content-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nstore\r\n"
            connection.sendall(f"POST /v1/observations HTTP/1.1\r\nHost: localhost\r\n{lines}".encode())
        with running.client() as client:
            csv = {"Content-Type": "text/csv"}
            assert in_time(lambda: client.post("/v1/observations", content=b"x", headers=csv).status_code == 429)
        yield running, stack


def test_idle_uploads_keep_neither_reports_nor_small_posts_out(idle: tuple[ServiceProcess, ExitStack]) -> None:
    running, _ = idle
    with running.client() as client, watched(running):
        served(client)


def test_idle_uploads_expire(target: Target) -> None:
    with target(upload_seconds="2", workers="0") as running, ExitStack() as stack:
        for _ in range(5):
            connection = stack.enter_context(connected(running, seconds=60))
            lines = "Content-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nstore\r\n"
            connection.sendall(f"POST /v1/observations HTTP/1.1\r\nHost: localhost\r\n{lines}".encode())
        assert in_time(lambda: left_of_uploads(running)[0] == 5)
        assert in_time(lambda: left_of_uploads(running) == (0, 0), 10)


def test_one_key_fills_half_of_the_queue_at_most(target: Target, tmp_path: Path) -> None:
    database = connect(url_in(tmp_path))
    database.migrate()
    with database.writing() as connection:
        tokens = [
            api_keys.create(connection, name=name, scopes=["admin"], now=0, actor="test")[1] for name in ("a", "b")
        ]
    with target(require_key="true", queue_limit="4", workers="0") as running:
        statuses = {}
        for token in tokens:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "text/csv", "Prefer": "respond-async"}
            with running.client(headers=headers) as client:
                statuses[token] = [
                    client.post("/v1/observations", content=b"store_id,status,timestamp_utc\n").status_code
                    for _ in range(3)
                ]
    assert list(statuses.values()) == [[202, 202, 429]] * 2


def test_a_load_is_cancelled_while_it_waits(target: Target) -> None:
    with target(workers="0") as running, running.client() as client:
        headers = {"Content-Type": "text/csv", "Prefer": "respond-async"}
        job = client.post("/v1/observations", content=b"store_id,status,timestamp_utc\n", headers=headers).json()["id"]
        assert client.delete(f"/v1/jobs/{job}").json()["state"] == "cancelled"
        assert client.delete(f"/v1/jobs/{job}").json()["state"] == "cancelled"
        assert client.get(f"/v1/jobs/{job}").json()["state"] == "cancelled"
        assert client.delete("/v1/jobs/none").status_code == 404
        report = client.post("/v1/reports").json()["id"]
        assert client.delete(f"/v1/jobs/{report}").status_code == 404


def test_a_hundred_who_wait_for_their_loads_cost_little(target: Target) -> None:
    with target(workers="0", wait_seconds="5", queue_limit="200") as running, running.client() as client:

        def wait(_: int) -> int:
            with running.client() as own:
                return own.post(
                    "/v1/observations", content=b"store_id,status,timestamp_utc\n", headers={"Content-Type": "text/csv"}
                ).status_code

        with watched(running), ThreadPoolExecutor(100) as threads:
            asked = [threads.submit(wait, number) for number in range(100)]
            slowest = 0.0
            while not all(one.done() for one in asked):
                answer = client.get("/readyz")
                assert answer.status_code == 200
                slowest = max(slowest, answer.elapsed.total_seconds())
        assert {one.result() for one in asked} == {202}
    assert slowest < 1
