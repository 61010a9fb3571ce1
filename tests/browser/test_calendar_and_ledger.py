"""What was scheduled and what counts differently, as the pages show it, and how people let time count differently."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import Watched, load_demo
from tests.browser.test_signing_in import key, sign_in
from tests.fixtures import tables
from tests.fixtures.service_threads import service_threads
from tests.fixtures.services import Service
from uphours.database.database import Database
from uphours.ingest.load import load_files

SPECIAL = """\
store_id,date,start_time_local,end_time_local,name
1004,2023-01-21,10:00,14:00,Stock taking
*,2023-01-23,closed,closed,Founder's Day
1004,2023-02-03,08:00,12:00,
1004,2023-02-03,15:00,26:00,
"""
HOURS = "store_id,day,start_time_local,end_time_local,valid_from\n" + "".join(
    f"1004,{day},08:00,20:00,2023-01-22\n" for day in range(7)
)
STORES = "store_id,first_day,last_day\n1004,2023-01-19,2023-02-15\n"
LEDGER = """\
store_id,start_local,end_local,counts_as,reason,note
1004,2023-01-24T09:00,2023-01-24T13:30,excluded,planned closure,Inventory <b>
1004,2023-01-20T12:00,2023-01-20T16:00,up,wrong data,till log says open
1005,2023-01-18T00:00,2023-01-26T00:00,excluded,planned closure,
"""


def load_all(folder: Path) -> Database:
    database = load_demo(folder)
    load_calendar_and_ledger(database, folder)
    return database


def load_calendar_and_ledger(database: Database, folder: Path) -> None:
    names: dict[Any, list[str]] = {
        kind: [tables.write(folder / f"{kind}-more.csv", content)]
        for kind, content in (("special", SPECIAL), ("hours", HOURS), ("stores", STORES), ("adjustments", LEDGER))
    }
    load_files(database, names, now=tables.NOW)


@pytest.fixture(scope="module")
def adjusted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Serve the fleet with a calendar and a ledger; a test that adds to the ledger has a store of its own."""
    folder = tmp_path_factory.mktemp("adjusted")
    load_all(folder)
    with service_threads(folder) as running:
        yield running


def drag(page: Page, row: int, start: float, end: float) -> None:
    """Drag over a part of a row of the timeline, from one share of its length to another."""
    box = page.locator("svg[data-start]").nth(row).bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 3
    page.mouse.move(box["x"] + start * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + (start + end) / 2 * box["width"], y, steps=3)
    page.mouse.move(box["x"] + end * box["width"], y, steps=3)
    page.mouse.up()


def type_stretch(page: Page, start: str, end: str) -> Locator:
    form = page.locator("[data-adjust]")
    form.get_by_label("From", exact=True).fill(start)
    form.get_by_label("To, not included").fill(end)
    return form


def test_excluded_time_has_a_shape_of_its_own_and_its_reason(page: Page, adjusted: Service) -> None:
    page.goto(adjusted.url + "/stores/1004")
    assert page.locator("rect.excluded").first.get_attribute("fill") == "url(#excluded)"
    expect(page.locator("rect.adjusted.up").first).to_be_attached()
    expect(page.locator(".legend")).to_contain_text("excluded")
    page.locator("svg a:has(rect.excluded)").first.hover()
    expect(page.locator(".says")).to_contain_text("entry 1: planned closure (Inventory <b>), by load")
    row = page.locator(".spans tbody tr", has_text="excluded").first
    assert row.locator("td").nth(3).text_content() == "–"
    assert row.locator("td").nth(4).text_content() == "entry 1: planned closure (Inventory <b>), by load"


def test_raw_figures_stand_beside_adjusted_ones_and_a_box_ignores_the_ledger(page: Page, adjusted: Service) -> None:
    page.goto(adjusted.url + "/stores/1004")
    shown = page.locator(".chosen td")
    expect(shown.nth(0)).to_contain_text("raw:")
    expect(shown.nth(3)).to_have_text("4\u202fh\u202f30\u202fmin")
    expect(shown.nth(5)).to_contain_text("raw:")
    raw = (shown.nth(1).locator(".hint").text_content() or "").removeprefix("raw: ")
    page.locator(".periods details.menu > summary").click()
    page.locator(".question").get_by_label("ignore the ledger").check()
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**raw=true**")
    expect(page.locator("main .notice").first).to_contain_text("The ledger is ignored")
    expect(shown.nth(1)).to_have_text(raw)
    expect(shown.nth(3)).to_have_text("0\u202fmin")
    page.goto(adjusted.url + "/?raw=true")
    with httpx.Client(base_url=adjusted.url, verify=False) as client:
        assert client.get("/v1/stores?raw=true").json()["fleet"]["excluded_us"] == 0
    expect(page.locator("#listed")).not_to_contain_text("excluded")
    expect(page.get_by_label("ignore the ledger")).to_be_checked()


