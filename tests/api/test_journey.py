"""One journey through the whole API, on a service on each server engine and on one on SQLite: the same answers."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fixtures import known, tables
from tests.fixtures.databases import only_servers
from tests.fixtures.services import begin_service, finished, in_time
from uphours.database.database import connect

pytestmark = only_servers

CSV = {"Content-Type": "text/csv"}
WINDOWS = ("last_hour", "last_day", "last_week", "previous_week", "x=2023-01-24T10:00Z/2023-01-25T09:00Z")
#: What differs from run to run: names of jobs and requests, instants of the clock, files' own names.
_OTHERWISE = (
    (re.compile(r"\b[0-9a-f]{32}\b"), "JOB"),
    (re.compile(r"\b20[2-9]\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"), "NOW"),
    (re.compile(r"\buphours-\d{8}T\d{6}Z"), "FILE"),
)
_CLOCKS = {"now_at", "created_at", "started_at", "finished_at", "at", "seconds", "expires_at", "database"}


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'reference' / 'uphours.db'}"


def answered(answer: httpx.Response) -> tuple[int, str, str]:
    """Return what an answer says, without what differs from run to run."""
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if kind.endswith("json"):
        return answer.status_code, kind, steady(answer.json())
    return answer.status_code, kind, answer.content.hex() if kind.startswith("application/") else answer.text


def steady(value: object) -> str:
    """Return JSON as text, without what differs from run to run."""
    text = json.dumps(_without_clocks(value), sort_keys=True)
    for pattern, word in _OTHERWISE:
        text = pattern.sub(word, text)
    return text


def _without_clocks(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: None if key in _CLOCKS else _without_clocks(one) for key, one in value.items()}
    return [_without_clocks(one) for one in value] if isinstance(value, list) else value


def journey(client: httpx.Client) -> Iterator[tuple[str, object]]:
    """Do what a chain does with its service, from the first load on; yield each step and what was answered."""

    def get(path: str, **query: str) -> tuple[str, object]:
        answer = client.get(path, params=query)
        return f"GET {path} {query}", answered(answer)

    def all_pages(path: str, name: str, **query: str | int | bool) -> Iterator[tuple[str, object]]:
        cursor: str | None = ""
        while cursor is not None:
            answer = client.get(path, params={"cursor": cursor, **query} if cursor else query)
            assert answer.status_code == 200, answer.text
            yield f"a page of {path} {query}", steady(answer.json()[name])
            cursor = answer.json()["next_cursor"]

    yield get("/v1/reports")
    yield "a report of nothing", answered(client.post("/v1/reports", json={}))
    files = {
        "polls": ("polls.csv", known.with_odd_ids().encode()),
        "hours": ("hours.csv", known.HOURS.encode()),
        "timezones": ("zones.csv", known.TIMEZONES.encode()),
    }
    yield "a load of files", answered(client.post("/v1/loads", files=files))
    rows = ["new,active,2023-01-25 12:00:00 UTC", "new,asleep,2023-01-25 13:00:00 UTC", "new,down,yesterday"]
    polls = tables.table("polls", *rows).encode()
    yield "polls as CSV", answered(client.post("/v1/observations", content=gzip.compress(polls, mtime=0), headers=CSV))
    poll = {"store_id": "new", "status": "inactive", "timestamp_utc": "2023-01-25T12:30:00Z"}
    for _ in range(2):
        yield "one poll", answered(client.post("/v1/observations", json=poll))
    yield "a contradiction", answered(client.post("/v1/observations", json=poll | {"status": "active"}))
    yield "unknown", answered(client.post("/v1/observations", json=poll | {"status": "unknown"}))
    hours = tables.table("hours", "new,0,9:00 AM,5pm", "new,1,closed,closed", "new,2,20:00,26:00").encode()
    yield "hours", answered(client.put("/v1/business-hours", content=hours, headers=CSV))
    zone = tables.table("timezones", "new,Eastern Standard Time").encode()
    yield "a zone", answered(client.put("/v1/timezones", content=zone, headers=CSV))
    yield (
        "a zone that is none",
        answered(client.put("/v1/timezones", content=zone.replace(b"Eastern", b"My"), headers=CSV)),
    )
    late = tables.table("hours", *(f"new,{day},10:00,22:00" for day in range(7))).encode()
    dated = client.put("/v1/business-hours", content=late, headers=CSV, params={"valid_from": "2023-01-24"})
    yield "a dated week", answered(dated)
    special = [
        {"store_id": "*", "date": "2023-01-23", "start_time_local": "", "end_time_local": "", "name": "Käse"},
        {"store_id": "new", "date": "2023-01-25", "start_time_local": "18:00", "end_time_local": "02:00"},
        {"store_id": "new", "date": "soon", "start_time_local": "18:00", "end_time_local": "02:00"},
    ]
    yield "special hours", answered(client.put("/v1/special-hours", json=special))
    rows_of_stores = [{"store_id": "new", "region": "Łódź", "first_day": "2023-01-20"}, {"store_id": "1", "region": ""}]
    yield "attributes", answered(client.put("/v1/stores", json=rows_of_stores))
    days = {"from": "2023-01-22", "to": "2023-01-28"}
    yield "a calendar", answered(client.get("/v1/stores/new/calendar", params=days))
    closure: dict[str, Any] = {
        "counts_as": "excluded", "reason": "planned closure", "note": "Käse", "stores": ["new", "1"],
        "start_local": "2023-01-25T04:00", "end_local": "2023-01-25T12:15",
    }  # fmt: skip
    yield "a closure that is tried", answered(client.post("/v1/adjustments", json=closure, params={"dry_run": True}))
    headers = {"Idempotency-Key": "closure"}
    for entered in (closure, closure, closure | {"note": ""}):
        yield "a closure", answered(client.post("/v1/adjustments", json=entered, headers=headers))
    correction: dict[str, Any] = {
        "counts_as": "down", "reason": "wrong data", "all": True, "start": "2023-01-24T10:00Z", "end": "2023-01-25",
    }  # fmt: skip
    for entered in (correction, correction | {"counts_as": "up"}):
        yield "a correction", answered(client.post("/v1/adjustments", json=entered))
    for _ in range(2):
        answer = client.post("/v1/adjustments/2/withdrawal", json={"reason": "wrong data"})
        yield "a withdrawal", answered(answer)
    yield from all_pages("/v1/adjustments", "adjustments", limit=2)
    yield from all_pages("/v1/adjustments", "adjustments", store_id="new", limit=2)
    yield "too long an id", answered(client.post("/v1/observations", json=poll | {"store_id": "x" * 256}))

    yield from all_pages("/v1/loads", "loads", limit=3)
    yield get("/v1/loads/2")
    yield from all_pages("/v1/loads/2/quarantine", "rows", limit=1)
    yield get("/v1/loads/2/quarantine", format="csv")
    yield get("/v1/loads/99")

    for window in WINDOWS:
        yield from all_pages("/v1/stores", "stores", window=window, limit=3)
    for sort in ("availability", "lost_time", "since", "last_observed"):
        for descending in (False, True):
            yield from all_pages("/v1/stores", "stores", sort=sort, descending=descending, limit=4)
    yield get("/v1/stores", q="new", without="hours", observed="ever")
    yield get("/v1/fleet/history", window="last_week")
    yield get("/v1/fleet/heatmap", window="last_week")
    yield get("/v1/fleet/history", window="last_week", raw="true")
    for store in ("new", "1", "nowhere"):
        for part in ("", "/timeline", "/outages", "/explanation"):
            for raw in ("false", "true"):
                yield get(f"/v1/stores/{store}{part}", window="last_week", raw=raw)

    bodies: list[dict[str, object]] = [
        {},
        {"windows": list(WINDOWS[:4]), "interpolation": "nearest", "all_stores": True},
        {"as_of": "2023-01-24T00:00:00Z", "max_age": "2h", "only_watched": True},
        {"raw": True, "windows": [{"name": "days", "start": "2023-01-23", "end": "2023-01-26"}]},
    ]
    for number, body in enumerate(bodies):
        asked = client.post("/v1/reports", json=body, headers={"Idempotency-Key": f"report {number}"})
        yield f"a report {body}", answered(asked)
        again = client.post("/v1/reports", json=body, headers={"Idempotency-Key": f"report {number}"})
        assert again.json()["id"] == asked.json()["id"]
        other = client.post(
            "/v1/reports", json=body | {"windows": ["last_hour"]}, headers={"Idempotency-Key": f"report {number}"}
        )
        yield "another body under the same key", answered(other)
        state = finished(client, asked.json()["id"])
        yield f"its state {body}", steady(state)
        for form in ("csv", "json", "parquet"):
            result = client.get(f"/v1/reports/{asked.json()['id']}/result", params={"format": form, "detail": True})
            yield f"its {form}", answered(result)
            etag = {"If-None-Match": result.headers["etag"]}
            assert client.get(result.url.raw_path.decode(), headers=etag).status_code == 304
    cancelled = client.delete(f"/v1/reports/{asked.json()['id']}")
    yield "cancelled when it is complete", answered(cancelled)
    yield from all_pages("/v1/reports", "reports", limit=2)
    yield from all_pages("/v1/audit", "entries", limit=5)
    yield get("/v1/sources")
    for path in ("/", "/week", "/data", "/reports", "/stores/new"):
        assert client.get(path).status_code == 200


def test_each_engine_gives_the_answers_of_every_other(engine: str, tmp_path: Path, database_url: str) -> None:
    folders = {"reference": tmp_path / "reference", engine: tmp_path / engine}
    found: dict[str, list[tuple[str, object]]] = {}
    for name, folder in folders.items():
        folder.mkdir()
        more: dict[str, Any] = {"database_url": database_url} if name == "reference" else {}
        if name == "reference":
            connect(database_url).migrate()
        running = begin_service(folder, workers="1", **more)
        try:
            with running.client() as client:
                assert in_time(lambda client=client: client.get("/readyz").status_code == 200)  # type: ignore[misc]
                found[name] = list(journey(client))
        finally:
            assert running.stop() == 0
        assert '"level": "error"' not in running.log.read_text()
    assert len(found["reference"]) > 100
    for expected, said in zip(found["reference"], found[engine], strict=True):
        assert said == expected
