"""The service answers whatever its OpenAPI document allows, and much that it does not, as the document says."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.conftest import load_small_fleet
from tests.fixtures.databases import only_sqlite
from tests.fixtures.services import Service, finished, service
from uphours.service import api_docs
from uphours.service.app import create_app
from uphours.settings import Settings

pytestmark = [pytest.mark.slow, only_sqlite]  # no engine shows in what these are about

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
#: A real server is asked, so few questions that the file stays quick.
ASKING = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
SENDING = settings(ASKING, max_examples=20)

#: Values that make sense, for parameters that the document describes as text.
SENSIBLE: dict[str, st.SearchStrategy[Any]] = {
    "store_id": st.sampled_from(["1", "2"]),
    "load": st.just(1),
    "as_of": st.sampled_from(["2023-01-25T18:13:22Z", "2023-01-25", "2023-01-26 12:00:00 UTC"]),
    "window": st.sampled_from(["last_hour", "last_week", "yesterday", "own=2023-01-24/2023-01-26"]),
    "windows": st.sampled_from([["last_day"], [{"name": "own", "start": "2023-01-24", "end": "2023-01-26"}]]),
    "stores": st.sampled_from([["1"], ["2", "1"]]),
    "timezone": st.just(["Asia/Kolkata"]),
    "max_age": st.sampled_from(["90m", "1.5h"]),
    "confirm_within": st.sampled_from(["2h", "0s"]),
    "file": st.just(0),
    "start_time_local": st.sampled_from(["09:00", "9 PM"]),
    "end_time_local": st.sampled_from(["17:00", "24:00"]),
    "timezone_str": st.just("Asia/Kolkata"),
    "valid_from": st.sampled_from(["2023-01-24", "20230124"]),
    "date": st.just("2023-01-24"),
    "name": st.sampled_from(["norm", "Main Street"]),
    "target": st.sampled_from([99.5, 100]),
    "percent": st.sampled_from([98, 99.995]),
    "where": st.sampled_from(["", "region=TX;brand=A"]),
    "first_day": st.just("2020-02-29"),
    "last_day": st.just("2030-01-01"),
    "by": st.just(["region"]),
    "columns": st.just([]),
    "only": st.just({}),
    "owner": st.just(""),
}
#: Bodies whose parts make sense only together.
TOGETHER: dict[str, dict[str, Any]] = {
    "POST /v1/adjustments": {
        "stores": ["1"], "where": {}, "all": False, "start": "2023-01-24", "end": "2023-01-25", "start_local": None,
        "end_local": None, "gaps": False,
    },
}  # fmt: skip


def operations() -> dict[str, Any]:
    """Return every operation of the document by verb and path."""
    document = api_docs.document(create_app(Settings(database_url="sqlite:///never-opened.db")))
    for path in document["paths"].values():
        for operation in path.values():
            operation.pop("security", None)  # else nearly every case would come with a key that is not valid
    schema = schemathesis.openapi.from_dict(document)
    found: list[Any] = [one.ok() for one in schema.get_all_operations()]  # type: ignore[union-attr]
    return {one.label: one for one in found}


OPERATIONS = operations()
#: An operation without parameters and body cannot be asked anything that is not allowed.
ASKED = [label for label, one in OPERATIONS.items() if one.body or list(one.iter_parameters())]
#: Any text up to 200 characters is allowed as an id here: what is not takes seconds to make up.
REFUSABLE = [label for label in ASKED if "/v1/" in label or "{report_id}" not in label]
#: A report or a load that has ended cannot be cancelled, the bytes that are made up are no files, the tokens no tokens.
NEVER_GOOD = (
    "DELETE /v1/reports/{report_id}", "DELETE /v1/jobs/{job_id}", "POST /v1/loads", "GET /v1/calendar/{token}.ics",
)  # fmt: skip


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Serve a fleet that may be spoilt, with a queue that does not fill."""
    folder = tmp_path_factory.mktemp("asked")
    load_small_fleet(folder)
    with service(folder, "--data-folder", str(folder), workers="1", queue_limit="100000") as made:
        yield made


@pytest.fixture(scope="module")
def asking(running: Service) -> Iterator[httpx.Client]:
    with running.client() as made:
        yield made


