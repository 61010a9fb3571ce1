import json
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uphours.durations import LONGEST_US
from uphours.errors import InputError
from uphours.kernel.policy import CHOICES, Policy
from uphours.kernel.windows import DEFAULT_WINDOWS, WINDOW_NAMES, Window
from uphours.reports.request import ReportRequest
from uphours.schema import LAST_INSTANT, YEAR_2000_US
from uphours.service.bodies import checked
from uphours.service.report_body import report_request
from uphours.wire.report_messages import ReportBody

OWN = Window("own", "2023-01-21T00:00Z", "2023-01-22T00:00Z")


@pytest.mark.parametrize(
    "options",
    [
        ReportRequest(),
        ReportRequest(as_of=0),
        ReportRequest(as_of=1_674_670_402_479_220, all_stores=True),
        ReportRequest(windows=("last_week", OWN, "today")),
        ReportRequest(windows=WINDOW_NAMES, policy=Policy(interpolation="next", max_age=timedelta(hours=12))),
        ReportRequest(stores=()),
        ReportRequest(where=(("region", ("OK", "TX")),), by=("brand", "city"), only=(("owner", ("F7",)),)),
        ReportRequest(where=(("region", ("(none)",)),), columns=("name",)),
        ReportRequest(stores=("b", "007", "a", "é☃\x00")),
    ],
)
def test_a_request_comes_back_from_its_plain_values(options: ReportRequest) -> None:
    text = json.dumps(options.to_dict())
    assert ReportRequest.from_dict(json.loads(text)) == options
    assert json.dumps(ReportRequest.from_dict(json.loads(text)).to_dict()) == text


NAMES = st.from_regex(r"[a-z_]{1,9}[0-9]", fullmatch=True).filter(lambda name: not name.startswith(("min_", "max_")))
POLICIES = st.fixed_dictionaries(
    {},
    optional={
        "interpolation": st.sampled_from(CHOICES["interpolation"].words),
        "prefer_in_session": st.booleans(),
        "max_age_us": st.none() | st.integers(1, LONGEST_US),
        "confirm_within_us": st.integers(0, LONGEST_US),
        "only_watched": st.booleans(),
        "assume": st.sampled_from(CHOICES["assume"].words),
    },
).map(Policy.from_dict)
OWN_WINDOWS = st.builds(
    lambda name, start, length: Window(name, start, min(start + length, LAST_INSTANT - 1)),
    NAMES,
    st.integers(YEAR_2000_US, LAST_INSTANT - 10),
    st.integers(1, 10**15),
)
DATES = st.dates(date(1970, 1, 2), date(2190, 1, 1))
OF_DATES = st.builds(
    lambda name, start, days: Window(name, start, start + timedelta(days=days)), NAMES, DATES, st.integers(1, 3000)
)
MIXED = st.builds(
    lambda name, start, days, starts_at_once: (
        Window(name, str(start), f"{start + timedelta(days=days)}T09:30Z")
        if starts_at_once
        else Window(name, f"{start}T09:30Z", str(start + timedelta(days=days)))
    ),
    NAMES,
    DATES,
    st.integers(1, 3000),
    st.booleans(),
)
REQUESTS = st.builds(
    ReportRequest,
    as_of=st.none() | st.integers(YEAR_2000_US, LAST_INSTANT - 1),
    windows=st.lists(
        st.sampled_from(WINDOW_NAMES) | OWN_WINDOWS | OF_DATES | MIXED,
        min_size=1,
        max_size=8,
        unique_by=lambda window: window if isinstance(window, str) else window.name,
    ).map(tuple),
    policy=POLICIES,
    stores=st.none() | st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20), min_size=1),
    all_stores=st.booleans(),
    detail=st.booleans(),
    raw=st.booleans(),
    compare=st.booleans(),
    outages=st.booleans(),
)


@given(REQUESTS, POLICIES)
def test_every_request_comes_back_from_a_job_and_from_a_body(request: ReportRequest, of_service: Policy) -> None:
    values = json.loads(json.dumps(request.to_dict()))
    assert ReportRequest.from_dict(values) == request
    assert ReportRequest.from_dict(values).to_dict() == values
    assert report_request(checked(ReportBody, values), of_service) == request


def test_an_empty_body_is_the_usual_request() -> None:
    assert report_request(checked(ReportBody, {}), Policy()) == ReportRequest()