def test_the_fleet_tells_excluded_stores_apart(page: Page, adjusted: Service) -> None:
    page.goto(adjusted.url + "/?tab=all")
    expect(page.locator("#listed")).to_contain_text("excluded")
    page.locator(".chip summary", has_text="State").click()
    page.locator(".filters").get_by_label("excluded").check()
    page.wait_for_url("**state=excluded**")
    expect(page.locator("#stores tbody tr th .id")).to_have_text(["1005"])
    page.get_by_text("The chart as a table").click()
    expect(page.locator(".chart details th[scope=col]", has_text="Excluded")).to_be_visible()
    page.goto(adjusted.url + "/week?window=last_week&as_of=2023-01-25T18:00:00Z")
    assert page.locator(".heat td[title*='excluded']").count() > 0


def test_each_exceptional_day_says_why_also_to_those_who_do_not_see_it(page: Page, adjusted: Service) -> None:
    page.goto(adjusted.url + "/stores/1004")
    for day, note in {
        "Wednesday 18 January": "outside first and last day, closed",
        "Saturday 21 January": "special hours: Stock taking, 10:00–14:00",
        "Sunday 22 January": "week from 2023-01-22, 08:00–20:00",
        "Monday 23 January": "special hours of every store: Founder's Day, closed",
    }.items():
        expect(page.get_by_role("group", name=re.compile(f"^{day}, .*{re.escape(note)}$"))).to_be_visible()
        expect(page.locator(".day-note", has_text=note)).to_be_visible()
    hours = page.locator("section[aria-labelledby=hours-title]")
    expect(hours).to_contain_text("valid from 2023-01-22")
    expect(hours).to_contain_text("Sat 21 Jan 2023: 10:00–14:00 special hours: Stock taking")
    page.get_by_role("link", name="Hours of this window").click()
    page.wait_for_url("**/stores/1004/calendar?from=2023-01-18&to=2023-01-26")


def test_the_calendar_says_what_the_api_says_month_by_month(page: Page, adjusted: Service) -> None:
    with adjusted.client() as client:
        days = client.get("/v1/stores/1004/calendar?from=2023-01-20&to=2023-02-20").json()["days"]
    page.goto(adjusted.url + "/stores/1004/calendar?from=2023-01-20&to=2023-02-20")
    assert page.locator("h2").all_inner_texts() == ["January 2023", "February 2023"]
    shown = page.locator(".month li")
    for place, day in enumerate(days):
        hours = "\n".join(f"{one['start']}–{one['end']}" for one in day["hours"]) or "■ closed"
        assert shown.nth(place).locator(".openings").inner_text() == hours
        assert day["origin"] in shown.nth(place).inner_text()
    expect(shown.nth(14)).to_contain_text("15:00–26:00")
    page.get_by_label("To, not included").fill("2023-01-25")
    page.get_by_role("button", name="Show").click()
    expect(shown).to_have_count(5)
    page.get_by_role("link", name="Later").click()
    expect(shown.first).to_contain_text("Wed 25")
    page.goto(adjusted.url + "/stores/1001/calendar")
    expect(shown).to_have_count(28)


def test_own_dates_make_a_window_with_and_without_scripts(page: Page, browser: Browser, adjusted: Service) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        for tab in (page, context.new_page()):
            tab.goto(adjusted.url + "/stores/1004")
            tab.locator(".periods details.menu > summary").click()
            tab.locator(".question").get_by_label("From", exact=True).fill("2023-01-20")
            tab.locator(".question").get_by_label("To, not included").fill("2023-01-22")
            tab.get_by_role("button", name="Show").click()
            expect(tab.locator(".chosen th")).to_contain_text("from 2023-01-20 until 2023-01-22")
            expect(tab.locator("svg[data-start]")).to_have_count(2)
            expect(tab.locator(".question").get_by_label("From", exact=True)).to_have_value("2023-01-20")
    page.locator(".periods details.menu > summary").click()
    page.locator(".question").get_by_label("Window").select_option("this_quarter")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**window=this_quarter**")
    expect(page.locator(".chosen th")).to_contain_text("this quarter")


