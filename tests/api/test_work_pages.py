"""The pages for what people do with many stores: targets, groups, adjustments of many stores, reports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import httpx
import polars as pl
import pytest

from tests.fixtures.databases import only_sqlite
from tests.fixtures.named_fleets import load_named_fleet
from tests.fixtures.service_threads import service_threads
from tests.fixtures.services import finished
from uphours.reports.writers import MEDIA_TYPES

pytestmark = only_sqlite  # what engines do with the rows is asked in tests/database


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a service with the made-up fleet, whose stores have names and regions."""
    folder = tmp_path_factory.mktemp("work")
    load_named_fleet(folder)
    with service_threads(folder, workers=1) as running, running.client() as made:
        yield made


def text_of(answer: httpx.Response) -> str:
    """Return the text of a page, each stretch of blanks as one."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


# --- targets ---


def test_a_percentage_lists_the_stores_below_it_without_a_target(client: httpx.Client) -> None:
    (expected,) = client.get("/v1/targets", params={"percent": 98, "period": "2023-01", "worst": 100}).json()["targets"]
    shown = client.get("/targets", params={"percent": "98 %", "period": "2023-01"})
    assert shown.status_code == 200
    assert f"{expected['stores_below']} stores below 98 %, 2023-01" in text_of(shown)
    listed = re.findall(r'href="/stores/([^?"]+)\?from_date=2023-01-01&amp;to_date=2023-02-01"', shown.text)
    assert listed == [one["store_id"] for one in expected["below"]]
    sent = client.get("/targets/below.csv", params={"percent": "98", "period": "2023-01"})
    table = pl.read_csv(sent.content, infer_schema=False)
    assert table["store_id"].to_list() == listed
    assert table["name"][0].startswith("Shop ")
    worst = expected["below"][0]
    assert float(table["downtime"][0]) == pytest.approx(worst["used_us"] / 3.6e9, abs=0.005)
    assert client.get("/v1/targets").json()["defined"] == []


def test_a_target_that_is_asked_for_has_the_figures_of_one_that_is_set(client: httpx.Client) -> None:
    form = {"name": "norm", "target": "98,5", "where": "region=TX\r\nregion=NY", "period": "month", "valid_from": ""}
    assert client.post("/targets", data=form).headers["location"] == "/targets"
    assert client.get("/v1/targets").json()["defined"] == [
        {"name": "norm", "where": "region=NY;region=TX", "target": 98.5, "period": "month", "valid_from": None}
    ]
    shown = text_of(client.get("/targets"))
    (norm,) = client.get("/v1/targets").json()["targets"]
    assert f"{norm['stores_below']} stores below 98.5 %: norm, 2023-01" in shown
    assert "region=NY, region=TX" in shown
    assert "✗ missed" in shown
    client.post("/targets", data={"name": "norm", "target": "98.5", "period": "month"})
    everyone, asked = (
        client.get("/v1/targets", params=query).json()["targets"][0] for query in ({}, {"percent": 98.5})
    )
    assert {**asked, "name": "norm", "valid_from": None} == everyone
    assert client.post("/targets/ending", data={"name": "norm", "valid_from": "2023-01-01"}).status_code == 303
    assert client.get("/v1/targets").json()["targets"] == []
    assert "No target is in force" in text_of(client.get("/targets"))
    assert client.post("/targets/ending", data={"name": "norm"}).status_code == 303
    assert "There are no targets yet" in text_of(client.get("/targets"))


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"name": " "}, "name", "name is ''"),
        ({"target": "0.98"}, "target", "cannot read the target '0.98'"),
        ({"where": "region"}, "where", "cannot read the stores 'region'"),
        ({"period": "year"}, "period", "valid are week, month, quarter"),
        ({"valid_from": "2023-02-30"}, "valid_from", "the date is '2023-02-30'"),
    ],
)
def test_a_mistake_in_a_target_is_said_beside_its_field_and_what_was_typed_stays(
    client: httpx.Client, changes: dict[str, str], field: str, says: str
) -> None:
    before = client.get("/v1/targets").json()["defined"]
    form = {"name": "a <b>", "target": "97", "where": "region=TX", "period": "week", "valid_from": "2023-01-01"}
    shown = client.post("/targets", data=form | changes)
    assert shown.status_code == 422
    (said,) = re.findall(r'<span class="mistake" id="mistake-(\w+)" role="alert">(.*?)</span>', shown.text)
    assert said[0] == field
    assert says in unescape(said[1])
    assert ("a &lt;b&gt;" in shown.text) == (field != "name")
    assert client.get("/v1/targets").json()["defined"] == before


@pytest.mark.parametrize(
    ("query", "says"),
    [({"percent": "many"}, "cannot read the percentage 'many'"), ({"period": "soon"}, "cannot read the period 'soon'")],
)
def test_what_makes_no_sense_in_the_address_of_targets_is_said(
    client: httpx.Client, query: dict[str, str], says: str
) -> None:
    shown = client.get("/targets", params=query)
    assert (shown.status_code, says in unescape(shown.text)) == (422, True)


def test_percent_has_three_decimals_at_most(client: httpx.Client) -> None:
    answer = client.get("/v1/targets", params={"percent": 99.9999})
    assert (answer.status_code, "up to three decimals" in answer.json()["detail"]) == (422, True)


# --- groups ---


def test_groups_are_those_of_the_api_the_worst_first_with_the_fleet_at_the_end(client: httpx.Client) -> None:
    query = {"by": "region", "window": "last_week"}
    found = client.get("/v1/groups", params=query | {"sort": "lost_time", "worst": 10}).json()
    shown = client.get("/groups", params=query)
    assert shown.status_code == 200
    rows = [text_of(httpx.Response(200, text=row)) for row in re.findall(r"<tr>.*?</tr>", shown.text, re.DOTALL)]
    assert [row.split()[0] for row in rows[1:]] == [*(one["values"]["region"] for one in found["groups"]), "Fleet"]
    hours = f"{found['fleet']['downtime_us'] // 360_000_000 / 10:.1f} h"
    assert hours in rows[-1]
    assert "/?window=" not in shown.text
    worst = found["groups"][0]
    assert f'href="/?where=region%3D{worst["values"]["region"]}&amp;tab=all#stores"' in shown.text
    listed = re.findall(r'href="/stores/([^"?]+)"', shown.text.partition("</tbody>")[0])
    assert listed == [one["store_id"] for one in worst["worst"]]


def test_groups_by_two_attributes_lead_to_the_stores_of_both(client: httpx.Client) -> None:
    shown = client.get("/groups?by=region&by=name&window=yesterday&where=region%3DTX&by=")
    assert shown.status_code == 200
    assert 'href="/?window=yesterday&amp;where=region%3DTX&amp;where=name%3DShop+0&amp;tab=all#stores"' in shown.text
    assert "only region=TX" in text_of(shown)


def test_the_files_of_groups_have_the_numbers_of_the_page_and_those_of_reports(client: httpx.Client) -> None:
    body = {"by": ["region"], "windows": ["last_week"], "all_stores": True}
    report = finished(client, client.post("/v1/reports", json=body).json()["id"])
    made = client.get(report["result"], params={"format": "csv"})
    assert client.get("/groups/download?by=region&format=csv").content == made.content
    sent = client.get("/groups/download?by=region&format=xlsx")
    assert sent.headers["content-type"] == MEDIA_TYPES["xlsx"]
    assert sent.content[:2] == b"PK"


def test_the_file_of_a_groups_stores_has_the_worst_first(client: httpx.Client) -> None:
    (group,) = client.get("/v1/groups", params={"by": "region", "where": "region=NY", "worst": 3}).json()["groups"]
    for most, rows in ((3, 3), (None, group["stores"])):
        query: dict[str, Any] = {"by": "region", "group": "NY"} | ({} if most is None else {"most": most})
        table = pl.read_csv(client.get("/groups/stores.csv", params=query).content, infer_schema=False)
        assert table["store_id"].to_list()[:3] == [one["store_id"] for one in group["worst"]]
        assert len(table) == rows
    lost = sum(map(float, table["downtime_last_week"]))
    assert lost == pytest.approx(group["downtime_us"] / 3.6e9, abs=0.01 * len(table))


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/groups?by=colour", 422, "there is no attribute 'colour'"),
        ("/groups?by=region&sort=size", 422, "cannot sort by 'size'"),
        ("/groups/download", 422, "no attribute is named"),
        ("/groups/stores.csv?by=region&group=ZZ", 404, "there is no group 'ZZ'"),
    ],
)
def test_what_makes_no_sense_in_the_address_of_groups_is_said(
    client: httpx.Client, path: str, status: int, says: str
) -> None:
    answer = client.get(path)
    assert (answer.status_code, says in unescape(answer.text)) == (status, True)


# --- adjustments of many stores ---

HOLIDAY = {"where": ["region=TX", "region=CA"], "first_day": "2023-01-24", "counts_as": "excluded", "reason": "other"}


def fields_of(page: httpx.Response) -> dict[str, str]:
    """Return the hidden fields of the form that enters what is previewed."""
    found = re.findall(r'<input type="hidden" name="(previewed|once)" value="([^"]*)">', page.text)
    return {name: unescape(value) for name, value in found}


def test_a_day_of_some_regions_is_previewed_and_entered_once(client: httpx.Client) -> None:
    before = client.get("/v1/adjustments").json()["adjustments"]
    body = {
        "where": {"region": ["TX", "CA"]}, "counts_as": "excluded", "reason": "other",
        "start_local": "2023-01-24T00:00", "end_local": "2023-01-25T00:00",
    }  # fmt: skip
    moved = client.post("/v1/adjustments?dry_run=true", json=body).json()
    shown = client.post("/adjustments/many", data=HOLIDAY)
    assert f"{moved['stores']} stores , {moved['entered_us'] // 3_600_000_000:,}.0 h together".replace(
        ",", " " if moved["entered_us"] > 1e15 else ","
    ) in text_of(shown)
    assert client.get("/v1/adjustments").json()["adjustments"] == before
    entering = HOLIDAY | fields_of(shown) | {"step": "enter"}
    answers = [client.post("/adjustments/many", data=entering) for _ in range(2)]
    assert {answer.status_code for answer in answers} == {303}
    assert answers[0].headers["location"] == answers[1].headers["location"]
    (entry, *rest) = client.get("/v1/adjustments").json()["adjustments"]
    assert rest == before
    assert (entry["stores"], entry["start_us"], entry["end_us"]) == (
        moved["stores"],
        moved["start_us"],
        moved["end_us"],
    )
    assert answers[0].headers["location"] == f"/adjustments#entry-{entry['entry']}"
    assert client.post(f"/v1/adjustments/{entry['entry']}/withdrawal", json={"reason": "other"}).status_code == 201


def test_a_form_that_was_changed_after_the_preview_is_previewed_again(client: httpx.Client) -> None:
    before = client.get("/v1/adjustments").json()["adjustments"]
    shown = client.post("/adjustments/many", data=HOLIDAY)
    changed = HOLIDAY | fields_of(shown) | {"step": "enter", "last_day": "2023-01-25"}
    again = client.post("/adjustments/many", data=changed)
    assert (again.status_code, "was changed after the preview" in again.text) == (200, True)
    assert client.get("/v1/adjustments").json()["adjustments"] == before


@pytest.mark.parametrize(
    ("changes", "place", "says"),
    [
        ({"where": []}, "stores", "no store is chosen"),
        ({"every": "true"}, "stores", "stores are chosen in several ways"),
        ({"where": [], "stores": "1001\r\nnone"}, "stores", "there is no store 'none'"),
        ({"where": ["region=ZZ"]}, "stores", "there is no store with region=ZZ"),
        ({"first_day": ""}, "first_day", "the first day is missing"),
        ({"first_day": "2023-02-30"}, "first_day", "first day is '2023-02-30'"),
        ({"last_day": "2023-01-23"}, "last_day", "is before the first one"),
        ({"start": "2023-01-24T10:00"}, "first_day", "days and exact times are both given"),
        ({"first_day": "", "start": "2023-01-24T10:00"}, "start", "one of the two times is missing"),
        (
            {"first_day": "", "start": "2023-01-24T10:00", "end": "2023-01-24T09:00"},
            "start",
            "the adjustment ends at 2023-01-24 09:00:00, which is not after",
        ),
    ],
)
def test_a_mistake_about_many_stores_is_said_beside_its_field_and_what_was_typed_stays(
    client: httpx.Client, changes: dict[str, Any], place: str, says: str
) -> None:
    shown = client.post("/adjustments/many", data=HOLIDAY | {"note": "a <b>"} | changes)
    assert shown.status_code == 422
    (said,) = re.findall(r'<span class="mistake" id="mistake-(\w+)" role="alert">(.*?)</span>', shown.text)
    assert (said[0], says in unescape(said[1])) == (place, True), said
    assert "a &lt;b&gt;" in shown.text
    assert fields_of(shown) == {}


def test_exact_times_are_on_the_clock_that_was_chosen(client: httpx.Client) -> None:
    form = {"stores": "1001", "start": "2023-01-24T10:00", "end": "2023-01-24T11:00", "counts_as": "up"}
    utc, local = (
        text_of(client.post("/adjustments/many", data=form | {"reason": "other", "clock": clock}))
        for clock in ("utc", "store")
    )
    assert "from Tue 24 Jan 2023, 10:00 to Tue 24 Jan 2023, 11:00 UTC" in utc
    assert "from Tue 24 Jan 2023, 10:00" not in local


# --- reports ---


def shown_rows(client: httpx.Client, location: str) -> tuple[str, list[list[str]]]:
    """Return the text of a report's page when the report is complete, and the cells of its table."""
    finished(client, location.rpartition("/")[2])
    shown = client.get(location)
    table = shown.text.partition('<table class="list numbers">')[2].partition("</table>")[0]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", table)]
    return text_of(shown), [[unescape(re.sub("<[^>]+>", "", cell)) for cell in row] for row in rows]


