"""The demo of the service: a made-up fleet of today, into an empty store and no other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.test_access import new_key
from tests.fixtures import tables
from tests.fixtures.databases import opened, url_in
from tests.fixtures.services import finished, in_time, service
from uphours.client import Client
from uphours.database.database import connect
from uphours.errors import ConflictError
from uphours.schema import HOUR_US, MINUTE_US, instant_us

pytestmark = pytest.mark.slow


def now_us() -> int:
    return time.time_ns() // 1000


@pytest.fixture
def empty(engine: str, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of a service whose store is empty."""
    with service(tmp_path, workers="1") as running, running.client() as client:
        yield client


def ended(client: httpx.Client, place: str) -> dict[str, Any]:
    """Wait for a job to end; return how it stands."""
    assert in_time(lambda: client.get(place).json()["finished_at"] is not None)
    found: dict[str, Any] = client.get(place).json()
    return found


def test_the_demo_is_an_ordinary_load_of_a_fleet_that_was_polled_until_now(empty: httpx.Client) -> None:
    before = now_us()
    answer = empty.post("/v1/demo")
    after = now_us()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    job = ended(empty, answer.headers["location"])
    assert (job["kind"], job["state"], job["outcome"]["quarantined"]) == ("load", "complete", 3)
    load = empty.get(f"/v1/loads/{job['load']}").json()
    assert [file["name"] for file in load["files"]] == ["demo-polls.csv", "demo-hours.csv", "demo-timezones.csv"]
    assert before <= instant_us(load["last_observed_at"]) <= after
    assert before - 8 * 24 * HOUR_US < instant_us(load["first_observed_at"])
    fleet = empty.get("/v1/stores").json()
    assert fleet["total_matching"] == 40
    assert before - MINUTE_US <= fleet["as_of_us"] <= after
    report = empty.post("/v1/reports").json()["id"]
    assert finished(empty, report)["state"] == "complete"

    again = empty.post("/v1/demo")
    assert again.status_code == 409
    assert again.json()["detail"] == "the database holds observations already; the demo is for one that is empty"
    assert len(empty.get("/v1/loads").json()["loads"]) == 1


def test_a_client_waits_for_the_demo(empty: httpx.Client) -> None:
    with Client(str(empty.base_url)) as client:
        outcome = client.load_demo()
        assert (outcome["quarantined"], outcome["accepted"] > 1000) == (3, True)
        with pytest.raises(ConflictError, match="observations already"):
            client.load_demo()


def test_a_store_with_one_observation_is_not_empty(engine: str, tmp_path: Path) -> None:
    database = connect(url_in(tmp_path))
    tables.load(database, tmp_path, polls=tables.table("polls", "1,active,2023-01-24 10:00:00 UTC"))
    with service(tmp_path, workers="0") as running, running.client() as client:
        assert client.post("/v1/demo").status_code == 409
        assert client.get("/v1/stores").json()["total_matching"] == 1
    with opened(url_in(tmp_path)) as sql:
        assert sql.execute("SELECT count(*) FROM jobs") == [(0,)]


def test_of_many_that_ask_at_once_one_gets_it(engine: str, tmp_path: Path) -> None:
    with service(tmp_path, workers="0") as running, running.client() as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post("/v1/demo"), range(8)))
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 7
    told = {answer.json()["detail"] for answer in answers if answer.status_code == 409}
    assert told == {"the demo is being loaded already"}
    with opened(url_in(tmp_path)) as database:
        assert database.execute("SELECT count(*) FROM jobs") == [(1,)]


def test_the_demo_is_for_those_who_may_bring_rows(engine: str, tmp_path: Path) -> None:
    tokens = {scope: new_key(tmp_path, scope) for scope in ("read", "ingest")}
    with service(tmp_path, workers="0", require_key="true") as running, running.client() as client:
        found = {
            scope: client.post("/v1/demo", headers={"Authorization": f"Bearer {token}"}).status_code
            for scope, token in tokens.items()
        }
        assert client.post("/v1/demo").status_code == 401
    assert found == {"read": 403, "ingest": 202}
    with opened(url_in(tmp_path)) as database:
        ((request,),) = database.execute("SELECT request FROM jobs")
    assert f'"actor":"key:{tokens["ingest"].split("_")[1]}"' in request
