"""The fleet and its stores: the figures of the library, whatever the id, the window, or the instant."""

from __future__ import annotations

import io
from functools import cache
from typing import Any
from urllib.parse import quote

import httpx
import polars as pl
import pytest

import uphours
from tests.fixtures import known
from uphours.kernel.policy import Policy
from uphours.kernel.windows import Window
from uphours.reports.explain import explain
from uphours.schema import HOUR_US, MINUTE_US, instant_us

FIGURES = (
    "uptime_us",
    "downtime_us",
    "unknown_us",
    "business_us",
    "uptime_min_us",
    "uptime_max_us",
    "availability",
    "coverage",
    "observations",
    "outages",
    "longest_outage_us",
)
KNOWN_IDS = ("always", "late", "shut", "unseen", "wednesdays")
ALL_IDS = sorted([*KNOWN_IDS, *known.ODD_IDS])
WEDNESDAY = "wednesday=2023-01-25T00:00:00Z/2023-01-26T00:00:00Z"


@cache
def fleet() -> uphours.Validated:
    """Return the same fleet as the library has it."""
    contents = (known.with_odd_ids(), known.HOURS, known.TIMEZONES)
    return uphours.validate(*(pl.read_csv(io.StringIO(content), infer_schema=False) for content in contents))


def path_of(store_id: str, view: str = "") -> str:
    return f"/v1/stores/{quote(store_id, safe='')}{view}"


def listed(client: httpx.Client, **query: Any) -> dict[str, Any]:
    answer: dict[str, Any] = client.get("/v1/stores", params=query).raise_for_status().json()
    return answer


def ids(client: httpx.Client, **query: Any) -> list[str]:
    return [row["store_id"] for row in listed(client, **query)["stores"]]


