import json
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

import pytest

import uphours
from tests.unit.tables import EVERY_DAY, hours, polls, zones
from uphours.kernel.policy import Assume, Interpolation, Policy
from uphours.kernel.windows import Window
from uphours.reports.explain import Explanation, as_table, duration_text, explain
from uphours.reports.measure import run_report
from uphours.schema import HOUR_US, MINUTE_US, Fleet, instant_us

NINE_TO_FIVE = hours(("a", EVERY_DAY, "09:00", "17:00"))
UTC = zones({"a": "UTC"})
AS_OF = instant_us("2023-01-25 18:00 UTC")
OBSERVATIONS = polls(
    ("a", "active", "2023-01-24 08:00:00 UTC"),
    ("a", "inactive", "2023-01-24 16:30:00.000001 UTC"),
    ("a", "active", "2023-01-24 20:00:00 UTC"),
    ("a", "active", "2023-01-25 10:15:00 UTC"),
    ("a", "active", "2023-01-25 11:00:00 UTC"),
    ("a", "inactive", "2023-01-25 15:00:00 UTC"),
)
INTERPOLATIONS: Final[tuple[Interpolation, ...]] = ("previous", "next", "nearest")
ASSUMPTIONS: Final[tuple[Assume, ...]] = ("unknown", "active", "inactive")
POLICIES = [
    Policy(interpolation=interpolation, prefer_in_session=prefer, max_age=max_age, assume=assume)
    for interpolation in INTERPOLATIONS
    for prefer in (True, False)
    for max_age in (None, timedelta(minutes=50), timedelta(hours=12))
    for assume in ASSUMPTIONS
]


def explained(
    *tables: Any, window: str | Window = "last_day", as_of: int = AS_OF, policy: Policy | None = None
) -> Explanation:
    """Explain the store called a."""
    fleet = uphours.validate(*tables).fleet
    return explain(fleet, as_of=as_of, window=window, policy=policy or Policy())


def whys(made: Explanation) -> list[tuple[str, str]]:
    """Return the status and the reason of each span."""
    return [(span.status, span.why) for span in made.spans]


@pytest.mark.parametrize("table", [NINE_TO_FIVE, None, hours(("a", EVERY_DAY, "16:00", "10:30"))])
def test_the_sums_end_in_the_figures_of_the_report(table: Any) -> None:
    fleet = uphours.validate(OBSERVATIONS, table, UTC).fleet
    for policy in POLICIES:
        check_sums(fleet, policy)


def check_sums(fleet: Fleet, policy: Policy) -> None:
    windows: list[str | Window] = ["last_week", Window("own", "2023-01-25T10:00Z", "2023-02-01")]
    rows = run_report(fleet, as_of=AS_OF, chosen=windows, policy=policy).table().to_dicts()
    for window, report in zip(windows, rows, strict=True):
        made = explain(fleet, as_of=AS_OF, window=window, policy=policy)
        last = made.spans[-1]
        up, down, unknown = last.uptime_us, last.downtime_us, last.unknown_us
        # A report books unknown time where the policy says; the spans keep it.
        booked = {
            "unknown": (up, down, unknown),
            "active": (up + unknown, down, 0),
            "inactive": (up, down + unknown, 0),
        }[policy.assume]
        assert booked == (report["uptime_us"], report["downtime_us"], report["unknown_us"]), policy
        assert up + down + unknown == report["business_us"] == sum(end - start for start, end in made.sessions)
        assert (
            sum(s.end_us - s.start_us for s in made.spans if s.status == "up" and s.confirmed)
            == (report["uptime_min_us"])
        )
        figures = made.facts()["figures"]
        assert {name: report[name] for name in figures} == figures, policy


@pytest.mark.parametrize("policy", POLICIES[::3], ids=str)
def test_spans_follow_each_other_and_their_observation_says_their_status(policy: Policy) -> None:
    made = explained(OBSERVATIONS, NINE_TO_FIVE, UTC, window="last_week", policy=policy)
    status_at = {at: {"active": "up", "inactive": "down"}[status] for at, status in made.observations}
    sums = {"up": 0, "down": 0, "unknown": 0}
    for span in made.spans:
        sums[span.status] += span.end_us - span.start_us
        assert (span.uptime_us, span.downtime_us, span.unknown_us) == tuple(sums.values())
        assert any(start <= span.start_us < span.end_us <= end for start, end in made.sessions)
        if span.observed_at_us is None:
            assert span.status == "unknown"
        else:
            assert status_at[span.observed_at_us] == span.status
    assert all(before.end_us <= after.start_us for before, after in pairwise(made.spans))


# --- why ---------------------------------------------------------------------------------------------


def test_the_reason_is_the_rule_that_chose_the_observation() -> None:
    made = explained(OBSERVATIONS, NINE_TO_FIVE, UTC, window="yesterday")
    assert whys(made) == [
        # 09:00 to 16:30: the first was made before opening, the second one inside.
        ("down", "made in this session, the other neighbour was not"),
        ("down", "made in this session, the other neighbour was not"),
    ]
    made = explained(OBSERVATIONS, NINE_TO_FIVE, UTC, window="today")
    assert whys(made) == [
        ("up", "made in this session, the other neighbour was not"),
        ("up", "the previous observation"),
        ("up", "the previous observation"),
        ("down", "nothing was observed since"),
    ]


