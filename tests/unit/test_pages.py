"""How the pages write figures and instants, lay a timeline out, and read their address."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import ROUND_FLOOR, Decimal
from itertools import cycle
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from uphours.errors import InputError
from uphours.kernel.policy import Policy
from uphours.kernel.windows import Window
from uphours.reports.last_day import LastDay, Stretch
from uphours.reports.request import ReportRequest
from uphours.reports.store_states import STATES
from uphours.schema import DAY_US, HOUR_US, MINUTE_US, SECOND_US, instant_us
from uphours.service.pages import charts
from uphours.service.pages.adjust_form import stretch
from uphours.service.pages.fleet_list import filters, listed, shortened
from uphours.service.pages.query import Asked, asked_of
from uphours.service.pages.rendering import (
    against,
    count,
    duration,
    hours,
    moment,
    path_of,
    percent,
    points,
    size,
    with_query,
)
from uphours.service.pages.report_form import Typed
from uphours.service.pages.store_hours import runs_of
from uphours.service.pages.strips import strip
from uphours.service.report_body import report_request
from uphours.wire.group_messages import Attribute, AttributeValue
from uphours.wire.view_messages import Interval


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
        (2 * HOUR_US + 5 * MINUTE_US + 59 * SECOND_US, "2 h 6 min"), (3 * DAY_US + 4 * HOUR_US, "3 d 4 h"),
        (2 * HOUR_US + 5 * MINUTE_US + 29 * SECOND_US, "2 h 5 min"), (23 * HOUR_US + 40 * MINUTE_US, "23 h 40 min"),
        (HOUR_US - 1, "1 h 0 min"), (DAY_US - 20 * SECOND_US, "1 d 0 h"), (1500 * DAY_US, "1 500 d 0 h"),
        (59 * SECOND_US + 600_000, "1 min 0 s"), (DAY_US + 23 * HOUR_US + 50 * MINUTE_US, "2 d 0 h"),
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
    usual = Asked.usual(Policy())
    assert usual.query == ""
    assert replace(usual, values={**usual.values, "max_age": "2h", "window": "last_day"}).query == (
        "?window=last_day&max_age=2h"
    )
    # What is usual is the policy of the service.
    usual = Asked.usual(Policy.read("next,max_age=2h"))
    assert usual.query == ""
    assert replace(usual, values={**usual.values, "max_age": "none"}).query == "?max_age=none"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("raw", "maybe", "true"),
        ("max_age", "long", "90m"),
        ("interpolation", "linear", "previous"),
        ("as_of", "soon", "2023-01-25T18:13:22Z"),
    ],
)
def test_a_value_that_makes_no_sense_is_told_with_what_is_valid(name: str, value: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Asked({**Asked.usual(Policy()).values, name: value}, Policy()).question()


def test_two_dates_make_a_window_of_local_dates_and_come_back_in_their_fields() -> None:
    asked = asked_of(request("window=today&from_date=2026-11-01&to_date=2026-12-01&raw=true"), Policy())
    assert asked.query == "?window=dates%3D2026-11-01%2F2026-12-01&raw=true"
    assert asked.dates == ("2026-11-01", "2026-12-01")
    assert asked.words_for("dates") == "from 2026-11-01 until 2026-12-01"
    question = asked.question()
    assert question.window == Window("dates", date(2026, 11, 1), date(2026, 12, 1))
    assert question.raw
    assert asked_of(request("window=mine%3D2026-11-01/2026-11-02"), Policy()).words_for("mine") == "mine"
    assert asked_of(request("window=mine%3D2026-11-01T10:00Z/2026-11-02"), Policy()).dates == ("", "")
    with pytest.raises(InputError, match="none of them"):
        asked_of(request("from_date=2026-11-01"), Policy())
    with pytest.raises(InputError, match="not after its start"):
        asked_of(request("from_date=2026-11-02&to_date=2026-11-01"), Policy()).question()


def test_an_interval_is_written_in_whole_seconds_around_it_so_that_it_means_the_same_instants() -> None:
    start, end = instant_us("2026-11-01T14:00:00.5Z"), instant_us("2026-11-01T15:00:00.5Z")
    assert stretch("America/New_York", start, end, is_one_clock=True) == {
        "start": "2026-11-01T09:00:00", "end": "2026-11-01T10:00:01", "clock": "store",
    }  # fmt: skip
    in_utc = {"start": "2026-11-01T14:00:00", "end": "2026-11-01T15:00:01", "clock": "utc"}
    assert stretch("America/New_York", start, end, is_one_clock=False) == in_utc
    # 06:30 UTC is the second 01:30 of that night.
    assert stretch("America/New_York", instant_us("2026-11-01T06:30Z"), end, is_one_clock=True)["clock"] == "utc"


def test_days_in_a_row_with_the_same_hours_from_the_same_place_are_one_line() -> None:
    outside, christmas = ("outside first and last day", ""), ("special hours", "Christmas Day")
    days = [("01", *outside), ("02", *outside), ("03", *outside), ("25", *christmas), ("26", "special hours", "")]
    usual: dict[str, Any] = {"hours": [], "valid_from": None, "timezone": None}
    named: Any = [usual | {"date": f"2026-12-{day}", "origin": origin, "name": name} for day, origin, name in days]
    runs = runs_of(named)
    assert [(run.first.day, run.last.day, run.says, run.hours) for run in runs] == [
        (1, 3, "outside first and last day", "closed"),
        (25, 25, "special hours: Christmas Day", "closed"),
        (26, 26, "special hours", "closed"),
    ]


# --- the picture -----------------------------------------------------------------------------------------


NOTHING_DECIDED: dict[str, Any] = {"policy": {"confirm_within_us": 2 * HOUR_US}, "observations": []}


def explained(start: str, end: str, spans: list[tuple[str, str]]) -> dict[str, Any]:
    intervals = [{"start_us": instant_us(first), "end_us": instant_us(last)} for first, last in spans]
    return NOTHING_DECIDED | {
        "window": {"start_us": instant_us(start), "end_us": instant_us(end)},
        "as_of_us": instant_us(end),
        "sessions": intervals,
        "spans": [one | {"status": "up", "entry": None} for one in intervals],
        "observations": [{"observed_at_us": one["start_us"]} for one in intervals],
    }


def laid(made: dict[str, Any], gaps: list[Interval], *, zone: str, most: int) -> tuple[list[charts.Day], int]:
    dates, left_out = charts.dates_of(made, zone=zone, most=most)
    return charts.days(made, gaps, dates, {}, zone=zone), left_out


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
    (drawn,), left_out = laid(explained(at, f"{day}T13:00:00Z", [(at, f"{day}T13:00:00Z")]), [], zone=zone, most=9)
    assert drawn.minutes == minutes
    assert left_out == 0


def test_a_collector_gap_is_drawn_on_every_day_that_it_reaches() -> None:
    made = explained("2023-01-23T00:00:00Z", "2023-01-26T00:00:00Z", [])
    gap = Interval(start_us=instant_us("2023-01-23T18:00:00Z"), end_us=instant_us("2023-01-25T06:30:00Z"))
    drawn, _ = laid(made, [gap], zone="UTC", most=9)
    assert [[(piece.x, piece.width) for piece in day.gaps] for day in drawn] == [
        [(1080, 360)], [(0, 1440)], [(0, 390)],
    ]  # fmt: skip


def test_a_span_past_midnight_is_drawn_on_both_days() -> None:
    made = explained("2023-01-24T00:00:00Z", "2023-01-26T00:00:00Z", [("2023-01-24T22:30:00Z", "2023-01-25T01:00:00Z")])
    drawn, _ = laid(made, [], zone="UTC", most=9)
    assert [[(piece.x, piece.width) for piece in day.spans] for day in drawn] == [[(1350, 90)], [(0, 60)]]
    assert [len(day.observations) for day in drawn] == [1, 0]


def test_of_a_long_window_the_last_days_are_drawn_and_the_others_counted() -> None:
    made = explained("2023-01-01T00:00:00Z", "2023-01-31T00:00:00Z", [])
    drawn, left_out = laid(made, [], zone="UTC", most=7)
    assert [one.date.day for one in drawn] == [24, 25, 26, 27, 28, 29, 30]
    assert left_out == 23


@given(
    st.lists(st.integers(0, 20 * DAY_US // SECOND_US), min_size=2, max_size=12, unique=True),
    st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_all_that_is_drawn_is_as_long_as_the_spans(edges: list[int], zone: str) -> None:
    begin = instant_us("2023-03-01")
    instants = [begin + edge * SECOND_US for edge in sorted(edges)]
    statuses = cycle(["up", "down", "unknown", "excluded"])
    spans: list[dict[str, Any]] = [
        {"start_us": a, "end_us": b, "status": status, "entry": None}
        for a, b, status in zip(instants[::2], instants[1::2], statuses, strict=False)
    ]
    made = NOTHING_DECIDED | {
        "window": {"start_us": instants[0], "end_us": instants[-1]},
        "as_of_us": instants[-1],
        "sessions": [],
        "spans": spans,
        "observations": [{"observed_at_us": at} for at in instants],
    }
    drawn, left_out = laid(made, [], zone=zone, most=30)
    assert left_out == 0
    whole = sum(one["end_us"] - one["start_us"] for one in spans) / MINUTE_US
    pieces = [piece for day in drawn for piece in day.spans]
    assert sum(piece.width for piece in pieces) == pytest.approx(whole, abs=0.011 * len(pieces))
    lengths = dict.fromkeys(("up", "down", "unknown", "excluded"), 0)
    for one in spans:
        lengths[one["status"]] += one["end_us"] - one["start_us"]
    assert sum(day.open_us for day in drawn) == sum(lengths.values())
    for status in ("up", "down", "excluded"):
        assert sum(getattr(day, f"{status}_us") for day in drawn) == lengths[status]
    near = [one["end_us"] - one["start_us"] for one in spans if one["end_us"] - one["start_us"] <= 2 * HOUR_US]
    assert sum(day.watched_us for day in drawn) == sum(near)


# --- the form of a report --------------------------------------------------------------------------------


def test_a_saved_report_is_the_same_after_it_stood_in_the_form() -> None:
    default = Policy(assume="active")
    for asked in (
        ReportRequest(policy=default),
        ReportRequest(
            windows=("today", Window("a", "2023-01-01", "2023-02-01"), Window("b", "2023-01-01T08:00Z", "2023-01-02")),
            policy=Policy(max_age=timedelta(minutes=90), prefer_in_session=False, only_watched=True),
            stores=("7", "8, 9"), where=(("color", ("(none)", "red")), ("region", ("TX",))), by=("region", "brand"),
            all_stores=True, detail=True, raw=True, compare=True, outages=True, only=(("franchisee", ("F7",)),),
        ),
        ReportRequest(columns=("name", "region")),
    ):  # fmt: skip
        typed = Typed.from_request(asked, "weekly")
        assert typed.mistakes() == {}
        assert report_request(typed.body(), default) == asked


# --- the list of the fleet -------------------------------------------------------------------------------


def test_what_is_listed_is_read_from_the_address_and_handed_on_by_its_forms() -> None:
    usual = listed(request(""))
    assert (usual.tab, usual.sort, usual.descending, usual.clock) == ("attention", "since", True, "store")
    assert usual.compare
    assert usual.pairs == []
    assert usual.zone_for("Asia/Kolkata") == "Asia/Kolkata"
    query = "tab=below_target&search=a&state=up&state=down&timezone=UTC&observed=never&clock=Asia/Tokyo&cursor=x"
    query += "&lost_in=Fri+18-21&compare=false"
    found = listed(request(query))
    assert (found.sort, found.descending) == ("availability", False)
    assert found.zone_for("Asia/Kolkata") == found.zone_for() == "Asia/Tokyo"
    assert listed(request(urlencode(found.pairs))) == replace(found, cursor=None)
    assert listed(request("clock=utc")).zone_for("Asia/Kolkata") == "UTC"
    turned = listed(request("tab=all&sort=lost_time&descending=false"))
    assert turned.sorted_by("lost_time")["descending"] == "true"
    assert turned.sorted_by("availability")["descending"] == "false"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("tab=lost", "attention"),
        ("clock=here", "America/Chicago"),
        ("sort=luck", "since"),
        ("state=on", "down"),
        ("lost_in=noon", "Fri"),
        ("compare=no", "false"),
    ],
)
def test_a_list_that_cannot_be_says_what_is_valid(query: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        listed(request(query))


def test_a_filter_offers_values_with_counts_and_what_leads_to_the_list_without_one() -> None:
    regions = [AttributeValue(value="TX", stores=2), AttributeValue(value="(none)", stores=1)]
    attributes = [
        Attribute(name="name", values=[AttributeValue(value="Midtown", stores=1)], total=1),
        Attribute(name="region", values=regions, total=2),
        Attribute(name="phone", values=[AttributeValue(value="1", stores=1)], total=101),
    ]
    states = {"states": dict.fromkeys(STATES, 0) | {"up": 3}}
    found = filters(attributes, ["region=TX", "region="], ["UTC", "UTC", "Asia/Tokyo"], listed(request("")), states)
    assert [one.words for one in found] == ["Region", "Time zone", "State"]
    region, zone, state = found
    assert [(one.value, one.stores, one.is_chosen) for one in region.options] == [
        ("region=TX", 2, True), ("region=", 1, True),
    ]  # fmt: skip
    assert region.without(region.options[0]) == {"where": ["region="], "cursor": None}
    assert [(one.value, one.stores) for one in zone.options] == [("Asia/Tokyo", 1), ("UTC", 2)]
    assert [one.value for one in state.options] == ["up"]


@given(st.text(max_size=40), st.integers(4, 30))
def test_a_long_id_is_shortened_in_the_middle(text: str, longest: int) -> None:
    short = shortened(text, longest)
    if len(text) <= longest:
        assert short == text
    else:
        assert len(short) == longest
        beginning, _, end = short.rpartition("…") if not text.count("…") else ("", "", "")
        assert text.startswith(beginning)
        assert text.endswith(end)


def test_the_strip_of_a_day_shows_every_status_and_says_the_hours() -> None:
    as_of = instant_us("2023-01-25T18:00:00Z")
    stretches = [
        Stretch(as_of - 24 * HOUR_US, as_of - 12 * HOUR_US, "up", True),
        Stretch(as_of - 6 * HOUR_US, as_of - SECOND_US, "down", False),
        Stretch(as_of - SECOND_US, as_of, "unknown", False),
    ]
    drawn = strip(LastDay(stretches, 1, 0, 0, None), as_of)
    assert '<rect class="up" x="0" y="0" width="72" height="7"/>' in drawn
    assert '<rect class="down" x="108" y="7"' in drawn
    assert '<rect class="unknown" x="143" y="0" width="1" height="14"/>' in drawn  # a second shows too
    assert "Last 24 h: up 12.0 h, down 6.0 h, unknown 0.0 h" in drawn
    assert "Last 24 h: closed" in strip(LastDay([], 0, 0, 0, None), as_of)


@pytest.mark.parametrize(
    ("availability", "cls"),
    [(0.9, "same"), (0.905, "same"), (0.89, "lost-1"), (0.8, "lost-3"), (0.95, "gained-2"), (None, "none")],
)
def test_a_cell_of_the_week_is_coloured_by_its_difference_to_the_average(availability: float | None, cls: str) -> None:
    cell: Any = {"availability": availability, "scheduled_us": 1, "business_us": 1}
    assert against(cell, 0.9001) == cls


def test_a_change_is_written_in_points() -> None:
    assert [plain(points(change)) for change in (0.0321, -0.01, 0.0)] == ["3.2 points", "1.0 point", "0.0 points"]