# --- figures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ({}, {}),
        ({"window": "last_hour"}, {"windows": ["last_hour"]}),
        ({"window": "yesterday"}, {"windows": ["yesterday"]}),
        ({"window": WEDNESDAY}, {"windows": [Window("wednesday", "2023-01-25T00:00Z", "2023-01-26T00:00Z")]}),
        ({"as_of": "2023-01-25T10:30:00Z"}, {"as_of": "2023-01-25T10:30:00Z"}),
        ({"as_of": "2023-01-25T11:30:00+01:00"}, {"as_of": "2023-01-25T10:30:00Z"}),
        ({"as_of": "2023-01-01"}, {"as_of": "2023-01-01"}),
        ({"interpolation": "next"}, {"policy": Policy(interpolation="next")}),
        ({"interpolation": "nearest"}, {"policy": Policy(interpolation="nearest")}),
        ({"prefer_in_session": "false"}, {"policy": Policy(prefer_in_session=False)}),
        (
            {"max_age": "1h", "assume": "inactive", "confirm_within": "3d"},
            {
                "policy": Policy.from_dict(
                    {"max_age_us": HOUR_US, "assume": "inactive", "confirm_within_us": 72 * HOUR_US}
                )
            },
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_figures_of_list_and_store_are_those_of_the_library(
    waiting: httpx.Client, query: dict[str, str], options: dict[str, Any]
) -> None:
    chosen = {"windows": ["last_week"]} | options
    expected = uphours.report(fleet(), all_stores=True, **chosen)
    page = listed(waiting, **query)
    assert [row["store_id"] for row in page["stores"]] == ALL_IDS
    for row, of_library in zip(page["stores"], expected.iter_rows(named=True), strict=True):
        assert {name: row[name] for name in FIGURES} == {name: of_library[name] for name in FIGURES}
    sums = {name: sum(expected[name].to_list()) for name in ("uptime_us", "downtime_us", "business_us", "observations")}
    assert {name: page["fleet"][name] for name in sums} == sums
    for store_id in ("always", "wednesdays", "unseen"):
        shown = waiting.get(path_of(store_id), params=query).raise_for_status().json()
        (of_library,) = expected.filter(store_id=store_id).iter_rows(named=True)
        assert {name: shown[name] for name in FIGURES} == {name: of_library[name] for name in FIGURES}
        assert (shown["window"]["start_us"], shown["window"]["end_us"]) == (
            of_library["start_us"],
            of_library["end_us"],
        )


def test_states_and_since_when_are_as_worked_out_by_hand(waiting: httpx.Client) -> None:
    expected = {
        "always": ("up", "2023-01-25T11:30:00Z", "2023-01-25T12:00:00Z"),
        "late": ("up", "2023-01-25T11:59:20Z", "2023-01-25T11:59:20Z"),
        "shut": ("closed", "2023-01-23T17:00:00Z", "2023-01-23T10:00:00Z"),
        "unseen": ("unknown", None, None),
        "wednesdays": ("down", "2023-01-25T10:00:00Z", "2023-01-25T10:00:00Z"),
    }
    rows = {row["store_id"]: row for row in listed(waiting)["stores"]}
    for store_id, (state, since, seen) in expected.items():
        instants = [None if text is None else instant_us(text) for text in (since, seen)]
        shown = waiting.get(path_of(store_id)).json()
        for row in (rows[store_id], shown):
            assert (row["state"], row["since_us"], row["last_observed_at_us"]) == (state, *instants), store_id
    assert listed(waiting)["fleet"]["states"] == {
        "down": 1,
        "up": 2 + len(known.ODD_IDS),
        "unknown": 1,
        "excluded": 0,
        "hours unknown": 0,
        "closed": 1,
    }


def test_the_state_is_that_of_the_instant_asked_for(waiting: httpx.Client) -> None:
    def at(as_of: str) -> tuple[str, int | None]:
        row = waiting.get(path_of("always"), params={"as_of": as_of}).raise_for_status().json()
        assert row["as_of_us"] == instant_us(as_of)
        return row["state"], row["since_us"]

    assert at("2023-01-25T05:59:59.999999Z") == ("up", instant_us("2023-01-18T12:00:00Z"))
    assert at("2023-01-25T06:00:00Z") == ("down", instant_us("2023-01-25T06:00:00Z"))
    assert at("2023-01-25T11:00:00Z") == ("down", instant_us("2023-01-25T06:00:00Z"))
    assert at("2023-01-25T11:30:00Z") == ("up", instant_us("2023-01-25T11:30:00Z"))
    assert at("2023-01-18T11:59:00Z") == ("unknown", None)


def test_a_list_says_what_it_was_made_with(waiting: httpx.Client) -> None:
    page = listed(waiting, window="last_day", max_age="90m")
    assert (page["as_of"], page["as_of_us"]) == (known.AS_OF, known.AS_OF_US)
    assert page["policy"]["max_age_us"] == 90 * MINUTE_US
    assert page["window"] == {
        "name": "last_day",
        "start_us": known.AS_OF_US - 24 * HOUR_US,
        "end_us": known.AS_OF_US,
    }
    assert page["loads_seen"] >= 1
    assert listed(waiting, window="today")["window"] == {"name": "today", "start_us": None, "end_us": None}


def test_what_a_store_has_by_default_is_told(waiting: httpx.Client) -> None:
    shown = {store_id: waiting.get(path_of(store_id)).json() for store_id in ("always", "wednesdays", "007")}
    facts = {
        name: (row["timezone"], row["timezone_is_default"], row["hours_are_default"]) for name, row in shown.items()
    }
    assert facts == {
        "always": ("UTC", False, True),
        "wednesdays": ("UTC", False, False),
        "007": ("America/Chicago", True, True),
    }
    assert len(shown["wednesdays"]["business_hours"]) == 1


# --- finding, sorting, paging ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"search": "WAYS"}, ["always"]),
        ({"search": "ways", "state": "down"}, []),
        ({"search": "%"}, ["100%25", "50%"]),
        ({"search": "☕"}, ["Café ☕"]),
        ({"search": "nothing like it"}, []),
        ({"state": "down"}, ["wednesdays"]),
        ({"state": ["down", "closed"]}, ["shut", "wednesdays"]),
        ({"timezone": "UTC"}, list(KNOWN_IDS)),
        ({"timezone": ["UTC", "America/Chicago"]}, ALL_IDS),
        ({"timezone": "Asia/Kolkata"}, []),
        ({"availability_below": 0.5}, ["late", "wednesdays"]),
        ({"availability_below": 1}, ["always", "late", "wednesdays"]),
        ({"availability_below": 0}, []),
        ({"without": "timezone"}, sorted(known.ODD_IDS)),
        ({"without": "hours"}, sorted(["always", "late", *known.ODD_IDS])),
        ({"without": ["hours", "timezone"], "search": "a"}, ["Café ☕", "a/b", "a?b#c"]),
        ({"observed": "never"}, ["unseen"]),
        ({"observed": "never", "last_observed_before": "2023-01-26"}, []),
        ({"observed": "ever", "timezone": "UTC"}, ["always", "late", "shut", "wednesdays"]),
        ({"last_observed_before": "2023-01-25T10:00:00Z"}, ["shut"]),
        ({"last_observed_before": "2023-01-25T10:00:00.000001Z", "timezone": "UTC"}, ["shut", "wednesdays"]),
        ({"observed": "ever", "as_of": "2023-01-23T10:00:00Z"}, ["always", "shut"]),
    ],
    ids=str,
)
def test_only_stores_that_match_everything_are_listed(
    waiting: httpx.Client, query: dict[str, Any], found: list[str]
) -> None:
    page = listed(waiting, **query)
    assert [row["store_id"] for row in page["stores"]] == found
    assert page["total_matching"] == len(found)
    assert page["fleet"]["stores"] == len(ALL_IDS)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", ["store_id", "availability", "lost_time", "since", "last_observed"])