def test_a_stretch_is_dragged_previewed_entered_and_withdrawn(page: Page, adjusted: Service) -> None:
    page.goto(adjusted.url + "/stores/1002")
    row = page.locator("svg[data-start]").nth(5)
    midnight = datetime.fromtimestamp(int(row.get_attribute("data-start") or 0) / 1e6, UTC)
    drag(page, 5, 0.25, 0.75)
    form = page.locator("[data-adjust]")
    start, end = (form.get_by_label(label, exact=True).input_value() for label in ("From", "To, not included"))
    assert (start[11:], end[11:]) in (("06:00", "18:00"), ("06:00:00", "18:00:00"))
    expect(page.locator(".chosen-stretch")).to_contain_text(start[:10])
    assert "#span" not in page.url  # it was no click on a span

    form.get_by_label("Reason").select_option("platform outage")
    form.get_by_label("Note").fill("Payment down")
    form.get_by_role("button", name="Preview").click()
    expect(page.locator(".preview")).to_contain_text("12\u202fh 0\u202fmin")
    body = {"counts_as": "excluded", "reason": "platform outage", "stores": ["1002"]}
    bounds = {"start_local": start, "end_local": end}
    with adjusted.client() as client:
        moved = client.post("/v1/adjustments?dry_run=true", json=body | bounds).json()
        assert moved["start_us"] == round((midnight + timedelta(hours=6)).timestamp() * 1e6)
        for place, name in enumerate(("uptime_us", "downtime_us", "unknown_us", "excluded_us")):
            cells = page.locator(".preview tbody tr").nth(place).locator("td").all_text_contents()
            assert [us_of(text) for text in cells] == [moved["before"][name], moved["after"][name]]
        assert moved["before"] != moved["after"]

        page.get_by_role("button", name="Enter").click()
        page.wait_for_url("**/stores/1002#entries")
        (entry,) = client.get("/v1/adjustments?store_id=1002").json()["adjustments"]
        assert (entry["counts_as"], entry["note"]) == ("excluded", "Payment down")
        first = page.locator("#entries tbody tr").first
        expect(first).to_contain_text("platform outage")
        expect(first).to_contain_text("no key")

        page.get_by_role("link", name=f"Withdraw entry {entry['entry']}").click()
        page.get_by_label("Reason").select_option("other")
        page.get_by_role("button", name=f"Withdraw entry {entry['entry']}").click()
        page.wait_for_url("**/stores/1002#entries")
        row = page.locator(f"#entry-{entry['entry']}")
        expect(row.locator("s").first).to_be_visible()
        expect(row).to_contain_text(f"withdrawn by entry {entry['entry'] + 1}: other, no key")
        assert client.get("/v1/stores/1002").json()["excluded_us"] == 0

    page.goto(adjusted.url + "/adjustments?store_id=1002")
    expect(page.locator("#entries-title")).to_contain_text("about store 1002")
    expect(page.locator(".ledger tbody tr")).to_have_count(2)
    page.goto(f"{adjusted.url}/adjustments/{entry['entry']}")
    expect(page.locator("main .notice")).to_contain_text("It counts for nothing")


def us_of(text: str) -> int:
    """Return the microseconds of hours, minutes and seconds."""
    hours, minutes, seconds = text.split(":")
    whole, _, fraction = seconds.partition(".")
    return ((int(hours) * 60 + int(minutes)) * 60 + int(whole)) * 1_000_000 + int(fraction.ljust(6, "0"))


def test_an_outage_fills_the_form_and_is_gone_once_it_is_excluded(page: Page, adjusted: Service) -> None:
    page.goto(adjusted.url + "/stores/1024")
    outages = page.locator("section[aria-labelledby=outages-title] tbody tr")
    before = outages.count()
    assert before > 0
    page.get_by_role("link", name="Adjust the outage").first.click()
    page.wait_for_url("**/stores/1024?**#adjust")
    page.locator("[data-adjust]").get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Enter").click()
    page.wait_for_url("**/stores/1024#entries")
    expect(outages).to_have_count(before - 1)


def test_without_scripts_times_are_typed_and_mistakes_come_back_with_what_was_typed(
    browser: Browser, adjusted: Service
) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(adjusted.url + "/stores/1003?window=last_day")
        form = type_stretch(page, "2023-01-25T10:00", "2023-01-25T09:00")
        form.get_by_label("Note").fill("Two\nlines")
        form.get_by_role("button", name="Preview").click()
        expect(page.locator("#adjust .notice.bad")).to_contain_text("not after its start")
        expect(form.get_by_label("From", exact=True)).to_have_value("2023-01-25T10:00")
        expect(form.get_by_label("Note")).to_have_value("Two\nlines")
        form.get_by_label("To, not included").fill("2023-01-25T11:00")
        form.get_by_role("button", name="Preview").click()
        expect(page.locator(".preview")).to_contain_text("1\u202fh 0\u202fmin")
        # What is entered is what was previewed.
        form.get_by_label("To, not included").fill("2023-01-25T12:00")
        page.get_by_role("button", name="Enter").click()
        expect(page.locator(".preview .notice")).to_contain_text("changed after the preview")
        expect(page.locator(".preview")).to_contain_text("2\u202fh 0\u202fmin")
        page.get_by_role("button", name="Enter").click()
        page.wait_for_url("**/stores/1003?window=last_day#entries")
        expect(page.locator("#entries tbody tr")).to_have_count(1)


