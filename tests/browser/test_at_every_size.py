"""Every page from 320 to 2560 pixels, in light, dark and forced colours: nothing is wider than its window, and nothing
stops people. A window of 683 or 342 pixels is one of 1366 at a zoom of 200 or 400 %."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Watched, check_accessible
from tests.fixtures.named_fleets import load_named_fleet
from tests.fixtures.services import Service, finished, service

WIDTHS: Final = (320, 342, 390, 640, 683, 768, 800, 801, 1024, 1199, 1200, 1366, 1920, 2560)
THEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
#: Axe takes seconds: one window of each layout.
LOOKED_THROUGH: Final = (320, 683, 1366, 2560)
PAGES: Final = {
    "fleet": "/?tab=all",
    "attention": "/",
    "below targets": "/?tab=below_target&where=region=TX",
    "hours": "/?tab=all&lost_in=Mon+00-24&search=shop",
    "week": "/week",
    "store": "/stores/1001",
    "calendar of a store": "/stores/1001?view=calendar&window=this_month",
    "proof": "/stores/1001/proof",
    "hours of a store": "/stores/1001/calendar?from=2023-01-20&to=2023-02-17",
    "edit hours": "/stores/1001/hours",
    "groups": "/groups?by=region&by=name",
    "targets": "/targets",
    "adjustments": "/adjustments",
    "entry": "/adjustments/1",
    "reports": "/reports",
    "data": "/data",
    "load": "/data/loads/1",
    "keys": "/keys",
}
pytestmark = pytest.mark.slow

TOO_WIDE: Final = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Serve a fleet with names, regions, targets of all and of some stores, and an entry of the ledger."""
    folder: Path = tmp_path_factory.mktemp("fleet")
    load_named_fleet(folder, targets="norm,,98,month\ntexas,region=TX,99,week\n")
    with service(folder, workers="1") as running:
        with running.client() as client:
            stretch = {"start": "2023-01-24T10:00:00Z", "end": "2023-01-24T13:00:00Z"}
            entry = {"stores": ["1001"], "counts_as": "excluded", "reason": "planned closure", **stretch}
            client.post("/v1/adjustments", json=entry).raise_for_status()
        yield running


@pytest.fixture(scope="module")
def pages(fleet: Service) -> dict[str, str]:
    """All pages, with that of a finished report."""
    with fleet.client() as client:
        made = client.post("/v1/reports", json={"columns": ["name"], "windows": ["last_week", "yesterday"]}).json()
        return {**PAGES, "report": f"/reports/{finished(client, made['id'])['id']}"}


def unfold(page: Page) -> None:
    """Open what is folded, but menus, of which one is open at once, and the table of a chart, which takes axe long."""
    page.evaluate("for (const one of document.querySelectorAll('main details:not(.menu, .chart *)')) one.open = true")


@pytest.mark.parametrize("name", [*PAGES, "report"])
def test_a_page_stops_no_one_and_is_never_wider_than_its_window(
    browser: Browser, fleet: Service, pages: dict[str, str], watched: Watched, name: str
) -> None:
    with browser.new_context(reduced_motion="reduce") as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        watched.watch(page)
        page.goto(fleet.url + pages[name], wait_until="networkidle")
        unfold(page)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 768})
            assert page.evaluate(TOO_WIDE) <= 0, width
            for theme in THEMES if width in LOOKED_THROUGH else ():
                page.emulate_media(color_scheme=theme, reduced_motion="reduce")
                check_accessible(page)
        assert page.evaluate("document.getAnimations().length") == 0
        assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


@pytest.mark.parametrize("width", [342, 683, 1366])
def test_words_of_headings_and_buttons_are_never_broken(
    browser: Browser, fleet: Service, pages: dict[str, str], width: int
) -> None:
    with browser.new_context(viewport={"width": width, "height": 768}) as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        for name, path in pages.items():
            page.goto(fleet.url + path, wait_until="networkidle")
            broken = page.evaluate(BROKEN_WORDS)
            assert broken == [], (name, width)


#: The words of headings, tabs and buttons that stand on more than one line.
BROKEN_WORDS: Final = r"""() => {
  const broken = [], range = document.createRange();
  for (const part of document.querySelectorAll("h1, h2, nav a, button, .button, summary, label")) {
    if (!part.checkVisibility() || part.closest(".id")) continue;
    const texts = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
    for (let text = texts.nextNode(); text; text = texts.nextNode()) {
      if (text.parentElement.closest(".id, .visually-hidden, code")) continue;
      for (const word of text.data.matchAll(/[A-Za-z]+/g)) {
        range.setStart(text, word.index);
        range.setEnd(text, word.index + word[0].length);
        const lines = new Set([...range.getClientRects()].map((one) => Math.round(one.top)));
        if (lines.size > 1) broken.push(word[0]);
      }
    }
  }
  return broken;
}"""


def test_what_is_chosen_and_what_colour_draws_can_be_told_in_forced_colours(
    browser: Browser, fleet: Service, pages: dict[str, str]
) -> None:
    def background(of: str) -> Any:
        return page.locator(of).first.evaluate("one => getComputedStyle(one).backgroundColor")

    with browser.new_context(forced_colors="active", viewport={"width": 1366, "height": 768}) as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(fleet.url, wait_until="networkidle")
        for chosen, other in (
            (".top nav a[aria-current]", ".top nav a:not([aria-current])"),
            (".periods a[aria-current]", ".periods a:not([aria-current])"),
            (".tabs a[aria-current]", ".tabs a:not([aria-current])"),
        ):
            assert background(chosen) != background(other), chosen
        expect(page.locator("#week .heat")).to_be_visible()
        shades = {
            page.locator(f"#week td.{shade}").first.evaluate("one => getComputedStyle(one).backgroundColor")
            for shade in ("lost-1", "lost-2", "lost-3", "gained-1", "gained-2", "gained-3", "same")
            if page.locator(f"#week td.{shade}").count()
        }
        assert len(shades) > 2
        page.goto(fleet.url + "/data", wait_until="networkidle")
        assert background(".calendar td.all") != background("main")
        for name, path in pages.items():
            page.goto(fleet.url + path, wait_until="networkidle")
            assert page.evaluate(TOO_WIDE) <= 0, name


def test_the_page_that_one_is_on_is_in_sight_in_the_navigation(browser: Browser, fleet: Service) -> None:
    with browser.new_context(viewport={"width": 320, "height": 768}) as context:
        page = context.new_page()
        page.goto(fleet.url + "/data", wait_until="networkidle")
        place = page.locator(".top nav [aria-current]").bounding_box()
        assert place is not None
        assert 0 <= place["x"] <= place["x"] + place["width"] <= 320