@pytest.mark.parametrize("by", ["", "region"])
def test_the_page_of_a_report_shows_its_numbers_and_their_total(client: httpx.Client, by: str) -> None:
    asked = client.post("/reports", data={"windows": ["last_day", "last_week"], "by": by, "columns": "name"})
    location = asked.headers["location"]
    words, (titles, *rows, total) = shown_rows(client, location)
    sent = client.get(f"/v1{location}/result", params={"format": "csv", "detail": True})
    table = pl.read_csv(sent.content, infer_schema=False)
    expected = table.select([title.replace(" ", "_") for title in titles]).fill_null("–").rows()
    if by:
        *expected, whole = expected
        assert total[1:] == list(whole)[1:]
    else:
        down = sum(one["downtime_us"] for one in _windows(client, location, "last_week"))
        assert total[titles.index("downtime last week")] == f"{down / 3.6e9:.2f}"
    assert [tuple(row) for row in rows] == expected
    assert total[0] == "All"
    assert f"{len(rows)} rows" in words


def _windows(client: httpx.Client, location: str, name: str) -> list[dict[str, int]]:
    stores = client.get(f"/v1{location}/result", params={"format": "json"}).json()["stores"]
    return [store["windows"][name] for store in stores]


def test_a_preset_makes_its_report_in_one_step_and_it_is_asked_for_again(client: httpx.Client) -> None:
    listed = client.get("/reports")
    names = re.findall(r"<button>([^<]+)</button></form></li>", listed.text)
    assert names[:4] == ["Yesterday", "Previous week", "This month so far", "Previous month"]
    assert names[4:] == ["Previous month by region"]
    asked = client.post("/reports", data={"windows": "yesterday", "columns": "name", "where": "region=TX"})
    first = finished(client, asked.headers["location"].rpartition("/")[2])
    again = client.post(f"/reports/{first['id']}/again")
    second = finished(client, again.headers["location"].rpartition("/")[2])
    assert second["id"] != first["id"]
    assert second["options"] == first["options"]
    assert first["options"]["where"] == {"region": ["TX"]}
    assert "region=TX" in text_of(client.get("/reports"))