def test_every_order_goes_on_from_page_to_page(waiting: httpx.Client, sort: str, descending: bool) -> None:
    whole = ids(waiting, sort=sort, descending=descending)
    assert sorted(whole) == ALL_IDS
    paged: list[str] = []
    cursor: str | None = None
    while cursor is not None or not paged:
        query = {"sort": sort, "descending": descending, "limit": 4} | ({"cursor": cursor} if cursor else {})
        page = listed(waiting, **query)
        assert len(page["stores"]) <= 4
        assert page["total_matching"] == len(ALL_IDS)
        paged += [row["store_id"] for row in page["stores"]]
        cursor = page["next_cursor"]
    assert paged == whole


def test_orders_are_as_worked_out_by_hand(waiting: httpx.Client) -> None:
    utc = {"timezone": "UTC", "window": "last_day"}
    assert ids(waiting, sort="store_id", descending=True, **utc) == list(KNOWN_IDS)[::-1]
    assert ids(waiting, sort="availability", **utc) == ["wednesdays", "late", "always", "shut", "unseen"]
    assert ids(waiting, sort="lost_time", descending=True, **utc) == ["late", "always", "wednesdays", "shut", "unseen"]
    assert ids(waiting, sort="since", **utc) == ["shut", "wednesdays", "always", "late", "unseen"]
    seen_last = ["shut", "wednesdays", "late", "always", "unseen"]
    assert ids(waiting, sort="last_observed", **utc) == seen_last
    assert ids(waiting, sort="last_observed", descending=True, **utc) == [*seen_last[3::-1], "unseen"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"sort": "colour"}, ["sort", "'availability'"]),
        ({"state": "asleep"}, ["state", "'closed'"]),
        ({"availability_below": 1.5}, ["availability_below", "1"]),
        ({"limit": 0}, ["limit", "1"]),
        ({"limit": 1001}, ["limit", "1000"]),
        ({"cursor": "x"}, ["cursor", "next_cursor"]),
        ({"window": "last_year"}, ["last_year", "last_week"]),
        ({"window": "x=2023-01-02/2023-01-01"}, ["not after its start"]),
        ({"window": "x=2023-01-02"}, ["NAME=START/END"]),
        ({"as_of": "noon"}, ["noon", "2023-01-25T18:13:22Z"]),
        ({"max_age": "soon"}, ["soon", "90m"]),
        ({"interpolation": "cubic"}, ["interpolation", "'nearest'"]),
        ({"timezone": "Mars/Olympus"}, ["Mars/Olympus", "IANA"]),
        ({"without": "phone"}, ["without", "'timezone'"]),
        ({"observed": "once"}, ["observed", "'never'"]),
        ({"last_observed_before": "soon"}, ["soon", "2023-01-25T18:13:22Z"]),
    ],
    ids=str,
)
def test_a_mistake_is_a_problem_that_names_what_is_valid(
    waiting: httpx.Client, query: dict[str, Any], says: list[str]
) -> None:
    answer = waiting.get("/v1/stores", params=query)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [word for word in says if word not in answer.json()["detail"]] == [], answer.text


