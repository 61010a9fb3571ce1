"""How the pages write figures and instants, lay a timeline out, and read their address."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from storepulse.errors import InputError
from storepulse.schema import DAY_US, HOUR_US, MINUTE_US, SECOND_US, instant_us
from storepulse.web.pages import drawing
from storepulse.web.pages.asked import Asked
from storepulse.web.pages.rendering import count, duration, hours, moment, path_of, percent, size, with_query


def plain(text: str) -> str:
    return text.replace("\u202f", " ")


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (None, "–"),
        (1.0, "100 %"),
        (0.0, "0 %"),
        (0.999999, "99.99 %"),
        (0.57, "57 %"),
        (0.5755, "57.55 %"),
        (0.1, "10 %"),
    ],
)
def test_a_ratio_is_written_in_percent_and_never_rounded_up(ratio: float | None, text: str) -> None:
    assert plain(percent(ratio)) == text


@given(st.integers(0, 10**15), st.integers(1, 10**15))
def test_nothing_less_than_all_is_written_as_all(part: int, more: int) -> None:
    written = plain(percent(part / (part + more)))
    exact = Decimal(repr(part / (part + more))) * 100
    assert Decimal(written.removesuffix(" %")) == exact.quantize(Decimal("0.01"), ROUND_FLOOR)


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (None, "–"), (0, "0 s"), (1, "<1 s"), (40 * SECOND_US, "40 s"), (5 * MINUTE_US + SECOND_US, "5 min 1 s"),
        (2 * HOUR_US + 5 * MINUTE_US + 59 * SECOND_US, "2 h 5 min"), (3 * DAY_US + 4 * HOUR_US, "3 d 4 h"),
        (1500 * DAY_US, "1 500 d 0 h"),
    ],
)  # fmt: skip
def test_a_duration_is_written_in_its_two_largest_units(us: int | None, text: str) -> None:
    assert plain(duration(us)) == text


def test_sums_of_hours_counts_and_sizes_are_written_for_people() -> None:
    assert plain(hours(90 * MINUTE_US)) == "1.5 h"
    assert plain(hours(12_345 * HOUR_US)) == "12 345 h"
    assert plain(count(14_092)) == "14 092"
    assert [plain(size(bytes_)) for bytes_ in (999, 1_500, 2_500_000)] == ["999 bytes", "1.5 kB", "2.5 MB"]


def test_an_instant_is_shown_on_the_clock_of_its_zone_and_in_utc_behind_it() -> None:
    shown = moment("2023-01-25T18:13:22Z", "America/Chicago")
    assert ">Wed 25 Jan 2023, 12:13<" in shown
    assert "2023-01-25 12:13:22 CST (America/Chicago), 2023-01-25 18:13:22 UTC" in shown
    assert 'datetime="2023-01-25T18:13:22+00:00"' in shown
    assert ">Wed 25 Jan, 12:13<" in moment("2023-01-25T18:13:22Z", "America/Chicago", brief=True)


def test_any_id_has_an_address() -> None:
    assert path_of("a/b?c#d&e") == "/stores/a%2Fb%3Fc%23d%26e"


def request(query: str) -> Request:
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": query.encode(), "headers": []}
    return Request(scope)


def test_a_link_keeps_what_was_asked_for_and_changes_the_rest() -> None:
    assert with_query(request("state=up&state=down&search=a%26b"), search=None) == "/?state=up&state=down"
    assert with_query(request("state=up&state=down"), state=["closed", "up"]) == "/?state=closed&state=up"
    assert with_query(request("search=a%26b"), cursor="x") == "/?search=a%26b&cursor=x"
    assert with_query(request("cursor=x"), cursor=None) == "/"


def test_an_address_says_only_what_differs_from_the_usual() -> None:
    assert Asked.usual().query == ""
    assert Asked({**Asked.usual().values, "max_age": "2h", "window": "last_day"}).query == "?window=last_day&max_age=2h"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [("max_age", "long", "90m"), ("interpolation", "linear", "previous"), ("as_of", "soon", "2023-01-25T18:13:22Z")],
)
def test_a_value_that_makes_no_sense_is_told_with_what_is_valid(name: str, value: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Asked({**Asked.usual().values, name: value}).question()


# --- the picture -----------------------------------------------------------------------------------------


def explained(start: str, end: str, spans: list[tuple[str, str]]) -> dict[str, Any]:
    intervals = [{"start_us": instant_us(first), "end_us": instant_us(last)} for first, last in spans]
    return {
        "window": {"start_us": instant_us(start), "end_us": instant_us(end)},
        "as_of_us": instant_us(end),
        "sessions": intervals,
        "spans": intervals,
        "observations": [{"observed_at_us": one["start_us"]} for one in intervals],
    }


@pytest.mark.parametrize(
    ("day", "zone", "minutes"),
    [
        ("2023-03-12", "America/New_York", 1380),
        ("2023-11-05", "America/New_York", 1500),
        ("2023-04-02", "Australia/Lord_Howe", 1470),
    ],
)
def test_a_day_on_which_the_clocks_change_is_as_long_as_it_was(day: str, zone: str, minutes: float) -> None:
    at = f"{day}T12:00:00Z"
    (drawn,), left_out = drawing.days(explained(at, f"{day}T13:00:00Z", [(at, f"{day}T13:00:00Z")]), zone=zone, most=9)
    assert drawn.minutes == minutes
    assert left_out == 0


def test_a_span_past_midnight_is_drawn_on_both_days() -> None:
    made = explained("2023-01-24T00:00:00Z", "2023-01-26T00:00:00Z", [("2023-01-24T22:30:00Z", "2023-01-25T01:00:00Z")])
    drawn, _ = drawing.days(made, zone="UTC", most=9)
    assert [[(piece.x, piece.width) for piece in day.spans] for day in drawn] == [[(1350, 90)], [(0, 60)]]
    assert [len(day.observations) for day in drawn] == [1, 0]


def test_of_a_long_window_the_last_days_are_drawn_and_the_others_counted() -> None:
    made = explained("2023-01-01T00:00:00Z", "2023-01-31T00:00:00Z", [])
    drawn, left_out = drawing.days(made, zone="UTC", most=7)
    assert [one.date.day for one in drawn] == [24, 25, 26, 27, 28, 29, 30]
    assert left_out == 23


@given(
    st.lists(st.integers(0, 20 * DAY_US // SECOND_US), min_size=2, max_size=12, unique=True),
    st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_all_that_is_drawn_is_as_long_as_the_spans(edges: list[int], zone: str) -> None:
    begin = instant_us("2023-03-01")
    instants = [begin + edge * SECOND_US for edge in sorted(edges)]
    spans = [{"start_us": a, "end_us": b} for a, b in zip(instants[::2], instants[1::2], strict=False)]
    made = {
        "window": {"start_us": instants[0], "end_us": instants[-1]},
        "as_of_us": instants[-1],
        "sessions": [],
        "spans": spans,
        "observations": [],
    }
    drawn, left_out = drawing.days(made, zone=zone, most=30)
    assert left_out == 0
    whole = sum(one["end_us"] - one["start_us"] for one in spans) / MINUTE_US
    pieces = [piece for day in drawn for piece in day.spans]
    assert sum(piece.width for piece in pieces) == pytest.approx(whole, abs=0.011 * len(pieces))