@pytest.fixture(scope="module")
def known(asking: httpx.Client) -> dict[str, st.SearchStrategy[Any]]:
    """Make a report and a load; return values that make sense and lead somewhere."""
    asking.put("/v1/stores", json=[{"store_id": "1", "region": "North"}]).raise_for_status()
    key = asking.post("/v1/keys", json={"name": "a test", "scopes": ["read"]}).json()
    report = asking.post("/v1/reports").json()["id"]
    assert finished(asking, report)["state"] == "complete"
    bad = "store_id,status,timestamp_utc\n1,open,2023-01-25\n"
    job = asking.post("/v1/observations", content=bad, headers={"Content-Type": "text/csv", "Prefer": "respond-async"})
    body = TOGETHER["POST /v1/adjustments"] | {"counts_as": "up", "reason": "other"}
    entry = asking.post("/v1/adjustments", json=body).json()["entry"]
    return SENSIBLE | {
        "report_id": st.just(report), "key_id": st.just(key["key_id"]), "job_id": st.just(job.json()["id"]),
        "entry": st.just(entry),
    }  # fmt: skip


def test_the_service_serves_the_document(asking: httpx.Client) -> None:
    served = asking.get("/openapi.json").json()
    assert served == api_docs.document(create_app(Settings(database_url="sqlite:///never-opened.db")))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_the_document_allows_is_answered_as_it_says(operation: str, running: Service) -> None:
    ask(operation, GenerationMode.POSITIVE, running)


@pytest.mark.parametrize("operation", REFUSABLE)
def test_what_the_document_does_not_allow_is_answered_as_it_says(operation: str, running: Service) -> None:
    ask(operation, GenerationMode.NEGATIVE, running)


