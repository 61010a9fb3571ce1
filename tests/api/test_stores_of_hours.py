"""The stores that lose more in the hours that stand out than at other times: from the sentence to the list."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.api.test_one_snapshot import Client
from tests.fixtures import known, tables
from tests.fixtures.databases import only_sqlite, url_in
from uphours.database.database import connect

pytestmark = only_sqlite  # no statement of its own

#: Never closed, and down half of each day.
USUAL = "".join(
    f"half,{status},2023-01-{day} {hour}:00:00 UTC\n"
    for day in range(18, 26)
    for status, hour in (("inactive", "00"), ("active", "12"))
)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    database = connect(url_in(tmp_path))
    zones = known.TIMEZONES + "half,UTC\n"
    tables.load(database, tmp_path, polls=known.POLLS + USUAL, hours=known.HOURS, timezones=zones)
    made = Client(url_in(tmp_path))
    yield made
    made.app.state.service.database.close()


def listed(page: str) -> list[str]:
    return re.findall(r'<tr id="store-([^"]+)"', page)


def test_the_hours_that_stand_out_lead_to_the_stores_that_lose_more_then(client: Client) -> None:
    (link,) = re.findall(r'stands out:</strong>[^<]*<a href="([^"]+)"', client.get("/week?window=last_week"))
    assert unescape(link).startswith("/?tab=all&lost_in=Wed+")
    page = client.get(unescape(link))
    assert "always" in listed(page)
    assert "Remove all" in page


def test_the_stores_of_hours_are_shown_on_the_clock_and_with_the_comparison_that_were_chosen(client: Client) -> None:
    (week,) = re.findall(r'data-loads="([^"]+)"', client.get("/?clock=Asia/Tokyo&compare=false"))
    (link,) = re.findall(r'stands out:</strong>[^<]*<a href="([^"]+)"', client.get(unescape(week)))
    assert "clock=Asia%2FTokyo&compare=false" in unescape(link)
    (week,) = re.findall(r'data-loads="([^"]+)"', client.get("/"))
    assert week == "/week"


def test_changes_from_the_window_before_are_shown_unless_nothing_is_to_be_compared(client: Client) -> None:
    query = "tab=all&window=last_day&confirm_within=1d"
    compared, plain = client.get(f"/?{query}"), client.get(f"/?{query}&compare=false")
    assert 'class="change' in compared
    assert 'class="change' not in plain
    assert "Changes are against" not in plain
    assert listed(plain) == listed(compared)
    columns = [client.get(f"/list.csv?{query}{more}").splitlines()[0] for more in ("", "&compare=false")]
    assert ["_change" in one for one in columns] == [True, False]
    beside = client.get(f"/stores/half?window=last_day&list={quote('tab=all&compare=false')}")
    assert "compare=false" in beside


def test_a_store_that_loses_as_much_at_other_times_is_not_listed(client: Client) -> None:
    page = client.get("/?tab=all&lost_in=Wed+06-11")
    assert listed(page) == ["always", "half", "late"]
    assert "Lost Wed 06–11" in page
    assert listed(client.get("/?tab=all&lost_in=Thu+00-24")) == ["late"]
    assert listed(client.get("/?tab=all&lost_in=Mon+09-10&state=up")) == ["half", "late"]
    exported = csv.DictReader(io.StringIO(client.get("/list.csv?tab=all&lost_in=Wed+06-11")))
    assert [row["store_id"] for row in exported] == ["always", "half", "late"]
    beside = client.get("/stores/half?list=tab%3Dall%26lost_in%3DWed%2B06-11")
    assert "2 of 3" in re.sub(r"<[^>]+>", "", beside)
