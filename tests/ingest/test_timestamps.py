"""Timestamps in every form that occurs, and in some that must not pass."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.tables import lines_of, only_reason, polls_of, read, table
from uphours.ingest.timestamps import instant_of, instants
from uphours.schema import instant_us

FORMS = {
    "2023-01-22T12:09:39,388884999Z": "2023-01-22 12:09:39.388884 UTC",
    "2023-01-22T12:09:39.388884999999999Z": "2023-01-22 12:09:39.388884 UTC",
    "20230122T120939Z": "2023-01-22 12:09:39 UTC",
    "20230122T120939.5+0100": "2023-01-22 11:09:39.500000 UTC",
    "20230122T1209": "2023-01-22 12:09:00 UTC",
    "2023-01-22 12:09:39 GMT": "2023-01-22 12:09:39 UTC",
    "2023-01-22t12:09:39z": "2023-01-22 12:09:39 UTC",
    "2023-01-22 12:09:39 utc": "2023-01-22 12:09:39 UTC",
    "2023-01-22T17:39:39\u22120530": "2023-01-22 23:09:39 UTC",
    "2023-01-22T12Z": "2023-01-22 12:00:00 UTC",
    "2023-01-22T12,5Z": "2023-01-22 12:30:00 UTC",
    "2023-01-22T12:09.5Z": "2023-01-22 12:09:30 UTC",
    "2023-01-22T24:00:00Z": "2023-01-23 00:00:00 UTC",
    "2023-01-22 24:00": "2023-01-23 00:00:00 UTC",
    "2016-12-31T23:59:60Z": "2017-01-01 00:00:00 UTC",
    "20161231T235960Z": "2017-01-01 00:00:00 UTC",
    "2023-W03-7T12:09:39Z": "2023-01-22 12:09:39 UTC",
    "2023W037T120939Z": "2023-01-22 12:09:39 UTC",
    "2023-022T12:09:39Z": "2023-01-22 12:09:39 UTC",
    "2023022T120939Z": "2023-01-22 12:09:39 UTC",
    "1674389379": "2023-01-22 12:09:39 UTC",
    "1674389379.388884999": "2023-01-22 12:09:39.388884 UTC",
    "1674389379388": "2023-01-22 12:09:39.388000 UTC",
    "1674389379388.8849": "2023-01-22 12:09:39.388884 UTC",
    "1674389379388884": "2023-01-22 12:09:39.388884 UTC",
    "1674389379388884.9": "2023-01-22 12:09:39.388884 UTC",
    "1674389379388884999": "2023-01-22 12:09:39.388884 UTC",
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
    loaded = read(tmp_path, "polls", table("polls", f'1,active,"{written}"'))
    assert polls_of(loaded) == [("1", "active", FORMS[written])]


def test_all_forms_may_stand_in_one_file(tmp_path: Path) -> None:
    content = table("polls", *(f'{place},active,"{written}"' for place, written in enumerate(FORMS)))
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
        "2023-01-22 24:00:01 UTC",
        "2023-01-22 25:00 UTC",
        "2023-01-22 12:60:00 UTC",
        "2023-01-22 12:09:39. UTC",
        "2023-01-22 12:09:39.388884 CET",
        "2023-01-22 12:09:39 America/New_York",
        "2023-01-22T12:09:39+24:00",
        "2023-01-22T12:09:39+05:60",
        "2023-01-22T12:09:39Z+01:00",
        "22.01.2023 12:09:39",
        "01/22/2023 12:09",
        "167438937",
        "16743893791",
        "1674389379,5",
        "99999999999999999999",
        "1.67438E+09",
        "44948.5",
        "2023-01-22",
        "12:09:39",
        "2023-W03T12:09:39Z",
        "2023-W54-1T12:09:39Z",
        "2023-366T12:09:39Z",
        "2023-01T12:09:39Z",
        "2023-01-22T12:09:61Z",
        "2023-01-22T12:09:39 EST",
        "2023-01-22T12:09:39+05:30:15",
        "99999-01-01 00:00:00 UTC",
        "2023-01-22 12:09:39 UTC and more",
        "²023-01-22 12:09:39 UTC",
        "٢٠٢٣-01-22T12:09:39Z",
        "-2023-01-22 12:09:39 UTC",
    ],
)
def test_what_names_no_instant_is_set_aside(tmp_path: Path, written: str) -> None:
    loaded = read(tmp_path, "polls", table("polls", f'1,active,"{written}"'))
    assert lines_of(loaded) == [(2, f'1,active,"{written}"'.encode())]
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


@given(
    second=st.integers(0, 7_258_118_399).map(lambda at: f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"),
    fraction=st.from_regex(r"\A(?:\.[0-9]{1,9})?\Z"),
    place=st.integers(19, 29),
    sign=st.sampled_from(["", *"+-.,e_ 0Z\u0663"]),
)
def test_the_usual_form_is_read_as_another_reader_reads_it(second: str, fraction: str, place: int, sign: str) -> None:
    text = f"{second}{fraction} UTC"
    texts = [text, text[:place] + sign + text[place:], text[:place] + sign + text[place + 1 :]]
    assert instants(pl.Series(texts)).to_list() == [instant_of(one) for one in texts]
