"""The page of the fleet: a list first, whose choices stand in the address and survive that the page is made again."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Watched
from tests.fixtures.named_fleets import load_shops
from tests.fixtures.service_threads import service_threads
from tests.fixtures.services import Service

STORES: Final = 200
ROWS: Final = "table.stores tbody tr"
#: Rows that are whole inside the window.
ABOVE_THE_FOLD: Final = """[...document.querySelectorAll("table.stores tbody tr")]
  .filter((row) => row.getBoundingClientRect().bottom <= innerHeight).length"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Serve 200 stores with names, regions and a target, polled until 2023."""
    folder = tmp_path_factory.mktemp("fleet")
    load_shops(folder, STORES, targets="name,target,period\nnorm,98,month\n")
    with service_threads(folder, workers=1) as running:
        yield running


def refresh(page: Page) -> None:
    """Let the page make itself again, as it does every half minute."""
    with page.expect_response(lambda answer: answer.request.resource_type == "fetch" and "/v1/" not in answer.url):
        page.evaluate("go(location.href)")
    expect(page.locator("#content")).not_to_have_attribute("aria-busy", "true")


@pytest.mark.parametrize(
    ("width", "height", "least"), [(1366, 768, 8), (1920, 1080, 12), (390, 844, 3)], ids=["laptop", "desk", "phone"]
)
def test_stores_are_seen_without_scrolling(
    browser: Browser, fleet: Service, width: int, height: int, least: int
) -> None:
    with browser.new_context(viewport={"width": width, "height": height}) as context:
        page = context.new_page()
        page.goto(fleet.url + "/?tab=all", wait_until="networkidle")
        assert page.evaluate(ABOVE_THE_FOLD) >= least


def test_the_tabs_count_what_the_api_lists(page: Page, fleet: Service) -> None:
    page.goto(fleet.url)
    with fleet.client() as client:
        counts = client.get("/v1/stores").json()["tabs"]
        for tab, stores in counts.items():
            expect(page.locator(f"#tab-{tab} .stores")).to_have_text(f"{stores}")
            answer = client.get("/v1/stores", params={"tab": tab}).json()
            assert answer["total_matching"] == stores
    assert counts["all"] == STORES
    assert 0 < counts["attention"] < counts["down_throughout"] + counts["attention"] < STORES
    expect(page.locator(ROWS)).to_have_count(min(50, counts["attention"]))
    expect(page.locator("#tab-below_target")).to_contain_text("Below 98\u202f%")
    page.locator("#tab-down_throughout").click()
    page.wait_for_url("**tab=down_throughout**")
    expect(page.locator(f"{ROWS} .available").first).to_contain_text("0\u202f%")


def test_a_choice_applies_at_once_and_stands_in_the_address(page: Page, fleet: Service) -> None:
    page.goto(fleet.url + "/?tab=all")
    page.evaluate("window.stays = true")
    page.get_by_role("link", name="Yesterday").click()
    page.wait_for_url("**window=yesterday**")
    page.locator("#chip-1 > summary").click()
    page.get_by_label("TX").check()
    page.wait_for_url("**where=region%3DTX**")
    expect(page.locator("#matching")).to_contain_text("67 of 67 stores")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("shop 3")
    page.wait_for_url("**search=shop+3**")
    expect(page.locator("#search")).to_be_focused()
    page.locator("#clock").select_option("utc")
    page.wait_for_url("**clock=utc**")
    page.locator("#compare").select_option("false")
    page.wait_for_url("**compare=false**")
    expect(page.locator("#listed")).not_to_contain_text("Changes are against")
    expect(page.locator(f"{ROWS} .id").first).to_contain_text("Shop 3")
    assert page.url.count("window=yesterday") == page.url.count("tab=all") == page.url.count("search=") == 1
    page.get_by_role("link", name="Remove Region TX").click()
    page.wait_for_url(lambda url: "where" not in url)
    assert page.evaluate("window.stays")
    address, shown = page.url, page.locator(f"{ROWS} .id").all_inner_texts()
    page.goto(address)
    assert page.locator(f"{ROWS} .id").all_inner_texts() == shown
    expect(page.locator("#compare")).to_have_value("false")
    page.locator("#compare").select_option("")
    expect(page.locator("#listed")).to_contain_text("Changes are against")


def test_back_leads_back_to_what_was_chosen_before(page: Page, fleet: Service) -> None:
    page.goto(fleet.url + "/?tab=all")
    first = page.locator(f"{ROWS} .id").all_inner_texts()
    page.get_by_label("Search").fill("shop 19")
    page.wait_for_url("**search=shop+19**")
    expect(page.locator(ROWS)).to_have_count(11)
    page.get_by_role("link", name="Available").click()
    page.wait_for_url("**sort=availability**")
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Available")
    page.go_back()
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Lost")
    page.locator("h1").click()
    page.go_back()
    expect(page.locator(f"{ROWS} .id")).to_have_text(first)
    expect(page.get_by_label("Search")).to_have_value("")


