"""Somebody keeps a lock on the database for longer than any statement waits: no request is lost, no process ends."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.fixtures import tables
from tests.fixtures.databases import opened, url_in
from tests.fixtures.services import begin_service, finished
from uphours.database.database import Database, connect
from uphours.database.dialects.server_dialect import LOCK_TIMEOUT_S

pytestmark = [pytest.mark.slow, pytest.mark.engines("postgresql", "mysql")]

LOCKED_S = LOCK_TIMEOUT_S + 2.0


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
