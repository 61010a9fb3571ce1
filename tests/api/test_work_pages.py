"""The pages for what people do with many stores: targets, groups, adjustments of many stores, reports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from tests.fixtures import tables
from tests.fixtures.databases import only_sqlite, url_in
from tests.fixtures.services import service
from uphours import demo
from uphours.database.database import connect
from uphours.ingest.load import load_files

pytestmark = only_sqlite  # what engines do with the rows is asked in tests/database

REGIONS = ("TX", "NY", "CA")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a service with the made-up fleet, whose stores have names and regions."""
    folder = tmp_path_factory.mktemp("work")
    load_named_fleet(folder)
    with service(folder, workers="1") as running, running.client() as made:
        yield made


def load_named_fleet(folder: Path) -> list[str]:
    """Load the made-up fleet with a name and a region for each store; return the ids."""
    files = folder / "files"
    demo.make_files(files)
    ids = sorted(set(pl.read_csv(files / "polls.csv", infer_schema=False)["store_id"]))
    stores = "".join(f"{id_},Shop {place},{REGIONS[place % 3]}\n" for place, id_ in enumerate(ids))
    (files / "stores.csv").write_text(f"store_id,name,region\n{stores}")
    names: dict[Any, list[str]] = {
        kind: [str(files / f"{kind}.csv")] for kind in ("polls", "hours", "timezones", "stores")
    }
    load_files(connect(url_in(folder)), names, now=tables.NOW)
    return ids


def text_of(answer: httpx.Response) -> str:
    """Return the text of a page, each stretch of blanks as one."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


# --- targets ---


def test_a_percentage_lists_the_stores_below_it_without_a_target(client: httpx.Client) -> None:
    (expected,) = client.get("/v1/targets", params={"percent": 98, "period": "2023-01", "worst": 100}).json()["targets"]
    shown = client.get("/targets", params={"percent": "98 %", "period": "2023-01"})
    assert shown.status_code == 200
    assert f"{expected['stores_below']} stores below 98 %, 2023-01" in text_of(shown)
    listed = re.findall(r'href="/stores/([^?"]+)\?from_date=2023-01-01&amp;to_date=2023-02-01"', shown.text)
    assert listed == [one["store_id"] for one in expected["below"]]
    sent = client.get("/targets/below.csv", params={"percent": "98", "period": "2023-01"})
    table = pl.read_csv(sent.content, infer_schema=False)
    assert table["store_id"].to_list() == listed
    assert table["name"][0].startswith("Shop ")
    worst = expected["below"][0]
    assert float(table["downtime"][0]) == pytest.approx(worst["used_us"] / 3.6e9, abs=0.005)
    assert client.get("/v1/targets").json()["defined"] == []


def test_a_target_that_is_asked_for_has_the_figures_of_one_that_is_set(client: httpx.Client) -> None:
    form = {"name": "norm", "target": "98,5", "where": "region=TX\r\nregion=NY", "period": "month", "valid_from": ""}
    assert client.post("/targets", data=form).headers["location"] == "/targets"
    assert client.get("/v1/targets").json()["defined"] == [
        {"name": "norm", "where": "region=NY;region=TX", "target": 98.5, "period": "month", "valid_from": None}
    ]
    shown = text_of(client.get("/targets"))
    (norm,) = client.get("/v1/targets").json()["targets"]
    assert f"{norm['stores_below']} stores below 98.5 %: norm, 2023-01" in shown
    assert "region=NY, region=TX" in shown
    assert "✗ missed" in shown
    client.post("/targets", data={"name": "norm", "target": "98.5", "period": "month"})
    everyone, asked = (
        client.get("/v1/targets", params=query).json()["targets"][0] for query in ({}, {"percent": 98.5})
    )
    assert {**asked, "name": "norm", "valid_from": None} == everyone
    assert client.post("/targets/ending", data={"name": "norm", "valid_from": "2023-01-01"}).status_code == 303
    assert client.get("/v1/targets").json()["targets"] == []
    assert "No target is in force" in text_of(client.get("/targets"))
    assert client.post("/targets/ending", data={"name": "norm"}).status_code == 303
    assert "There are no targets yet" in text_of(client.get("/targets"))


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"name": " "}, "name", "name is ''"),
        ({"target": "0.98"}, "target", "cannot read the target '0.98'"),
        ({"where": "region"}, "where", "cannot read the stores 'region'"),
        ({"period": "year"}, "period", "valid are week, month, quarter"),
        ({"valid_from": "2023-02-30"}, "valid_from", "the date is '2023-02-30'"),
    ],
)
def test_a_mistake_in_a_target_is_said_beside_its_field_and_what_was_typed_stays(
    client: httpx.Client, changes: dict[str, str], field: str, says: str
) -> None:
    before = client.get("/v1/targets").json()["defined"]
    form = {"name": "a <b>", "target": "97", "where": "region=TX", "period": "week", "valid_from": "2023-01-01"}
    shown = client.post("/targets", data=form | changes)
    assert shown.status_code == 422
    (said,) = re.findall(r'<span class="mistake" id="mistake-(\w+)" role="alert">(.*?)</span>', shown.text)
    assert said[0] == field
    assert says in unescape(said[1])
    assert ("a &lt;b&gt;" in shown.text) == (field != "name")
    assert client.get("/v1/targets").json()["defined"] == before


@pytest.mark.parametrize(
    ("query", "says"),
    [({"percent": "many"}, "cannot read the percentage 'many'"), ({"period": "soon"}, "cannot read the period 'soon'")],
)
def test_what_makes_no_sense_in_the_address_of_targets_is_said(
    client: httpx.Client, query: dict[str, str], says: str
) -> None:
    shown = client.get("/targets", params=query)
    assert (shown.status_code, says in unescape(shown.text)) == (422, True)


def test_percent_has_three_decimals_at_most(client: httpx.Client) -> None:
    answer = client.get("/v1/targets", params={"percent": 99.9999})
    assert (answer.status_code, "up to three decimals" in answer.json()["detail"]) == (422, True)