def test_filters_page_focus_and_typed_text_survive_two_refreshes(page: Page, fleet: Service) -> None:
    page.goto(fleet.url + "/?tab=all")
    page.get_by_role("link", name="Next 50").click()
    page.wait_for_url("**cursor=**")
    page.locator("#chip-more > summary").click()
    page.get_by_label("Availability below").type("9")
    page.locator(ROWS).nth(3).locator(".id").evaluate("(link) => { link.mark = true; }")
    shown, address = page.locator(f"{ROWS} .id").all_inner_texts(), page.url
    for _ in range(2):
        refresh(page)
        assert page.url == address
        assert page.locator(f"{ROWS} .id").all_inner_texts() == shown
        expect(page.get_by_label("Availability below")).to_have_value("9")
        expect(page.get_by_label("Availability below")).to_be_focused()
        # The row is the same element.
        assert page.locator(ROWS).nth(3).locator(".id").evaluate("(link) => link.mark")


def test_the_page_makes_itself_again_at_the_address_that_it_has_by_then(page: Page, fleet: Service) -> None:
    page.clock.install()
    page.goto(fleet.url)
    page.locator("#tab-all").click()
    page.wait_for_url("**tab=all**")
    expect(page.locator("#content")).not_to_have_attribute("aria-busy", "true")
    with page.expect_response(lambda answer: answer.url.endswith("tab=all")):
        page.clock.run_for(31_000)


def test_a_lost_connection_is_reported_with_what_is_old_and_forgotten_when_it_is_back(
    page: Page, fleet: Service, watched: Watched
) -> None:
    page.goto(fleet.url + "/?tab=all", wait_until="networkidle")
    page.context.set_offline(True)
    page.evaluate("go(location.href)")
    expect(page.locator("#trouble")).to_contain_text("does not answer. What you see is old")
    expect(page.locator("#trouble")).to_contain_text("UTC")
    expect(page.locator(ROWS)).to_have_count(50)
    page.context.set_offline(False)
    page.evaluate("go(location.href)")
    expect(page.locator("#trouble")).to_be_hidden()
    watched.errors.clear()


def test_a_mistake_keeps_the_list_and_says_what_is_valid(page: Page, fleet: Service, watched: Watched) -> None:
    page.goto(fleet.url + "/?tab=all")
    page.locator("#chip-more > summary").click()
    page.get_by_label("Availability below").fill("lots")
    page.keyboard.press("Enter")
    expect(page.locator("#trouble")).to_contain_text("percentages, 0 to 100")
    expect(page.locator(ROWS)).to_have_count(50)
    watched.errors.clear()


def test_the_export_has_exactly_what_is_listed_on_all_pages(page: Page, fleet: Service) -> None:
    page.goto(fleet.url + "/?tab=all&where=region=TX&sort=availability")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    assert len(rows) == 67
    assert {row["region"] for row in rows} == {"TX"}
    shown = page.locator(f"{ROWS} .id").all_inner_texts()
    assert [row["name"] for row in rows][: len(shown)] == shown
    with page.expect_download() as download:
        page.get_by_role("link", name="XLSX").click()
    assert Path(download.value.path()).read_bytes().startswith(b"PK")


def test_a_link_to_this_moment_pins_the_instant(page: Page, fleet: Service) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(fleet.url + "/?tab=all")
    page.get_by_role("link", name="Copy link to this moment").click()
    expect(page.get_by_role("link", name="Copied")).to_be_visible()
    page.goto(page.evaluate("navigator.clipboard.readText()"))
    assert "as_of=" in page.url
    expect(page.locator("#updated")).to_contain_text("as you asked")
    page.get_by_role("link", name="Now", exact=True).click()
    expect(page.locator("#updated")).to_contain_text("Updated")


def test_a_click_into_the_chart_leads_to_the_list_of_that_moment(page: Page, fleet: Service) -> None:
    page.goto(fleet.url, wait_until="networkidle")
    page.locator(".plot .u-over").click(position={"x": 200, "y": 50})
    page.wait_for_url("**as_of=**")
    expect(page.locator("#updated")).to_contain_text("as you asked")


def test_the_week_says_how_it_differs_from_the_average(page: Page, fleet: Service) -> None:
    page.goto(fleet.url, wait_until="networkidle")
    expect(page.locator("#week")).to_contain_text("more is lost than the average")
    expect(page.locator("#week tbody td")).to_have_count(168)


def test_the_list_can_be_printed_without_what_can_only_be_pressed(page: Page, fleet: Service) -> None:
    page.goto(fleet.url)
    expect(page.get_by_role("button", name="Print")).to_be_visible()
    page.emulate_media(media="print")
    for hidden in (".filters", ".periods", ".clock", "[data-prints]", "td.more"):
        expect(page.locator(hidden).first).to_be_hidden()
    expect(page.locator("#stores table")).to_be_visible()
    expect(page.locator("#standing")).to_be_visible()


def test_without_scripts_every_choice_is_a_link_or_a_form(browser: Browser, fleet: Service) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(fleet.url)
        page.locator("#tab-all").click()
        page.get_by_role("link", name="Yesterday").click()
        page.get_by_label("Search").fill("shop 19")
        page.get_by_role("button", name="Filter").click()
        expect(page.locator(ROWS)).to_have_count(11)
        assert "window=yesterday" in page.url
        assert "tab=all" in page.url
        page.locator("#clock").select_option("utc")
        page.get_by_role("button", name="Set").click()
        expect(page.locator(ROWS)).to_have_count(11)
        page.locator(".menu summary", has_text="Yesterday").or_(page.locator("#own-period > summary")).click()
        page.get_by_label("From").fill("2023-01-20")
        page.get_by_label("To, not included").fill("2023-01-22")
        page.get_by_role("button", name="Show").click()
        assert "search=shop" in page.url
        expect(page.locator("#own-period > summary")).to_contain_text("2023-01-20")
