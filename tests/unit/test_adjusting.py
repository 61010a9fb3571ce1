"""What an adjustment is about, and what it would move: the figures before and after it is entered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import operations_oracle as oracle
from tests.fixtures.databases import only_sqlite
from tests.fixtures.oracle_fleets import memory_fleet_of, policy_of
from tests.property.operations_strategies import Case, cases
from tests.property.strategies import FEWER
from uphours.errors import InputError
from uphours.kernel.policy import Policy
from uphours.reports.adjusting import COUNTS_AS, Adjustment, moved, plan
from uphours.schema import HOUR_US

pytestmark = only_sqlite  # no test here uses a database

MONDAY = datetime(2024, 6, 3, tzinfo=UTC)
NAMES = ("uptime_us", "downtime_us", "unknown_us", "excluded_us", "scheduled_us")


def at(hours: float) -> int:
    return (MONDAY - datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hours)) // timedelta(microseconds=1)


def polled(*hours: float, store: str = "1") -> list[oracle.Poll]:
    return [oracle.Poll(store, at(hour), "active") for hour in hours]


@FEWER
@given(cases(), st.sampled_from(COUNTS_AS), st.data())
def test_what_it_would_move_is_what_it_moves(case: Case, counts_as: oracle.CountsAs, data: st.DataObject) -> None:
    start, end = data.draw(st.sampled_from(case.windows))
    adjustment = Adjustment(counts_as=counts_as, reason="other", start=start, end=end)
    latest = max((poll.at_us for poll in case.fleet.polls), default=0)
    fleet = replace(memory_fleet_of(case.fleet), latest=case.as_of_us)
    assert latest > case.as_of_us  # those say nothing yet
    said = moved(fleet, adjustment, plan(fleet, adjustment), policy=policy_of(case.fleet.rules))
    number = max([entry.number for entry in case.fleet.ledger], default=0) + 1
    entries = [oracle.Entry(number, store, start, end, counts_as) for store in case.fleet.stores]
    entered = replace(case.fleet, ledger=[*case.fleet.ledger, *entries])
    for figures, ledger in ((said.before, case.fleet), (said.after, entered)):
        whole = oracle.Figures()
        for store in case.fleet.stores:
            whole += oracle.figures(ledger, store, (start, end), case.as_of_us)
        assert figures == {name: getattr(whole, name) for name in NAMES}


def test_local_times_are_those_of_each_store() -> None:
    zones = [oracle.ZoneRow("1", "Etc/UTC"), oracle.ZoneRow("2", "America/New_York")]
    fleet = memory_fleet_of(oracle.Fleet(polls=[*polled(0), *polled(0, store="2")], zones=zones))
    adjustment = Adjustment(counts_as="excluded", reason="planned closure", start=at(9), end=at(10), is_local=True)
    found = plan(fleet, adjustment)
    assert found.starts.tolist() == [at(9), at(13)]
    assert found.ends.tolist() == [at(10), at(14)]


def test_gaps_are_those_of_the_collector_cut_at_the_bounds() -> None:
    polls = [*polled(*range(6), *range(20, 30)), *polled(*range(6), *range(20, 30), store="2")]
    fleet = memory_fleet_of(oracle.Fleet(polls=polls))
    adjustment = Adjustment(counts_as="unknown", reason="collector failure", start=at(0), end=at(18), gaps=True)
    found = plan(fleet, adjustment)
    assert (found.stores.tolist(), found.starts.tolist(), found.ends.tolist()) == ([0, 1], [at(5)] * 2, [at(18)] * 2)
    said = moved(fleet, adjustment, found, policy=Policy())
    assert said.entered_us == 26 * HOUR_US
    assert (said.before["unknown_us"], said.after["unknown_us"]) == (0, 26 * HOUR_US)
    with pytest.raises(InputError, match="no collector gap between 2024-06-03 00:00:00 UTC"):
        plan(fleet, replace(adjustment, end=at(4)))


def test_what_makes_no_sense_is_refused() -> None:
    good = Adjustment(counts_as="up", reason="other", start=at(1), end=at(2))
    for changes, says in (
        ({"counts_as": "closed"}, "cannot count as 'closed'; valid are excluded, up, down, unknown"),
        ({"reason": "weather"}, "there is no reason 'weather'; valid are 'planned closure'"),
        ({"end": at(1)}, "ends at 2024-06-03 01:00:00 UTC, which is not after its start"),
        ({"stores": ()}, "no store is named"),
        ({"gaps": True}, "collector gaps can count as unknown or excluded"),
        ({"note": "n" * 4001}, "the note has 4,001 characters"),
        ({"end": -1}, "out of range"),
    ):
        with pytest.raises(InputError, match=says):
            replace(good, **changes)


def test_time_that_every_clock_skips_cannot_be_adjusted() -> None:
    spring = datetime(2024, 3, 10, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    half_past_two = (spring + timedelta(hours=2, minutes=30)) // timedelta(microseconds=1)
    fleet = memory_fleet_of(oracle.Fleet(polls=polled(0)))  # in Chicago
    adjustment = Adjustment(
        counts_as="up", reason="other", start=half_past_two, end=half_past_two + HOUR_US // 2, is_local=True
    )
    with pytest.raises(InputError, match="nothing is left of the adjustment"):
        plan(fleet, replace(adjustment, end=half_past_two + HOUR_US // 2))
