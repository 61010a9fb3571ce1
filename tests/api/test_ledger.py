"""The calendar and the ledger over HTTP: rows in, worked cases exact, entries made, seen, repeated and withdrawn."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from tests.fixtures.databases import only_sqlite, url_in
from tests.fixtures.service_threads import service_threads
from tests.fixtures.services import Service, finished
from tests.golden import test_operations_oracle as golden
from uphours.database import api_keys
from uphours.database.database import connect
from uphours.reports.adjusting import COUNTS_AS
from uphours.schema import DAY_US, HOUR_US, REASONS, WITHDRAWAL, instant_us
from uphours.wire.words import AdjustmentReason, EntryCountsAs

pytestmark = only_sqlite  # the journey compares the engines

NOON = instant_us("2024-06-03T12:00Z")
CLOSURE: dict[str, Any] = {
    "counts_as": "excluded",
    "reason": "planned closure",
    "stores": ["a"],
    "start": "2024-06-03T12:00Z",
    "end": "2024-06-03T13:00Z",
}
JUNE = "june=2024-06-03T00:00Z/2024-06-04T00:00Z"
VIEW = {"window": JUNE, "as_of": "2024-06-04T00:00Z"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service_threads(tmp_path_factory.mktemp("ledger"), workers=1) as made:
        yield made


@pytest.fixture(scope="module")
def asking(running: Service) -> Iterator[httpx.Client]:
    """A client of a service with the worked cases, and the store ``a``, open from 9 to 17 UTC and up but at noon."""
    with running.client() as client:
        for name in golden.CASES:
            load_case(client, name)
        put(client, "timezones", [{"store_id": store, "timezone_str": "UTC"} for store in "ab"])
        week = [{"day": str(day), "start_time_local": "09:00", "end_time_local": "17:00"} for day in range(7)]
        put(client, "business-hours", [{"store_id": store} | row for store in "ab" for row in week])
        polls = [("09:00", "active"), ("12:00", "inactive"), ("13:00", "active")]
        rows = [
            {"store_id": store, "status": status, "timestamp_utc": f"2024-06-03T{at}Z"}
            for store in "ab"
            for at, status in polls
        ]
        assert client.post("/v1/observations", json=rows).json()["accepted"] == 6
        yield client


def put(client: httpx.Client, path: str, rows: list[dict[str, str]], **query: str) -> dict[str, Any]:
    """Send rows, all of which must be good."""
    answer = client.put(f"/v1/{path}", json=rows, params=query)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    assert (made["accepted"], made["quarantined"]) == (len(rows), 0), made
    return made


def rows_of(name: str, file: str) -> list[dict[str, str]]:
    """Return the rows of a case with ids of its own."""
    path = golden.HERE / name / file
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as lines:
        return [row | {"store_id": f"{name}/{row['store_id']}"} for row in csv.DictReader(lines)]


def load_case(client: httpx.Client, name: str) -> None:
    """Bring all that a case holds over HTTP."""
    polls = rows_of(name, "polls.csv")
    assert client.post("/v1/observations", json=polls).json()["accepted"] == len(polls)
    for path, file in (
        ("timezones", "timezones.csv"),
        ("business-hours", "hours.csv"),
        ("special-hours", "special.csv"),
        ("stores", "stores.csv"),
    ):
        if rows := rows_of(name, file):
            put(client, path, rows)
    entries: dict[str, int] = {}
    for row in rows_of(name, "adjustments.csv"):
        said = {"reason": row["reason"], "note": row["note"]}
        if row["counts_as"] == WITHDRAWAL:
            answer = client.post(f"/v1/adjustments/{entries[row['withdraws']]}/withdrawal", json=said)
        else:
            bounds = {
                f"{side}{suffix}": row[f"{side}{of}"]
                for side in ("start", "end")
                for suffix, of in (("", "_utc"), ("_local", "_local"))
                if row[f"{side}{of}"]
            }
            body = said | bounds | {"counts_as": row["counts_as"], "stores": [row["store_id"]]}
            answer = client.post("/v1/adjustments", json=body)
        assert answer.status_code == 201, answer.text
        entries[row["entry"]] = answer.json()["entry"]


def report(client: httpx.Client, **options: Any) -> dict[str, Any]:
    made = client.post("/v1/reports", json=options)
    assert made.status_code == 202, made.text
    state = finished(client, made.json()["id"])
    assert state["state"] == "complete", state
    found: dict[str, Any] = client.get(state["result"], params={"format": "json"}).raise_for_status().json()
    return found


def test_the_words_of_the_wire_are_those_of_the_program() -> None:
    assert get_args(AdjustmentReason) == REASONS
    assert get_args(EntryCountsAs) == (*COUNTS_AS, WITHDRAWAL)


# --- worked cases ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", golden.CASES)
def test_a_worked_case_has_its_answers_in_reports_and_views(name: str, asking: httpx.Client) -> None:
    case = golden.case_of(name)
    as_of, windows = case["options"]["as_of"], case["options"]["windows"]
    own = [{"name": window, "start": start, "end": end} for window, (start, end) in windows.items()]
    ids = [f"{name}/{store}" for store in case["expected"]]
    made = report(asking, as_of=as_of, windows=own, stores=ids, all_stores=True)
    found = {store["store_id"]: store["windows"] for store in made["stores"]}
    without = report(asking, as_of=as_of, windows=own, stores=ids, all_stores=True, raw=True)
    assert without["raw"] is True
    raw = {store["store_id"]: store["windows"] for store in without["stores"]}
    for store, expected in case["expected"].items():
        for window, known in expected.items():
            parts = {part: value for part, value in known.items() if part != "scheduled_whole_us"}  # of targets
            store_id = f"{name}/{store}"
            figures = found[store_id][window]
            assert {part: figures[part] for part in parts} == parts, (store, window)
            sums = [figures[part] for part in ("uptime_us", "downtime_us", "unknown_us")]
            assert figures["business_us"] == sum(sums) == figures["scheduled_us"] - figures["excluded_us"]
            assert figures["watched_us"] <= figures["business_us"]
            bare = raw[store_id][window]
            assert bare["excluded_us"] == 0
            assert [bare[part] for part in ("uptime_us", "downtime_us", "unknown_us")] == [
                figures[f"raw_{part}"] for part in ("uptime_us", "downtime_us", "unknown_us")
            ]
            start, end = windows[window]
            query = {"as_of": as_of, "window": f"{window}={start}/{end}"}
            view = asking.get(f"/v1/stores/{store_id}", params=query).raise_for_status().json()
            assert {part: view[part] for part in parts} == parts, (store, window)
            explained = asking.get(f"/v1/stores/{store_id}/explanation", params=query).raise_for_status().json()
            assert {part: explained["figures"][part] for part in parts} == parts
            view = asking.get(f"/v1/stores/{store_id}", params=query | {"raw": True}).raise_for_status().json()
            assert (view["raw"], view["uptime_us"]) == (True, bare["uptime_us"])


# --- entries --------------------------------------------------------------------------------------------


def figures(client: httpx.Client, store: str = "a", **more: Any) -> tuple[int, int, int]:
    """Return the hours up, down and excluded of a store on one day."""
    found = client.get(f"/v1/stores/{store}", params=VIEW | more).raise_for_status().json()
    up, down, excluded = (found[f"{name}_us"] // HOUR_US for name in ("uptime", "downtime", "excluded"))
    return up, down, excluded


def test_an_entry_is_made_seen_everywhere_and_withdrawn(asking: httpx.Client) -> None:
    assert figures(asking) == (7, 1, 0)
    before = asking.get("/v1/adjustments").json()["adjustments"][0]["entry"]
    dry = asking.post("/v1/adjustments", json=CLOSURE, params={"dry_run": True})
    assert dry.status_code == 200
    moved = dry.json()
    assert (moved["stores"], moved["intervals"], moved["entered_us"]) == (1, 1, HOUR_US)
    assert (moved["before"]["downtime_us"], moved["after"]["downtime_us"]) == (HOUR_US, 0)
    assert (moved["before"]["excluded_us"], moved["after"]["excluded_us"]) == (0, HOUR_US)
    assert asking.get("/v1/adjustments").json()["adjustments"][0]["entry"] == before

    answer = asking.post("/v1/adjustments", json=CLOSURE | {"note": "new floor"})
    made = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/adjustments/{before + 1}")
    assert {name: made[name] for name in ("entry", "counts_as", "reason", "note", "actor", "stores")} == {
        "entry": before + 1, "counts_as": "excluded", "reason": "planned closure", "note": "new floor",
        "actor": "no key", "stores": 1,
    }  # fmt: skip
    assert (made["start_us"], made["end_us"], made["withdrawn_by"]) == (NOON, NOON + HOUR_US, None)
    assert asking.get(answer.headers["location"]).json() == made
    assert figures(asking) == (7, 0, 1)
    assert figures(asking, raw=True) == (7, 1, 0)
    assert figures(asking, "b") == (7, 1, 0)
    timeline = asking.get("/v1/stores/a/timeline", params=VIEW).json()
    closed = [span for span in timeline["spans"] if span["status"] == "excluded"]
    assert [(span["start_us"], span["end_us"], span["entry"]) for span in closed] == [
        (NOON, NOON + HOUR_US, made["entry"])
    ]
    assert [span["entry"] for span in timeline["spans"]].count(None) == len(timeline["spans"]) - 1
    explained = asking.get("/v1/stores/a/explanation", params=VIEW).json()
    names = ("entry", "counts_as", "reason", "note", "actor", "at")
    assert explained["entries"] == [{name: made[name] for name in names}]
    assert asking.get("/v1/stores/a/outages", params=VIEW).json()["outages"] == []
    assert len(asking.get("/v1/stores/a/outages", params=VIEW | {"raw": True}).json()["outages"]) == 1
    for path, parts in {"/v1/stores": "stores", "/v1/fleet/history": "buckets", "/v1/fleet/heatmap": "cells"}.items():
        # A bound that was never asked for, so that no answer from before is kept.
        query = VIEW | {"as_of": f"2024-06-04T00:00:00.{made['entry']:06}Z"}
        shown, bare = (asking.get(path, params=query | {"raw": raw, "limit": 1000}).json() for raw in (False, True))
        assert (shown["raw"], bare["raw"], shown["entries_seen"]) == (False, True, made["entry"])
        excluded = [sum(part["excluded_us"] for part in one[parts]) for one in (shown, bare)]
        assert (excluded[0] >= HOUR_US, excluded[1]) == (True, 0), path
    made_report = asking.post("/v1/reports", json={"stores": ["a"], "as_of": VIEW["as_of"]}).json()["id"]
    assert finished(asking, made_report)["entries_seen"] == made["entry"]

    again = asking.post(f"/v1/adjustments/{made['entry']}/withdrawal", json={"reason": "wrong data", "note": "not a"})
    assert (again.status_code, again.headers["location"]) == (201, f"/v1/adjustments/{made['entry'] + 1}")
    assert (again.json()["counts_as"], again.json()["withdraws"]) == ("withdrawal", made["entry"])
    assert figures(asking) == (7, 1, 0)
    twice = asking.post(f"/v1/adjustments/{made['entry']}/withdrawal", json={"reason": "wrong data"})
    assert twice.status_code == 409
    assert "is withdrawn already, by entry" in twice.json()["detail"]
    listed = asking.get("/v1/adjustments", params={"store_id": "a"}).json()["adjustments"]
    assert [(one["entry"], one["withdrawn_by"]) for one in listed[:2]] == [
        (made["entry"] + 1, None),
        (made["entry"], made["entry"] + 1),
    ]
    assert listed[1]["intervals"] == [{"start_us": NOON, "end_us": NOON + HOUR_US}]


def test_the_same_idempotency_key_gives_the_same_entry(asking: httpx.Client) -> None:
    headers = {"Idempotency-Key": "closure of june"}
    first, again = (asking.post("/v1/adjustments", json=CLOSURE, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    explicit = asking.post("/v1/adjustments", json=CLOSURE | {"note": "", "all": False}, headers=headers)
    assert explicit.json() == first.json()
    other = asking.post("/v1/adjustments", json=CLOSURE | {"counts_as": "up"}, headers=headers)
    assert other.status_code == 409
    assert "Idempotency-Key was used for another request" in other.json()["detail"]
    entry = first.json()["entry"]
    path, body = f"/v1/adjustments/{entry}/withdrawal", {"reason": "other"}
    assert asking.post(path, json=body, headers=headers).status_code == 409
    taken = [asking.post(path, json=body, headers={"Idempotency-Key": "taken back"}) for _ in range(2)]
    assert [one.status_code for one in taken] == [201, 201]
    assert taken[0].json() == taken[1].json()


def test_gaps_and_local_time_and_all_stores(asking: httpx.Client) -> None:
    local = CLOSURE | {"start_local": "2024-06-03T12:30", "end_local": "2024-06-03 13:00"}
    del local["start"], local["end"]
    moved = asking.post("/v1/adjustments", json=local, params={"dry_run": True}).json()
    assert (moved["start_us"], moved["end_us"]) == (NOON + HOUR_US // 2, NOON + HOUR_US)
    everywhere = {name: value for name, value in CLOSURE.items() if name != "stores"} | {"all": True}
    moved = asking.post("/v1/adjustments", json=everywhere, params={"dry_run": True}).json()
    assert moved["stores"] == len(list(golden.CASES)) + 3  # one case has two stores
    gaps = CLOSURE | {"gaps": True, "counts_as": "unknown", "start": "2024-06-03", "end": "2024-06-04"}
    answer = asking.post("/v1/adjustments", json=gaps, params={"dry_run": True})
    assert answer.status_code in (200, 422), answer.text
    if answer.status_code == 422:
        assert "there is no collector gap between" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"counts_as": "closed"}, ["counts_as", "'excluded'", "'unknown'"]),
        ({"reason": "because"}, ["reason", "'planned closure'", "'other'"]),
        ({"stores": None}, ["which stores is not said", "stores", "all: true"]),
        ({"all": True}, ["which stores is said in several ways", "where"]),
        ({"where": {"region": ["TX"]}}, ["which stores is said in several ways"]),
        ({"stores": None, "where": {"region": ["TX"]}}, ["there is no store with region=TX"]),
        ({"stores": []}, ["stores"]),
        ({"stores": ["nowhere"]}, ["there is no store 'nowhere'"]),
        ({"end": None}, ["end is missing", "start_local and end_local"]),
        ({"start": None, "end": None}, ["start and end are missing", "start_local"]),
        ({"start_local": "2024-06-03T12:00"}, ["given twice"]),
        ({"start": "noon"}, ["start", "'noon'", "2023-01-25T18:13:22Z"]),
        ({"end": "2024-06-03T11:00Z"}, ["not after its start"]),
        ({"start": None, "end": None, "start_local": "2024-06-03T12:00Z", "end_local": "2024-06-04"}, ["start_local"]),
        ({"gaps": True}, ["there is no collector gap"]),
        ({"gaps": True, "counts_as": "up"}, ["unknown or excluded"]),
        ({"where": "region=TX"}, ["where"]),
        ({"note": "x" * 4001}, ["note", "4000"]),
    ],
    ids=str,
)
def test_a_mistake_is_a_problem_that_names_what_is_valid(
    asking: httpx.Client, change: dict[str, Any], says: list[str]
) -> None:
    before = asking.get("/v1/adjustments").json()
    for query in ({}, {"dry_run": True}):
        answer = asking.post("/v1/adjustments", json=CLOSURE | change, params=query)
        assert answer.status_code == 422, answer.text
        assert [word for word in says if word not in answer.json()["detail"]] == [], answer.text
    assert asking.get("/v1/adjustments").json() == before


def test_what_is_not_there_is_a_problem(asking: httpx.Client) -> None:
    assert asking.get("/v1/adjustments/9999").status_code == 404
    assert asking.get("/v1/adjustments", params={"store_id": "nowhere"}).status_code == 404
    assert asking.get("/v1/adjustments", params={"cursor": "x"}).status_code == 422
    gone = asking.post("/v1/adjustments/9999/withdrawal", json={"reason": "other"})
    assert gone.status_code == 404
    assert "there is no entry '9999'" in gone.json()["detail"]
    assert asking.post("/v1/adjustments/1/withdrawal", json={"reason": "none"}).status_code == 422
    assert asking.get("/v1/stores/nowhere/calendar").status_code == 404


def test_entries_come_in_pages(asking: httpx.Client) -> None:
    whole = asking.get("/v1/adjustments", params={"limit": 1000}).json()["adjustments"]
    found: list[Any] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = asking.get("/v1/adjustments", params=query).json()
        found += page["adjustments"]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == whole
    assert [one["entry"] for one in whole] == list(range(len(whole), 0, -1))


# --- the calendar ---------------------------------------------------------------------------------------


def test_a_calendar_names_the_origin_of_each_day(asking: httpx.Client) -> None:
    put(asking, "special-hours", [
        {"store_id": "*", "date": "2031-12-25", "start_time_local": "closed", "end_time_local": "closed",
         "name": "Christmas"},
        {"store_id": "c", "date": "2031-12-24", "start_time_local": "10:00", "end_time_local": "16:00",
         "name": "Christmas Eve"},
    ])  # fmt: skip
    put(asking, "timezones", [{"store_id": "c", "timezone_str": "Europe/Berlin"}])
    rows = [
        {"store_id": "c", "day": str(day), "start_time_local": "09:00", "end_time_local": "17:00"} for day in range(7)
    ]
    put(asking, "business-hours", rows, valid_from="2031-12-01")
    late = [row | {"end_time_local": "22:00", "valid_from": "2031-12-26"} for row in rows]
    put(asking, "business-hours", late, valid_from="2031-12-01")
    put(asking, "stores", [{"store_id": "c", "region": "North", "last_day": "2031-12-26"}])
    found = asking.get("/v1/stores/c/calendar", params={"from": "2031-12-23", "to": "2031-12-28"}).json()
    assert (found["store_id"], found["first"], found["end"]) == ("c", "2031-12-23", "2031-12-28")
    assert [(day["date"], day["origin"], day["valid_from"], day["name"]) for day in found["days"]] == [
        ("2031-12-23", "week", "2031-12-01", ""),
        ("2031-12-24", "special hours", None, "Christmas Eve"),
        ("2031-12-25", "special hours of every store", None, "Christmas"),
        ("2031-12-26", "week", "2031-12-26", ""),
        ("2031-12-27", "outside first and last day", None, ""),
    ]
    assert [[f"{one['start']}-{one['end']}" for one in day["hours"]] for day in found["days"]] == [
        ["09:00-17:00"], ["10:00-16:00"], [], ["09:00-22:00"], [],
    ]  # fmt: skip
    usual = asking.get("/v1/stores/c/calendar").json()
    assert len(usual["days"]) == 28
    view = {"as_of": "2031-12-26T12:00Z", "window": "days=2031-12-23/2031-12-27"}
    shown = asking.get("/v1/stores/c", params=view).json()
    assert shown["business_hours"][0] == "Mon 09:00–22:00"
    assert [day["date"] for day in shown["exceptions"]] == ["2031-12-24", "2031-12-25"]
    assert shown["scheduled_us"] == (8 + 6 + 0) * HOUR_US + 4 * HOUR_US  # the 26th, 9 to 22, up to 13 in Berlin


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"from": "2031-02-30"}, ["from", "2031-02-30", "2023-01-25"]),
        ({"from": "2031-01-02", "to": "2031-01-02"}, ["0 days", "valid are 1 to 11,000"]),
        ({"from": "1990-01-01", "to": "2190-01-01"}, ["days", "valid are 1 to 11,000"]),
        ({"to": "tomorrow"}, ["to", "tomorrow"]),
    ],
    ids=str,
)
def test_dates_that_make_no_sense_are_a_problem(asking: httpx.Client, query: dict[str, str], says: list[str]) -> None:
    answer = asking.get("/v1/stores/a/calendar", params=query)
    assert answer.status_code == 422
    assert [word for word in says if word not in answer.json()["detail"]] == [], answer.text


def test_rows_of_stores_that_make_no_sense_are_refused_with_what_is_valid(asking: httpx.Client) -> None:
    for path, row, says in (
        ("special-hours", {"store_id": "a", "date": "24.12.2031", "start_time_local": "", "end_time_local": ""},
         "2026-12-24"),
        ("stores", {"store_id": "a", "first_day": "soon"}, "first_day"),
        ("business-hours", {"store_id": "a", "day": "0", "start_time_local": "9:00", "end_time_local": "17:00",
                            "valid_from": "soon"}, "valid_from"),
    ):  # fmt: skip
        answer = asking.put(f"/v1/{path}", json=[row])
        assert answer.status_code == 422, answer.text
        assert says in answer.json()["detail"], answer.text
    for path in ("business-hours", "timezones"):
        answer = asking.put(f"/v1/{path}", json=[], params={"valid_from": "soon"})
        assert answer.status_code == 422
        assert "cannot read valid_from 'soon'; valid are dates such as 2026-12-24" in answer.json()["detail"]


def test_a_window_between_dates_is_that_of_each_store(asking: httpx.Client) -> None:
    own = {"name": "day", "start": "2024-06-03", "end": "2024-06-04"}
    facts = {"name": "day", "start_date": "2024-06-03", "end_date": "2024-06-04"}
    made = [
        report(asking, as_of="2024-06-05T00:00Z", windows=[window], stores=["a"])["stores"] for window in (own, facts)
    ]
    assert made[0] == made[1]
    (window,) = made[0][0]["windows"].values()
    assert window["end_us"] - window["start_us"] == DAY_US
    asked = asking.post("/v1/reports", json={"windows": [own], "stores": ["a"], "as_of": "2024-06-05T00:00Z"}).json()
    assert asked["options"]["windows"] == [facts]
    assert asking.post("/v1/reports", json=asked["options"]).status_code == 202
    mixed = {"name": "day", "start_date": "2024-06-03", "end_us": NOON}
    assert asking.post("/v1/reports", json={"windows": [mixed]}).status_code == 202
    for change, says in {"end_date": "soon", "start_us": NOON, "end_us": NOON}.items():
        answer = asking.post("/v1/reports", json={"windows": [facts | {change: says}]})
        assert answer.status_code == 422
        assert change.partition("_")[0] in answer.json()["detail"]


# --- who may --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, dict[str, str]]]:
    """Serve an empty database with a key of each scope."""
    folder: Path = tmp_path_factory.mktemp("keys")
    database = connect(url_in(folder))
    with database.writing() as connection:
        made: dict[str, str] = {
            scope: api_keys.create(connection, name=scope, scopes=[scope], now=1, actor="me")[1]
            for scope in api_keys.SCOPES
        }
    with service_threads(folder, workers=1) as running:
        yield running, made


@pytest.mark.slow
def test_only_adjust_and_admin_enter_into_the_ledger(tokens: tuple[Service, dict[str, str]]) -> None:
    running, token_of = tokens
    headers = {scope: {"Authorization": f"Bearer {token}"} for scope, token in token_of.items()}
    files = {
        "adjustments": (
            "closures.csv",
            "store_id,start_utc,end_utc,counts_as,reason\na,2024-06-03,2024-06-04,up,other\n",
        )
    }
    with running.client() as client:
        row = {"store_id": "a", "status": "active", "timestamp_utc": "2024-06-03T09:00Z"}
        assert client.post("/v1/observations", json=row, headers=headers["ingest"]).status_code == 200
        for scope, expected in {"read": 403, "ingest": 403, "adjust": 201, "admin": 201}.items():
            answer = client.post("/v1/adjustments", json=CLOSURE, headers=headers[scope])
            assert answer.status_code == expected, scope
            path = "/v1/adjustments/1/withdrawal"
            answer = client.post(path, json={"reason": "other"}, headers=headers[scope])
            assert answer.status_code == {"adjust": 201, "admin": 409}.get(scope, 403), scope
            answer = client.get("/v1/adjustments", headers=headers[scope])
            assert answer.status_code == (200 if scope in ("read", "admin") else 403), scope
        audited = client.get("/v1/audit", headers=headers["admin"]).json()["entries"]
        assert [one["action"] for one in audited[:3]] == ["adjust", "withdraw", "adjust"]

        refused = client.post("/v1/loads", files=files, headers=headers["ingest"])
        assert refused.status_code == 403
        assert "files of adjustments need it beside ingest" in refused.json()["detail"]
        refused = client.post("/v1/loads", files={"files": files["adjustments"]}, headers=headers["ingest"])
        assert refused.status_code == 422
        assert "closures.csv holds adjustments" in refused.json()["detail"]
        taken = client.post("/v1/loads", files={"files": files["adjustments"]}, headers=headers["admin"])
        assert taken.json()["summary"]["brought"]["entries"] == 1
        entry = client.get("/v1/adjustments", headers=headers["admin"]).json()["adjustments"][0]
        assert (entry["load"], entry["actor"].startswith("key:")) == (taken.json()["load"], True)
        others = {"special": ("s.csv", b"store_id,date,start_time_local,end_time_local\n*,2024-12-25,,\n")}
        others["stores"] = ("t.csv", b"store_id,region\na,North\n")
        assert client.post("/v1/loads", files=others, headers=headers["ingest"]).json()["accepted"] == 2


def test_the_document_describes_entries(asking: httpx.Client) -> None:
    document = json.loads(asking.get("/openapi.json").content)
    body = document["components"]["schemas"]["AdjustmentBody"]["properties"]
    assert body["counts_as"]["enum"] == list(COUNTS_AS)
    assert body["reason"]["enum"] == list(REASONS)
