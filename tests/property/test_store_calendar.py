"""The calendar of a store says of each day what the slow oracle says, and where it comes from."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given

from tests import operations_oracle as oracle
from tests.fixtures.databases import only_sqlite
from tests.fixtures.oracle_fleets import memory_fleet_of
from tests.property.operations_strategies import Case, cases
from uphours.reports.store_calendar import calendar
from uphours.schema import DAY_US, MINUTE_US

pytestmark = only_sqlite  # no test here uses a database

ORIGINS = {
    "outside": "outside first and last day",
    "special": "special hours",
    "special for all": "special hours of every store",
    "always": "always open",
    "no week yet": "before the first week",
    "no zone yet": "before the first zone",
    "week": "week",
}


def meant(opens: int, closes: int) -> tuple[int, int]:
    """Return an opening as it is meant: an end in the last minute is midnight, one before the start is tomorrow's."""
    closes = DAY_US if DAY_US - MINUTE_US <= closes < DAY_US else closes
    return opens, closes + DAY_US if closes <= opens else closes


@given(cases())
def test_each_day_is_that_of_the_oracle(case: Case) -> None:
    fleet = memory_fleet_of(case.fleet)
    first = case.near - timedelta(days=12)
    for place, store in enumerate(case.fleet.stores):
        found = calendar(fleet.schedule, place, first, first + timedelta(days=24))
        assert [day.day for day in found] == [first + timedelta(days=number) for number in range(24)]
        for day in found:
            origin, rows = oracle.schedule(case.fleet, store, day.day)
            assert day.origin == ORIGINS[origin]
            assert sorted({meant(*opening) for opening in day.openings}) == sorted(set(rows))
