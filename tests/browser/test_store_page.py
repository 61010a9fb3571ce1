"""What people do on the page of a store, by what is visible, and in how many steps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date as local_date
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import load_demo
from tests.fixtures.service_threads import service_threads
from tests.fixtures.services import Service

STORE = "1004"


@pytest.fixture
def changed(tmp_path: Path) -> Iterator[Service]:
    """Serve a made-up fleet of its own to a test that changes it."""
    load_demo(tmp_path)
    with service_threads(tmp_path, workers=1) as running:
        yield running


def test_the_first_screen_says_how_the_store_is(page: Page, shared: Service) -> None:
    page.set_viewport_size({"width": 1366, "height": 768})
    page.goto(f"{shared.url}/stores/{STORE}")
    for part in (".headline", ".periods", ".tiles li:last-child", ".day:nth-child(2)"):
        box = page.locator(part).first.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 768, part
    expect(page.locator(".tiles")).to_contain_text("rank")


def test_the_newest_day_stands_on_top_with_what_it_lost(page: Page, shared: Service) -> None:
    page.goto(f"{shared.url}/stores/{STORE}")
    starts = [int(row.get_attribute("data-start") or 0) for row in page.locator(".day svg").all()]
    assert starts == sorted(starts, reverse=True)
    with shared.client() as client:
        spans = client.get(f"/v1/stores/{STORE}/timeline").json()["spans"]
    for row, start in zip(page.locator(".day").all(), starts, strict=True):
        minutes = float(row.locator("svg").get_attribute("data-minutes") or 0)
        end = start + int(minutes * 60e6)
        lost = sum(
            max(0, min(one["end_us"], end) - max(one["start_us"], start)) for one in spans if one["status"] == "down"
        )
        said = row.locator(".loss").inner_text().replace("\u202f", " ")
        hours, rest = divmod((lost + 30 * 10**6) // (60 * 10**6), 60)
        assert said == ("–" if not lost else f"{hours} h {rest:02} min" if hours and rest else said)


def test_a_month_as_a_calendar_takes_one_step(page: Page, shared: Service) -> None:
    page.goto(f"{shared.url}/stores/{STORE}")
    page.get_by_role("link", name="Calendar", exact=True).click()
    expect(page.locator(".month li")).to_have_count(25)  # the month up to as_of
    expect(page.locator(".month")).to_contain_text("open")


def test_a_proof_takes_one_step_and_is_made_to_be_printed(page: Page, shared: Service) -> None:
    page.goto(f"{shared.url}/stores/{STORE}")
    availability = page.locator(".tile .number").first.inner_text()
    page.get_by_role("link", name="Download proof").click()
    expect(page.locator(".tile .number").first).to_have_text(availability)
    printed = page.pdf()
    assert printed.startswith(b"%PDF")
    page.emulate_media(media="print")
    expect(page.locator(".top nav")).to_be_hidden()
    expect(page.locator(".actions")).to_be_hidden()
    expect(page.get_by_role("heading", name="How this was made")).to_be_visible()


def test_printing_a_store_takes_one_step(page: Page, shared: Service) -> None:
    page.goto(f"{shared.url}/stores/{STORE}")
    page.evaluate("window.print = () => { document.title = 'printed'; }")
    page.get_by_role("button", name="Print").click()
    expect(page).to_have_title("printed")


def test_the_hours_are_corrected_from_monday_in_four_steps(page: Page, changed: Service) -> None:
    page.goto(f"{changed.url}/stores/{STORE}")
    page.locator("#hours").get_by_role("link", name="Edit").click()  # 1
    page.get_by_label("Tue").fill("10:30-18:00")  # 2
    monday = page.get_by_label("From this date on").input_value()  # the next Monday stands there already
    page.get_by_role("button", name="Save the week").click()  # 3
    expect(page).to_have_url(re.compile(rf"/stores/{STORE}#hours$"))
    with changed.client() as client:
        days = client.get(
            f"/v1/stores/{STORE}/calendar",
            params={"from": monday, "to": str(local_date.fromisoformat(monday) + timedelta(days=2))},
        ).json()["days"]
    assert days[0]["valid_from"] == monday
    assert days[1]["hours"] == [{"start": "10:30", "end": "18:00"}]


def test_a_mistake_in_the_hours_stands_beside_what_was_typed(page: Page, changed: Service, watched: object) -> None:
    page.goto(f"{changed.url}/stores/{STORE}/hours")
    page.get_by_label("Wed").fill("noon")
    page.get_by_role("button", name="Save the week").click()
    expect(page.get_by_role("alert").filter(has_text="Wed: cannot read 'noon'")).to_be_visible()
    expect(page.get_by_label("Wed")).to_have_value("noon")
    watched.errors.clear()  # type: ignore[attr-defined]  # the browser notes the 422
