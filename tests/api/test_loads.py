"""Rows in: every format and compression, what is counted, what is set aside, and what a later load changes."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import polars as pl
import pytest
import zstandard

from tests.fixtures import tables
from tests.fixtures.service_threads import service_threads
from tests.fixtures.services import Service
from uphours.schema import instant_us

AT = "2023-01-25T12:00:00Z"
COUNTS = ("rows_read", "accepted", "repeated", "conflicting", "quarantined")
NDJSON = {"Content-Type": "application/x-ndjson"}
CSV = {"Content-Type": "text/csv"}
_numbers = itertools.count()


@pytest.fixture(scope="module")
def taking(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Serve a store that is empty at first; each test uses stores of its own."""
    with service_threads(tmp_path_factory.mktemp("taking"), workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def sending(taking: Service) -> Iterator[httpx.Client]:
    with taking.client() as made:
        yield made


@pytest.fixture
def store_id() -> str:
    """Return an id that no other test uses."""
    return f"store-{next(_numbers)}"


def poll(store_id: str, status: str = "active", at: str = AT) -> dict[str, str]:
    return {"store_id": store_id, "status": status, "timestamp_utc": at}


def counts(answer: httpx.Response) -> tuple[int, ...]:
    """Return rows read, accepted, repeated, conflicting and quarantined."""
    assert answer.status_code == 200, answer.text
    return tuple(answer.json()[name] for name in COUNTS)


def observed(client: httpx.Client, store_id: str) -> list[tuple[int, str]]:
    """Return what the service knows of a store in January 2023."""
    query = {"window": "january=2023-01-01/2023-02-01", "as_of": "2023-02-01"}
    answer = client.get(f"/v1/stores/{store_id}/timeline", params=query)
    if answer.status_code == 404:
        return []
    return [(one["observed_at_us"], one["status"]) for one in answer.raise_for_status().json()["observations"]]


def csv_of(*rows: dict[str, str]) -> bytes:
    return "\n".join([tables.HEADERS["polls"], *(",".join(row.values()) for row in rows), ""]).encode()


def ndjson_of(*rows: dict[str, str]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def parquet_of(*rows: dict[str, str]) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(rows).write_parquet(file)
    return file.getvalue()


# --- formats -----------------------------------------------------------------------------------------


def test_one_observation_is_one_object(sending: httpx.Client, store_id: str) -> None:
    answer = sending.post("/v1/observations", json=poll(store_id))
    assert counts(answer) == (1, 1, 0, 0, 0)
    assert answer.json()["reasons"] == []
    assert answer.json()["quarantine"] == f"/v1/loads/{answer.json()['load']}/quarantine"
    assert observed(sending, store_id) == [(instant_us(AT), "active")]


def _as_json(*rows: dict[str, str]) -> bytes:
    return json.dumps(rows).encode()


FORMATS: dict[str, tuple[Callable[..., bytes], dict[str, str]]] = {
    "array": (_as_json, {"Content-Type": "application/json"}),
    "ndjson": (ndjson_of, NDJSON),
    "csv": (csv_of, CSV),
    "parquet": (parquet_of, {"Content-Type": "application/vnd.apache.parquet"}),
}
ENCODINGS: dict[str, Callable[[bytes], bytes]] = {"plain": bytes, "gzip": gzip.compress, "zstd": zstandard.compress}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_and_compression_gives_the_same(
    sending: httpx.Client, store_id: str, form: str, encoding: str
) -> None:
    write, headers = FORMATS[form]
    rows = [
        poll(store_id),
        poll(store_id, at="2023-01-25T11:00:00Z"),
        poll(store_id, at="2023-01-25T11:00:00Z"),
        poll(store_id, at="2023-01-25T10:00:00Z"),
        poll(store_id, "inactive", at="2023-01-25T10:00:00Z"),
        poll(store_id, "asleep"),
        poll(store_id, at="yesterday"),
        poll("x" * 256),
    ]
    body = ENCODINGS[encoding](write(*rows))
    more = {} if encoding == "plain" else {"Content-Encoding": encoding}
    answer = sending.post("/v1/observations", content=body, headers=headers | more)
    assert counts(answer) == (8, 5, 1, 1, 3)
    first = 2 if form == "csv" else 1
    assert [one["line"] - first for one in answer.json()["reasons"]] == [5, 6, 7]
    reasons = [one["reason"] for one in answer.json()["reasons"]]
    assert ["asleep" in reasons[0], "yesterday" in reasons[1], "store_id" in reasons[2]] == [True] * 3, reasons
    assert observed(sending, store_id) == [
        (instant_us("2023-01-25T10:00:00Z"), "inactive"),
        (instant_us("2023-01-25T11:00:00Z"), "active"),
        (instant_us(AT), "active"),
    ]


@pytest.mark.parametrize("form", ["array", "ndjson"])
def test_documents_as_mongoexport_writes_them_are_taken(sending: httpx.Client, store_id: str, form: str) -> None:
    write, headers = FORMATS[form]
    rows: list[Any] = [
        poll(store_id) | {"timestamp_utc": {"$date": AT}},
        poll(store_id) | {"_id": {"$oid": "63cd2a1b9d1e8a0012345678"}, "timestamp_utc": {"$date": 1674640800000}},
        poll(store_id) | {"timestamp_utc": {"$date": {"$numberLong": "1674644400000"}}},
        poll(store_id) | {"store_id": {"$unknown": store_id}},
    ]
    answer = sending.post("/v1/observations", content=write(*rows), headers=headers)
    assert counts(answer) == (4, 3, 0, 0, 1)
    assert "store_id is {" in answer.json()["reasons"][0]["reason"]
    assert [at for at, _ in observed(sending, store_id)] == [
        instant_us("2023-01-25T10:00:00Z"),
        instant_us("2023-01-25T11:00:00Z"),
        instant_us(AT),
    ]


def test_compression_is_told_from_the_bytes_too(sending: httpx.Client, store_id: str) -> None:
    answer = sending.post("/v1/observations", content=gzip.compress(csv_of(poll(store_id))), headers=CSV)
    assert counts(answer) == (1, 1, 0, 0, 0)


def test_a_body_without_a_length_is_taken_too(sending: httpx.Client, store_id: str) -> None:
    def chunks() -> Iterator[bytes]:
        yield from (b"[" + json.dumps(poll(store_id)).encode(), b"]")

    answer = sending.post("/v1/observations", content=chunks(), headers={"Content-Type": "application/json"})
    assert counts(answer) == (1, 1, 0, 0, 0)


def test_a_json_body_that_is_not_small_is_taken_too(sending: httpx.Client, store_id: str) -> None:
    rows = [poll(store_id, at=f"2023-01-{1 + n // 1440:02}T{n // 60 % 24:02}:{n % 60:02}:00Z") for n in range(13_000)]
    body = json.dumps(rows).encode()
    assert len(body) > 1 << 20
    answer = sending.post("/v1/observations", content=body, headers={"Content-Type": "application/json"})
    assert counts(answer) == (13_000, 13_000, 0, 0, 0)


@pytest.mark.parametrize("written", ["8419537941919820732", '"8419537941919820732"', "9223372036854775807", '"007"'])
@pytest.mark.parametrize("form", ["json", "ndjson"])
def test_ids_keep_every_digit_as_numbers_and_as_text(sending: httpx.Client, form: str, written: str) -> None:
    body = f'{{"store_id": {written}, "status": "active", "timestamp_utc": "{AT}"}}'
    headers = NDJSON if form == "ndjson" else {"Content-Type": "application/json"}
    assert counts(sending.post("/v1/observations", content=body, headers=headers))[:2] == (1, 1)
    found = sending.get("/v1/stores", params={"search": written.strip('"')}).json()
    assert [row["store_id"] for row in found["stores"]] == [written.strip('"')] or stale(found)
    assert observed(sending, written.strip('"')) == [(instant_us(AT), "active")]


def stale(found: dict[str, Any]) -> bool:
    """Say whether a list may be of a moment before the last load: it is kept for some seconds."""
    return bool(found["total_matching"] == 0)


def test_an_id_that_has_lost_digits_is_set_aside(sending: httpx.Client) -> None:
    row = '{"store_id": 8.419537941919820e18, "status": "active", "timestamp_utc": "2023-01-25T12:00:00Z"}'
    answer = sending.post("/v1/observations", content=row, headers={"Content-Type": "application/json"})
    assert counts(answer) == (1, 0, 0, 0, 1)
    assert "store_id" in answer.json()["reasons"][0]["reason"]


# --- bodies that are none ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (b"", {}, 400, "not JSON"),
        (b"", {"Content-Type": "application/json"}, 400, "not JSON"),
        (b"[]", {}, 400, "no observation"),
        (b"{", {}, 400, "not JSON"),
        (b"store_id", {}, 400, "not JSON"),
        (b"[" * 40_000, {}, 400, "not JSON"),
        (b"[" * 100_000, {}, 422, "JSON"),
        (b"\xff\xff", {}, 400, "not JSON"),
        (b"", CSV, 422, "is empty"),
        (b"", NDJSON, 422, "is empty"),
        (b"store_id,colour\n1,red\n", CSV, 422, "no column status"),
        (b"PAR1 and no more", {"Content-Type": "application/vnd.apache.parquet"}, 422, "Parquet"),
        (b"[]", {"Content-Encoding": "br"}, 415, "valid are gzip and zstd"),
        (b"", CSV | {"Content-Encoding": "deflate"}, 415, "valid are gzip and zstd"),
        (gzip.compress(b"[]", mtime=0)[:-4], {"Content-Encoding": "gzip"}, 400, "cut short"),
        (b"[]", {"Content-Encoding": "gzip"}, 400, "not gzip"),
        (gzip.compress(csv_of(poll("cut")), mtime=0)[:-9], CSV | {"Content-Encoding": "gzip"}, 422, "cannot read"),
        (zstandard.compress(csv_of(poll("cut")))[:-3], CSV | {"Content-Encoding": "zstd"}, 422, "cannot read"),
        (gzip.compress(b" " * (2 << 20), mtime=0), {"Content-Encoding": "gzip"}, 413, "NDJSON or CSV"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_body_that_is_none_is_a_problem_and_loads_nothing(
    sending: httpx.Client, body: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    before = last_load(sending)
    answer = sending.post("/v1/observations", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]
    assert last_load(sending) == before


def last_load(client: httpx.Client) -> int:
    loads = client.get("/v1/loads", params={"limit": 1}).raise_for_status().json()["loads"]
    return int(loads[0]["load"]) if loads else 0


def test_what_is_no_object_is_set_aside(sending: httpx.Client, store_id: str) -> None:
    answer = sending.post("/v1/observations", json=[1, "two", None, [], poll(store_id), True])
    assert counts(answer) == (6, 1, 0, 0, 5)
    assert [one["line"] for one in answer.json()["reasons"]] == [1, 2, 3, 4, 6]
    assert {one["reason"] for one in answer.json()["reasons"]} == {"not a JSON object"}


def test_of_many_bad_rows_the_first_hundred_are_told_and_the_rest_counted(sending: httpx.Client) -> None:
    for headers, body in ((NDJSON, b"1\n" * 250), ({"Content-Type": "application/json"}, json.dumps([1] * 250))):
        body = b'{"a": 1}\n' * 250 if headers is NDJSON else body
        answer = sending.post("/v1/observations", content=body, headers=headers)
        assert counts(answer) == (250, 0, 0, 0, 250)
        assert [one["line"] for one in answer.json()["reasons"]] == list(range(1, 101))
        assert answer.json()["reasons_left_out"] == 150
        rows = sending.get(answer.json()["quarantine"], params={"limit": 1000}).json()["rows"]
        assert len(rows) == 250


# --- what is said twice ------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["array", "ndjson"])
def test_a_later_request_replaces_an_earlier_one(sending: httpx.Client, store_id: str, form: str) -> None:
    write, headers = FORMATS[form]
    said = []
    for status in ("active", "inactive", "inactive", "active"):
        answer = sending.post("/v1/observations", content=write(poll(store_id, status)), headers=headers)
        said.append(counts(answer)[2:4])
        assert observed(sending, store_id) == [(instant_us(AT), status)]
    assert said == [(0, 0), (0, 1), (1, 0), (0, 1)]


@pytest.mark.parametrize("statuses", [["active", "inactive"], ["inactive", "active"]])
@pytest.mark.parametrize("form", ["array", "ndjson"])
def test_inside_one_request_inactive_wins(sending: httpx.Client, store_id: str, form: str, statuses: list[str]) -> None:
    write, headers = FORMATS[form]
    body = write(*(poll(store_id, status) for status in statuses))
    assert counts(sending.post("/v1/observations", content=body, headers=headers)) == (2, 2, 0, 1, 0)
    assert observed(sending, store_id) == [(instant_us(AT), "inactive")]


@pytest.mark.parametrize("known", [None, "active", "inactive"])
def test_rows_are_counted_the_same_in_any_order_and_however_they_are_committed(
    sending: httpx.Client, store_id: str, known: str | None
) -> None:
    said = set()
    for form in ("array", "ndjson"):
        write, headers = FORMATS[form]
        for place, statuses in enumerate(itertools.permutations(["active", "active", "inactive"])):
            name = f"{store_id}-{form}-{place}"
            if known is not None:
                sending.post("/v1/observations", json=poll(name, known)).raise_for_status()
            body = write(*(poll(name, status) for status in statuses))
            said.add(counts(sending.post("/v1/observations", content=body, headers=headers)))
    assert len(said) == 1


def at_once(client: httpx.Client, bodies: list[Any]) -> list[dict[str, Any]]:
    """Post all bodies at the same time; return the answers in the order of the bodies."""
    answers: list[dict[str, Any]] = [{}] * len(bodies)
    start = threading.Barrier(len(bodies))

    def post(place: int) -> None:
        start.wait()
        answers[place] = client.post("/v1/observations", json=bodies[place]).raise_for_status().json()

    threads = [threading.Thread(target=post, args=[place]) for place in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_of_many_requests_at_once_each_counts_for_itself(sending: httpx.Client, store_id: str) -> None:
    answers = at_once(sending, [poll(store_id)] * 40)
    assert {(one["rows_read"], one["accepted"], one["conflicting"], one["quarantined"]) for one in answers} == {
        (1, 1, 0, 0)
    }
    assert sorted(one["repeated"] for one in answers) == [0] + [1] * 39
    assert len({one["load"] for one in answers}) < 40  # some were committed together
    assert observed(sending, store_id) == [(instant_us(AT), "active")]


def test_inside_each_of_many_requests_at_once_inactive_wins(sending: httpx.Client, store_id: str) -> None:
    both = [poll(store_id, "inactive"), poll(store_id, "active")]
    answers = at_once(sending, [both, both[::-1]] * 15)
    assert observed(sending, store_id) == [(instant_us(AT), "inactive")]
    assert sum(one["conflicting"] for one in answers) >= 30
    assert sum(one["accepted"] for one in answers) == 60


def test_a_request_after_many_at_once_has_the_last_word(sending: httpx.Client, store_id: str) -> None:
    at_once(sending, [poll(store_id, status) for status in ("active", "inactive")] * 10)
    assert observed(sending, store_id)[0][1] in ("active", "inactive")
    for status in ("inactive", "active"):
        sending.post("/v1/observations", json=poll(store_id, status)).raise_for_status()
        assert observed(sending, store_id) == [(instant_us(AT), status)]


def test_a_bad_row_in_one_of_many_requests_at_once_is_told_to_its_sender_alone(
    sending: httpx.Client, store_id: str
) -> None:
    names = [f"{store_id}-{n}" for n in range(30)]
    bodies = [[poll(name), poll(store_id, f"odd-{n}")][: 2 - (n % 3 > 0)] for n, name in enumerate(names)]
    for n, answer in enumerate(at_once(sending, bodies)):
        reasons = [(one["line"], f"odd-{n}'" in one["reason"]) for one in answer["reasons"]]
        assert reasons == ([(2, True)] if n % 3 == 0 else [])
        assert answer["accepted"] == 1
        assert observed(sending, names[n]) == [(instant_us(AT), "active")]


# --- hours and zones ---------------------------------------------------------------------------------


def hours_of(client: httpx.Client, store_id: str) -> list[str]:
    hours: list[str] = client.get(f"/v1/stores/{store_id}").raise_for_status().json()["business_hours"]
    return hours


def hours_row(store_id: str, day: int, start: str = "09:00:00", end: str = "17:00:00") -> dict[str, Any]:
    return {"store_id": store_id, "day": day, "start_time_local": start, "end_time_local": end}


def test_hours_replace_the_whole_week_of_the_stores_that_are_named_alone(sending: httpx.Client, store_id: str) -> None:
    other = f"{store_id}-other"
    sending.post("/v1/observations", json=[poll(store_id), poll(other)]).raise_for_status()
    both = [hours_row(name, day) for name in (store_id, other) for day in range(5)]
    assert counts(sending.put("/v1/business-hours", json=both)) == (10, 10, 0, 0, 0)
    week = hours_of(sending, store_id)
    assert week == hours_of(sending, other)

    csv = tables.table("hours", f"{store_id},6,10:00,12:00").encode()
    assert counts(sending.put("/v1/business-hours", content=csv, headers=CSV)) == (1, 1, 0, 0, 0)
    assert len(hours_of(sending, store_id)) == 1
    assert hours_of(sending, other) == week


def test_hours_of_one_store_are_one_object(sending: httpx.Client, store_id: str) -> None:
    assert counts(sending.put("/v1/business-hours", json=hours_row(store_id, 6))) == (1, 1, 0, 0, 0)
    assert len(hours_of(sending, store_id)) == 1


def test_bad_hours_are_set_aside_and_spoil_no_week(sending: httpx.Client, store_id: str) -> None:
    sending.post("/v1/observations", json=poll(store_id)).raise_for_status()
    sending.put("/v1/business-hours", json=hours_row(store_id, 0)).raise_for_status()
    answer = sending.put("/v1/business-hours", json=hours_row(store_id, 9))
    assert answer.status_code == 422
    assert "1 × unreadable day" in answer.json()["detail"]
    assert answer.json()["detail"].endswith("nothing was changed")
    assert len(hours_of(sending, store_id)) == 1
    other = f"{store_id}-other"
    rows = [hours_row(store_id, 9), hours_row(other, 0), hours_row(f"{store_id}-bad", 9)]
    answer = sending.put("/v1/business-hours", json=rows)
    assert counts(answer) == (3, 1, 0, 0, 2)
    assert len(hours_of(sending, store_id)) == 1
    found = sending.get(f"/v1/stores/{store_id}-bad", params={"as_of": "2023-01-30T00:00:00Z"}).json()
    assert (found["state"], found["hours_known"], found["business_us"]) == ("hours unknown", False, 0)
    listed = sending.get("/v1/stores", params={"state": "hours unknown", "as_of": "2023-01-30T00:00:00Z"}).json()
    assert f"{store_id}-bad" in [row["store_id"] for row in listed["stores"]]
    record = sending.get(f"/v1/loads/{answer.json()['load']}").json()
    assert record["summary"] == answer.json()["summary"]
    (cause,) = record["summary"]["rejected"]
    assert (cause["rows"], cause["line"]) == (2, 1)
    assert record["summary"]["stores"]["hours_unknown"] >= 1
    said = "; ".join(record["summary"]["sentences"])
    assert "with unknown hours" in said
    assert "1 store keeps its hours or time zone" in said
    counted = sending.get(answer.json()["quarantine"]).json()
    assert counted["rejected"] == [cause]
    assert counted["rows_left_out"] == 0


def test_a_file_of_which_no_row_can_be_used_is_refused_with_the_reason(sending: httpx.Client, store_id: str) -> None:
    good = ("polls", ("good.csv", csv_of(poll(store_id))))
    bad = ("hours", ("bad.csv", tables.table("hours", f"{store_id},0,dawn,17:00").encode()))
    answer = sending.post("/v1/loads", files=[good, bad])
    assert answer.status_code == 422
    assert "no row of bad.csv (hours) can be used" in answer.json()["detail"]
    assert "(line 2: " in answer.json()["detail"]
    assert sending.get(f"/v1/stores/{store_id}").status_code == 404


def test_a_load_is_refused_that_rejects_more_rows_than_it_may(sending: httpx.Client, store_id: str) -> None:
    sent = [("polls", ("p.csv", csv_of(poll(store_id), poll(store_id, "odd"))))]
    answer = sending.post("/v1/loads", files=sent, params={"strict": "10%"})
    assert answer.status_code == 422
    assert "1 of 2 rows are rejected" in answer.json()["detail"]
    assert sending.post("/v1/loads", files=sent, params={"strict": "0.5"}).status_code == 200
    assert "cannot read the share" in sending.post("/v1/loads", files=sent, params={"strict": "x"}).json()["detail"]


def test_words_for_statuses_may_be_named(sending: httpx.Client, store_id: str) -> None:
    sent = [("files", ("p.csv", csv_of(poll(store_id, "Open"), poll(store_id, "a=b"), poll(store_id, "up"))))]
    body = sending.post("/v1/loads", files=sent).json()
    assert (body["accepted"], body["quarantined"]) == (1, 2)
    body = sending.post("/v1/loads", files=sent, params={"status": ["open=active", "a=b=down"]}).json()
    assert (body["accepted"], body["quarantined"]) == (3, 0)
    for wrong, reason in {
        "open": "cannot read the status 'open'; valid are WORD=STATUS",
        "=active": "cannot read the status '=active'",
        "open=ajar": "'open' cannot be mapped to 'ajar'; valid are active, inactive and unknown",
    }.items():
        answer = sending.post("/v1/loads", files=sent, params={"status": ["up=active", wrong]})
        assert (answer.status_code, reason in answer.json()["detail"]) == (422, True), wrong
    answer = sending.post("/v1/loads", files=sent, params={"status": ["open=up", "OPEN=down"]})
    assert "mapped to two statuses" in answer.json()["detail"]


def test_observations_are_answered_row_by_row_also_where_all_are_rejected(sending: httpx.Client, store_id: str) -> None:
    row = poll(store_id, "odd")
    for answer in (
        sending.post("/v1/observations", json=[row, row]),
        sending.post("/v1/observations", content=csv_of(row, row), headers=CSV),
    ):
        assert counts(answer) == (2, 0, 0, 0, 2)
        assert len(answer.json()["reasons"]) == 2


def test_a_zone_is_set_for_the_stores_that_are_named_alone(sending: httpx.Client, store_id: str) -> None:
    names = [store_id, f"{store_id}-other"]
    zones = [{"store_id": name, "timezone_str": "America/New_York"} for name in names]
    assert counts(sending.put("/v1/timezones", json=zones)) == (2, 2, 0, 0, 0)
    csv = tables.table("timezones", f"{store_id},Asia/Kolkata", f"{names[1]},Mars/Olympus").encode()
    answer = sending.put("/v1/timezones", content=csv, headers=CSV)
    assert counts(answer) == (2, 1, 0, 0, 1)
    assert "Mars/Olympus" in answer.json()["reasons"][0]["reason"]
    found = [sending.get(f"/v1/stores/{name}").json()["timezone"] for name in names]
    assert found == ["Asia/Kolkata", "America/New_York"]


def test_polls_are_no_hours(sending: httpx.Client, store_id: str) -> None:
    answer = sending.put("/v1/business-hours", content=csv_of(poll(store_id)), headers=CSV)
    assert answer.status_code == 422
    assert "no column day" in answer.json()["detail"]


# --- files -------------------------------------------------------------------------------------------


def files_of(store_id: str) -> dict[str, bytes]:
    """Return a file of each kind on one store."""
    return {
        "polls": csv_of(poll(store_id), poll(store_id, "asleep")),
        "hours": tables.table("hours", f"{store_id},2,09:00:00,17:00:00").encode(),
        "timezones": tables.table("timezones", f"{store_id},Asia/Kolkata").encode(),
    }


@pytest.mark.parametrize("by_name", [True, False])
def test_three_files_are_one_load(sending: httpx.Client, store_id: str, by_name: bool) -> None:
    sent = [(kind if by_name else "files", (f"my {kind}.csv", content)) for kind, content in files_of(store_id).items()]
    answer = sending.post("/v1/loads", files=sent)
    assert counts(answer) == (4, 3, 0, 0, 1)
    (reason,) = answer.json()["reasons"]
    assert (reason["file"], reason["line"]) == ("my polls.csv", 3)
    record = sending.get(f"/v1/loads/{answer.json()['load']}").raise_for_status().json()
    assert [(file["kind"], file["name"], file["rows_read"]) for file in record["files"]] == [
        ("polls", "my polls.csv", 2),
        ("hours", "my hours.csv", 1),
        ("timezones", "my timezones.csv", 1),
    ]
    shown = sending.get(f"/v1/stores/{store_id}").json()
    assert (shown["timezone"], len(shown["business_hours"])) == ("Asia/Kolkata", 1)


def test_files_of_any_format_may_come_together(sending: httpx.Client, store_id: str) -> None:
    names = [f"{store_id}-{n}" for n in range(4)]
    sent = [
        ("polls", ("a.csv.gz", gzip.compress(csv_of(poll(names[0]))))),
        ("polls", ("b.parquet", parquet_of(poll(names[1])))),
        ("files", ("c.ndjson", ndjson_of(poll(names[2])))),
        ("files", ("d.json.zst", zstandard.compress(json.dumps([poll(names[3])]).encode()))),
    ]
    assert counts(sending.post("/v1/loads", files=sent)) == (4, 4, 0, 0, 0)
    assert [observed(sending, name) for name in names] == [[(instant_us(AT), "active")]] * 4


def test_the_name_of_a_file_is_kept_without_its_folder(sending: httpx.Client, store_id: str) -> None:
    answer = sending.post("/v1/loads", files={"polls": ("../../etc/pässe\x07.csv", csv_of(poll(store_id)))})
    record = sending.get(f"/v1/loads/{answer.json()['load']}").json()
    assert "/" not in record["files"][0]["name"]
    assert record["files"][0]["name"].startswith("pässe")


@pytest.mark.parametrize(
    ("sent", "status", "says"),
    [
        (
            {"files": {"colours": ("a.csv", b"x")}},
            422,
            ["'colours'", "polls, hours, timezones, special, stores, adjustments, targets, files"],
        ),
        ({"files": {"polls": ("a.csv", b"x")}, "data": {"hours": "text"}}, 422, ["'hours'", "files in"]),
        ({"files": {"files": ("a.csv", b"shop,colour\n1,red\n")}}, 422, ["a.csv", "neither", "colour"]),
        ({"files": {"polls": ("a.csv", b"")}}, 422, ["a.csv", "empty"]),
        ({"content": b"x", "headers": {"Content-Type": "text/csv"}}, 415, ["multipart/form-data", "polls"]),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, ["boundary"]),
        (
            {"content": b"--x--\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
            422,
            ["no file", "polls, hours, timezones, special, stores, adjustments, targets, files"],
        ),
    ],
    ids=["unknown field", "no file", "unknown columns", "empty", "no form", "no boundary", "nothing"],
)
def test_a_form_that_makes_no_sense_is_a_problem_and_loads_nothing(
    sending: httpx.Client, sent: dict[str, Any], status: int, says: list[str]
) -> None:
    before = last_load(sending)
    answer = sending.post("/v1/loads", **sent)
    assert answer.status_code == status, answer.text
    assert [word for word in says if word not in answer.json()["detail"]] == [], answer.text
    assert last_load(sending) == before


def test_one_file_that_cannot_be_read_keeps_all_of_them_out(sending: httpx.Client, store_id: str) -> None:
    before = last_load(sending)
    sent = files_of(store_id) | {"timezones": b"store_id,colour\n1,red\n"}
    answer = sending.post("/v1/loads", files={kind: (f"{kind}.csv", content) for kind, content in sent.items()})
    assert answer.status_code == 422
    assert "timezones.csv" in answer.json()["detail"]
    assert "timezone_str" in answer.json()["detail"]
    assert last_load(sending) == before
    assert sending.get(f"/v1/stores/{store_id}").status_code == 404


# --- loads that take longer --------------------------------------------------------------------------


def ended(client: httpx.Client, path: str) -> dict[str, Any]:
    """Wait for a job to end."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        job: dict[str, Any] = client.get(path).raise_for_status().json()
        if job["finished_at"] is not None:
            return job
        time.sleep(0.02)
    raise AssertionError(f"the job does not end: {job}")


def test_whoever_does_not_want_to_wait_is_told_where_to_look(sending: httpx.Client, store_id: str) -> None:
    body = csv_of(poll(store_id), poll(store_id, "asleep"))
    answer = sending.post("/v1/observations", content=body, headers=CSV | {"Prefer": "respond-async"})
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    job = ended(sending, answer.headers["location"])
    assert (job["state"], job["kind"], job["reason"]) == ("complete", "load", None)
    assert job["load"] == job["outcome"]["load"]
    assert tuple(job["outcome"][name] for name in COUNTS) == (2, 1, 0, 0, 1)
    assert job["outcome"]["reasons"][0]["line"] == 3
    assert job["progress"] == {"done": 2, "total": 2}
    assert observed(sending, store_id) == [(instant_us(AT), "active")]


def test_a_load_that_fails_later_says_why(sending: httpx.Client) -> None:
    prefer = {"Prefer": "respond-async, wait=10"}
    answer = sending.put("/v1/timezones", content=b"store_id,colour\n1,red\n", headers=CSV | prefer)
    job = ended(sending, answer.headers["location"])
    assert (job["state"], job["load"], job["outcome"]) == ("failed", None, None)
    assert "timezone_str" in job["reason"]


def test_files_may_be_loaded_later_too(sending: httpx.Client, store_id: str) -> None:
    sent = [("files", (f"{kind}.csv", content)) for kind, content in files_of(store_id).items()]
    answer = sending.post("/v1/loads", files=sent, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    assert ended(sending, answer.headers["location"])["outcome"]["accepted"] == 3


def test_an_unknown_job_is_a_problem(sending: httpx.Client) -> None:
    answer = sending.get("/v1/jobs/no-such-job")
    assert answer.status_code == 404
    assert "no-such-job" in answer.json()["detail"]


# --- the record of loads -----------------------------------------------------------------------------


def test_loads_are_listed_from_the_newest_page_by_page(sending: httpx.Client, store_id: str) -> None:
    made = [sending.post("/v1/observations", json=poll(f"{store_id}-{n}")).json()["load"] for n in range(5)]
    listed: list[int] = []
    cursor = None
    while len(listed) < 5:
        page = sending.get("/v1/loads", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        listed += [load["load"] for load in page["loads"]]
        cursor = page["next_cursor"]
        sending.post("/v1/observations", json=poll(store_id)).raise_for_status()
    assert listed[:5] == made[::-1]
    everything = sending.get("/v1/loads", params={"limit": 1000}).json()
    assert everything["next_cursor"] is None
    assert [load["load"] for load in everything["loads"]] == list(range(last_load(sending), 0, -1))


def test_a_load_has_a_record(sending: httpx.Client, store_id: str) -> None:
    body = csv_of(poll(store_id), poll(store_id, at="2023-01-24T12:00:00.5Z"), poll(store_id, "asleep"))
    load = sending.post("/v1/observations", content=body, headers=CSV).json()["load"]
    record = sending.get(f"/v1/loads/{load}").raise_for_status().json()
    assert record in sending.get("/v1/loads").json()["loads"]
    (file,) = record["files"]
    assert (file["kind"], file["name"], file["bytes"]) == ("polls", "POST /v1/observations", len(body))
    assert (record["first_observed_at"], record["last_observed_at"]) == ("2023-01-24T12:00:00.500000Z", AT)
    assert tuple(record[name] for name in COUNTS) == (3, 2, 0, 0, 1)


@pytest.mark.parametrize("path", ["/v1/loads/999999", "/v1/loads/999999/quarantine"])
def test_an_unknown_load_is_a_problem(sending: httpx.Client, path: str) -> None:
    answer = sending.get(path)
    assert answer.status_code == 404
    assert "999999" in answer.json()["detail"]


# --- rows that were set aside ------------------------------------------------------------------------


def test_quarantined_rows_are_listed_page_by_page_over_all_files(sending: httpx.Client, store_id: str) -> None:
    sent = [
        ("polls", ("a.csv", csv_of(*(poll(store_id, f"odd-{n}") for n in range(3)), poll(store_id)))),
        (
            "hours",
            ("b.csv", tables.table("hours", *(f"{store_id},{day},09:00,17:00" for day in (8, 9, 10, 11, 0))).encode()),
        ),
    ]
    path = sending.post("/v1/loads", files=sent).raise_for_status().json()["quarantine"]
    rows: list[dict[str, Any]] = []
    cursor = None
    while cursor is not None or not rows:
        page = sending.get(path, params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        rows += page["rows"]
        cursor = page["next_cursor"]
    assert [(row["file"], row["kind"], row["name"], row["line"]) for row in rows] == [
        *((0, "polls", "a.csv", line) for line in (2, 3, 4)),
        *((1, "hours", "b.csv", line) for line in (2, 3, 4, 5)),
    ]
    assert rows[1]["row"] == f"{store_id},odd-1,{AT}"
    assert "odd-1" in rows[1]["reason"]


def test_quarantined_rows_go_out_as_csv_and_come_back_fixed(sending: httpx.Client, store_id: str) -> None:
    body = csv_of(poll(store_id, "asleep"), poll(store_id, at="2023-01-25T11:00:00Z"), poll(store_id, at="noon"))
    first = sending.post("/v1/observations", content=body, headers=CSV).json()
    csv = sending.get(first["quarantine"], params={"format": "csv"})
    assert csv.headers["content-type"] == "text/csv; charset=utf-8"
    assert csv.headers["content-disposition"] == f'attachment; filename="quarantine-{first["load"]}-0.csv"'
    assert csv.text.splitlines()[0] == "reason,store_id,status,timestamp_utc"
    header, *rows = csv.text.replace(",asleep,", ",inactive,").replace(",noon", f",{AT}").splitlines()
    assert len(rows) == 2
    fixed = "\n".join([header, rows[1], ""])
    assert counts(sending.post("/v1/observations", content=fixed, headers=CSV)) == (1, 1, 0, 0, 0)
    assert observed(sending, store_id) == [
        (instant_us("2023-01-25T11:00:00Z"), "active"),
        (instant_us(AT), "active"),
    ]


def test_quarantined_rows_of_json_come_back_fixed_too(sending: httpx.Client, store_id: str) -> None:
    first = sending.post("/v1/observations", json=[poll(store_id, "asleep"), poll(store_id, "awake")]).json()
    csv = sending.get(first["quarantine"], params={"format": "csv"}).text
    fixed = csv.replace(",asleep,", ",active,").replace(",awake,", ",inactive,")
    assert counts(sending.post("/v1/observations", content=fixed, headers=CSV)) == (2, 2, 0, 1, 0)
    assert observed(sending, store_id) == [(instant_us(AT), "inactive")]


def test_quarantined_rows_of_several_files_are_fetched_one_file_at_a_time(sending: httpx.Client, store_id: str) -> None:
    sent = [("polls", (f"{n}.csv", csv_of(poll(store_id, f"odd-{n}"), poll(store_id)))) for n in range(3)]
    sent[1] = ("polls", ("1.csv", csv_of(poll(store_id))))
    path = sending.post("/v1/loads", files=sent).raise_for_status().json()["quarantine"]
    both = sending.get(path, params={"format": "csv"})
    assert both.status_code == 422
    assert "[0, 2]" in both.json()["detail"]
    last = sending.get(path, params={"format": "csv", "file": 2})
    assert "odd-2" in last.text
    assert "odd-0" not in last.text
    assert sending.get(path, params={"format": "csv", "file": 1}).status_code == 404


def test_a_load_without_bad_rows_has_an_empty_quarantine(sending: httpx.Client, store_id: str) -> None:
    path = sending.post("/v1/observations", json=poll(store_id)).json()["quarantine"]
    assert sending.get(path).json() == {"rejected": [], "rows_left_out": 0, "rows": [], "next_cursor": None}
    assert sending.get(path, params={"format": "csv"}).status_code == 404


def test_a_gzip_body_of_several_members_is_read_to_its_end(sending: httpx.Client, store_id: str) -> None:
    halves = json.dumps([poll(store_id, "active"), poll(f"{store_id}-2", "active")]).encode()
    content = gzip.compress(halves[:20]) + gzip.compress(halves[20:])
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert sending.post("/v1/observations", content=content, headers=headers).json()["accepted"] == 2
