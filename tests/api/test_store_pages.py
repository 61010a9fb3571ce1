"""The pages about one store: what they say first, where it stands, its proof on paper, and its hours as a form."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.fixtures import tables
from tests.fixtures.databases import only_sqlite, url_in
from tests.fixtures.service_threads import service_threads
from tests.fixtures.services import Service
from uphours.database.database import connect

pytestmark = [pytest.mark.slow, only_sqlite]  # no engine shows in a page

WEEK = [f"{store},{day},09:00:00,17:00:00" for store in ("a", "b", "c") for day in range(7)]
POLLS = [
    # a: up, then three polls that find it down, and closed at the end
    "a,active,2023-01-02 10:00:00 UTC", "a,inactive,2023-01-02 11:00:00 UTC", "a,inactive,2023-01-02 12:00:00 UTC",
    "a,inactive,2023-01-02 13:00:00 UTC",
    # b: always up, to the end
    *(f"b,active,2023-01-02 {hour}:00:00 UTC" for hour in range(10, 14)),
]  # fmt: skip


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("pages")
    tables.load(
        connect(url_in(folder)),
        folder,
        polls=tables.table("polls", *POLLS),
        hours=tables.table("hours", *WEEK),
        timezones=tables.table("timezones", *(f"{store},Etc/UTC" for store in "abc")),
        stores="store_id,name,region\na,Midtown,TX\nb,Campus,TX\nc,Airport,CA\n",
        targets="name,target,period,where\nnorm,99,month,\ntexas,99.5,month,region=TX\n",
    )
    with service_threads(folder, workers=1) as made:
        yield made


def text_of(running: Service, path: str) -> str:
    """Return what a page says, without its tags."""
    with running.client() as client:
        answer = client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", answer.text.replace("\u202f", " ")))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (
            "/stores/a",
            "▼Down for 2 h of open time, since Mon 2 Jan 2023, 11:00. The last 3 polls say so, Mon 2 Jan, 11:00 to "
            "Mon 2 Jan, 13:00. Evidence: strong. It closes Mon 2 Jan, 17:00.",
        ),
        ("/stores/b", "▲Up for 3 h of open time, since Mon 2 Jan 2023, 10:00. The last 4 polls say so,"),
        ("/stores/c", "?Unknown and never observed. It closes Mon 2 Jan, 17:00."),
        ("/stores/a?as_of=2023-01-02T11:30:00Z", "Down for 30 min of open time, since Mon 2 Jan 2023, 11:00. One poll"),
        ("/stores/a?as_of=2023-01-02T20:00:00Z", "■Closed, since Mon 2 Jan 2023, 17:00. It opens Tue 3 Jan, 09:00."),
    ],
)
def test_a_page_says_first_how_the_store_is(running: Service, path: str, said: str) -> None:
    assert said in text_of(running, path)


def test_a_store_stands_among_the_others_and_has_the_highest_of_its_targets(running: Service) -> None:
    window = "?window=own%3D2023-01-02T10:00Z/2023-01-02T13:00Z"
    # a is up for one of three hours, b for all; c is unknown and has no rank
    assert text_of(running, f"/stores/a/rank{window}").strip() == "target 99.50 % · fleet 66.66 % · rank 2 of 2"
    assert text_of(running, f"/stores/c/rank{window}").strip() == "target 99 % · fleet 66.66 %"


def test_a_change_from_a_window_that_was_hardly_watched_is_not_shown(running: Service) -> None:
    # Nothing was polled in the week before; the hour before is known.
    assert "point" not in text_of(running, "/stores/a")
    assert "available 0.0 points" in text_of(running, "/stores/a?window=own%3D2023-01-02T12:00Z/2023-01-02T13:00Z")


def test_a_proof_has_the_figures_the_polls_and_what_it_was_made_with(running: Service) -> None:
    said = text_of(running, "/stores/a/proof?window=own%3D2023-01-02T10:00Z/2023-01-02T13:00Z")
    with running.client() as client:
        query = {"window": "own=2023-01-02T10:00Z/2023-01-02T13:00Z"}
        explained = client.get("/v1/stores/a/explanation", params=query).json()
    assert (explained["figures"]["uptime_us"], explained["figures"]["downtime_us"]) == (3600 * 10**6, 7200 * 10**6)
    for part in (
        "33.33 % available",
        "2 h lost",
        "uptime 1:00:00, downtime 2:00:00, unknown 0:00:00",
        "10:00:00&nbsp;▲ 11:00:00&nbsp;▼ 12:00:00&nbsp;▼ 13:00:00&nbsp;▼",
        f"uphours {explained['version']}, time zones {explained['tzdata']}",
        "as_of=2023-01-02T13%3A00%3A00Z",
        "Mon–Sun 09:00–17:00",
    ):
        assert part in said, part


def test_the_week_is_corrected_from_a_date_on_and_a_mistake_keeps_what_was_typed(running: Service) -> None:
    form = dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), "10:00–12:00, 13:00-18:30") | {"sat": "closed", "sun": ""}
    with running.client() as client:
        assert 'value="09:00–17:00"' in client.get("/stores/c/hours", headers={"Accept": "text/html"}).text
        wrong = client.post("/stores/c/hours", data=form | {"tue": "ten to six", "valid_from": "2023-01-09"})
        assert wrong.status_code == 422
        assert "Tue: cannot read" in wrong.text
        assert 'value="ten to six"' in wrong.text
        undated = client.post("/stores/c/hours", data=form)
        assert (undated.status_code, "cannot read valid from" in undated.text) == (422, True)
        saved = client.post("/stores/c/hours", data=form | {"valid_from": "2023-01-09"}, follow_redirects=False)
        assert (saved.status_code, saved.headers["location"]) == (303, "/stores/c#hours")
        special = {"what": "special", "date": "2023-01-11", "hours": "closed", "name": "Epiphany"}
        assert client.post("/stores/c/hours", data=special, follow_redirects=False).status_code == 303
        days = client.get("/v1/stores/c/calendar", params={"from": "2023-01-07", "to": "2023-01-16"}).json()["days"]
    assert [(day["date"][-2:], [f"{one['start']}-{one['end']}" for one in day["hours"]]) for day in days] == [
        ("07", ["09:00-17:00"]), ("08", ["09:00-17:00"]),
        *((day, ["10:00-12:00", "13:00-18:30"]) for day in ("09", "10")),
        ("11", []), *((day, ["10:00-12:00", "13:00-18:30"]) for day in ("12", "13")), ("14", []), ("15", []),
    ]  # fmt: skip


def test_a_month_is_a_calendar_of_what_each_day_lost(running: Service) -> None:
    said = text_of(running, "/stores/a?window=this_month&view=calendar")
    assert "Mon 2 January 66.66 %" not in said  # two of the four open hours so far are lost
    assert "Mon 2 January 50 % ▼ 2 h of 4 h open" in said


def test_without_the_ledger_the_first_sentence_is_of_what_was_polled(running: Service) -> None:
    entry = {
        "counts_as": "excluded", "reason": "planned closure", "stores": ["a"], "start": "2023-01-03T09:00:00Z",
        "end": "2023-01-03T17:00:00Z",
    }  # fmt: skip
    with running.client() as client:
        assert client.post("/v1/adjustments", json=entry).status_code == 201
    at = "/stores/a?as_of=2023-01-03T10:00:00Z"
    assert "▤Excluded for 1 h of open time, since Tue 3 Jan 2023, 09:00." in text_of(running, at)
    # Six hours of Monday and one of Tuesday.
    assert "▼Down for 7 h of open time, since Mon 2 Jan 2023, 11:00." in text_of(running, f"{at}&raw=true")


def test_a_store_that_is_not_there_has_no_pages(running: Service) -> None:
    with running.client() as client:
        for part in ("", "/hours", "/proof", "/rank", "/calendar"):
            assert client.get(f"/stores/nothing{part}", headers={"Accept": "text/html"}).status_code == 404


def test_a_store_has_its_name_and_attributes_over_http(running: Service) -> None:
    with running.client() as client:
        store = client.get("/v1/stores/a").json()
    assert (store["name"], store["attributes"]) == ("Midtown", {"region": "TX"})