@pytest.mark.parametrize("interpolation", ["previous", "next", "nearest"])
def test_the_interpolation_is_the_reason_between_two_of_one_session(interpolation: Any) -> None:
    policy = Policy(interpolation=interpolation)
    window = Window("eleven_to_three", "2023-01-25T11:00Z", "2023-01-25T15:00Z")
    made = explained(OBSERVATIONS, NINE_TO_FIVE, UTC, window=window, policy=policy)
    assert {why for _, why in whys(made)} == {f"the {interpolation} observation"}
    assert [status for status, _ in whys(made)] == {
        "previous": ["up"],
        "next": ["down"],
        "nearest": ["up", "down"],
    }[interpolation]


def test_before_the_first_observation_the_reason_is_that_there_was_none() -> None:
    made = explained(OBSERVATIONS, None, UTC, window=Window("early", "2023-01-24", "2023-01-24T08:00Z"))
    assert whys(made) == [("up", "nothing was observed before")]


def test_nobody_speaks_because_all_are_too_old() -> None:
    policy = Policy(max_age=timedelta(minutes=30))
    window = Window("eleven_to_three", "2023-01-25T11:00Z", "2023-01-25T15:00Z")
    made = explained(OBSERVATIONS, NINE_TO_FIVE, UTC, window=window, policy=policy)
    assert whys(made) == [
        ("up", "the previous observation"),
        ("unknown", "no observation is near enough (max_age)"),
    ]


def test_nobody_speaks_because_nothing_was_ever_observed() -> None:
    made = explained(None, NINE_TO_FIVE, UTC)
    assert whys(made) == [("unknown", "nothing was ever observed")]
    assert made.observations == []
    assert made.facts()["figures"]["availability"] is None


def test_nothing_after_as_of_is_a_reason() -> None:
    made = explained(OBSERVATIONS, NINE_TO_FIVE, UTC, as_of=instant_us("2023-01-24 12:00 UTC"), window="today")
    assert whys(made) == [("up", "nothing was observed since")]
    assert made.observations == [(instant_us("2023-01-24 08:00 UTC"), "active")]
    assert made.sessions == [(instant_us("2023-01-24 09:00 UTC"), instant_us("2023-01-24 12:00 UTC"))]


# --- what is shown -----------------------------------------------------------------------------------


def test_the_observations_shown_are_those_inside_and_one_neighbour_on_each_side() -> None:
    window = Window("w", "2023-01-24T18:00Z", "2023-01-25T11:00Z")
    made = explained(OBSERVATIONS, NINE_TO_FIVE, UTC, window=window)
    assert [at for at, _ in made.observations] == [
        instant_us(f"2023-01-{at} UTC") for at in ("24 16:30:00.000001", "24 20:00:00", "25 10:15:00", "25 11:00:00")
    ]


def test_a_closed_window_has_no_spans_and_zeros() -> None:
    window = Window("night", "2023-01-25T01:00Z", "2023-01-25T02:00Z")
    made = explained(OBSERVATIONS, NINE_TO_FIVE, UTC, window=window)
    assert (made.sessions, made.spans) == ([], [])
    assert made.facts()["figures"]["business_us"] == 0


def test_a_window_in_a_week_when_the_store_never_opens_is_explained() -> None:
    mondays = hours(("a", [0], "09:00", "17:00"))
    one_poll = polls(("a", "active", "2023-01-25 17:30:00 UTC"))
    made = explained(one_poll, mondays, UTC, window="last_hour")
    assert (made.sessions, made.spans) == ([], [])


def test_the_facts_are_plain_values_that_name_the_policy() -> None:
    made = explained(OBSERVATIONS, NINE_TO_FIVE, UTC, window="today", policy=Policy(interpolation="next"))
    facts = json.loads(json.dumps(made.facts()))
    assert list(facts) == [
        "store_id", "as_of", "as_of_us", "policy", "version", "tzdata", "window", "timezone", "business_hours",
        "hours_known", "exceptions", "sessions", "observations", "spans", "entries", "figures",
    ]  # fmt: skip
    assert facts["policy"]["interpolation"] == "next"
    assert facts["window"] == {
        "name": "today",
        "start_us": instant_us("2023-01-25"),
        "end_us": instant_us("2023-01-26"),
    }
    assert facts["business_hours"][0] == "Mon 09:00–17:00"
    assert (facts["exceptions"], facts["entries"]) == ([], [])
    assert facts["sessions"] == [{"start_us": instant_us("2023-01-25 09:00"), "end_us": instant_us("2023-01-25 17:00")}]
    assert facts["observations"][0] == {"observed_at_us": instant_us("2023-01-24 20:00"), "status": "active"}
    assert facts["spans"][0] == {
        "start_us": instant_us("2023-01-25 09:00"),
        "end_us": instant_us("2023-01-25 10:15"),
        "status": "up",
        "confirmed": False,
        "observed_at_us": instant_us("2023-01-25 10:15"),
        "entry": None,
        "why": "made in this session, the other neighbour was not",
        "uptime_us": HOUR_US + 15 * MINUTE_US,
        "downtime_us": 0,
        "unknown_us": 0,
        "excluded_us": 0,
    }


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "0:00:00"),
        (HOUR_US - 1, "0:59:59.999999"),
        (26 * HOUR_US + 3 * MINUTE_US + 500_000, "26:03:00.5"),
        (168 * HOUR_US, "168:00:00"),
    ],
)
def test_a_duration_is_written_exactly(us: int, text: str) -> None:
    assert duration_text(us) == text


def test_cells_stand_under_each_other() -> None:
    assert as_table([("a", "bcd"), ("long", 1)]) == ["  a     bcd", "  long  1"]
