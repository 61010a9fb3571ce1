"""Views of a large fleet: however long the window and however many ask, memory is bounded and others are served."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.attacks.conftest import served, watched
from tests.fixtures import tables
from tests.fixtures.databases import url_in
from tests.fixtures.services import ServiceProcess, finished, in_time, service
from tests.fixtures.tables import NOW
from uphours.database.database import connect
from uphours.ingest.load import read_files

pytestmark = pytest.mark.slow

STORES = 20_000
ZONES = sorted(
    f"America/{city}"
    for city in ("Chicago", "New_York", "Denver", "Phoenix", "Los_Angeles", "Boise", "Detroit", "Halifax", "Bogota")
)
ALL_TIME = "x=1970-01-01/2199-12-31"


@pytest.fixture(scope="module")
def large(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service with twenty thousand stores, some of them with hours; one was first polled in the year 2000."""
    folder = tmp_path_factory.mktemp("large")
    polls = [f"{store},{'in' * (store % 7 == 0)}active,2023-01-24 10:00:00 UTC" for store in range(STORES)]
    hours = [f"{store},{day},09:00,17:00" for store in range(0, STORES, 10) for day in range(7)]
    zones = [f"{store},{ZONES[store % len(ZONES)]}" for store in range(STORES)]
    rows = {"polls": [*polls, "7,active,2000-01-03 15:00:00 UTC"], "hours": hours, "timezones": zones}
    names = {
        kind: [tables.write(folder / f"{kind}.csv", tables.table(kind, *some))]  # type: ignore[arg-type]
        for kind, some in rows.items()
    }
    connect(url_in(folder)).write(read_files(names, now=NOW))  # type: ignore[arg-type]
    with service(folder, executed=True, workers="2") as running:
        assert in_time(lambda: running.log.read_text().count("worker started") == 2)
        with running.client() as client:  # the first views compile, and fill the caches
            client.get("/v1/stores", params={"limit": 1}).raise_for_status()
            client.get("/v1/fleet/heatmap").raise_for_status()
        yield running


@pytest.fixture
def client(large: ServiceProcess) -> Iterator[httpx.Client]:
    with large.client() as made:
        yield made


@pytest.mark.parametrize("path", ["/v1/stores", "/v1/fleet/history", "/v1/fleet/heatmap"])
def test_two_centuries_of_twenty_thousand_stores_are_looked_at_in_little_memory(
    large: ServiceProcess, client: httpx.Client, path: str
) -> None:
    with watched(large):
        answer = client.get(path, params={"window": ALL_TIME, "limit": 1}, timeout=200)
    assert answer.status_code == 200, answer.text


def test_a_report_of_many_long_windows_is_made_in_little_memory(large: ServiceProcess, client: httpx.Client) -> None:
    windows = [{"name": f"w{n}", "start": f"{1970 + n}-01-01", "end": "2199-12-31"} for n in range(5)]
    with watched(large):
        report = client.post("/v1/reports", json={"windows": windows, "all_stores": True}).raise_for_status().json()
        state = finished(client, report["id"], 200)
        assert state["state"] == "complete", state
        for form in ("csv", "json", "parquet", "xlsx"):
            result = client.get(f"/v1/reports/{report['id']}/result", params={"format": form, "detail": True})
            assert result.status_code == 200, result.text[:300]


def windows_of(count: int) -> list[dict[str, str]]:
    return [{"name": f"w{n}", "start": "2023-01-01", "end": f"2023-03-{n % 28 + 1:02}"} for n in range(count)]


def test_the_largest_report_is_made_in_little_memory_and_a_larger_one_is_refused(
    large: ServiceProcess, client: httpx.Client
) -> None:
    with watched(large):
        report = client.post("/v1/reports", json={"windows": windows_of(75)}).raise_for_status().json()
        state = finished(client, report["id"], 200)
        assert state["state"] == "complete", state
    answer = client.post("/v1/reports", json={"windows": windows_of(76)})
    assert answer.status_code == 422, answer.text
    assert "valid are up to 75 windows" in answer.json()["detail"]


def test_two_hundred_and_fifty_different_views_at_once_keep_nobody_waiting(large: ServiceProcess) -> None:
    def view(number: int) -> httpx.Response:
        with large.client() as client:
            window = f"x=2023-01-{number % 20 + 1:02}T{number // 20:02}:00Z/2023-01-25"
            path = ("/v1/stores", "/v1/fleet/history", "/v1/fleet/heatmap", "/", "/week")[number % 5]
            return client.get(path, params={"window": window}, timeout=120)

    with watched(large), ThreadPoolExecutor(250) as threads:
        asked = [threads.submit(view, number) for number in range(250)]
        slowest = under_attack(large, lambda: all(one.done() for one in asked))
        answers = [one.result() for one in asked]
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) == {200, 503}, statuses
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers if answer.status_code == 503)
    assert slowest < 2


def under_attack(running: ServiceProcess, ended: Callable[[], bool]) -> float:
    """Ask as others would until the attack has ended; return how long `/readyz` took at the most."""
    slowest = 0.0
    with running.client() as client:
        served(client)
        while not ended():
            answer = client.get("/readyz")
            assert answer.status_code == 200
            slowest = max(slowest, answer.elapsed.total_seconds())
    return slowest


def test_the_same_view_for_many_is_made_once_and_each_gets_it(large: ServiceProcess) -> None:
    def view(_: int) -> int:
        with large.client() as client:
            while (answer := client.get("/v1/fleet/history", params={"window": "x=2022-01-02/2023-01-24"})).is_error:
                assert answer.status_code == 503
            return answer.status_code

    with watched(large), ThreadPoolExecutor(40) as threads:
        assert set(threads.map(view, range(40))) == {200}


@pytest.mark.parametrize("part", ["timeline", "outages", "explanation", ""])
def test_two_centuries_of_one_store_asked_for_by_many_take_little_memory(large: ServiceProcess, part: str) -> None:
    def view(number: int) -> int:
        with large.client() as client:
            params = {"window": ALL_TIME, "as_of": "2199-12-31"}
            return client.get(f"/v1/stores/{number}/{part}".rstrip("/"), params=params, timeout=120).status_code

    with watched(large), ThreadPoolExecutor(12) as threads:
        assert set(threads.map(view, range(12))) <= {200, 422, 503}


def test_one_result_fetched_by_many_at_once_is_made_once(large: ServiceProcess, client: httpx.Client) -> None:
    report = client.post("/v1/reports", json={"all_stores": True}).raise_for_status().json()["id"]
    assert finished(client, report, 120)["state"] == "complete"
    barrier = threading.Barrier(12)

    def fetch(form: str) -> httpx.Response:
        with large.client() as own:
            barrier.wait(30)
            return own.get(f"/v1/reports/{report}/result", params={"format": form, "detail": True}, timeout=120)

    with watched(large), ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(fetch, ["xlsx"] * 12))
        assert {(answer.status_code, answer.headers["etag"]) for answer in answers} == {
            (200, answers[0].headers["etag"])
        }
        mixed = list(threads.map(fetch, ["csv", "json", "parquet", "xlsx"] * 3))
        assert {answer.status_code for answer in mixed} == {200}
    assert len({answer.content for answer in answers}) == 1
