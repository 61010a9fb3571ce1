"""Each page as people meet it: at any size, in light and dark, by keyboard, with ids of any kind."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import HOSTILE, Watched
from tests.fixtures import tables
from tests.fixtures.databases import url_in
from tests.fixtures.service_threads import service_threads
from tests.fixtures.services import Service
from uphours.database.database import connect


def test_time_that_was_not_watched_is_left_out_by_one_switch_that_lives_in_the_address(
    page: Page, shared: Service
) -> None:
    page.goto(shared.url)
    share = page.get_by_text("of open time watched").inner_text()
    page.get_by_role("link", name="Leave out").click()
    page.wait_for_url("**only_watched=true**")
    expect(page.get_by_role("link", name="count it")).to_be_visible()
    expect(page.locator(".question").get_by_label("leave out time that was not watched")).to_be_checked()
    assert page.get_by_text("of open time watched").inner_text() == share
    page.locator("#tab-all").click()
    page.get_by_role("link", name="1004", exact=True).click()
    page.wait_for_url("**/stores/1004?**only_watched=true**")
    expect(page.locator("rect.gap").first).to_be_attached()
    expect(page.locator(".legend")).to_contain_text("monitoring was interrupted")
    page.locator(".periods details.menu > summary").click()
    page.locator(".question").get_by_label("leave out time that was not watched").uncheck()
    page.get_by_role("button", name="Show").click()
    page.wait_for_url(lambda url: "only_watched=true" not in url)
    expect(page.locator(".question").get_by_label("leave out time that was not watched")).not_to_be_checked()


def test_a_mistake_in_the_address_is_told_with_what_is_valid(page: Page, shared: Service, watched: Watched) -> None:
    for query, told in {
        "?window=someday": "valid are",
        "?as_of=yesterday": "2023-01-25T18:13:22Z",
        "?below_percent=lots": "percentages",
        "?sort=luck": "valid are",
        "?interpolation=linear": "previous",
        "?max_age=long": "90m",
    }.items():
        page.goto(shared.url + "/" + query)
        expect(page.locator("main .notice.bad")).to_contain_text(told)
    watched.errors.clear()  # the browser notes each 422


def test_a_span_is_explained_where_one_points_and_by_keyboard(page: Page, shared: Service) -> None:
    page.goto(shared.url + "/stores/1004")
    says = page.locator(".says")
    page.locator("[data-timeline] svg a[href='#span-0']").hover()
    expect(says).to_contain_text("speaks for it")
    first = says.inner_text()
    page.locator("[data-timeline] svg a[tabindex='0']").focus()
    last = says.inner_text()
    assert last != first
    page.keyboard.press("ArrowLeft")
    expect(says).not_to_have_text(last)
    page.keyboard.press("Home")
    expect(says).to_have_text(first)
    page.keyboard.press("Enter")
    expect(page.locator("#span-0")).to_be_visible()


def test_the_sums_of_the_spans_end_in_the_figures(page: Page, shared: Service) -> None:
    page.goto(shared.url + "/stores/1004?window=last_day")
    with shared.client() as client:
        figures = client.get("/v1/stores/1004/explanation", params={"window": "last_day"}).json()["figures"]
    sums = page.locator(".spans tfoot td").all_text_contents()
    for text, name in zip(sums, ("uptime_us", "downtime_us", "unknown_us", "excluded_us"), strict=True):
        hours, minutes, seconds = text.split(":")
        assert round((int(hours) * 3600 + int(minutes) * 60 + float(seconds)) * 1e6) == figures[name]


def test_a_store_that_was_never_observed_is_unknown_and_not_down(page: Page, shared: Service) -> None:
    page.goto(shared.url + "/stores/never-seen")
    expect(page.locator(".headline")).to_contain_text("Unknown and never observed")
    expect(page.locator("main")).to_contain_text("This store was never polled")
    expect(page.locator("main")).to_contain_text("Europe/Berlin")


def test_an_id_is_text_whatever_it_says(page: Page, shared: Service) -> None:
    page.goto(f"{shared.url}/?tab=all&search={quote('<img')}")
    page.locator("#stores tbody a").first.click()
    expect(page.locator("h1")).to_have_text(f"Store {HOSTILE}")
    assert page.locator("main img").count() == 0


def test_the_first_stop_of_the_tabulator_key_skips_to_the_content(page: Page, shared: Service) -> None:
    page.goto(shared.url)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()


def test_the_chart_is_drawn_and_can_be_read_as_a_table(page: Page, shared: Service) -> None:
    page.goto(shared.url)
    expect(page.locator(".plot canvas")).to_be_visible()
    page.locator(".gaps summary", has_text="Monitoring was interrupted 3 times").click()
    expect(page.locator(".gaps li").first).to_contain_text("almost no store was polled")
    page.get_by_text("The chart as a table").click()
    with shared.client() as client:
        buckets = client.get("/v1/fleet/history").json()["buckets"]
    expect(page.locator(".chart details tbody tr")).to_have_count(len(buckets))


def test_without_scripts_the_pages_say_the_same(browser: Browser, shared: Service) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(shared.url)
        page.locator("#tab-all").click()
        page.get_by_label("Search").fill("1004")
        page.get_by_role("button", name="Filter").click()
        expect(page.locator("#stores tbody tr")).to_have_count(1)
        page.get_by_role("link", name="1004", exact=True).click()
        expect(page.locator("h1")).to_have_text("Store 1004")


def test_the_page_of_data_leads_to_the_stores_that_lack_something(page: Page, shared: Service) -> None:
    page.goto(shared.url + "/data")
    with shared.client() as client:
        for query in ("without=hours", "without=timezone", "observed=never"):
            lacking = client.get(f"/v1/stores?{query}").json()["total_matching"]
            assert lacking > 0
            expect(page.locator(f".lacking li:has(a[href^='/?{query}']) strong")).to_have_text(f"{lacking}")
    with page.expect_download() as fetched:
        page.get_by_role("link", name="CSV of the stores that were never observed").click()
    assert [line.split(",")[0] for line in fetched.value.path().read_text().splitlines()] == ["store_id", "never-seen"]
    page.locator(".lacking a[href^='/?observed=never']").click()
    expect(page.locator("#stores tbody tr th .id")).to_have_text(["never-seen"])
    expect(page.locator(".filters").get_by_label("never polled")).to_be_checked()


def test_days_without_polls_are_told_and_framed(page: Page, tmp_path: Path) -> None:
    database = connect(url_in(tmp_path))
    rows = ["1,active,2023-01-20 10:00:00 UTC", "1,active,2023-01-22 10:00:00 UTC"]
    tables.load(database, tmp_path, polls=tables.table("polls", *rows))
    with service_threads(tmp_path) as running:
        page.goto(running.url + "/data")
        expect(page.locator("#days-title + p")).to_contain_text("On 1 day of the last half year no store was polled")
        expect(page.locator(".calendar td.missing")).to_have_attribute("title", "Sat 21 Jan 2023: no polls")
        assert page.locator(".calendar td.all").count() == 2


def test_printed_a_page_leaves_out_what_cannot_be_pressed_on_paper(page: Page, shared: Service) -> None:
    page.goto(shared.url)
    page.emulate_media(media="print")
    expect(page.locator(".filters")).to_be_hidden()
    expect(page.locator("#stores table")).to_be_visible()
    assert len(page.pdf()) > 10_000


def test_a_large_fleet_is_shown_page_by_page_and_ships_little(page: Page, large: Service) -> None:
    shipped = 0

    def add(answer: object) -> None:
        nonlocal shipped
        sizes = answer.request.sizes()  # type: ignore[attr-defined]
        shipped += sizes["responseBodySize"] + sizes["responseHeadersSize"]

    page.on("response", add)
    page.goto(large.url + "/?tab=all", wait_until="networkidle")
    expect(page.locator("#stores")).to_contain_text("of 14\u202f092 stores")
    assert 5_000 < shipped <= 200_000
    ids = page.locator("#stores tbody tr th .id")
    first = ids.all_inner_texts()
    page.get_by_role("link", name="Next 50").click()
    page.wait_for_url("**cursor=**")
    expect(ids.first).not_to_have_text(first[0])
    assert not {*first} & {*ids.all_inner_texts()}
    page.get_by_role("link", name="First page").click()
    expect(ids.first).to_have_text(first[0])
    shipped = 0
    page.goto(f"{large.url}/stores/{first[0]}", wait_until="networkidle")
    assert 5_000 < shipped <= 200_000
