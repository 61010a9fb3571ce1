"""Views of a fleet whose latest observation is ahead of the clock say so, and never call it a moment ago."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.api.test_one_snapshot import Client
from tests.fixtures import tables
from tests.fixtures.databases import only_sqlite, url_in
from uphours.database.database import connect
from uphours.schema import HOUR_US, instant_text
from uphours.service.terms import now_us

pytestmark = only_sqlite  # no engine shows in what these are about


@pytest.fixture(scope="module")
def client(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder, now = tmp_path_factory.mktemp("ahead"), now_us()
    polls = (f"1,active,{instant_text(now - HOUR_US)}", f"fast,inactive,{instant_text(now + 20 * HOUR_US)}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "NOW", now)
        tables.load(connect(url_in(folder)), folder, polls=tables.table("polls", *polls))
    made = Client(url_in(folder))
    yield made
    made.app.state.service.database.close()


@pytest.mark.parametrize(
    ("path", "stores"),
    [
        ("/v1/stores", ["fast"]),
        ("/v1/stores/fast", ["fast"]),
        ("/v1/stores/1", []),
        ("/v1/stores/fast/timeline", ["fast"]),
        ("/v1/stores/fast/outages", ["fast"]),
        ("/v1/stores/fast/explanation", ["fast"]),
        ("/v1/fleet/history", []),
        ("/v1/fleet/heatmap", []),
    ],
)
def test_an_answer_says_how_far_as_of_is_ahead(client: Client, path: str, stores: list[str]) -> None:
    found = client.json(path)["ahead"]
    assert found["stores"] == stores
    assert 19 * HOUR_US < found["by_us"] <= 20 * HOUR_US
    named = client.json(f"{path}?as_of={instant_text(now_us()).replace(' ', 'T').replace('TUTC', 'Z')}")
    assert named.get("ahead") is None


@pytest.mark.parametrize(("path", "names_it"), [("/", True), ("/week", False), ("/stores/fast", True)])
def test_a_page_says_it_and_calls_it_no_time_ago(client: Client, path: str, names_it: bool) -> None:
    text = re.sub(r"<[^>]*>", "", client.get(path)).replace("\u202f", " ")
    assert re.search(
        r"That is (19 h 59 min|20 h 0 min) ahead of this machine&#39;s clock|ahead of this machine's clock", text
    )
    assert ("clock, at fast: everything here speaks for it" in text) == names_it
    assert not re.search(r"(&lt;1 s|−.*) ago", text)
