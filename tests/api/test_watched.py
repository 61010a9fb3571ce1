"""What was watched: the same share in the API, in reports and on the pages, with the gaps that explain it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.fixtures import tables
from tests.fixtures.databases import url_in
from tests.fixtures.service_threads import service_threads
from tests.fixtures.services import finished
from uphours.database.database import connect
from uphours.schema import DAY_US, HOUR_US, instant_text, instant_us

pytestmark = pytest.mark.slow

AS_OF = instant_us("2023-01-30 00:00:00 UTC")
WEEK_US = 7 * DAY_US
#: When polling failed, in hours of the last week: from the last poll before to the first one after.
FAILED = ((20, 24), (60, 114))
WATCHED = (168 - sum(end - start for start, end in FAILED)) / 168


@pytest.fixture(scope="module")
def client(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a service of three stores that are always open and polled each hour, when polling did not fail."""
    folder = tmp_path_factory.mktemp("watched")
    polled = [hour for hour in range(-48, 169) if not any(start < hour < end for start, end in FAILED)]
    rows = [
        f"{store},{'inactive' if store == 's1' and hour == 30 else 'active'},"
        f"{instant_text(AS_OF - WEEK_US + hour * HOUR_US)}"
        for store in ("s1", "s2", "s3")
        for hour in polled
    ]
    tables.load(
        connect(url_in(folder)), folder, polls=tables.table("polls", *rows),
        timezones=tables.table("timezones", "s1,UTC", "s2,UTC", "s3,UTC"),
    )  # fmt: skip
    with service_threads(folder, workers=1) as running, running.client() as made:
        yield made


def plain(page: str) -> str:
    """Return the words of a page."""
    return re.sub(r"[ \n]+", " ", re.sub(r"<[^>]+>", " ", page))


def test_every_answer_has_the_watched_time_and_its_share(client: httpx.Client) -> None:
    listed = client.get("/v1/stores").raise_for_status().json()
    watched = round(WATCHED * WEEK_US)
    assert [store["watched_us"] for store in listed["stores"]] == [watched] * 3
    assert (listed["fleet"]["watched_us"], listed["fleet"]["coverage"]) == (3 * watched, WATCHED)
    assert client.get("/v1/stores/s1").json()["coverage"] == WATCHED
    buckets = client.get("/v1/fleet/history").json()["buckets"]
    assert sum(bucket["watched_us"] for bucket in buckets) == 3 * watched
    assert [bucket["coverage"] for bucket in buckets[18:26]] == [1, 1, 0, 0, 0, 0, 1, 1]
    cells = client.get("/v1/fleet/heatmap").json()["cells"]
    assert sum(cell["watched_us"] for cell in cells) == 3 * watched
    made = client.post("/v1/reports", json={"windows": ["last_week"]}).json()
    exact = client.get(f"{finished(client, made['id'])['result']}?format=json").json()
    assert [store["windows"]["last_week"]["watched_us"] for store in exact["stores"]] == [watched] * 3


@pytest.mark.parametrize("policy", [{}, {"interpolation": "next"}, {"max_age": "1h", "assume": "inactive"}], ids=str)
def test_no_policy_changes_it(client: httpx.Client, policy: dict[str, str]) -> None:
    assert client.get("/v1/stores", params=policy).json()["fleet"]["coverage"] == WATCHED


def test_the_fleet_says_how_much_was_watched_and_how_often_monitoring_was_interrupted(client: httpx.Client) -> None:
    words = plain(client.get("/").raise_for_status().text)
    assert "65.47\u202f% of open time watched Monitoring was interrupted 2 times, 58.0\u202fh in all." in words
    assert "nobody can tell" not in words
    # What a gap has outside of the window does not count.
    words = plain(client.get("/", params={"window": "own=2023-01-23T22:00:00Z/2023-01-24T00:00:00Z"}).text)
    assert "0\u202f% of open time watched Monitoring was interrupted once, 2.0\u202fh in all." in words
    words = plain(client.get("/", params={"window": "last_day"}).text)
    assert "100\u202f% of open time watched Monitoring was never interrupted." in words


def test_a_page_of_a_store_draws_the_gaps(client: httpx.Client) -> None:
    page = client.get("/stores/s1").raise_for_status().text
    assert page.count('<rect class="gap"') == 1 + 3  # the long one lies on three days
    assert "monitoring was interrupted 2 times, 58.0\u202fh" in plain(page)
    assert '<rect class="gap"' not in client.get("/stores/s1", params={"window": "last_day"}).text


def test_time_that_was_not_watched_can_be_left_out_by_the_address(client: httpx.Client) -> None:
    asked = {"only_watched": "true"}
    found = client.get("/v1/stores/s1", params=asked).json()
    assert (found["unknown_us"], found["coverage"]) == (58 * HOUR_US, WATCHED)
    assert found["uptime_us"] + found["downtime_us"] == found["watched_us"]
    page = client.get("/", params=asked | {"tab": "all"}).raise_for_status().text
    assert 'name="only_watched" value="true" checked' in page
    assert '/stores/s1?only_watched=true"' in page
    assert "the rest left out" in plain(client.get("/stores/s1", params=asked).text)
    spans = client.get("/v1/stores/s1/explanation", params=asked).json()["spans"]
    assert [span["why"] for span in spans if span["status"] == "unknown"] == ["not watched (only_watched)"] * 2