def test_a_cursor_of_another_order_is_refused(waiting: httpx.Client) -> None:
    cursor = listed(waiting, sort="since", limit=2)["next_cursor"]
    answer = waiting.get("/v1/stores", params={"sort": "lost_time", "cursor": cursor})
    assert answer.status_code == 422
    assert "sorted by since" in answer.json()["detail"]


# --- one store ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "as_of"), [("last_week", None), ("last_day", "2023-01-25T08:00:00Z"), (WEDNESDAY, None), ("today", None)]
)
@pytest.mark.parametrize("store_id", ["always", "wednesdays", "shut", "unseen"])
def test_the_explanation_is_that_of_the_library(
    waiting: httpx.Client, store_id: str, window: str, as_of: str | None
) -> None:
    query = {"window": window} | ({} if as_of is None else {"as_of": as_of})
    at = known.AS_OF_US if as_of is None else instant_us(as_of)
    own = Window("wednesday", "2023-01-25T00:00Z", "2023-01-26T00:00Z") if window == WEDNESDAY else window
    made = explain(fleet().fleet.of([store_id]), as_of=at, window=own, policy=Policy())
    answer = waiting.get(path_of(store_id, "/explanation"), params=query)
    assert answer.status_code == 200
    assert answer.json() == made.facts()

    shown = waiting.get(path_of(store_id, "/timeline"), params=query).raise_for_status().json()
    facts = made.facts()
    assert [shown[name] for name in ("store_id", "timezone", "sessions", "observations", "window")] == [
        facts[name] for name in ("store_id", "timezone", "sessions", "observations", "window")
    ]
    spent = dict.fromkeys(("up", "down", "unknown"), 0)
    for span in shown["spans"]:
        spent[span["status"]] += span["end_us"] - span["start_us"]
    assert [spent["up"], spent["down"], spent["unknown"]] == [
        facts["figures"][name] for name in ("uptime_us", "downtime_us", "unknown_us")
    ]


def rows_of(table: pl.DataFrame, store_id: str) -> list[dict[str, Any]]:
    """Return the intervals of one store as the service shows them."""
    mine = table.filter(store_id=store_id).drop("store_id")
    return mine.select(
        pl.col("start").dt.epoch("us").alias("start_us"),
        pl.col("end").dt.epoch("us").alias("end_us"),
        *mine.columns[2:],
    ).to_dicts()