@pytest.mark.parametrize(
    ("field", "wrong", "said"),
    [
        ("windows", {"windows": ["yesterday", "mine=2023-01-30/2023-01-20"]}, "not after its start"),
        ("windows", {"windows": ["yesterday", "january"]}, "january"),
        ("windows", {"windows": [""]}, "no window is chosen"),
        ("as_of", {"as_of": "tomorrow"}, "tomorrow"),
        ("max_age", {"max_age": "long"}, "90m"),
        ("interpolation", {"interpolation": "between"}, "nearest"),
        ("stores", {"stores": "1001\nnone such"}, "none such"),
        ("stores", {"stores": "x" * 300}, "255"),
        ("name", {"name": "a/b"}, "without a slash"),
        ("", {"where": "color=red"}, "color"),
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/reports", "/reports/saved"])
def test_a_report_that_cannot_be_made_leaves_what_was_typed_and_says_beside_the_field_why(
    client: httpx.Client, path: str, field: str, wrong: dict[str, Any], said: str
) -> None:
    form = {"windows": ["last_day"], "stores": "1001\n1002", "all_stores": "true", "interpolation": "next", "name": "a"}
    form |= wrong
    answer = client.post(path, data=form)
    assert answer.status_code == 422
    notices = dict(re.findall(r'<span class="mistake" id="mistake-(\w+)" role="alert">(.*?)</span>', answer.text))
    notices |= dict(re.findall(r'<p class="notice bad()" role="alert">(.*?)</p>', answer.text))
    assert list(notices) == [field]
    assert said in unescape(notices[field])
    assert answer.text.count('aria-invalid="true"') == bool(field)
    assert client.get("/v1/saved-reports").json()["saved_reports"] == []
    for name in form["windows"]:
        written = f'value="{name}" checked' if name in ("yesterday", "last_day") else f'name="windows" value="{name}"'
        assert written in answer.text
    assert f">{form['stores']}</textarea>" in answer.text
    assert 'name="all_stores" value="true" checked' in answer.text
    assert ('<option value="next" selected>' in answer.text) == ("interpolation" not in wrong)
    for name in ("as_of", "max_age"):
        assert name not in wrong or f'name="{name}" value="{wrong[name]}"' in answer.text


def test_a_report_is_saved_in_the_form_made_with_one_press_opened_and_deleted(client: httpx.Client) -> None:
    form: dict[str, Any] = {"windows": ["yesterday", "mine=2023-01-20/2023-01-25"], "by": "region", "compare": "true"}
    saved = client.post("/reports/saved", data=form | {"name": " Weekly & <more> ", "as_of": "2023-01-25"})
    assert (saved.status_code, saved.headers["location"]) == (303, "/reports#saved")
    shown = client.get("/reports")
    assert ">Weekly &amp; &lt;more&gt;</button>" in shown.text
    asked = client.post("/reports/saved/report", data={"name": "Weekly & <more>"})
    state = finished(client, asked.headers["location"].rpartition("/")[2])
    assert (state["state"], state["options"]["by"], state["options"]["compare"]) == ("complete", ["region"], True)
    assert state["options"]["as_of_us"] is None
    (link,) = re.findall(r'<a href="(/reports\?saved=[^"]+)#new"[^>]*>Open</a>', shown.text)
    opened = client.get(unescape(link))
    for written in (
        'name="windows" value="mine=2023-01-20/2023-01-25"', 'value="yesterday" checked', "<option selected>region<",
        'name="compare" value="true" checked', 'name="name" value="Weekly &amp; &lt;more&gt;"',
    ):  # fmt: skip
        assert written in opened.text
    assert client.post("/reports/saved/deletion", data={"name": "Weekly & <more>"}).status_code == 303
    for path in ("report", "deletion"):
        assert client.post(f"/reports/saved/{path}", data={"name": "Weekly & <more>"}).status_code == 404
    assert client.get(unescape(link)).status_code == 404


def test_a_report_is_saved_as_it_is_made_and_on_its_page(client: httpx.Client) -> None:
    made = client.post("/reports", data={"windows": "previous_week", "name": "with the report"})
    location = made.headers["location"]
    state = finished(client, location.rpartition("/")[2])
    assert client.post(f"{location}/saved", data={"name": "from its page"}).headers["location"] == "/reports#saved"
    saved = client.get("/v1/saved-reports").json()["saved_reports"]
    assert {one["name"]: one["options"] for one in saved} == {
        "with the report": state["options"], "from its page": state["options"],
    }  # fmt: skip
    refused = client.post(f"{location}/saved", data={"name": "../x"})
    assert refused.status_code == 422
    assert 'value="../x"' in refused.text
    assert "mistake-name" in refused.text
    unnamed = client.post("/reports/saved", data={"windows": "previous_week"})
    assert unnamed.status_code == 422
    assert "mistake-name" in unnamed.text
    for one in saved:
        client.delete(f"/v1/saved-reports/{one['name']}").raise_for_status()


def test_a_report_that_is_not_there_is_not_found(client: httpx.Client) -> None:
    assert client.get("/reports/none").status_code == 404
    for action in ("again", "saved"):
        assert client.post(f"/reports/none/{action}", data={"name": "x"}).status_code == 404
