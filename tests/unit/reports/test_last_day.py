"""How good the evidence of a state is: polls in a row, and how much of the time between is confirmed."""

from __future__ import annotations

import pytest

import uphours
from tests.unit.tables import EVERY_DAY, hours, polls, zones
from uphours.kernel.policy import Policy
from uphours.reports.last_day import LastDay, last_days
from uphours.schema import HOUR_US, instant_us

AS_OF = "2023-01-25 18:00"


def last_day(*said: tuple[str, str], opens: str = "00:00", closes: str = "23:59") -> LastDay:
    """Return the last day of a store that was polled like this: status and time of day."""
    rows = [("a", status, f"2023-01-25 {at}") for at, status in said]
    tables = polls(*rows), hours(("a", EVERY_DAY, opens, closes)), zones({"a": "UTC"})
    (found,) = last_days(uphours.validate(*tables).fleet, instant_us(AS_OF), Policy())
    return found


@pytest.mark.parametrize(
    ("said", "evidence", "count"),
    [
        ([("17:50", "inactive")], "one poll", 1),
        ([("17:00", "active"), ("17:50", "inactive")], "one poll", 1),
        ([("17:30", "inactive"), ("17:50", "inactive")], "medium", 2),
        ([("16:00", "inactive"), ("17:00", "inactive"), ("17:50", "inactive")], "strong", 3),
        # Nine and seven hours without a poll: three polls agree, and hardly any of the time is confirmed.
        ([("00:30", "inactive"), ("09:30", "inactive"), ("16:30", "inactive")], "medium", 3),
    ],
)
def test_the_evidence_is_as_good_as_the_polls_that_say_so(
    said: list[tuple[str, str]], evidence: str, count: int
) -> None:
    found = last_day(*said)
    assert (found.evidence, found.polls) == (evidence, count)


def test_confirmed_time_counts_from_the_first_poll_that_says_so() -> None:
    found = last_day(("15:00", "active"), ("16:00", "inactive"), ("17:00", "inactive"))
    assert (found.known_us, found.confirmed_us) == (2 * HOUR_US, HOUR_US)


def test_a_store_of_which_nothing_is_known_or_that_never_opened_has_no_evidence() -> None:
    assert last_day(("18:30", "inactive")).evidence is None
    closed = last_day(("17:00", "inactive"), opens="18:30", closes="19:00")
    assert [one.status for one in closed.stretches] == ["down"]  # that of yesterday evening
    assert closed.evidence == "one poll"