@pytest.mark.parametrize("policy", [{}, {"interpolation": "next"}, {"max_age": "1h"}], ids=str)
@pytest.mark.parametrize("as_of", ["2023-01-25T12:00:00Z", "2023-01-25T10:30:00Z"])
def test_timeline_and_outages_are_those_of_the_library(
    waiting: httpx.Client, policy: dict[str, str], as_of: str
) -> None:
    chosen = Policy.from_dict(
        {
            "interpolation": policy.get("interpolation", "previous"),
            "max_age_us": HOUR_US if "max_age" in policy else None,
        }
    )
    spans = uphours.timeline(fleet(), as_of=as_of, policy=chosen)
    outages = uphours.outages(fleet(), as_of=as_of, policy=chosen)
    query = policy | {"as_of": as_of, "window": "last_week"}
    for store_id in (*KNOWN_IDS, "a/b"):
        shown = waiting.get(path_of(store_id, "/timeline"), params=query).raise_for_status().json()
        assert shown["spans"] == [span | {"entry": None} for span in rows_of(spans, store_id)]
        shown = waiting.get(path_of(store_id, "/outages"), params=query).raise_for_status().json()
        assert shown["outages"] == rows_of(outages, store_id)


def test_the_outages_of_a_store_are_as_worked_out_by_hand(waiting: httpx.Client) -> None:
    def outages(store_id: str, window: str) -> list[tuple[int, int, int]]:
        shown = waiting.get(path_of(store_id, "/outages"), params={"window": window}).raise_for_status().json()
        return [(one["start_us"], one["end_us"], one["downtime_us"]) for one in shown["outages"]]

    start, end = instant_us("2023-01-25T06:00:00Z"), instant_us("2023-01-25T11:30:00Z")
    assert outages("always", "last_week") == [(start, end, end - start)]
    assert outages("always", "last_hour") == [(end - 30 * MINUTE_US, end, 30 * MINUTE_US)]
    morning = "morning=2023-01-25T07:00:00Z/2023-01-25T08:00:00Z"
    assert outages("always", morning) == [(start + HOUR_US, start + 2 * HOUR_US, HOUR_US)]
    week_before = instant_us("2023-01-18T12:00:00Z")
    # Five hours of the Wednesday before and three of this one, and no up time in between.
    assert outages("wednesdays", "last_week") == [(week_before, known.AS_OF_US, 8 * HOUR_US)]
    assert outages("shut", "last_week") == []


@pytest.mark.parametrize("view", ["", "/timeline", "/outages", "/explanation"])
@pytest.mark.parametrize("store_id", ["nobody", "no/body", "Always", "7", "0", "%", "nobody "])
def test_an_unknown_store_is_a_problem_that_names_it(waiting: httpx.Client, store_id: str, view: str) -> None:
    answer = waiting.get(path_of(store_id, view))
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert repr(store_id) in answer.json()["detail"]


@pytest.mark.parametrize("view", ["", "/timeline", "/outages", "/explanation"])
@pytest.mark.parametrize("store_id", known.ODD_IDS)
def test_a_store_is_found_whatever_is_in_its_id(waiting: httpx.Client, store_id: str, view: str) -> None:
    answer = waiting.get(path_of(store_id, view))
    assert answer.status_code == 200, answer.text
    assert answer.json()["store_id"] == store_id


def test_an_id_with_slashes_is_found_as_it_is_too(waiting: httpx.Client) -> None:
    assert waiting.get("/v1/stores/a/b").json()["store_id"] == "a/b"
    assert waiting.get("/v1/stores/a/b/timeline").json()["store_id"] == "a/b"


@pytest.mark.parametrize(("store_id", "says"), [("x" * 256, "255"), ("", "1")])
def test_an_id_that_none_can_be_is_a_problem(waiting: httpx.Client, store_id: str, says: str) -> None:
    answer = waiting.get(path_of(store_id))
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


def test_the_paths_of_stores_are_plain_in_the_document(waiting: httpx.Client) -> None:
    paths = [path for path in waiting.get("/openapi.json").json()["paths"] if path.startswith("/v1/stores")]
    views = ("", "/calendar", "/timeline", "/outages", "/explanation")
    assert sorted(paths) == sorted(["/v1/stores", *(f"/v1/stores/{{store_id}}{view}" for view in views)])
