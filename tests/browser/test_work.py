"""What people come to do with many stores: each task in few steps, with what is visible alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from playwright.sync_api import Browser, Download, Locator, Page, expect

from tests.browser.conftest import Watched
from tests.fixtures.named_fleets import load_named_fleet
from tests.fixtures.services import Service, service


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Serve a fleet with regions, names and one target."""
    folder: Path = tmp_path_factory.mktemp("fleet")
    load_named_fleet(folder, targets="norm,,98,month\n")
    with service(folder, workers="1") as running:
        yield running


@dataclass
class Steps:
    """Counts what someone does: a click, a choice, a field that is filled in. A folded part is opened by a click."""

    page: Page
    done: int = 0

    def _visible(self, locator: Locator) -> Locator:
        self.done += 1
        expect(locator).to_be_visible()
        return locator

    def click(self, locator: Locator) -> None:
        self._visible(locator).click()

    def fill(self, locator: Locator, text: str) -> None:
        self._visible(locator).fill(text)

    def choose(self, locator: Locator, value: str) -> None:
        self._visible(locator).select_option(value)

    def fetch(self, locator: Locator) -> Download:
        with self.page.expect_download() as fetched:
            self.click(locator)
        return fetched.value

    def visit(self, name: str) -> None:
        """Follow a link of the navigation, and wait until the scripts of its page run."""
        self.click(self.page.get_by_label("Pages").get_by_role("link", name=name, exact=True))
        self.page.wait_for_url(f"**/{name.lower()}*")


@contextmanager
def at_most(page: Page, steps: int) -> Iterator[Steps]:
    counted = Steps(page)
    yield counted
    assert counted.done <= steps


def test_who_misses_the_target_this_month_is_one_step_away(page: Page, fleet: Service) -> None:
    page.goto(fleet.url)
    with fleet.client() as client:
        (norm,) = client.get("/v1/targets", params={"worst": 100}).json()["targets"]
    with at_most(page, 1) as steps:
        steps.visit("Targets")
        expect(page.locator("#below-title")).to_have_text(f"{norm['stores_below']} stores below 98 %: norm, 2023-01")
        rows = page.locator("#below tbody tr")
        expect(rows).to_have_count(norm["stores_below"])
        expect(rows.first.locator(".hint").first).to_have_text(norm["below"][0]["store_id"])
    with page.expect_download() as fetched:
        page.get_by_role("link", name="CSV of all").click()
    table = pl.read_csv(fetched.value.path(), infer_schema=False)
    assert table["store_id"].to_list() == [one["store_id"] for one in norm["below"]]
    rows.first.get_by_role("link").click()
    expect(page.locator(".question [name=from_date]")).to_have_value("2023-01-01")


def test_who_is_below_any_percentage_in_the_previous_month_needs_no_target(page: Page, fleet: Service) -> None:
    page.goto(fleet.url)
    with at_most(page, 4) as steps:
        steps.visit("Targets")
        steps.choose(page.get_by_label("Period"), "2022-12")
        steps.fill(page.get_by_label("Without a target: below"), "99,5")
        steps.click(page.get_by_role("button", name="Show"))
        expect(page.locator("#below-title")).to_contain_text("below 99.5 %, 2022-12")
    with fleet.client() as client:
        assert [one["name"] for one in client.get("/v1/targets").json()["defined"]] == ["norm"]


def test_the_ten_worst_of_a_region_yesterday_are_four_steps_away_with_their_file(page: Page, fleet: Service) -> None:
    page.goto(fleet.url)
    with at_most(page, 4) as steps:
        steps.visit("Groups")
        steps.choose(page.get_by_label("Window"), "yesterday")
        page.wait_for_url("**window=yesterday**")
        expect(page.locator("#groups .as-of")).to_contain_text("yesterday")
        steps.click(page.get_by_text("Worst stores of NY"))
        fetched = steps.fetch(page.get_by_role("link", name="CSV of these, NY"))
    with fleet.client() as client:
        query: dict[str, Any] = {"by": "region", "window": "yesterday", "worst": 10, "where": "region=NY"}
        (group,) = client.get("/v1/groups", params=query).json()["groups"]
    expect(page.locator("#groups details[open] li")).to_have_count(len(group["worst"]))
    table = pl.read_csv(fetched.path(), infer_schema=False)
    assert table["store_id"].to_list() == [one["store_id"] for one in group["worst"]]
    page.get_by_role("link", name="The fleet with the stores of NY alone").click()
    expect(page.locator("#stores tbody tr")).to_have_count(group["stores"])


def leave_out_a_holiday(page: Page, region: str, day: str) -> None:
    with at_most(page, 6) as steps:
        steps.visit("Adjustments")
        steps.choose(page.get_by_label("region"), f"region={region}")
        steps.fill(page.get_by_label("Day", exact=True), day)
        steps.choose(page.get_by_label("Reason"), "planned closure")
        steps.click(page.get_by_role("button", name="Preview"))
        expect(page.locator(".preview")).to_contain_text("13 stores, 312.0\u202fh together")
        steps.click(page.get_by_role("button", name="Enter"))
        expect(page.locator("table.ledger tbody tr").first).to_contain_text("planned closure")


