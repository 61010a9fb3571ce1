"""A key that is bound to some stores: whatever it asks, the answer is that of a service that has no other stores."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openpyxl  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fixtures import tables
from tests.fixtures.databases import only_sqlite, url_in
from tests.fixtures.services import finished, service
from uphours.database import api_keys, ledger
from uphours.database.database import Database, connect
from uphours.errors import InputError
from uphours.ingest.inputs import Kind
from uphours.ingest.load import load_files
from uphours.reports.request import ReportRequest
from uphours.schema import DAY_US, HOUR_US, instant_us
from uphours.service.api import reports
from uphours.service.app import create_app
from uphours.settings import settings as service_settings

pytestmark = [pytest.mark.slow, only_sqlite]  # no engine shows in what these are about

#: Stands in every id, name and value of the stores of another owner.
FOREIGN = "zqx"
OWN = ["east", "north/9", "west"]
OTHERS = [f"a-{FOREIGN}", f"m-{FOREIGN}", f"z-{FOREIGN}"]
OWN_ROWS: dict[Kind, list[str]] = {
    "polls": [
        *(
            f"{store},active,2023-01-{day}T{hour:02}:05Z"
            for store in OWN
            for day in range(18, 26)
            for hour in range(24)
        ),
        *(f"west,inactive,2023-01-24T{hour:02}:10Z" for hour in (12, 13, 16)),
        "east,inactive,2023-01-25T15:40Z",
    ],
    "hours": [f"{store},{day},09:00,21:00" for store in ("east", "west") for day in range(7)],
    "timezones": ["east,America/New_York", "west,America/Los_Angeles", "north/9,Europe/Berlin"],
    "special": ["*,2023-01-21,closed,closed,Festival", "west,2023-01-23,10:00,12:00,Stocktaking"],
    "stores": ["east,,Harbour,,F7", "west,,Hill,,F7", "west,2023-01-24,Hill,,F7", "north/9,,,,F7"],
    "targets": ["norm,,99,month,", "seven,franchisee=F7,95,week,", "hill,name=Hill,90,month,2023-01-01"],
}
OTHER_ROWS: dict[Kind, list[str]] = {
    "polls": [
        # Later than any of one's own, with a gap where the own ones have none, and down where these are up.
        *(
            f"{store},inactive,2023-01-{day}T{hour:02}:35Z"
            for store in OTHERS
            for day in range(19, 27)
            for hour in range(20)
        ),
    ],
    "hours": [f"a-{FOREIGN},{day},05:00,23:00" for day in range(7)],
    "timezones": [f"a-{FOREIGN},Asia/Kolkata"],
    "special": [f"a-{FOREIGN},2023-01-22,closed,closed,{FOREIGN} day"],
    "targets": [f"{FOREIGN},franchisee=F8,99,month,", f"{FOREIGN},,,,2023-02-01", "hill,franchisee=F8,90,month,"],
    "stores": [f"{store},,{FOREIGN} shop,,F8" for store in OTHERS]
    # It was of the same owner once, and is no longer.
    + [f"m-{FOREIGN},2020-01-01,{FOREIGN} shop,,F7", f"m-{FOREIGN},2023-01-20,{FOREIGN} shop,,F8"],
}
HEADERS = tables.HEADERS | {"stores": "store_id,valid_from,name,first_day,franchisee"}
START = instant_us("2023-01-24 17:00:00 UTC")


def fleet_in(folder: Path, *, with_others: bool) -> Database:
    """Load the stores of one owner, perhaps beside others; entries 1 and 3 of the ledger are about all, 2 about one."""
    folder.mkdir()
    database = connect(url_in(folder))
    names: dict[Kind, list[str]] = {}
    for kind, rows in OWN_ROWS.items():
        content = "\n".join([HEADERS[kind], *rows, *(OTHER_ROWS[kind] if with_others else [])]) + "\n"
        names[kind] = [tables.write(folder / f"{kind}.csv", content)]
    load_files(database, names, now=tables.NOW)
    everyone = [*OWN, *(OTHERS if with_others else [])]
    today = time.time_ns() // 1000 // DAY_US * DAY_US  # a calendar feed is about the days around today
    entered = [("excluded", everyone, START), ("up", ["west"], START), ("excluded", everyone, today)]
    if with_others:
        entered.append(("down", OTHERS, START))
    with database.writing() as connection:
        for counts_as, stores, start in entered:
            ledger.enter(
                connection, stores, np.full(len(stores), start), np.full(len(stores), start + HOUR_US),
                counts_as=counts_as, reason="other", note=FOREIGN if stores is OTHERS else "", actor="me",
                now=tables.NOW,
            )  # fmt: skip
    return database


@dataclass
class Both:
    """A service with the stores of two owners, one of them with its key, and one that has this one's stores alone."""

    bound: httpx.Client
    free: httpx.Client
    alone: httpx.Client
    feed: str

    def same(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask both the same; return the answer, which must be the same and tell of no one else."""
        answers = [client.request(method, path, **more) for client in (self.bound, self.alone)]
        seen, expected = (plain(answer) for answer in answers)
        assert seen == expected, path
        return answers[0]


#: What numbers loads and entries, and names requests, reports and people.
NUMBERED = {
    "loads_seen", "entries_seen", "request_id", "next_cursor", "id", "created_at", "created_by", "actor", "load",
    "only", "owner",
}  # fmt: skip


def plain(answer: httpx.Response) -> Any:
    """Return an answer as plain values, without what numbers loads and entries and names the request."""
    if "json" not in answer.headers.get("content-type", ""):
        return answer.status_code, answer.content

    def cleaned(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: cleaned(one) for name, one in value.items() if name not in NUMBERED}
        return [cleaned(one) for one in value] if isinstance(value, list) else value

    return answer.status_code, cleaned(answer.json())


BOUND = (("franchisee", ("F7",)),)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("bound")
    whole = fleet_in(folder / "whole", with_others=True)
    fleet_in(folder / "alone", with_others=False)
    with whole.writing() as connection:
        _, token = api_keys.create(
            connection,
            name="F7",
            scopes=["read", "adjust"],
            now=tables.NOW,
            actor="me",
            only=BOUND,
        )
        _, feed = api_keys.create(connection, name="F7", scopes=["feed"], now=tables.NOW, actor="me", only=BOUND)
        _, admin = api_keys.create(connection, name="all", scopes=["admin"], now=tables.NOW, actor="me")
    with (
        service(folder / "whole", workers="1", require_key="true") as one,
        service(folder / "alone", workers="1") as other,
    ):
        made = [one.client(headers={"Authorization": f"Bearer {key}"}) for key in (token, admin)]
        made.append(other.client())
        yield Both(made[0], made[1], made[2], feed)
        for client in made:
            client.close()


STORES = st.sampled_from([*OWN, *OTHERS, "none"])
VIEW = {
    "window": st.sampled_from(["last_day", "today", "x=2023-01-20/2023-01-26", "x=2023-01-24/2023-01-27T00:00Z"]),
    "as_of": st.sampled_from([None, "2023-01-25T12:00Z", "2023-01-21T00:00Z"]),
    "raw": st.booleans(),
}  # fmt: skip
FLEET = VIEW | {
    "where": st.lists(
        st.sampled_from(["franchisee=F7", "franchisee=F8", "name=Hill", "name=", f"name={FOREIGN} shop", "color=red"]),
        max_size=2,
    )
}
ASKED = st.one_of(
    st.tuples(st.just("/v1/stores"), st.fixed_dictionaries(FLEET | {
        "search": st.sampled_from([None, "h", FOREIGN, "shop"]), "limit": st.sampled_from([1, 100]),
        "sort": st.sampled_from(["store_id", "lost_time", "since"]), "compare": st.booleans(),
    })),
    st.tuples(
        st.sampled_from(["/v1/fleet/history", "/v1/fleet/heatmap", "/v1/attributes"]), st.fixed_dictionaries(FLEET)
    ),
    st.tuples(st.just("/v1/groups"), st.fixed_dictionaries(FLEET | {
        "by": st.sampled_from(["franchisee", "name", "franchisee,name", "color"]),
        "below": st.sampled_from([None, 0.99]), "compare": st.booleans(),
    })),
    st.tuples(
        st.builds("/v1/stores/{}{}".format, STORES, st.sampled_from(["", "/timeline", "/outages", "/explanation"])),
        st.fixed_dictionaries(VIEW),
    ),
    st.tuples(st.builds("/v1/stores/{}/calendar".format, STORES), st.just({"from": "2023-01-20", "to": "2023-01-27"})),
    st.tuples(st.just("/v1/targets"), st.fixed_dictionaries({
        "as_of": VIEW["as_of"], "period": st.sampled_from([None, "2023-01", "2023-W04", "2023-02", "2022-12"]),
        "all_stores": st.booleans(), "worst": st.sampled_from([0, 20]), "percent": st.sampled_from([None, 98]),
    })),
    st.tuples(st.just("/v1/adjustments"), st.fixed_dictionaries({"store_id": st.one_of(st.none(), STORES)})),
    st.tuples(st.builds("/v1/adjustments/{}".format, st.integers(1, 5)), st.just({})),
    st.tuples(st.just("/v1/calendar.ics"), st.fixed_dictionaries({"store_id": st.lists(STORES, max_size=2)})),
)  # fmt: skip


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=ASKED)
def test_an_answer_is_that_of_a_service_without_other_stores(both: Both, asked: tuple[str, dict[str, Any]]) -> None:
    path, query = asked
    both.same("GET", path, params={name: value for name, value in query.items() if value is not None})


def test_pages_show_no_other_stores(both: Both) -> None:
    paths = (
        "/", "/?tab=all", "/list.csv?tab=all", "/week", "/stores/west", "/stores/west/calendar", "/stores/west/hours",
        "/stores/west/proof", "/stores/west/rank", "/adjustments", "/adjustments/1", "/reports", "/targets",
        "/targets?percent=98", "/targets?period=2023-01&target=hill", "/targets/below.csv?percent=98",
        "/groups?by=franchisee&by=name", "/groups/stores.csv?by=franchisee&group=F7", "/groups/download?by=franchisee",
    )  # fmt: skip
    for path in paths:
        answer = both.bound.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == 200, path
        assert FOREIGN not in answer.text, path
        assert FOREIGN in both.free.get("/?tab=all").text
    for path in (
        f"/stores/a-{FOREIGN}",
        *(f"/stores/a-{FOREIGN}/{part}" for part in ("calendar", "hours", "proof", "rank")),
        "/adjustments/4",
    ):
        assert both.bound.get(path).status_code == 404, path


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/v1/loads",
        "/v1/loads/1",
        "/v1/loads/1/quarantine",
        "/v1/sources",
        "/v1/days",
        "/data",
        "/v1/jobs/x",
    ],
)
def test_what_is_about_all_stores_is_refused(both: Both, path: str) -> None:
    answer = both.bound.get(path)
    assert answer.status_code == 403
    assert answer.json()["detail"] == (
        "this API key sees the stores with franchisee=F7 alone, and this is about all stores"
    )


@pytest.mark.parametrize(
    "body",
    [
        {"all_stores": True, "windows": ["last_week"], "columns": ["name", "franchisee"], "detail": True},
        {"by": ["franchisee"], "windows": ["last_day", "last_week"]},
        {"stores": ["west"], "where": {"name": ["Hill"]}},
        {"as_of": "2023-01-24T00:00:00Z"},
        {"only": {"franchisee": ["F7"]}},
    ],
)
def test_reports_keep_the_bounds_in_every_format(both: Both, body: dict[str, Any]) -> None:
    made = both.same("POST", "/v1/reports", json=body)
    assert made.status_code == 202, made.text
    ids = [made.json()["id"], both.alone.post("/v1/reports", json=body).json()["id"]]
    for client, report in zip((both.bound, both.alone), ids, strict=True):
        assert finished(client, report)["state"] == "complete"
    for form in ("csv", "json", "parquet", "xlsx"):
        results = [
            client.get(f"/v1/reports/{report}/result", params={"format": form})
            for client, report in zip((both.bound, both.alone), ids, strict=True)
        ]
        seen, expected = (
            sheets(result.content) if form == "xlsx" else result.content.decode("latin-1") for result in results
        )
        assert seen == expected, form
        assert FOREIGN not in str(seen)
    for path in (f"/reports/{ids[0]}", "/reports"):
        shown = both.bound.get(path, headers={"Accept": "text/html"})
        assert (shown.status_code, FOREIGN in shown.text) == (200, False), path
    again = both.bound.post(f"/reports/{ids[0]}/again")
    assert again.status_code == 303
    assert both.bound.get(f"/v1{again.headers['location']}").json()["options"]["only"] == {"franchisee": ["F7"]}
    options = both.bound.get(f"/v1/reports/{ids[0]}").json()["options"]
    assert both.bound.post("/v1/reports", json=options).status_code == 202


def sheets(content: bytes) -> dict[str, list[tuple[Any, ...]]]:
    """Return the cells of a workbook, without the line that numbers the last entry of the ledger."""
    book = openpyxl.load_workbook(io.BytesIO(content))
    rows = {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book}
    rows["About"] = [row for row in rows["About"] if row[0] != "ledger"]
    return rows


def test_others_bounds_stores_and_reports_are_refused_as_if_they_were_not_there(both: Both) -> None:
    assert both.bound.post("/v1/reports", json={"only": {"franchisee": ["F8"]}}).status_code == 403
    both.same("POST", "/v1/reports", json={"stores": [f"a-{FOREIGN}"]})
    both.same("POST", "/v1/reports", json={"stores": ["none"]})
    theirs = both.free.post("/v1/reports", json={}).json()["id"]
    finished(both.free, theirs)
    assert both.bound.get(f"/reports/{theirs}").status_code == 404
    assert both.bound.post(f"/reports/{theirs}/again").status_code == 404
    for method, path in (("GET", ""), ("GET", "/result"), ("DELETE", "")):
        answer = both.bound.request(method, f"/v1/reports/{theirs}{path}")
        assert (answer.status_code, answer.json()["detail"]) == (
            404,
            both.bound.get(f"/v1/reports/{theirs}{'x'}").json()["detail"].replace(f"{theirs}x", theirs),
        )
    listed = both.bound.get("/v1/reports", params={"limit": 100}).json()["reports"]
    assert theirs not in {one["id"] for one in listed}
    assert all(one["options"]["only"] == {"franchisee": ["F7"]} for one in listed)


def test_a_key_has_the_reports_that_it_saves_to_itself(both: Both) -> None:
    theirs = {"windows": ["yesterday"], "stores": [OTHERS[0]]}
    shared = both.free.put(f"/v1/saved-reports/{FOREIGN}", json=theirs).raise_for_status().json()
    both.same("GET", "/v1/saved-reports")
    both.same("DELETE", f"/v1/saved-reports/{FOREIGN}")
    page = both.bound.get("/reports", headers={"Accept": "text/html"})
    assert (page.status_code, FOREIGN in page.text) == (200, False)
    assert both.bound.get(f"/reports?saved={FOREIGN}").status_code == 404
    for path in ("report", "deletion"):
        assert both.bound.post(f"/reports/saved/{path}", data={"name": FOREIGN}).status_code == 404
    # Under a name that is taken by others it saves one of its own, with its own stores alone.
    mine = both.same("PUT", f"/v1/saved-reports/{FOREIGN}", json={"as_of": "2023-01-24", "by": ["franchisee"]}).json()
    assert mine["options"]["only"] == {"franchisee": ["F7"]}
    assert mine["options"]["as_of_us"] is None
    assert mine["owner"] == mine["created_by"]
    assert both.bound.get("/v1/saved-reports").json()["saved_reports"] == [mine]
    assert both.free.get("/v1/saved-reports").json()["saved_reports"] == [shared, mine]
    both.same("PUT", "/v1/saved-reports/x", json={"stores": [OTHERS[0]]})
    both.same("PUT", "/v1/saved-reports/x", json={"by": ["color"]})
    assert both.bound.put("/v1/saved-reports/x", json={"only": {"franchisee": ["F8"]}}).status_code == 403
    assert both.bound.delete(f"/v1/saved-reports/{FOREIGN}", params={"owner": "other"}).status_code == 404
    assert both.bound.delete(f"/v1/saved-reports/{FOREIGN}").json() == mine
    assert both.free.get("/v1/saved-reports").json()["saved_reports"] == [shared]
    again = both.bound.put("/v1/saved-reports/mine", json={}).json()
    assert both.free.delete("/v1/saved-reports/mine").status_code == 404
    assert both.free.delete("/v1/saved-reports/mine", params={"owner": again["owner"]}).json() == again
    both.free.delete(f"/v1/saved-reports/{FOREIGN}").raise_for_status()
    both.alone.delete(f"/v1/saved-reports/{FOREIGN}").raise_for_status()


def test_reports_of_earlier_systems_have_ones_own_stores_alone(both: Both) -> None:
    for client in (both.bound, both.alone):
        client.report = client.post("/trigger_report").json()["report_id"]  # type: ignore[attr-defined]
        finished(client, client.report)  # type: ignore[attr-defined]
    found = [
        client.get("/get_report", params={"report_id": client.report}).text  # type: ignore[attr-defined]
        for client in (both.bound, both.alone)
    ]
    assert found[0] == found[1]
    assert "west" in found[0]


def test_adjustments_are_entered_previewed_and_withdrawn_for_ones_own_stores_alone(both: Both) -> None:
    body = {"counts_as": "unknown", "reason": "other", "start": "2023-01-22T18:00Z", "end": "2023-01-22T19:00Z"}
    both.same("POST", "/v1/adjustments?dry_run=true", json=body | {"all": True})
    both.same("POST", "/v1/adjustments?dry_run=true", json=body | {"stores": [f"a-{FOREIGN}"]})
    for franchisee in ("F7", "F8"):
        both.same("POST", "/v1/adjustments?dry_run=true", json=body | {"where": {"franchisee": [franchisee]}})
    form = {"every": "true", "first_day": "2023-01-22", "counts_as": "unknown", "reason": "other"}
    shown = both.bound.post("/adjustments/many", data=form)
    assert (shown.status_code, "3 stores" in shown.text, FOREIGN in shown.text) == (200, True, False)
    made = both.bound.post("/v1/adjustments", json=body | {"stores": ["west"]})
    assert made.status_code == 201, made.text
    entry = made.json()["entry"]
    everyone = both.free.get("/v1/adjustments/1").json()["stores"]
    assert (everyone, both.bound.get("/v1/adjustments/1").json()["stores"]) == (6, 3)
    for number, status in ((1, 403), (4, 404), (entry, 201)):
        answer = both.bound.post(f"/v1/adjustments/{number}/withdrawal", json={"reason": "other"})
        assert answer.status_code == status, answer.text


def test_a_calendar_feed_has_ones_own_closures_alone(both: Both) -> None:
    shown = both.bound.get(f"/v1/calendar/{both.feed}.ics")
    assert shown.content == both.alone.get("/v1/calendar.ics").content
    assert b"Stores: 3" in shown.content
    assert both.bound.get(f"/v1/calendar/{both.feed}.ics", params={"store_id": OTHERS[0]}).status_code == 404


def test_a_report_that_is_too_large_counts_ones_own_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet_in(tmp_path / "fleet", with_others=True)
    monkeypatch.setattr(reports, "_MOST_FIGURES", 5)
    app = create_app(service_settings(database_url=url_in(tmp_path / "fleet")))
    request = ReportRequest(windows=("last_day", "last_week"), only=BOUND)
    with pytest.raises(InputError, match="3 stores in 2 windows are too many for one report"):
        reports.request(app.state.service, request, requested_by="me")


def test_who_signs_in_with_such_a_key_sees_the_same(both: Both) -> None:
    token = both.bound.headers["authorization"].removeprefix("Bearer ")
    with httpx.Client(base_url=both.bound.base_url, verify=False) as browser:
        assert browser.post("/sign-in", data={"key": token}).status_code == 303
        shown = browser.get("/?tab=all", headers={"Accept": "text/html"})
        assert "west" in shown.text
        assert FOREIGN not in shown.text
        assert browser.get("/data", headers={"Accept": "text/html"}).status_code == 403
