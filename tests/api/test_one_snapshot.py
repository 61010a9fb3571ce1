"""A page of a store, and each answer of the API, comes out of one snapshot: its parts cannot disagree."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.fixtures import known, tables
from tests.fixtures.databases import url_in
from uphours.database.database import Database, Snapshot, connect
from uphours.schema import DAY_US, instant_text
from uphours.service.app import create_app
from uphours.settings import Settings

AFTERWARDS: Final = tables.table("polls", f"always,inactive,{instant_text(known.AS_OF_US + DAY_US)}")
OF_ONE_STORE: Final = [
    "/stores/always",
    "/stores/always?window=yesterday",
    "/stores/always?as_of=2023-01-25",
    "/v1/stores/always",
    "/v1/stores/always/timeline",
    "/v1/stores/always/outages",
    "/v1/stores/always/explanation",
]
OF_THE_FLEET: Final = [
    "/",
    "/?tab=all&lost_in=Wed+06-11",
    "/week",
    "/v1/stores",
    "/v1/fleet/history",
    "/v1/fleet/heatmap",
    "/v1/days",
    "/v1/loads",
]


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = connect(url_in(tmp_path))
    tables.load(made, tmp_path, polls=known.POLLS, hours=known.HOURS, timezones=known.TIMEZONES)
    return made


class Client:
    """Asks a service in this process, so that its snapshots can be counted."""

    def __init__(self, url: str) -> None:
        self.app = create_app(Settings(database_url=url), needs_key=False)

    def get(self, path: str) -> str:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.get(path)

        return asyncio.run(asked()).raise_for_status().text

    def json(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get(path))
        return found


@pytest.fixture
def client(database: Database, tmp_path: Path) -> Iterator[Client]:
    made = Client(url_in(tmp_path))
    yield made
    made.app.state.service.database.close()


@pytest.fixture
def snapshots(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The snapshots that were taken, as they are counted."""
    taken: list[Any] = []
    init = Snapshot.__init__

    def counted(self: Snapshot, *args: Any) -> None:
        taken.append(args)
        init(self, *args)

    monkeypatch.setattr(Snapshot, "__init__", counted)
    return taken


@pytest.mark.parametrize("path", OF_ONE_STORE)
def test_a_store_is_shown_from_one_snapshot(client: Client, snapshots: list[Any], path: str) -> None:
    snapshots.clear()
    client.get(path)
    # Collector gaps are the whole fleet's, and a page of a store shows them too: a view that is kept.
    assert [names for _, names in snapshots if names is not None] == [["always"]]
    assert len(snapshots) <= 2


@pytest.mark.parametrize("path", OF_THE_FLEET)
def test_the_fleet_is_shown_from_one_snapshot_at_most(client: Client, snapshots: list[Any], path: str) -> None:
    snapshots.clear()
    client.get(path)
    assert len(snapshots) <= 1


def shown(client: Client) -> str:
    """Return a page of a store without what changes with each request."""
    return re.sub(r"<time .*?</time>", "", client.get("/stores/always"))


def test_a_page_of_a_store_does_not_mix_what_was_with_what_has_come_in_meanwhile(
    client: Client, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shown(client)
    observations = Snapshot.observations
    loads = iter([AFTERWARDS])

    def interrupted(self: Snapshot, *args: int) -> Any:
        if content := next(loads, None):
            tables.load(database, tmp_path, polls=content)
        return observations(self, *args)

    monkeypatch.setattr(Snapshot, "observations", interrupted)
    assert shown(client) == before
    assert shown(client) != before


def test_a_small_transaction_sees_the_store_as_it_was_at_its_first_statement(
    database: Database, tmp_path: Path
) -> None:
    with database.reading() as connection:
        count = "SELECT count(*) FROM loads"
        assert connection.exec_driver_sql(count).scalar_one() == 1
        tables.load(database, tmp_path, polls=AFTERWARDS)
        assert connection.exec_driver_sql(count).scalar_one() == 1
    with database.reading() as connection:
        assert connection.exec_driver_sql(count).scalar_one() == 2