def ask(operation: str, mode: GenerationMode, running: Service) -> None:
    @ASKING
    @given(case=OPERATIONS[operation].as_strategy(generation_mode=mode))
    def asked(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(base_url=running.url, checks=CHECKS)

    asked()


@pytest.mark.parametrize("operation", ASKED)
def test_what_makes_sense_is_answered_well_and_as_the_document_says(
    operation: str, running: Service, known: dict[str, st.SearchStrategy[Any]]
) -> None:
    answers: set[int] = set()

    @ASKING
    @given(OPERATIONS[operation].as_strategy(generation_mode=GenerationMode.POSITIVE), st.data())
    def asked(case: schemathesis.Case[Any], data: st.DataObject) -> None:
        rows = case.body if isinstance(case.body, list) else [case.body]
        for values in (case.path_parameters, case.query, *rows):
            if isinstance(values, dict):
                values.pop("cursor", None)
                values.update({name: data.draw(known[name], name) for name in values if name in known})
        if operation in TOGETHER:
            case.body.update(TOGETHER[operation])  # type: ignore[union-attr]  # it is an object
        answers.add(case.call_and_validate(base_url=running.url, checks=CHECKS).status_code)

    asked()
    assert operation in NEVER_GOOD or any(status < 300 for status in answers), answers


# --- rows that are sent ---------------------------------------------------------------------------------

INGEST = {
    "/v1/observations": "POST",
    "/v1/business-hours": "PUT",
    "/v1/timezones": "PUT",
    "/v1/special-hours": "PUT",
    "/v1/stores": "PUT",
}
CONTENT_TYPES = st.sampled_from(
    ["application/json", "application/x-ndjson", "text/csv", "application/vnd.apache.parquet", "x/y", ""]
)
ENCODINGS = {
    "identity": lambda content: content,
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
GOOD = st.fixed_dictionaries(
    {
        "store_id": st.integers(0, 2**63 - 1).map(str) | st.sampled_from(["1", "007", "Łódź"]),
        "status": st.sampled_from(["active", "inactive"]),
        "timestamp_utc": st.datetimes().map(lambda at: at.replace(year=2023).isoformat(timespec="seconds") + "Z"),
    }
)
FIELDS = st.sampled_from(
    ["store_id", "status", "timestamp_utc", "day", "timezone_str", "date", "valid_from", "first_day"]
)
NEARLY = st.dictionaries(FIELDS, SCALARS, max_size=5)
LINES = st.lists(GOOD.map(json.dumps) | st.text(max_size=40) | VALUES.map(json.dumps), min_size=1, max_size=8)


def send(asking: httpx.Client, path: str, content: bytes, **headers: str) -> dict[str, Any] | None:
    """Send a body; return what became of its rows, whose counts add up, or None where it was refused."""
    named = {name.replace("_", "-"): value for name, value in headers.items() if value}
    answer = asking.request(INGEST[path], path, content=content, headers=named)
    if answer.status_code != 200:
        assert answer.status_code in (400, 413, 415, 422), answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]
        return None
    made: dict[str, Any] = answer.json()
    assert made["accepted"] + made["quarantined"] == made["rows_read"]
    assert made["repeated"] + made["conflicting"] <= made["accepted"]
    assert len(made["reasons"]) + made["reasons_left_out"] == made["quarantined"]
    assert asking.get(made["quarantine"]).json()["rows"] == [] or made["quarantined"]
    return made


@SENDING
@given(value=VALUES | st.lists(GOOD | NEARLY | VALUES, min_size=1, max_size=8), encoding=st.sampled_from([*ENCODINGS]))
def test_any_json_value_is_rows_whose_counts_add_up(value: Any, encoding: str, asking: httpx.Client) -> None:
    content = ENCODINGS[encoding](json.dumps(value).encode())
    made = send(asking, "/v1/observations", content, content_type="application/json", content_encoding=encoding)
    if made is not None and encoding != "zstd":
        assert made["rows_read"] == (len(value) if isinstance(value, list) else 1)


@SENDING
@given(good=st.lists(GOOD, min_size=1, max_size=5), bad=st.lists(SCALARS, max_size=5), data=st.data())
def test_among_bad_values_the_good_rows_are_accepted(
    good: list[Any], bad: list[Any], data: st.DataObject, asking: httpx.Client
) -> None:
    rows = data.draw(st.permutations([*good, *bad]))
    made = send(asking, "/v1/observations", json.dumps(rows).encode(), content_type="application/json")
    assert made is not None
    assert (made["accepted"], made["quarantined"]) == (len(good), len(bad))
    assert [one["line"] for one in made["reasons"]] == [place for place, row in enumerate(rows, 1) if row not in good]


@SENDING
@given(lines=LINES, path=st.sampled_from([*INGEST]), ending=st.sampled_from(["\n", "\r\n"]))
def test_lines_that_are_broken_are_set_aside(lines: list[str], path: str, ending: str, asking: httpx.Client) -> None:
    content = ending.join(lines).encode(errors="surrogatepass")
    send(asking, path, content, content_type="application/x-ndjson")


@SENDING
@given(
    content=st.binary(max_size=200) | LINES.map(lambda lines: "\n".join(lines).encode(errors="surrogatepass")),
    content_type=CONTENT_TYPES,
    encoding=st.sampled_from([*ENCODINGS]),
    compressed=st.booleans(),
    path=st.sampled_from([*INGEST]),
)
def test_any_bytes_are_rows_or_refused(
    content: bytes, content_type: str, encoding: str, compressed: bool, path: str, asking: httpx.Client
) -> None:
    sent = ENCODINGS[encoding](content) if compressed else content
    send(asking, path, sent, content_type=content_type, content_encoding=encoding)


def test_an_unknown_encoding_is_refused(asking: httpx.Client) -> None:
    for path, method in INGEST.items():
        answer = asking.request(method, path, content=b"[]", headers={"Content-Encoding": "br"})
        assert answer.status_code == 415
        assert "gzip and zstd" in answer.json()["detail"]


def test_after_all_that_the_service_is_well(asking: httpx.Client) -> None:
    assert asking.get("/readyz").json() == {"status": "ok"}
    row = {"store_id": "after", "status": "active", "timestamp_utc": "2023-01-25T12:00:00Z"}
    assert asking.post("/v1/observations", json=row).json()["accepted"] == 1
    report = asking.post("/v1/reports", json={"stores": ["after"]}).json()["id"]
    assert finished(asking, report)["state"] == "complete"
    assert b"after" in asking.get(f"/v1/reports/{report}/result").content
