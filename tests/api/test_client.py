"""The client speaks to the real service, and all that it knows of it stands in the OpenAPI document."""

from __future__ import annotations

import importlib
import pkgutil
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

import httpx
import pytest

from tests.api.conftest import load_small_fleet
from tests.fixtures import tables
from tests.fixtures.databases import only_sqlite
from tests.fixtures.service_threads import service_threads
from tests.fixtures.services import Service
from uphours import wire
from uphours.client import Client
from uphours.errors import ConflictError, InputError, NotFoundError
from uphours.wire.group_messages import GroupSelection
from uphours.wire.ledger_messages import AdjustmentBody
from uphours.wire.report_messages import ReportBody
from uphours.wire.store_messages import Selection, StoreSelection
from uphours.wire.target_messages import TargetsView
from uphours.wire.view_messages import FleetSelection, View

pytestmark = [pytest.mark.slow, only_sqlite]  # no engine shows in what these are about

AS_OF = "2023-01-25T18:13:22Z"
ROW = {"store_id": "9", "status": "active", "timestamp_utc": "2023-01-25T12:00:00Z"}


class Recording(httpx.HTTPTransport):
    """Sends requests, and notes them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        return super().handle_request(request)


@pytest.fixture(scope="module")
def own(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("client")
    load_small_fleet(folder)
    with service_threads(folder, workers=1) as running:
        yield running


@pytest.fixture
def recording() -> Recording:
    return Recording()


@pytest.fixture
def client(own: Service, recording: Recording) -> Iterator[Client]:
    with Client(own.url, transport=recording) as made:
        yield made


@pytest.fixture(scope="module")
def document(own: Service) -> Any:
    return httpx.get(f"{own.url}/openapi.json", timeout=60).json()


# --- the job ---------------------------------------------------------------------------------------------


def test_a_report_is_triggered_waited_for_and_fetched(client: Client) -> None:
    report = client.trigger(as_of=AS_OF, windows=["last_day"], stores=["1", "2"])
    state = client.wait(report)
    assert state["state"] == "complete"
    assert state["progress"] == {"done": 2, "total": 2}
    assert client.result(report).startswith(b"store_id,uptime_last_day,downtime_last_day\n1,")
    assert b"availability" in client.result(report, detail=True)
    assert client.result(report, format="xlsx").startswith(b"PK")
    assert next(client.reports())["id"] == report
    assert client.report(as_of=AS_OF, windows=["last_day"], stores=["1", "2"]) == client.result(report)


def test_a_report_is_saved_asked_for_again_and_deleted(client: Client) -> None:
    name = "Käse & 100 %"
    saved = client.save_report(name, as_of=AS_OF, windows=["last_day"], stores=["1"])
    assert client.saved_reports() == [saved]
    assert (saved["name"], saved["options"]["as_of_us"]) == (name, None)
    state = client.wait(client.trigger(**cast(ReportBody, saved["options"])))
    assert state["options"] == saved["options"]
    assert client.delete_saved_report(name) == saved
    with pytest.raises(NotFoundError, match="saved report"):
        client.delete_saved_report(name)


def test_a_report_that_makes_no_sense_is_an_input_error(client: Client) -> None:
    with pytest.raises(InputError, match="last_year"):
        client.trigger(windows=["last_year"])


def test_a_report_that_makes_no_sense_is_refused_with_the_reason(client: Client) -> None:
    with pytest.raises(InputError, match=r"there is no store 'nowhere'"):
        client.report(stores=["nowhere"])


def test_a_report_that_is_not_there_is_not_found(client: Client) -> None:
    with pytest.raises(NotFoundError, match="there is no report 'none'"):
        client.state("none")
    finished = client.trigger()
    client.wait(finished)
    with pytest.raises(ConflictError, match="has ended already"):
        client.cancel(finished)


def test_rows_are_sent_and_set_aside(client: Client) -> None:
    made = client.send([ROW, ROW | {"status": "open"}])
    assert (made.rows_read, made.accepted, made.quarantined) == (2, 1, 1)
    assert made.reasons[0]["line"] == 2
    (row,) = client.quarantine(made.loads[0])
    assert row["reason"] == made.reasons[0]["reason"]
    assert client.send([ROW]).repeated == 1
    assert client.loaded(made.loads[0])["rows_read"] == 2


def test_hours_and_zones_are_set(client: Client) -> None:
    client.send([ROW])
    hours = {"store_id": "9", "day": 2, "start_time_local": "09:00", "end_time_local": "17:00"}
    assert client.replace_business_hours([hours])["accepted"] == 1
    assert client.set_timezones([{"store_id": "9", "timezone_str": "Asia/Kolkata"}])["accepted"] == 1
    store = client.store("9", as_of=AS_OF)
    assert (store["timezone"], store["business_hours"]) == ("Asia/Kolkata", ["Wed 09:00–17:00"])


def test_files_are_loaded_and_what_was_set_aside_comes_back_as_csv(client: Client, tmp_path: Path) -> None:
    polls = tmp_path / "polls.csv"
    polls.write_text(tables.table("polls", "3,active,2023-01-25 10:00:00 UTC", "3,open,2023-01-25 11:00:00 UTC"))
    made = client.load(polls=[polls])
    assert (made["accepted"], made["quarantined"]) == (1, 1)
    assert b"3,open,2023-01-25 11:00:00 UTC" in client.quarantine_csv(made["load"])
    assert next(client.loads())["files"][0]["name"] == "polls.csv"
    with pytest.raises(InputError):
        client.load(files=[__file__])


def test_stores_are_listed_and_looked_into(client: Client) -> None:
    found = {
        store["store_id"]: store for store in client.stores(as_of=AS_OF, state=["up", "down", "unknown", "closed"])
    }
    assert found["2"]["timezone"] == "Asia/Kolkata"
    assert client.timeline("1", as_of=AS_OF, window="last_week")["spans"]
    client.send([ROW | {"store_id": "7", "status": "inactive"}])
    assert client.outages("7", as_of=AS_OF, window="last_day")["outages"][0]["downtime_us"] > 0
    assert client.explanation("1", as_of=AS_OF)["spans"]
    assert client.sources() == []
    assert any(entry["action"] == "load" for entry in client.audit())


@pytest.mark.parametrize("store_id", ["a/b", "..", ".", "a b", "x%2Fy", "?", "timeline", "Łódź"])
def test_any_id_of_a_store_leads_to_it(store_id: str, client: Client) -> None:
    client.send([ROW | {"store_id": store_id}])
    assert client.store(store_id)["store_id"] == store_id
    assert client.timeline(store_id)["store_id"] == store_id


# --- the document ---------------------------------------------------------------------------------------

PLAIN = {int: "integer", str: "string", float: "number", bool: "boolean", type(None): "null"}


def schema_of(annotation: Any) -> dict[str, Any]:
    """Describe a type as the document does, as far as that is about types."""
    if annotation in PLAIN:
        return {"type": PLAIN[annotation]}
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema_of(one) for one in inner]}
    if origin is Literal:
        return {"enum": list(inner), "type": "string"}
    if origin is list:
        return {"type": "array", "items": schema_of(inner[0])}
    assert origin is dict, annotation
    assert inner[0] is str, annotation
    return {"type": "object"}


def about_types(schema: dict[str, Any]) -> dict[str, Any]:
    """Leave out of a schema what is not about types."""
    kept = {name: value for name, value in schema.items() if name in ("type", "enum", "$ref")}
    if "items" in schema:
        kept["items"] = about_types(schema["items"])
    if "anyOf" in schema:
        kept["anyOf"] = [about_types(one) for one in schema["anyOf"]]
    return kept


def test_all_that_is_sent_and_every_answer_of_the_native_api_is_a_type_of_the_client(document: Any) -> None:
    modules = [importlib.import_module(name) for _, name, _ in pkgutil.walk_packages(wire.__path__, "uphours.wire.")]
    types = {name for module in modules for name in vars(module)}
    assert set(document["components"]["schemas"]) - types == {"Problem"}


def test_a_field_says_in_the_document_what_it_says_in_the_code(document: Any) -> None:
    store = document["components"]["schemas"]["Store"]
    assert store["description"].startswith("A store:")
    assert store["properties"]["excluded_us"]["description"] == "Scheduled time that does not count, by the ledger."
    assert "availability_change" not in store["required"]


def native(document: Any) -> dict[str, Any]:
    return {path: methods for path, methods in document["paths"].items() if path.startswith("/v1/")}


@pytest.mark.parametrize(
    ("path", "options", "own_doing"),
    [
        ("/v1/stores", Selection, {"cursor", "limit"}),
        ("/v1/fleet/history", FleetSelection, set()),
        ("/v1/fleet/heatmap", FleetSelection, set()),
        ("/v1/attributes", FleetSelection, {"limit"}),
        ("/v1/groups", GroupSelection, {"by"}),
        ("/v1/stores/{store_id}", StoreSelection, set()),
        ("/v1/stores/{store_id}/timeline", View, set()),
        ("/v1/stores/{store_id}/outages", View, set()),
        ("/v1/stores/{store_id}/explanation", View, set()),
        ("/v1/targets", TargetsView, set()),
    ],
)
def test_the_options_of_a_view_are_the_parameters_of_the_document(
    path: str, options: Any, own_doing: set[str], document: Any
) -> None:
    asked = {one["name"]: one["schema"] for one in document["paths"][path]["get"]["parameters"] if one["in"] == "query"}
    assert set(get_type_hints(options)) == set(asked) - own_doing
    for name, hint in get_type_hints(options).items():
        described = about_types(asked[name])
        choices = [one for one in described.get("anyOf", [described]) if one != {"type": "null"}]
        assert schema_of(hint) in (choices[0], described), name


def test_all_that_the_client_asks_for_is_in_the_document_and_the_other_way_round(
    client: Client, recording: Recording, document: Any, tmp_path: Path
) -> None:
    ask_for_everything(client, tmp_path)
    asked = {matched(request, document) for request in recording.seen}
    offered = {(verb, path) for path, verbs in native(document).items() for verb in verbs}
    feeds = {("get", "/v1/calendar.ics"), ("get", "/v1/calendar/{token}.ics")}  # calendar programs ask for these
    assert asked == offered - feeds


def ask_for_everything(client: Client, folder: Path) -> None:
    client.put_stores([{"store_id": "1", "region": "North"}])
    client.groups(["region"])
    client.attributes()
    client.revoke_key(client.create_key(name="a test", scopes=["read"], only={"region": ["North"]})["key_id"])
    assert [key["name"] for key in client.api_keys() if key["revoked_at"]] == ["a test"]
    report = client.trigger(stores=["1"])
    client.wait(report)
    client.result(report, format="csv", detail=True)
    with pytest.raises(ConflictError):
        client.cancel(report)
    saved = client.save_report("weekly", windows=["previous_week"])
    assert client.saved_reports() == [saved]
    client.delete_saved_report("weekly")
    load = client.send([ROW | {"status": "?"}]).loads[0]
    client.replace_business_hours([{"store_id": "9", "day": 0, "start_time_local": "09:00", "end_time_local": "10:00"}])
    client.set_timezones([{"store_id": "9", "timezone_str": "UTC"}])
    closed = {"start_time_local": "closed", "end_time_local": "closed"}
    client.put_special_hours([{"store_id": "9", "date": "2031-12-25"} | closed])
    client.put_stores([{"store_id": "9", "region": "North"}])
    closure: AdjustmentBody = {
        "counts_as": "excluded", "reason": "planned closure", "note": "floor", "stores": ["9"],
        "start": "2023-01-24", "end": "2023-01-25",
    }  # fmt: skip
    assert client.adjust(**closure, dry_run=True)["stores"] == 1
    entry = client.adjust(**closure)
    assert client.adjustment(entry["entry"]) == entry
    taken = client.withdraw(entry["entry"], reason="wrong data")
    assert [one["entry"] for one in client.adjustments("9")] == [taken["entry"], entry["entry"]]
    with pytest.raises(ConflictError, match="is withdrawn already"):
        client.withdraw(entry["entry"], reason="wrong data")
    (christmas,) = client.calendar("9", "2031-12-25", "2031-12-26")["days"]
    assert (christmas["origin"], christmas["hours"]) == ("special hours", [])
    client.load(timezones=[tables.write(folder / "zones.csv", tables.TIMEZONES)])
    with pytest.raises(ConflictError, match="observations already"):
        client.load_demo()
    with pytest.raises(NotFoundError):
        client.job("none")
    with pytest.raises(NotFoundError):
        client.cancel_load("none")
    client.loaded(load)
    client.quarantine_csv(load, file=0)
    list(client.quarantine(load))
    everything: Any = {"as_of": AS_OF, "window": "last_day", "interpolation": "next", "prefer_in_session": False}
    everything |= {"max_age": "2h", "confirm_within": "1h", "assume": "active", "raw": True}
    list(
        client.stores(
            **everything,
            search="1",
            state=["up"],
            timezone=["UTC"],
            availability_below=1,
            without=["hours", "timezone"],
            observed="ever",
            last_observed_before=AS_OF,
            tab="attention",
            sort="since",
            descending=True,
            compare=True,
        )
    )
    client.store("1", **everything, compare=True)
    for view in (client.timeline, client.outages, client.explanation):
        view("1", **everything)
    client.history(**everything)
    client.heat_map(**everything)
    client.put_targets([{"name": "norm", "target": 99.5, "period": "month"}])
    asked: Any = {name: value for name, value in everything.items() if name not in ("window", "raw")}
    (norm,) = client.targets(**asked, period="2023-01", all_stores=True, worst=3)["targets"]
    assert norm["name"] == "norm"
    (asked_for,) = client.targets(**asked, period="2023-01", all_stores=True, percent=99.5)["targets"]
    assert (asked_for["name"], asked_for["stores_below"]) == ("99.5 %", norm["stores_below"])
    assert len(client.days()["days"]) == 182
    assert [one["day"] for one in client.days("2023-01-24", "2023-01-25")["days"]] == ["2023-01-24", "2023-01-25"]
    for pages in (client.reports, client.loads, client.audit):
        next(pages(), None)
    client.sources()


def matched(request: httpx.Request, document: Any) -> tuple[str, str]:
    """Return which operation of the document a request is, and hold its parameters against it."""
    for path, verbs in native(document).items():
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), request.url.path) and request.method.lower() in verbs:
            operation = verbs[request.method.lower()]
            allowed = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
            assert set(request.url.params) <= allowed, path
            if request.headers.get("content-type"):
                sent = request.headers["content-type"].partition(";")[0]
                assert sent in operation["requestBody"]["content"], path
            return request.method.lower(), path
    raise AssertionError(f"the document knows no {request.method} {request.url.path}")
