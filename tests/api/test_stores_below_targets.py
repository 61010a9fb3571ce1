"""The stores below a target, whatever stores it is about: the tab, its count, and what each of them misses."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from tests.api.test_one_snapshot import Client
from tests.fixtures import known, tables
from tests.fixtures.databases import only_sqlite, url_in
from uphours.database.database import Database, connect

pytestmark = only_sqlite  # no statement of its own

#: In the last week ``always`` was up 96.7 %, ``late`` 0.0 %, ``shut`` all of its time; ``wednesdays`` was down.
STORES = "store_id,region\nalways,TX\nlate,NY\nshut,TX\nwednesdays,TX\n"


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = connect(url_in(tmp_path))
    files = {"polls": known.POLLS, "hours": known.HOURS, "timezones": known.TIMEZONES, "stores": STORES}
    tables.load(made, tmp_path, **files)
    return made


@pytest.fixture
def client(database: Database, tmp_path: Path) -> Iterator[Client]:
    made = Client(url_in(tmp_path))
    yield made
    made.app.state.service.database.close()


def set_targets(database: Database, folder: Path, *rows: str) -> None:
    tables.load(database, folder, targets="\n".join(["name,where,target,period,valid_from", *rows, ""]))


def below(client: Client) -> list[str]:
    found = client.json("/v1/stores?tab=below_target")
    assert found["tabs"]["below_target"] == len(found["stores"])
    return [store["store_id"] for store in found["stores"]]


def text_of(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).replace("\u202f", " ").split())


def test_a_target_of_some_stores_is_missed_by_them_alone(client: Client, database: Database, tmp_path: Path) -> None:
    set_targets(database, tmp_path, "texas,region=TX,97,month,")
    assert below(client) == ["always"]
    shown = text_of(client.get("/?tab=below_target"))
    assert "Below 97 % 1 " in shown
    assert "target 97 % missed by 1 of 2" in shown
    assert "below texas, 97 %" in shown


def test_each_store_is_held_against_its_own_targets(client: Client, database: Database, tmp_path: Path) -> None:
    set_targets(database, tmp_path, "texas,region=TX,96,month,", "york,region=NY,50,week,", "east,region=NY,40,week,")
    assert below(client) == ["late"]
    shown = text_of(client.get("/?tab=below_target"))
    assert "Below target 1 " in shown
    assert "targets missed by 1 of 3" in shown
    assert "below york, 50 % and 1 more" in shown
    rows = {row["store_id"]: row for row in csv.DictReader(io.StringIO(client.get("/list.csv?tab=all")))}
    assert {name: row["missed_targets"] for name, row in rows.items()} == {
        "always": "", "late": "york, east", "shut": "", "unseen": "", "wednesdays": "texas",
    }  # fmt: skip


def test_a_target_is_in_force_from_its_date_on(client: Client, database: Database, tmp_path: Path) -> None:
    set_targets(database, tmp_path, "norm,,97,month,2023-01-26", "york,region=NY,50,month,2023-01-25")
    assert below(client) == ["late"]


def test_without_targets_the_list_of_those_below_is_empty(client: Client) -> None:
    assert "Below" not in text_of(client.get("/"))
    assert "No store belongs in this list" in text_of(client.get("/?tab=below_target"))