def test_requests_of_earlier_versions_are_read() -> None:
    kept: dict[str, Any] = {
        "as_of_us": None,
        "windows": ["last_day", {"name": "own", "start_us": OWN.start_us, "end_us": OWN.end_us}],
        "policy": {
            "interpolation": "nearest", "prefer_in_session": True, "only_watched": False, "assume": "active",
            "max_age_us": 7_200_000_000, "confirm_within_us": 5_400_000_000,
        },
        "stores": ["a"],
        "all_stores": True,
    }  # fmt: skip
    policy = Policy.read("nearest, assume=active, max_age=2h, confirm_within=90m")
    asked = ReportRequest(windows=("last_day", OWN), policy=policy, stores=("a",), all_stores=True)
    assert ReportRequest.from_dict(kept) == asked
    del kept["policy"]["only_watched"], kept["policy"]["assume"]  # before there were these
    assert ReportRequest.from_dict(kept).policy == policy.changed({"assume": "unknown"})


def test_stores_are_kept_sorted_and_distinct_so_that_the_same_options_are_the_same_json() -> None:
    one, other = ReportRequest(stores=("b", "a", "b")), ReportRequest(stores=("a", "b"))
    assert one == other
    assert one.to_dict() == other.to_dict()
    assert one.to_dict()["stores"] == ["a", "b"]


def test_the_order_of_windows_is_kept_because_it_is_the_order_of_the_columns() -> None:
    assert ReportRequest(windows=("last_week", "last_hour")) != ReportRequest(windows=("last_hour", "last_week"))


def test_what_is_not_named_is_as_by_default() -> None:
    assert ReportRequest.from_dict({}) == ReportRequest()
    assert ReportRequest().to_dict() == {
        "as_of_us": None,
        "windows": list(DEFAULT_WINDOWS),
        "policy": Policy().to_dict(),
        "stores": None,
        "where": {},
        "by": [],
        "columns": [],
        "all_stores": False,
        "detail": False,
        "raw": False,
        "compare": False,
        "outages": False,
        "only": {},
    }


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"windows": ("last_year",)}, "there is no window 'last_year'; valid are last_hour"),
        ({"windows": ("today", "last_hour", "today")}, "window today is asked for more than once"),
        ({"windows": (OWN, OWN)}, "window own is asked for more than once"),
        ({"windows": ()}, "no window is asked for; valid are"),
        ({"windows": "today"}, "give a list"),
        ({"as_of": -1}, "out of range; valid are the years 1970 to 2199"),
        ({"as_of": LAST_INSTANT}, "out of range"),
        ({"stores": "a"}, "give a list"),
        ({"by": "region"}, "give a list"),
        ({"by": ("region", "region")}, "attribute region is named more than once"),
        ({"columns": (" ",)}, "columns has an empty name"),
        ({"by": ("region",), "columns": ("name",)}, "give one of them"),
    ],
)
def test_a_mistake_shows_when_the_options_are_made(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ReportRequest(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"as_of": 0}, "no option 'as_of'; valid are as_of_us, windows, policy, stores, where, by, columns, all_"),
        ({"as_of_us": "2023-01-25"}, "as_of_us is '2023-01-25'; valid are"),
        ({"as_of_us": True}, "as_of_us is True; valid are"),
        ({"all_stores": 1}, "all_stores is 1; valid are"),
        ({"detail": None}, "detail is None; valid are"),
        ({"raw": "yes"}, "raw is 'yes'; valid are"),
        ({"stores": "a"}, "stores is 'a'; valid are lists"),
        ({"stores": [1]}, "stores has 1; valid are ids as text"),
        ({"windows": {"name": "own"}}, "windows is .* valid are lists"),
        ({"windows": [None]}, "cannot read the window None; valid are"),
        ({"windows": [{"name": "own", "start_us": 0}]}, "cannot read the window"),
        ({"windows": [{"name": "own", "start_us": 0, "end_us": 1.5}]}, "cannot read the window"),
        ({"windows": [{"name": "own", "start_us": 0, "end_us": 1, "zone": "UTC"}]}, "cannot read the window"),
        ({"windows": [{"name": "own", "start_us": 1, "end_us": 1}]}, "not after its start"),
        (
            {"windows": [{"name": "own", "start_us": 0, "start_date": "2023-01-21", "end_us": 1}]},
            "cannot read the window",
        ),
        ({"windows": [{"name": "own", "start_date": "2023-01-21", "end_date": None}]}, "cannot read the window"),
        ({"windows": [{"name": "own", "start_date": "2023-01-21T00:00Z", "end_date": "2023-01-22"}]}, "cannot read"),
        ({"windows": [{"name": "own", "start_date": "2023-01-21", "end_date": "2023-01-32"}]}, "cannot read"),
        ({"windows": [{"name": "own", "start_date": "2023-01-21", "end_date": "2023-01-21"}]}, "not after its start"),
        ({"windows": [{"name": "today", "start_us": 0, "end_us": 1}]}, "cannot be called 'today'"),
        ({"windows": ["never"]}, "there is no window 'never'"),
        ({"policy": {"assume": "down"}}, "assume is 'down'; valid are"),
        ({"policy": None}, "policy is None; valid are"),
    ],
)
def test_facts_that_make_no_sense_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ReportRequest.from_dict(wrong)
