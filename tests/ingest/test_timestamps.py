"""Timestamps in every form that occurs, and in some that must not pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from storepulse.schema import instant_us
from tests.fixtures.tables import lines_of, only_reason, polls_of, read, table

FORMS = {
    "2023-01-22 12:09:39.388884 UTC": "2023-01-22 12:09:39.388884 UTC",
    "2023-01-22 12:09:39 UTC": "2023-01-22 12:09:39 UTC",
    "2023-01-22 12:09:39.3 UTC": "2023-01-22 12:09:39.300000 UTC",
    "2023-01-22 12:09:39.38 UTC": "2023-01-22 12:09:39.380000 UTC",
    "2023-01-22 12:09:39.388 UTC": "2023-01-22 12:09:39.388000 UTC",
    "2023-01-22 12:09:39.3888 UTC": "2023-01-22 12:09:39.388800 UTC",
    "2023-01-22 12:09:39.38888 UTC": "2023-01-22 12:09:39.388880 UTC",
    "2023-01-22 12:09:39.000001 UTC": "2023-01-22 12:09:39.000001 UTC",
    "2023-01-22 12:09:39.388884999 UTC": "2023-01-22 12:09:39.388884 UTC",
    "2023-01-22 12:09:39.388884": "2023-01-22 12:09:39.388884 UTC",
    "2023-01-22 12:09:39": "2023-01-22 12:09:39 UTC",
    "2023-01-22 12:09": "2023-01-22 12:09:00 UTC",
    "2023-01-22T12:09:39.388884Z": "2023-01-22 12:09:39.388884 UTC",
    "2023-01-22T12:09:39Z": "2023-01-22 12:09:39 UTC",
    "2023-01-22T12:09:39.388884999Z": "2023-01-22 12:09:39.388884 UTC",
    "2023-01-22T12:09Z": "2023-01-22 12:09:00 UTC",
    "2023-01-22T12:09:39": "2023-01-22 12:09:39 UTC",
    "2023-01-22T12:09:39+00:00": "2023-01-22 12:09:39 UTC",
    "2023-01-22T12:09:39-00:00": "2023-01-22 12:09:39 UTC",
    "2023-01-22T17:39:39+05:30": "2023-01-22 12:09:39 UTC",
    "2023-01-22T17:39:39.25+0530": "2023-01-22 12:09:39.250000 UTC",
    "2023-01-22T07:09:39-05": "2023-01-22 12:09:39 UTC",
    "2023-01-22 07:09:39-05:00": "2023-01-22 12:09:39 UTC",
    "2023-01-23T02:09:39+14:00": "2023-01-22 12:09:39 UTC",
    "2023-01-22T00:09:39-12:00": "2023-01-22 12:09:39 UTC",
    "  2023-01-22 12:09:39 UTC  ": "2023-01-22 12:09:39 UTC",
    "2000-01-01 00:00:00 UTC": "2000-01-01 00:00:00 UTC",
    "2000-02-29 00:00:00 UTC": "2000-02-29 00:00:00 UTC",
    "2016-12-31 23:59:59.999999 UTC": "2016-12-31 23:59:59.999999 UTC",
}


@pytest.mark.parametrize("written", FORMS)
def test_a_timestamp_is_the_instant_it_names(tmp_path: Path, written: str) -> None:
    loaded = read(tmp_path, "polls", table("polls", f"1,active,{written}"))
    assert polls_of(loaded) == [("1", "active", FORMS[written])]


def test_all_forms_may_stand_in_one_file(tmp_path: Path) -> None:
    content = table("polls", *(f"{place},active,{written}" for place, written in enumerate(FORMS)))
    loaded = read(tmp_path, "polls", content)
    assert not loaded.quarantine
    assert dict(zip(loaded.stores.tolist(), loaded.times.tolist(), strict=True)) == {
        place: instant_us(meant) for place, meant in enumerate(FORMS.values())
    }


@pytest.mark.parametrize(
    "written",
    [
        "soon",
        "2023-13-01 00:00:00 UTC",
        "2023-02-29 00:00:00 UTC",
        "2023-01-22 24:00:00 UTC",
        "2023-01-22 12:60:00 UTC",
        "2023-01-22 12:09:39. UTC",
        "2023-01-22 12:09:39.388884 CET",
        "2023-01-22 12:09:39 America/New_York",
        "2023-01-22T12:09:39+24:00",
        "2023-01-22T12:09:39+05:60",
        "2023-01-22T12:09:39Z+01:00",
        "22.01.2023 12:09:39",
        "01/22/2023 12:09",
        "1674389379",
        "1674389379.388884",
        "44948.5",
        "2023-01-22",
        "12:09:39",
        "2023-W03-7T12:09:39Z",
        "99999-01-01 00:00:00 UTC",
        "2023-01-22 12:09:39 UTC and more",
        "²023-01-22 12:09:39 UTC",
        "٢٠٢٣-01-22T12:09:39Z",
        "-2023-01-22 12:09:39 UTC",
    ],
)
def test_what_names_no_instant_is_set_aside(tmp_path: Path, written: str) -> None:
    loaded = read(tmp_path, "polls", table("polls", f"1,active,{written}"))
    assert lines_of(loaded) == [(2, f"1,active,{written}".encode())]
    assert "timestamp_utc" in only_reason(loaded)


NOW = instant_us("2023-01-25 12:00:00 UTC")


@pytest.mark.parametrize(
    ("written", "is_good"),
    [
        ("2023-01-26 12:00:00 UTC", True),
        ("2023-01-26 12:00:00.000001 UTC", False),
        ("2123-01-26 12:00:00 UTC", False),
        ("1999-12-31 23:59:59.999999 UTC", False),
        ("2000-01-01 00:00:00 UTC", True),
        ("2000-01-01T00:00:00+00:01", False),
        ("1970-01-01 00:00:00 UTC", False),
        ("0001-01-01 00:00:00 UTC", False),
        ("9999-12-31 23:59:59 UTC", False),
    ],
)
def test_polls_are_from_2000_on_and_at_most_a_day_ahead(tmp_path: Path, written: str, is_good: bool) -> None:
    loaded = read(tmp_path, "polls", table("polls", f"1,active,{written}"), now=NOW)
    assert len(polls_of(loaded)) == is_good
    if not is_good:
        reason = only_reason(loaded)
        assert ("24 h" in reason and "2023-01-25" in reason) or "before" in reason or "after" in reason
