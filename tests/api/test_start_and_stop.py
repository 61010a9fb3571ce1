"""When the service starts and when it refuses to, and how it ends: on request, or killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from tests.api.conftest import load_small_fleet
from tests.fixtures import tables
from tests.fixtures.commands import COMMAND, environment, start
from tests.fixtures.databases import only_sqlite, opened, settings_in, url_in
from tests.fixtures.services import (
    ServiceProcess,
    begin_service,
    connected,
    finished,
    heard,
    in_time,
    left_of_uploads,
    logged,
    service,
    status_of,
)
from uphours.database import api_keys
from uphours.database.database import connect

pytestmark = pytest.mark.slow

NDJSON = {"Content-Type": "application/x-ndjson"}
ROW = b'{"store_id": "1", "status": "active", "timestamp_utc": "2023-01-25T12:00:00Z"}\n'
SOON = 10


def refused(folder: Path, *words: str, **settings: str) -> tuple[int, str]:
    """Start a service that shall not start; return its exit code and what it says."""
    changes: dict[str, Any] = {f"UPHOURS_{name.upper()}": value for name, value in settings.items()}
    ended = start(folder, "serve", "--port", "0", *words, **changes)
    assert ended.stdout == b""
    return ended.returncode, ended.stderr.decode()


def add_key(folder: Path) -> str:
    with connect(url_in(folder)).writing() as connection:
        return api_keys.create(connection, name="test", scopes=["read"], now=tables.NOW, actor="test")[1]


# --- who may be served --------------------------------------------------------------------------------


def test_this_machine_needs_no_key(client: httpx.Client) -> None:
    assert client.get("/v1/stores").status_code == 200


@pytest.mark.parametrize(
    ("words", "settings", "hint"),
    [
        (("--host", "0.0.0.0"), {}, "--insecure"),
        ((), {"require_key": "true"}, "require_key"),
        (("--host", "0.0.0.0", "--insecure"), {"require_key": "true"}, "require_key"),
    ],
)
def test_an_address_that_others_reach_is_not_served_without_a_key(
    tmp_path: Path, words: tuple[str, ...], settings: dict[str, str], hint: str
) -> None:
    code, message = refused(tmp_path, *words, **settings)
    assert code == 2
    (line,) = message.splitlines()
    assert "uphours keys create" in line
    assert hint in line


def test_a_revoked_key_is_no_key(tmp_path: Path) -> None:
    token = add_key(tmp_path)
    with connect(url_in(tmp_path)).writing() as connection:
        api_keys.revoke(connection, token.split("_")[1], now=tables.NOW, actor="test")
    assert refused(tmp_path, "--host", "0.0.0.0")[0] == 2


def test_an_address_that_others_reach_is_served_with_a_key_which_is_asked_for(tmp_path: Path) -> None:
    token = add_key(tmp_path)
    with service(tmp_path, "--host", "0.0.0.0", workers="0") as running, running.client() as client:
        assert client.get("/v1/loads").status_code == 401
        assert client.get("/v1/loads", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        assert client.get("/readyz", headers={"Host": "reports.example"}).status_code == 200
        assert '"keys": true' in running.log.read_text()


def test_an_address_that_others_reach_is_served_without_a_key_to_who_insists(tmp_path: Path) -> None:
    with service(tmp_path, "--host", "0.0.0.0", "--insecure", workers="0") as running, running.client() as client:
        assert client.get("/v1/loads").status_code == 200


def test_loopback_of_ipv6_works(tmp_path: Path) -> None:
    with service(tmp_path, "--host", "::1", workers="0") as running, running.client() as client:
        assert running.url.startswith("http://[::1]:")
        assert client.get("/v1/loads").status_code == 200


# --- what keeps it from starting ----------------------------------------------------------------------


def test_an_address_that_is_taken_is_a_mistake_of_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, message = refused(tmp_path, "--port", str(port))
    assert (code, len(message.splitlines())) == (2, 1)
    assert f"127.0.0.1 port {port}" in message
    assert "--port" in message


MISTAKES: list[tuple[tuple[str, ...], dict[str, str], str]] = [
    (("--host", "no such host", "--insecure"), {}, "cannot listen on no such host"),
    (("--every", "soon", "--watch", "inbox"), {}, "soon"),
    ((), {"prot": "1"}, "there is no setting UPHOURS_PROT"),
    ((), {"workers": "many"}, "the setting workers makes no sense"),
    ((), {"config": "bad.toml"}, "as TOML"),
    ((), {"database_url_file": "missing"}, "cannot read missing"),
    (("--db", "oracle://x"), {}, "names no database"),
    (("--db", "postgres://x"), {}, "names no database"),
]


@pytest.mark.slow
def test_mistakes_in_the_settings_are_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("port = ", encoding="utf-8")
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda one: refused(tmp_path, *one[0], **one[1]), MISTAKES))
    for (words, settings, hint), (code, message) in zip(MISTAKES, found, strict=True):
        assert (code, len(message.splitlines())) == (2, 1), (words, settings, message)
        assert hint in message
        assert message.startswith("uphours: ")


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    load_small_fleet(tmp_path)
    with opened(url_in(tmp_path)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    code, message = refused(tmp_path)
    assert (code, len(message.splitlines())) == (3, 1)
    assert "9999" in message
    assert "newer" in message
    with opened(url_in(tmp_path)) as database:
        assert database.execute("SELECT version_num FROM alembic_version") == [("9999",)]


def old_database(path: Path) -> None:
    """Make a store as it was after the first migration."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", "uphours:database/migrations")
        command.upgrade(config, "0001")
        connection.exec_driver_sql("INSERT INTO stores (store, store_id) VALUES (1, 'old')")
    engine.dispose()


