"""The share of the usual polls of a day that came."""

from __future__ import annotations

from uphours.reports.polls_that_came import shares
from uphours.schema import DAY_US, HOUR_US

#: From the beginning of day 0 to the end of day 99.
WHOLE = (0, 100 * DAY_US - 1)


def test_a_day_is_held_against_the_median_of_the_days_around_it() -> None:
    polls = dict.fromkeys(range(100), 1000) | {50: 310, 51: 2400}
    found = shares(polls, 0, 99, WHOLE)
    assert found == dict.fromkeys(range(100), 1.0) | {50: 0.31, 51: 2.4}


def test_days_without_polls_have_a_share_of_nothing_and_say_nothing_of_what_is_usual() -> None:
    polls = dict.fromkeys([*range(40), *range(60, 100)], 200)
    found = shares(polls, 30, 70, WHOLE)
    assert [found[day] for day in (39, 40, 50, 59, 60)] == [1.0, 0.0, 0.0, 0.0, 1.0]


def test_a_fleet_that_grows_is_held_against_its_new_size() -> None:
    polls = dict.fromkeys(range(50), 100) | dict.fromkeys(range(50, 100), 150)
    found = shares(polls, 0, 99, WHOLE)
    assert (found[20], found[70]) == (1.0, 1.0)


def test_of_the_first_and_the_last_day_only_the_part_with_polls_is_expected() -> None:
    polls = {0: 500, 1: 1000, 2: 1000, 3: 250}
    found = shares(polls, -1, 4, (12 * HOUR_US, 3 * DAY_US + 12 * HOUR_US - 1))
    assert found == {0: 1.0, 1: 1.0, 2: 1.0, 3: 0.5}


def test_days_outside_of_what_was_asked_for_only_say_what_is_usual() -> None:
    polls = dict.fromkeys(range(100), 1000) | {50: 500}
    assert shares(polls, 50, 50, WHOLE) == {50: 0.5}
    assert shares(polls, 200, 300, WHOLE) == {}
