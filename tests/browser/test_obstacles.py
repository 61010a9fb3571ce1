"""What is looked for on every page is found wherever on a page it is."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import check_accessible


def test_an_obstacle_is_found_among_many_elements_that_are_alike(page: Page) -> None:
    cells = "".join(f"<tr id=r{row}>" + "<td class=cell>words</td>" * 9 + "</tr>" for row in range(99))
    page.set_content(
        "<!doctype html><html lang=en><title>Cells</title><style>:root { color: black; background: white }</style>"
        f"<main><h1>Cells</h1><table>{cells}</table></main>"
    )
    check_accessible(page)
    for defect in (
        "#r77 td:nth-child(5) { color: #ccc }",
        "#r77 { background: #222 }",
        "@media (prefers-color-scheme: dark) { #r77 { opacity: 0.3 } }",
    ):
        style = page.add_style_tag(content=defect)
        with pytest.raises(AssertionError, match=r"color-contrast \("):
            check_accessible(page)
        style.evaluate("one => one.remove()")
    page.locator("#r77 td").nth(4).evaluate("one => { one.innerHTML = '<button></button>'; }")
    with pytest.raises(AssertionError, match=r"button-name \("):
        check_accessible(page)
