"""A real browser before a real service. Whatever a test does, no error may reach the console, and no request may
leave the service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import polars as pl
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.fixtures import tables
from tests.fixtures.databases import url_in
from tests.fixtures.service_threads import service_threads
from tests.fixtures.services import Service, in_ci
from uphours import demo
from uphours.database.database import Database, connect

CHROMIUM = Path("/usr/bin/chromium-headless-shell")
THEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")

expect.set_options(timeout=30_000)  # test machines are slow


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium without windows. Where it cannot be had, in CI that is a failure."""
    if not CHROMIUM.exists():
        message = f"there is no {CHROMIUM}; `make test-browser` installs it as root, or: apt install {CHROMIUM.name}"
        if in_ci():
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        # As root Chromium refuses its own sandbox.
        made = playwright.chromium.launch(executable_path=str(CHROMIUM), chromium_sandbox=False)
        yield made
        made.close()


@dataclass
class Watched:
    """What a browser did beside what was asked of it; a test empties what it expects."""

    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._asked)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def _asked(self, request: Request) -> None:
        if not re.match(r"(http://127\.0\.0\.1:\d+/|blob:http://127\.0\.0\.1)", request.url):
            self.foreign.append(request.url)


@pytest.fixture
def watched() -> Iterator[Watched]:
    made = Watched()
    yield made
    assert made.errors == []
    assert made.foreign == []


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1366, "height": 900}, accept_downloads=True)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext, watched: Watched) -> Page:
    """A tab whose errors and foreign requests fail the test."""
    made = context.new_page()
    made.set_default_timeout(30_000)
    watched.watch(made)
    return made


def load_demo(folder: Path) -> Database:
    """Load the made-up fleet, a store that nobody ever observed, and one with a hostile name."""
    files = folder / "files"
    demo.make_files(files)
    with (files / "timezones.csv").open("a") as file:
        file.write(f"never-seen,Europe/Berlin\n{HOSTILE},Asia/Kolkata\n")
    with (files / "polls.csv").open("a") as file:
        file.write(f"{HOSTILE},inactive,2023-01-25 17:00:00 UTC\n{LONG},active,2023-01-25 17:00:00 UTC\n")
    database = connect(url_in(folder))
    tables.load(
        database, files, **{kind: (files / f"{kind}.csv").read_text() for kind in ("polls", "hours", "timezones")}
    )
    return database


HOSTILE = "<img src=x onerror=alert(1)>/../?&#%"
LONG = "8419537941919820732" * 10


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Serve the made-up fleet to all tests that change nothing."""
    folder = tmp_path_factory.mktemp("shared")
    load_demo(folder)
    with service_threads(folder, workers=1) as running:
        yield running


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Serve 14,092 stores, with about as many polls as such a fleet has in a day, and 19-digit ids."""
    folder = tmp_path_factory.mktemp("large")
    ids = pl.Series([str(1_000_000_000_000_000_000 + 650_000_000_000_037 * store) for store in range(14_092)])
    demo.write_files(folder / "files", ids, days=1.5)
    files = {kind: (folder / "files" / f"{kind}.csv").read_text() for kind in ("polls", "hours", "timezones")}
    tables.load(connect(url_in(folder)), folder / "files", **files)
    with service_threads(folder, workers=1) as running:
        yield running


#: Axe's rules about colours, which take four fifths of its time.
COLOURS: Final = ("color-contrast", "link-in-text-block")
#: Of elements whose colours cannot differ, axe looks at no more than these.
ALIKE: Final = 3


def check_accessible(page: Page, within: str = "html") -> None:
    """Let axe-core look for what stops people, in light and in dark: nothing serious may be there.

    Themes differ in colours alone, so its other rules are asked once, about every element.
    """
    # It runs in the page, whose policy lets no foreign script in: so in a world of its own.
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    standards = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
    others = {"runOnly": standards, "rules": {name: {"enabled": False} for name in COLOURS}}
    found = page.evaluate(VIOLATIONS, [within, others, 0])
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        found += page.evaluate(VIOLATIONS, [within, {"runOnly": {"type": "rule", "values": COLOURS}}, ALIKE])
    serious = [
        f"{one['id']} ({one['impact']}): {one['help']}: {[node['html'][:200] for node in one['nodes'][:3]]}"
        for one in found
        if one["impact"] in ("serious", "critical", "moderate")
    ]
    assert serious == []


#: What axe finds within an element. Where a number is given, no more are looked at of the elements that are alike: in
#: what they are, in class, colours and font, in all that they contain but its words, and in all that contains them.
VIOLATIONS: Final = """async ([within, options, alike]) => {
  const numbers = new Map(), looks = new Map(), kinds = new Map(), seen = new Map(), exclude = [];
  const number = (...words) => {
    const all = words.join("|");
    if (!numbers.has(all)) numbers.set(all, numbers.size);
    return numbers.get(all);
  };
  const kindOf = (node) => {
    if (node.nodeType !== Node.ELEMENT_NODE) return node.nodeType === Node.TEXT_NODE && node.data.trim() ? "text" : "";
    const style = getComputedStyle(node), disabled = node.matches(":disabled, [aria-disabled]");
    looks.set(node, number(node.tagName, node.getAttribute("class"), node.checkVisibility(), disabled, style.visibility,
      style.color, style.fill, style.backgroundColor, style.backgroundImage, style.opacity, style.fontSize,
      style.fontWeight));
    kinds.set(node, number(looks.get(node), ...[...node.childNodes].map(kindOf)));
    return kinds.get(node);
  };
  const leaveOut = (one, place) => {
    const kind = number(place, kinds.get(one));
    seen.set(kind, (seen.get(kind) ?? 0) + 1);
    if (seen.get(kind) > alike) exclude.push(one);
    else for (const child of one.children) leaveOut(child, number(place, looks.get(one)));
  };
  if (alike) {
    kindOf(document.querySelector(within));
    leaveOut(document.querySelector(within), "");
  }
  return (await axe.run({ include: [within], exclude }, { ...options, resultTypes: ["violations"] })).violations;
}"""
