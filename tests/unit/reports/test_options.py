import json
from datetime import timedelta
from typing import Any

import pytest

from storepulse.errors import InputError
from storepulse.kernel.policy import Policy
from storepulse.kernel.windows import DEFAULT_WINDOWS, WINDOW_NAMES, Window
from storepulse.reports import ReportOptions
from storepulse.schema import LAST_INSTANT

OWN = Window("own", "2023-01-21", "2023-01-22")


@pytest.mark.parametrize(
    "options",
    [
        ReportOptions(),
        ReportOptions(as_of=0),
        ReportOptions(as_of=1_674_670_402_479_220, all_stores=True),
        ReportOptions(windows=("last_week", OWN, "today")),
        ReportOptions(windows=WINDOW_NAMES, policy=Policy(interpolation="next", max_age=timedelta(hours=12))),
        ReportOptions(stores=()),
        ReportOptions(stores=("b", "007", "a", "é☃\x00")),
    ],
)
def test_options_come_back_from_their_facts(options: ReportOptions) -> None:
    text = json.dumps(options.facts())
    assert ReportOptions.of(json.loads(text)) == options
    assert json.dumps(ReportOptions.of(json.loads(text)).facts()) == text


def test_stores_are_kept_sorted_and_distinct_so_that_the_same_options_are_the_same_json() -> None:
    one, other = ReportOptions(stores=("b", "a", "b")), ReportOptions(stores=("a", "b"))
    assert one == other
    assert one.facts() == other.facts()
    assert one.facts()["stores"] == ["a", "b"]


def test_the_order_of_windows_is_kept_because_it_is_the_order_of_the_columns() -> None:
    assert ReportOptions(windows=("last_week", "last_hour")) != ReportOptions(windows=("last_hour", "last_week"))


def test_what_is_not_named_is_as_by_default() -> None:
    assert ReportOptions.of({}) == ReportOptions()
    assert ReportOptions().facts() == {
        "as_of_us": None,
        "windows": list(DEFAULT_WINDOWS),
        "policy": Policy().facts(),
        "stores": None,
        "all_stores": False,
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
    ],
)
def test_a_mistake_shows_when_the_options_are_made(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ReportOptions(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"as_of": 0}, "no option 'as_of'; valid are as_of_us, windows, policy, stores, all_stores$"),
        ({"as_of_us": "2023-01-25"}, "as_of_us is '2023-01-25'; valid are"),
        ({"as_of_us": True}, "as_of_us is True; valid are"),
        ({"all_stores": 1}, "all_stores is 1; valid are"),
        ({"stores": "a"}, "stores is 'a'; valid are lists"),
        ({"stores": [1]}, "stores has 1; valid are ids as text"),
        ({"windows": {"name": "own"}}, "windows is .* valid are lists"),
        ({"windows": [None]}, "cannot read the window None; valid are"),
        ({"windows": [{"name": "own", "start_us": 0}]}, "cannot read the window"),
        ({"windows": [{"name": "own", "start_us": 0, "end_us": 1.5}]}, "cannot read the window"),
        ({"windows": [{"name": "own", "start_us": 0, "end_us": 1, "zone": "UTC"}]}, "cannot read the window"),
        ({"windows": [{"name": "own", "start_us": 1, "end_us": 1}]}, "not after its start"),
        ({"windows": [{"name": "today", "start_us": 0, "end_us": 1}]}, "cannot be called 'today'"),
        ({"windows": ["never"]}, "there is no window 'never'"),
        ({"policy": {"assume": "down"}}, "assume is 'down'; valid are"),
        ({"policy": None}, "policy is None; valid are"),
    ],
)
def test_facts_that_make_no_sense_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ReportOptions.of(wrong)