def test_a_holiday_of_a_region_is_left_out_in_six_steps(page: Page, fleet: Service, watched: Watched) -> None:
    page.goto(fleet.url)
    leave_out_a_holiday(page, "CA", "2023-01-24")
    with fleet.client() as client:
        entry = client.get("/v1/adjustments").json()["adjustments"][0]
    assert (entry["counts_as"], entry["stores"]) == ("excluded", 13)
    page.goto(fleet.url + "/adjustments")
    page.get_by_label("all stores").check()
    page.get_by_label("Note").fill("what was typed")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#mistake-first_day")).to_contain_text("the first day is missing")
    expect(page.get_by_label("Note")).to_have_value("what was typed")
    expect(page.get_by_label("all stores")).to_be_checked()
    watched.errors.clear()  # the browser notes the 422


def test_a_holiday_is_left_out_in_as_few_steps_without_scripts(browser: Browser, fleet: Service) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(fleet.url)
        leave_out_a_holiday(page, "NY", "2023-01-23")


def test_three_hours_are_the_platforms_fault_in_five_steps(page: Page, fleet: Service) -> None:
    page.goto(fleet.url + "/stores/1001")
    with at_most(page, 5) as steps:
        form = page.locator("[data-adjust]")
        steps.fill(form.get_by_label("From", exact=True), "2023-01-22T12:00")
        steps.fill(form.get_by_label("To, not included"), "2023-01-22T15:00")
        steps.choose(form.get_by_label("Reason"), "platform outage")
        steps.click(form.get_by_role("button", name="Preview"))
        steps.click(page.get_by_role("button", name="Enter"))
        expect(page.locator("table.ledger tbody tr").first).to_contain_text("platform outage")


def test_the_previous_month_by_region_is_two_steps_away_and_comes_again_in_one(page: Page, fleet: Service) -> None:
    page.goto(fleet.url)
    with at_most(page, 2) as steps:
        steps.visit("Reports")
        steps.click(page.get_by_role("button", name="Previous month by region"))
        expect(page.locator("#numbers tbody tr")).to_have_count(3)
        expect(page.locator("#numbers tfoot th")).to_have_text("All")
    with at_most(page, 1) as steps:
        before = page.url
        steps.click(page.get_by_role("button", name="Ask again"))
        page.wait_for_url(lambda url: url != before)
        expect(page.locator("#numbers tbody tr")).to_have_count(3)


def test_a_target_is_set_and_a_mistake_stands_beside_its_field(page: Page, fleet: Service, watched: Watched) -> None:
    page.goto(fleet.url + "/targets")
    form = page.locator("#set")
    form.get_by_label("Name").fill("texas")
    form.get_by_label("Expected, percent").fill("0.99")
    form.get_by_label("Of stores with").fill("region=TX")
    form.get_by_role("button", name="Set target").click()
    expect(form.locator("#mistake-target")).to_contain_text("cannot read the target '0.99'")
    watched.errors.clear()  # the browser notes the 422
    form.get_by_label("Expected, percent").fill("99")
    form.get_by_role("button", name="Set target").click()
    expect(page.locator("table.targets tbody tr")).to_have_count(2)
    page.locator("#defined").get_by_label("End").select_option("texas")
    page.get_by_role("button", name="End target").click()
    expect(page.locator("table.targets tbody tr")).to_have_count(1)


def test_a_report_is_saved_on_its_page_made_with_one_press_changed_and_deleted(
    page: Page, fleet: Service, watched: Watched
) -> None:
    page.goto(fleet.url + "/reports")
    page.get_by_role("button", name="Previous month by region").click()
    expect(page.locator(".headline")).to_contain_text("complete")
    page.get_by_label("Save as").fill(".monthly")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#mistake-name")).to_contain_text("valid are 1 to 100")
    watched.errors.clear()  # the browser notes the 422
    page.get_by_label("Save as").fill("Board's month")
    page.get_by_role("button", name="Save", exact=True).click()
    saved = page.locator("#saved li")
    expect(saved).to_have_count(1)

    steps = Steps(page)
    steps.click(saved.get_by_role("button", name="Board's month", exact=True))
    expect(page.locator(".headline")).to_contain_text("complete")
    expect(page.locator("#made")).to_contain_text("Groups by region")
    assert steps.done == 1

    page.goto(fleet.url + "/reports")
    saved.get_by_role("link", name="Open").click()
    expect(page.get_by_label("previous month")).to_be_checked()
    expect(page.get_by_label("A row for each")).to_have_value("region")
    expect(page.get_by_label("Save as")).to_have_value("Board's month")
    page.get_by_label("yesterday").check()
    page.get_by_role("button", name="Save only").click()
    with fleet.client() as client:
        (report,) = client.get("/v1/saved-reports").json()["saved_reports"]
    assert report["options"]["windows"] == ["yesterday", "previous_month"]
    saved.get_by_role("button", name="Delete").click()
    expect(page.locator("#saved")).to_contain_text("None yet")