def test_with_scripts_a_mistake_comes_back_in_the_form(page: Page, adjusted: Service, watched: Watched) -> None:
    page.goto(adjusted.url + "/stores/1003")
    form = type_stretch(page, "2023-01-25T10:00", "2023-01-25T09:00")
    form.get_by_role("button", name="Preview").click()
    expect(page.locator("#adjust .notice.bad")).to_contain_text("not after its start")
    expect(form.get_by_label("From", exact=True)).to_have_value("2023-01-25T10:00")
    watched.errors.clear()  # the browser notes the 422
    form.get_by_label("To, not included").fill("2023-01-25T11:00")
    form.get_by_role("button", name="Preview").click()
    expect(page.locator(".preview")).to_be_visible()
    form.get_by_label("Counts as").select_option("down")
    expect(page.locator(".preview")).to_have_count(0)


def test_a_form_that_is_made_up_or_sent_twice_adds_nothing_wrong(adjusted: Service) -> None:
    page_of = {"Accept": "text/html", "Origin": adjusted.url}
    fields = {"store_id": "1010", "start": "2023-01-25T10:00", "end": "2023-01-25T11:00", "counts_as": "excluded"}
    with adjusted.client(headers=page_of) as client:
        answer = client.post("/adjustments", data=fields | {"reason": "bad mood"})
        assert answer.status_code == 422
        assert "planned closure" in answer.text
        assert "<option selected>bad mood</option>" in answer.text
        answer = client.post("/adjustments", data=fields | {"reason": "other", "store_id": "nothing-like-it"})
        assert answer.status_code == 422
        assert "nothing-like-it" in answer.text
        shown = client.post("/adjustments", data=fields | {"reason": "other", "step": "enter"})
        assert shown.status_code == 200
        assert client.get("/v1/adjustments?store_id=1010").json()["adjustments"] == []
        sent = fields | {"reason": "other", "step": "enter", "once": "once"}
        sent["previewed"] = '["1010", "2023-01-25T10:00", "2023-01-25T11:00", "store", "excluded", "other", ""]'
        assert [client.post("/adjustments", data=sent).status_code for _ in range(2)] == [303, 303]
        (entry,) = client.get("/v1/adjustments?store_id=1010").json()["adjustments"]
        withdrawal = f"/adjustments/{entry['entry']}/withdrawal"
        assert client.post(withdrawal, data={"reason": "bad mood", "note": "kept"}).status_code == 422
        answer = client.post(withdrawal + "?next=//elsewhere.example", data={"reason": "other"})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/")
        assert client.post(withdrawal, data={"reason": "other"}).status_code == 409
        assert client.get("/adjustments?store_id=nothing-like-it").status_code == 404


def test_a_key_without_the_scope_sees_no_form_and_may_not_send_it(page: Page, tmp_path: Path, watched: Watched) -> None:
    database = load_all(tmp_path)
    key(database, "admin")
    with service_threads(tmp_path, require_key="true") as running:
        page.goto(running.url + "/stores/1004")
        sign_in(page, key(database, "read"))
        expect(page.locator("#adjust")).to_contain_text("one with the scope adjust may")
        expect(page.locator("[data-adjust]")).to_have_count(0)
        expect(page.get_by_role("link", name="Withdraw")).to_have_count(0)
        expect(page.get_by_role("link", name="Adjust the outage")).to_have_count(0)
        page.goto(running.url + "/adjustments/1")
        expect(page.locator("main form")).to_have_count(0)
        for path in ("/adjustments", "/adjustments/1/withdrawal"):
            with page.expect_navigation() as sent:
                page.evaluate(
                    """(path) => {
                        const form = Object.assign(document.createElement("form"), { method: "post", action: path });
                        const token = document.querySelector('meta[name="csrf-token"]').content;
                        for (const [name, value] of Object.entries({ csrf_token: token, store_id: "1004" }))
                            form.append(Object.assign(document.createElement("input"), { name, value }));
                        document.body.append(form);
                        form.submit();
                    }""",
                    path,
                )
            assert sent.value is not None
            assert sent.value.status == 403
            expect(page.locator("main .notice.bad")).to_contain_text("this needs adjust")
            page.goto(running.url + "/adjustments/1")
        watched.errors.clear()  # the browser notes each 403
        page.get_by_role("button", name="Sign out").click()

        sign_in(page, key(database, "read", "adjust"))
        page.goto(running.url + "/stores/1006")
        type_stretch(page, "2023-01-25T08:00", "2023-01-25T10:00").get_by_role("button", name="Preview").click()
        page.get_by_role("button", name="Enter").click()
        page.wait_for_url("**/stores/1006#entries")
        expect(page.locator("#entries tbody tr").first).to_contain_text("key:")
