"""Comparisons over HTTP: the list of stores, one store, groups and kept reports say what the library says."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import httpx
import polars as pl
import pytest
from openpyxl import load_workbook  # type: ignore[import-untyped]

import uphours
from tests.api.test_stores import ALL_IDS, fleet, path_of
from tests.fixtures import known, tables
from tests.fixtures.databases import url_in
from tests.fixtures.service_threads import service_threads
from tests.fixtures.services import finished
from uphours.database.database import connect
from uphours.schema import HOUR_US

CHANGES = ("availability_change", "downtime_change_us")


def got(client: httpx.Client, path: str, **query: Any) -> dict[str, Any]:
    answer: dict[str, Any] = client.get(path, params=query).raise_for_status().json()
    return answer


@pytest.mark.parametrize("window", ["last_day", "today", "own=2023-01-23/2023-01-25"])
def test_stores_and_fleet_are_compared_as_in_the_library(waiting: httpx.Client, window: str) -> None:
    name, _, bounds = window.partition("=")
    chosen = uphours.Window(name, *bounds.split("/")) if bounds else name
    expected = uphours.report(fleet(), windows=[chosen], all_stores=True, as_of=known.AS_OF, compare=True)
    page = got(waiting, "/v1/stores", window=window, as_of=known.AS_OF, compare=True)
    assert [row["store_id"] for row in page["stores"]] == ALL_IDS
    for row, of_library in zip(page["stores"], expected.iter_rows(named=True), strict=True):
        assert {change: row[change] for change in CHANGES} == {change: of_library[change] for change in CHANGES}
        assert row["before"] == {figure: of_library[f"before_{figure}"] for figure in row["before"]}
    before = page["fleet"]["before"]
    sums = {
        figure: sum(expected[f"before_{figure}"].to_list()) for figure in ("uptime_us", "downtime_us", "business_us")
    }
    assert {figure: before[figure] for figure in sums} == sums
    # The fleet's change is that of the pooled sums.
    assert page["fleet"]["downtime_change_us"] == sum(expected["downtime_us"].to_list()) - sums["downtime_us"]
    points = page["fleet"]["availability"] - before["availability"]
    assert page["fleet"]["availability_change"] == pytest.approx(points, abs=1e-12)

    shown = got(waiting, path_of("always"), window=window, as_of=known.AS_OF, compare=True)
    (of_library,) = expected.filter(store_id="always").iter_rows(named=True)
    assert {change: shown[change] for change in CHANGES} == {change: of_library[change] for change in CHANGES}
    assert shown["window_before"] == {
        "name": name, "start_us": of_library["before_start_us"], "end_us": of_library["before_end_us"],
    }  # fmt: skip


def test_without_a_comparison_no_answer_mentions_one(waiting: httpx.Client) -> None:
    for path in ("/v1/stores", path_of("always")):
        plain = waiting.get(path, params={"as_of": known.AS_OF}).raise_for_status()
        assert "before" not in plain.json()
        assert "window_before" not in plain.json()
        assert "change" not in plain.text
        compared = got(waiting, path, as_of=known.AS_OF, compare=True)
        assert plain.json()["window"] == compared["window"]


REGIONS = "store_id,region\nalways,North\nlate,South\nshut,North\n"


@pytest.fixture(scope="module")
def own(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Serve the fleet of `tests.fixtures.known`, some of it with regions, to a worker of its own."""
    folder = tmp_path_factory.mktemp("compared")
    database = connect(url_in(folder))
    tables.load(database, folder, polls=known.POLLS, hours=known.HOURS, timezones=known.TIMEZONES, stores=REGIONS)
    with service_threads(folder, workers=1) as running, running.client() as client:
        yield client


def kept(client: httpx.Client, form: str, **body: Any) -> tuple[dict[str, Any], bytes]:
    """Have a report made; return its state and the file of it."""
    made = client.post("/v1/reports", json=body).raise_for_status().json()
    state = finished(client, made["id"])
    assert state["state"] == "complete"
    result = client.get(f"/v1/reports/{made['id']}/result", params={"format": form}).raise_for_status()
    return state, result.content


def test_groups_are_compared(own: httpx.Client) -> None:
    grouped = got(own, "/v1/groups", by="region", window="last_day", compare=True)
    assert grouped["window_before"]["end_us"] == grouped["window"]["start_us"]
    whole = grouped["fleet"]
    for name in ("uptime_us", "downtime_us", "business_us"):
        assert sum(group["before"][name] for group in grouped["groups"]) == whole["before"][name]
    listed = got(own, "/v1/stores", window="last_day", compare=True)
    assert {change: whole[change] for change in CHANGES} == {change: listed["fleet"][change] for change in CHANGES}
    north = next(group for group in grouped["groups"] if group["values"] == {"region": "North"})
    assert north["downtime_change_us"] == 11 * HOUR_US // 2
    assert "before" not in got(own, "/v1/groups", by="region", window="last_day")["fleet"]


def test_a_kept_report_has_the_comparison_of_the_library(own: httpx.Client) -> None:
    contents = (known.POLLS, known.HOURS, known.TIMEZONES)
    read = (pl.read_csv(io.StringIO(content), infer_schema=False) for content in contents)
    windows = ["last_day", "last_week"]
    expected = uphours.report(*read, windows=windows, as_of=known.AS_OF, compare=True)
    state, content = kept(own, "parquet", compare=True, windows=windows, as_of=known.AS_OF)
    assert pl.read_parquet(io.BytesIO(content)).equals(expected)
    assert state["options"]["compare"] is True
    _, text = kept(own, "csv", **state["options"])  # options can be sent back as they are
    assert text.decode().splitlines()[0].endswith("downtime_change_last_day,downtime_change_last_week")


def test_a_kept_workbook_has_the_outages_that_were_asked_for(own: httpx.Client) -> None:
    body = {"as_of": known.AS_OF, "windows": ["last_day"], "stores": ["always"], "detail": True}
    plain, listed = (
        load_workbook(io.BytesIO(kept(own, "xlsx", **body, outages=outages)[1])) for outages in (False, True)
    )
    assert (plain.sheetnames, listed.sheetnames) == (["Report", "About"], ["Report", "Outages", "About"])
    _, row = listed["Outages"].iter_rows(values_only=True)
    assert (row[0], row[3], row[6], row[7]) == ("always", "UTC", 5.5, "no")
    assert (str(row[4]), str(row[5])) == ("2023-01-25 06:00:00", "2023-01-25 11:30:00")
    of_groups = load_workbook(io.BytesIO(kept(own, "xlsx", by=["region"], windows=["last_day"], outages=True)[1]))
    assert of_groups.sheetnames == ["Groups", "Outages", "About"]
    assert [row[0] for row in of_groups["Outages"].iter_rows(values_only=True)][1:] == ["always", "late", "wednesdays"]