@only_sqlite  # there was no other then
def test_a_store_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    old_database(tmp_path / "uphours.db")
    with service(tmp_path, workers="1") as running, running.client() as client:
        assert client.post("/v1/observations", content=ROW, headers=NDJSON).status_code == 200
        assert finished(client, client.post("/v1/reports").json()["id"])["state"] == "complete"
        found = client.get("/v1/stores", params={"limit": 10}).json()
    assert {one["store_id"] for one in found["stores"]} == {"1", "old"}


@only_sqlite
@pytest.mark.parametrize("damage", ["no store", "torn"])
def test_a_damaged_store_is_told_in_one_line(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "uphours.db"
    if damage == "torn":
        load_small_fleet(tmp_path)
        content = bytearray(file.read_bytes())
        page = 4096
        for start_of_page in range(page, len(content), page):
            content[start_of_page : start_of_page + 100] = b"\xab" * 100
        file.write_bytes(content)
    else:
        file.write_bytes(b"this is no database at all" * 100)
    code, message = refused(tmp_path)
    assert (code, len(message.splitlines())) == (3, 1), message
    assert "uphours.db" in message


# --- processes ----------------------------------------------------------------------------------------


def test_workers_get_the_settings_and_the_rest_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keep").write_text("7d", encoding="utf-8")
    (tmp_path / "more.toml").write_text("queue_limit = 7", encoding="utf-8")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/somewhere/token")
    with service(tmp_path, executed=True, workers="1", keep_reports_file="keep", config="more.toml") as running:
        (worker,) = running.workers()
        found = worker.environ()
    assert found["AWS_WEB_IDENTITY_TOKEN_FILE"] == "/somewhere/token"
    assert found["UPHOURS_KEEP_REPORTS"] == f"{7 * 86_400_000_000}us"
    assert found["UPHOURS_QUEUE_LIMIT"] == "7"
    assert not {"UPHOURS_KEEP_REPORTS_FILE", "UPHOURS_CONFIG"} & set(found)


def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    with service(tmp_path, executed=True, workers="1") as running, running.client() as client:
        (worker,) = running.workers()
        worker.kill()
        assert in_time(lambda: [one.pid for one in running.workers()] not in ([], [worker.pid]))
        assert client.post("/v1/observations", content=ROW, headers=NDJSON).status_code == 200


# --- the end ------------------------------------------------------------------------------------------


def code_of(process: subprocess.Popen[bytes]) -> int:
    """Return the exit code of a process that shall end; one that doesn't is killed, so that the test ends."""
    try:
        return process.wait(3 * SOON)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def ends_well(running: ServiceProcess, number: signal.Signals = signal.SIGTERM) -> None:
    """Stop a service: soon, with a good exit code, with all of its workers, and without a word of failure."""
    workers = running.workers()
    began = time.monotonic()
    running.process.send_signal(number)
    assert code_of(running.process) == 0
    took = time.monotonic() - began
    assert took < SOON, running.log.read_text()[-3000:]
    assert [one for one in workers if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []
    log = running.log.read_text()
    assert "Fatal" not in log
    assert '"level": "error"' not in log
    assert logged(running)[-1]["event"] == "stopped"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_service_stops_when_it_is_told_to(tmp_path: Path, number: signal.Signals) -> None:
    running = begin_service(tmp_path, executed=True)
    assert len(running.workers()) == 2
    assert in_time(lambda: running.log.read_text().count("worker started") == 2)
    with connected(running):  # somebody who says nothing keeps it no longer
        ends_well(running, number)


@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_a_service_that_is_still_starting_stops_when_it_is_told_to(tmp_path: Path, seconds: float) -> None:
    log = tmp_path / "log"
    with log.open("wb") as sink, subprocess.Popen(
        [*COMMAND, "serve", "--port", "0"],
        cwd=tmp_path, env=environment(**settings_in(tmp_path)), stdout=sink, stderr=sink,
    ) as process:  # fmt: skip
        assert in_time(lambda: '"serving"' in log.read_text(), 60)
        time.sleep(seconds)
        process.send_signal(signal.SIGTERM)
        assert code_of(process) == 0
    assert '"stopped"' in log.read_text()


@pytest.mark.slow
def test_a_report_that_is_being_made_is_made_after_the_next_start(tmp_path: Path) -> None:
    rows = (f"{number},active,2023-01-{day} 10:00:00 UTC" for number in range(8_000) for day in (23, 24, 25))
    tables.load(connect(url_in(tmp_path)), tmp_path, polls=tables.table("polls", *rows))
    windows = [
        {"name": f"w{hour}", "start": f"2023-01-24T{hour % 24:02}:00:00Z", "end": f"2023-01-25T{hour % 24:02}:30:00Z"}
        for hour in range(100)
    ]
    running = begin_service(tmp_path, executed=True)
    with running.client() as client:
        report = client.post("/v1/reports", json={"windows": windows}).json()["id"]
        assert in_time(lambda: client.get(f"/v1/reports/{report}").json()["state"] != "queued")
    ends_well(running)
    with service(tmp_path) as again, again.client() as client:
        assert finished(client, report)["state"] == "complete"
        assert client.get(f"/v1/reports/{report}/result").status_code == 200


@pytest.mark.slow
def test_requests_that_wait_or_send_get_an_answer_at_the_end(tmp_path: Path) -> None:
    running = begin_service(tmp_path, executed=True, workers="0")
    lines = f"POST /v1/observations HTTP/1.1\r\nHost: localhost\r\nContent-Type: {NDJSON['Content-Type']}\r\n"
    waiting, sending, flowing = f"{lines}Content-Length: {len(ROW)}\r\n\r\n".encode() + ROW, "", ""
    sending = flowing = f"{lines}Transfer-Encoding: chunked\r\n\r\n"
    block = b"400000\r\n" + ROW * ((4 << 20) // len(ROW)) + b" " * ((4 << 20) % len(ROW)) + b"\r\n"
    with connected(running) as waits, connected(running) as stalls, connected(running) as flows:
        waits.sendall(waiting)
        stalls.sendall(sending.encode() + block)
        flows.sendall(flowing.encode())
        assert in_time(lambda: left_of_uploads(running) == (2, 2))
        with ThreadPoolExecutor(2) as pool:
            flow = pool.submit(go_on, flows, block)
            ended = pool.submit(ends_well, running)
            answer = heard(waits)
            assert status_of(answer) == 202
            late = heard(stalls)
            assert status_of(late) == 503
            assert b"retry-after" in late.lower()
            assert flow.result() in (503, 0)
            ended.result()
    assert left_of_uploads(running) == (0, 1), "the load that is to be done keeps its file, the others do not"
    job = json.loads(answer.partition(b"\r\n\r\n")[2])["id"]
    with service(tmp_path, workers="1") as again, again.client() as client:
        assert in_time(lambda: client.get(f"/v1/jobs/{job}").json()["finished_at"] is not None)
        found = client.get(f"/v1/jobs/{job}").json()
        assert (found["state"], found["outcome"]["accepted"]) == ("complete", 1)
        assert left_of_uploads(again) == (0, 0)


def go_on(connection: socket.socket, block: bytes) -> int:
    """Send and send, until the other side does not want more; return its answer."""
    try:
        while True:
            connection.sendall(block)
            time.sleep(0.05)
    except OSError:
        return status_of(heard(connection))


@pytest.mark.slow
def test_a_worker_that_hangs_does_not_keep_the_service(tmp_path: Path) -> None:
    running = begin_service(tmp_path, executed=True, workers="1")
    (worker,) = running.workers()
    assert in_time(lambda: "worker started" in running.log.read_text())
    worker.suspend()
    ends_well(running)


@pytest.mark.slow
def test_workers_leave_by_themselves_when_the_service_is_killed(tmp_path: Path) -> None:
    running = begin_service(tmp_path, executed=True)
    workers = running.workers()
    assert in_time(lambda: running.log.read_text().count("worker started") == 2)
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.wait(SOON)
    assert in_time(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in workers), SOON)
    assert running.log.read_text().count("worker stopped") == 2
    assert "Fatal" not in running.log.read_text()
