"""Cursors of lists: what a page hands out comes back whole, and nothing else is taken for one."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any, Final

import pytest

from uphours.errors import InputError
from uphours.service.api.paging import Kept, cursor, key

pytestmark = pytest.mark.anywhere

STORES: Final[tuple[Kept, ...]] = ("text", "flag", "figure", "text")


def test_a_cursor_stands_in_a_url_as_it_is_and_comes_back_whole() -> None:
    for place in (
        ("availability", True, 1 / 3, "a&b=ü/ё?"),
        ("since", False, None, "x" * 255),
        ("lost_time", False, 2**60 + 1, '"'),
    ):
        text = cursor(*place)
        assert text.isascii()
        assert text.replace("-", "").replace("_", "").isalnum()
        assert key(text, STORES) == place


def written(fields: Any) -> str:
    return urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "é", "%%%", "2", "=" * 9, "A" * 100_000,
        *map(written, (7, None, {}, [], ["since"], ["since", 0, 1, "a"], ["since", False, 2**63, "a"],
                       ["since", False, float("nan"), "a"], ["since", False, True, "a"], ["since", False, "1", "a"],
                       ["since", False, 1, 7], [[], False, 1, "a"], ["since", False, 1, "\ud800"])),
    ],
)  # fmt: skip
def test_a_cursor_from_elsewhere_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"cannot read the cursor .*valid is the next_cursor of the page before"):
        key(text, STORES)
