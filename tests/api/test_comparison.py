"""Comparisons over HTTP: the list of stores, one store, groups and kept reports say what the library says."""

from __future__ import annotations

import io
from typing import Any

import httpx
import polars as pl
import pytest

import uphours
from tests.api.test_stores import ALL_IDS, fleet, path_of
from tests.fixtures import known, tables
from tests.fixtures.services import Service, finished

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


def test_groups_and_kept_reports_are_compared(served: Service) -> None:
    with served.client() as client:
        client.put("/v1/stores", json=[{"store_id": "1", "region": "North"}]).raise_for_status()
        grouped = got(client, "/v1/groups", by="region", window="last_day", compare=True)
        assert grouped["window_before"]["end_us"] == grouped["window"]["start_us"]
        whole = grouped["fleet"]
        for name in ("uptime_us", "downtime_us", "business_us"):
            assert sum(group["before"][name] for group in grouped["groups"]) == whole["before"][name]
        listed = got(client, "/v1/stores", window="last_day", compare=True)
        assert {change: whole[change] for change in CHANGES} == {change: listed["fleet"][change] for change in CHANGES}
        assert "before" not in got(client, "/v1/groups", by="region", window="last_day")["fleet"]

        made = client.post("/v1/reports", json={"compare": True, "windows": ["last_day", "last_week"]}).json()
        state = finished(client, made["id"])
        assert (state["state"], state["options"]["compare"]) == ("complete", True)
        content = client.get(f"/v1/reports/{made['id']}/result", params={"format": "parquet"}).raise_for_status()
        read = (
            pl.read_csv(io.StringIO(tables.CONTENTS[kind]), infer_schema=False) for kind in list(tables.CONTENTS)[:3]
        )
        expected = uphours.report(*read, windows=["last_day", "last_week"], compare=True)
        assert pl.read_parquet(io.BytesIO(content.content)).equals(expected)
        lines = client.get(f"/v1/reports/{made['id']}/result").text.splitlines()
        assert lines[0].endswith("downtime_change_last_day,downtime_change_last_week")
        again = client.post("/v1/reports", json=state["options"]).json()
        assert again["options"] == state["options"]
        client.put("/v1/stores", json=[{"store_id": "1", "region": ""}]).raise_for_status()
