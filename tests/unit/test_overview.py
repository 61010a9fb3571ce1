import json
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

import numpy as np
import polars as pl
import pytest

import uphours
from tests.unit.tables import EVERY_DAY, hours, polls, zones
from uphours import demo
from uphours.database.database import Database, connect
from uphours.errors import InputError
from uphours.ingest.inputs import Kind
from uphours.ingest.load import load_files
from uphours.ingest.memory_fleet import MemoryFleet
from uphours.kernel.policy import Policy
from uphours.kernel.windows import WINDOW_NAMES, Window
from uphours.reports.fleet import Overview, facts, fleet_facts, overview
from uphours.reports.measure import run_report
from uphours.reports.reading import NEVER
from uphours.reports.store_list import SORTS, selected
from uphours.reports.store_states import STATES
from uphours.schema import DAY_US, HOUR_US, Observations, instant_text, instant_us

UTC: Final = zones({"a": "UTC"})
NINE_TO_FIVE: Final = hours(("a", EVERY_DAY, "09:00", "17:00"))
SPLIT: Final = hours(("a", EVERY_DAY, "09:00", "12:00"), ("a", EVERY_DAY, "14:00", "18:00"))
OVERNIGHT: Final = hours(("a", EVERY_DAY, "18:00", "02:00"))
AT_TEN: Final = ("a", "active", "2023-01-25 10:00")


def seen(
    as_of: str, *tables: pl.DataFrame | None, policy: Policy | None = None, whole_history: bool = True, **options: Any
) -> Overview:
    """Look at the stores of some tables; instants are of UTC."""
    fleet = uphours.validate(*tables).fleet
    at = instant_us(as_of)
    return overview(fleet, as_of=at, policy=policy, whole_history=whole_history, **options)


def state(as_of: str, *tables: pl.DataFrame | None, **options: Any) -> tuple[str, str | None]:
    """Return the state of the store called a, and since when."""
    made = seen(as_of, *tables, **options)
    found = facts(made, list(made.store_ids).index("a"))
    since = found["since_us"]
    return found["state"], None if since is None else instant_text(since).removesuffix(" UTC")


# --- the state now -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "expected"), [("active", "up"), ("inactive", "down")])
def test_an_open_store_has_the_status_of_its_last_observation(status: str, expected: str) -> None:
    table = polls(("a", "active", "2023-01-25 09:30"), ("a", status, "2023-01-25 10:00"))
    assert state("2023-01-25 11:00", table, NINE_TO_FIVE, UTC)[0] == expected


def test_an_observation_made_at_the_instant_itself_speaks_for_it() -> None:
    table = polls(("a", "active", "2023-01-25 09:30"), ("a", "inactive", "2023-01-25 11:00"))
    assert state("2023-01-25 11:00", table, NINE_TO_FIVE, UTC) == ("down", "2023-01-25 11:00:00")
    assert state("2023-01-25 10:59:59.999999", table, NINE_TO_FIVE, UTC) == ("up", "2023-01-25 09:30:00")


def test_nothing_that_is_observed_later_is_used() -> None:
    table = polls(("a", "active", "2023-01-25 09:30"), ("a", "inactive", "2023-01-25 11:00:00.000001"))
    for interpolation in ("previous", "next", "nearest"):
        policy = Policy(interpolation=interpolation)
        assert state("2023-01-25 11:00", table, NINE_TO_FIVE, UTC, policy=policy) == ("up", "2023-01-25 09:30:00")


def test_the_next_observation_speaks_for_the_time_before_the_instant() -> None:
    table = polls(("a", "active", "2023-01-25 09:30"), ("a", "inactive", "2023-01-25 11:00"))
    policy = Policy(interpolation="next")
    assert state("2023-01-25 11:00", table, NINE_TO_FIVE, UTC, policy=policy) == ("down", "2023-01-25 09:30:00")


def test_a_store_opens_at_its_opening_and_closes_at_its_closing() -> None:
    table = polls(AT_TEN)
    assert state("2023-01-25 08:59:59.999999", table, NINE_TO_FIVE, UTC)[0] == "closed"
    assert state("2023-01-26 09:00", table, NINE_TO_FIVE, UTC) == ("up", "2023-01-25 10:00:00")
    assert state("2023-01-25 16:59:59.999999", table, NINE_TO_FIVE, UTC) == ("up", "2023-01-25 10:00:00")
    assert state("2023-01-25 17:00", table, NINE_TO_FIVE, UTC) == ("closed", "2023-01-25 17:00:00")


def test_what_was_seen_while_closed_says_nothing_of_a_closed_store_and_speaks_at_the_opening() -> None:
    table = polls(("a", "active", "2023-01-25 16:00"), ("a", "inactive", "2023-01-25 23:00"))
    assert state("2023-01-25 23:30", table, NINE_TO_FIVE, UTC) == ("closed", "2023-01-25 17:00:00")
    assert state("2023-01-26 09:00", table, NINE_TO_FIVE, UTC) == ("down", "2023-01-26 09:00:00")


def test_a_store_that_was_never_observed_is_unknown_for_no_known_time() -> None:
    assert state("2023-01-25 11:00", None, NINE_TO_FIVE, UTC) == ("unknown", None)
    assert state("2023-01-25 20:00", None, NINE_TO_FIVE, UTC) == ("closed", "2023-01-25 17:00:00")
    assert state("2023-01-25 11:00", polls(("a", "active", "2023-01-25 12:00")), None, UTC) == ("unknown", None)


def test_an_observation_speaks_up_to_max_age_and_no_further() -> None:
    policy, table = Policy(max_age=timedelta(minutes=90)), polls(AT_TEN)
    assert state("2023-01-25 11:29:59.999999", table, NINE_TO_FIVE, UTC, policy=policy)[0] == "up"
    assert state("2023-01-25 11:30", table, NINE_TO_FIVE, UTC, policy=policy) == ("unknown", "2023-01-25 11:30:00")
    assert state("2023-01-27 11:30", table, NINE_TO_FIVE, UTC, policy=policy) == ("unknown", "2023-01-25 11:30:00")


def test_an_observation_that_ends_while_closed_leaves_the_store_unknown_since_it_opens() -> None:
    policy, table = Policy(max_age=timedelta(hours=8)), polls(AT_TEN)
    assert state("2023-01-26 09:30", table, NINE_TO_FIVE, UTC, policy=policy) == ("unknown", "2023-01-26 09:00:00")


def test_the_column_for_unknown_time_does_not_change_the_state() -> None:
    for assume in ("active", "inactive"):
        assert state("2023-01-25 11:00", None, NINE_TO_FIVE, UTC, policy=Policy(assume=assume))[0] == "unknown"


# --- since when --------------------------------------------------------------------------------------


def test_a_store_is_down_across_its_closing_time() -> None:
    table = polls(("a", "active", "2023-01-23 15:00"), ("a", "inactive", "2023-01-23 16:00"))
    assert state("2023-01-25 11:00", table, NINE_TO_FIVE, UTC) == ("down", "2023-01-23 16:00:00")


def test_time_that_is_up_or_unknown_interrupts_a_state() -> None:
    table = polls(
        ("a", "inactive", "2023-01-23 10:00"),
        ("a", "active", "2023-01-24 10:00"),
        ("a", "inactive", "2023-01-24 13:00"),
        ("a", "inactive", "2023-01-25 10:00"),
    )
    assert state("2023-01-25 11:00", table, NINE_TO_FIVE, UTC) == ("down", "2023-01-24 13:00:00")
    policy = Policy(max_age=timedelta(hours=2))
    assert state("2023-01-25 11:00", table, NINE_TO_FIVE, UTC, policy=policy) == ("down", "2023-01-25 09:00:00")


def test_a_split_shift_is_closed_between_its_two_parts() -> None:
    table = polls(("a", "inactive", "2023-01-25 11:00"))
    assert state("2023-01-25 12:00", table, SPLIT, UTC) == ("closed", "2023-01-25 12:00:00")
    assert state("2023-01-25 13:59:59.999999", table, SPLIT, UTC) == ("closed", "2023-01-25 12:00:00")
    assert state("2023-01-25 14:00", table, SPLIT, UTC) == ("down", "2023-01-25 11:00:00")
    assert state("2023-01-26 08:00", table, SPLIT, UTC) == ("closed", "2023-01-25 18:00:00")


def test_an_overnight_session_is_open_until_it_ends_on_the_next_day() -> None:
    table = polls(("a", "active", "2023-01-24 19:00"), ("a", "inactive", "2023-01-24 23:30"))
    assert state("2023-01-25 01:59:59.999999", table, OVERNIGHT, UTC) == ("down", "2023-01-24 23:30:00")
    assert state("2023-01-25 02:00", table, OVERNIGHT, UTC) == ("closed", "2023-01-25 02:00:00")


def test_local_hours_move_with_the_clock() -> None:
    # In Chicago clocks go forward on 2023-03-12: 9:00 is 15:00 UTC the day before, and 14:00 on the day.
    chicago, table = zones({"a": "America/Chicago"}), polls(("a", "inactive", "2023-03-11 16:00"))
    assert state("2023-03-11 14:30", table, NINE_TO_FIVE, chicago) == ("closed", "2023-03-10 23:00:00")
    assert state("2023-03-12 13:59:59", table, NINE_TO_FIVE, chicago) == ("closed", "2023-03-11 23:00:00")
    assert state("2023-03-12 14:00", table, NINE_TO_FIVE, chicago) == ("down", "2023-03-11 16:00:00")
    assert state("2023-03-12 22:00", table, NINE_TO_FIVE, chicago) == ("closed", "2023-03-12 22:00:00")


def test_a_store_that_opens_once_a_week_is_closed_since_a_week_ago() -> None:
    mondays = hours(("a", [0], "09:00", "17:00"))
    assert state("2023-01-23 08:00", polls(AT_TEN), mondays, UTC) == ("closed", "2023-01-16 17:00:00")


def test_a_store_whose_only_session_of_a_week_falls_into_the_lost_hour_is_closed_for_two_weeks() -> None:
    nights = hours(("a", [6], "02:10", "02:20"))
    chicago = zones({"a": "America/Chicago"})
    on_the_day = state("2023-03-12 08:15", None, nights, chicago)  # 2:10 does not exist: read as 3:10
    assert on_the_day[0] == "unknown"
    lost = hours(("a", [6], "02:30", "03:10"))  # from 3:30 to 3:10 on that day
    assert state("2023-03-19 07:00", None, lost, chicago) == ("closed", "2023-03-05 09:10:00")


def test_a_state_is_followed_back_to_the_first_observation_and_no_further() -> None:
    table = polls(("a", "active", "2022-03-01 10:00"), ("a", "active", "2023-01-25 10:00"))
    assert state("2023-01-25 11:00", table, NINE_TO_FIVE, UTC) == ("up", "2022-03-01 10:00:00")
    before_opening = polls(("a", "active", "2022-03-01 07:00"), ("a", "active", "2023-01-25 10:00"))
    assert state("2023-01-25 11:00", before_opening, NINE_TO_FIVE, UTC) == ("up", "2022-03-01 09:00:00")


def test_another_store_with_an_older_history_changes_nothing() -> None:
    table = polls(("a", "active", "2023-01-24 10:00"), ("b", "inactive", "2020-03-01 07:00"))
    for whole_history in (True, False):
        assert state("2023-01-25 11:00", table, NINE_TO_FIVE, UTC, whole_history=whole_history) == (
            "up",
            "2023-01-24 10:00:00",
        )


def test_without_the_whole_history_what_began_before_the_last_week_began_at_no_known_time() -> None:
    long_ago = ("a", "active", "2022-03-01 10:00")
    table = polls(long_ago, ("a", "inactive", "2023-01-10 10:00"))
    made = seen("2023-01-25 11:00", table, None, UTC, whole_history=False)
    assert (STATES[made.states[0]], made.since_us[0]) == ("down", NEVER)
    assert made.followed_back_to_us == instant_us("2023-01-18 11:00")
    table = polls(long_ago, ("a", "inactive", "2023-01-18 11:00:00.000001"))
    assert state("2023-01-25 11:00", table, None, UTC, whole_history=False) == (
        "down",
        "2023-01-18 11:00:00.000001",
    )


def test_a_store_that_is_seen_for_the_first_time_while_closed_has_its_state_since_it_opens() -> None:
    table = polls(("a", "inactive", "2023-01-24 07:00"), ("b", "active", "2020-01-24 07:00"))
    for whole_history in (True, False):
        found = state("2023-01-25 11:00", table, NINE_TO_FIVE, UTC, whole_history=whole_history)
        assert found == ("down", "2023-01-24 09:00:00")


def test_a_store_that_was_observed_as_the_last_week_began_may_have_its_state_for_longer() -> None:
    table = polls(("a", "inactive", "2023-01-18 11:00"))
    assert state("2023-01-25 11:00", table, None, UTC, whole_history=False) == ("down", None)
    table = polls(("a", "inactive", "2023-01-18 11:00:00.000001"))
    assert state("2023-01-25 11:00", table, None, UTC, whole_history=False) == ("down", "2023-01-18 11:00:00.000001")


def test_a_longer_window_looks_back_further_and_a_shorter_one_does_not_look_back_less() -> None:
    table = polls(("a", "active", "2022-03-01 10:00"), ("a", "inactive", "2022-12-10 10:00"))
    for window, known in (("previous_month", "2022-12-10 10:00:00"), ("last_hour", None)):
        found = state("2023-01-25 11:00", table, None, UTC, whole_history=False, window=window)
        assert found == ("down", known)
    table = polls(("a", "active", "2022-03-01 10:00"), ("a", "inactive", "2023-01-20 10:00"))
    found = state("2023-01-25 11:00", table, None, UTC, whole_history=False, window="last_hour")
    assert found == ("down", "2023-01-20 10:00:00")


# --- figures -----------------------------------------------------------------------------------------


class CountingFleet(MemoryFleet):
    """A fleet that counts how often its observations are read."""

    readings = 0

    def observations(self, start: int, end: int, as_of: int) -> Observations:
        type(self).readings += 1
        return super().observations(start, end, as_of)


@pytest.fixture(scope="module")
def demo_database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """Return a store with the demonstration, a store without polls and one that was seen long ago."""
    folder = tmp_path_factory.mktemp("demo")
    demo.make_files(folder)
    (folder / "more.csv").write_text(
        "store_id,status,timestamp_utc\n0999,inactive,2022-01-25 10:00:00 UTC\n0999,active,2022-01-25 09:00:00 UTC\n"
    )
    (folder / "zone.csv").write_text("store_id,timezone_str\nSilent-1,Europe/Paris\n")
    database = connect(f"sqlite:///{folder / 'uphours.db'}")
    names: dict[Kind, list[str]] = {
        "polls": [str(folder / "polls.csv"), str(folder / "more.csv")],
        "hours": [str(folder / "hours.csv")],
        "timezones": [str(folder / "timezones.csv"), str(folder / "zone.csv")],
    }
    load_files(database, names, now=demo.AS_OF)
    return database


@pytest.fixture(scope="module")
def demo_overview(demo_database: Database) -> Overview:
    with demo_database.snapshot() as fleet:
        return overview(fleet)


WINDOWS: Final = [
    *WINDOW_NAMES,
    Window("own", "2023-01-20T10:00Z", "2023-01-22T00:00Z"),
    Window("later", "2024-01-01", "2025-01-01"),
]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("policy", [Policy(), Policy(max_age=timedelta(hours=3), assume="inactive")], ids=str)
def test_the_figures_are_those_of_the_report(demo_database: Database, window: str | Window, policy: Policy) -> None:
    with demo_database.snapshot() as fleet:
        made = overview(fleet, window=window, policy=policy)
        report = run_report(fleet, chosen=[window], policy=policy, all_stores=True)
    assert made.report.facts() == report.facts()
    rows = report.table().drop("window", "start_us", "end_us").to_dicts()
    assert len(rows) == 42
    for i, row in enumerate(rows):
        found = facts(made, i)
        assert {name: found[name] for name in row} == row


def test_observations_are_read_once(demo_database: Database) -> None:
    fleet = CountingFleet(**vars(uphours.validate(polls(AT_TEN), NINE_TO_FIVE, UTC).fleet))
    overview(fleet)
    assert fleet.readings == 1


def test_a_fleet_in_memory_and_one_in_a_store_look_the_same(demo_database: Database, demo_overview: Overview) -> None:
    with demo_database.snapshot() as fleet:
        everything = fleet.observations(0, demo.AS_OF, demo.AS_OF)
        in_memory = MemoryFleet(fleet.store_ids, fleet.schedule, fleet.adjustments, everything, None)
    again = overview(in_memory, as_of=demo.AS_OF)
    n = len(again.store_ids)
    assert [facts(again, i) for i in range(n)] == [facts(demo_overview, i) for i in range(n)]


def test_the_list_knows_since_when_as_the_single_store_does_or_leaves_it_open(
    demo_database: Database, demo_overview: Overview
) -> None:
    left_open = 0
    for i, store_id in enumerate(demo_overview.store_ids):
        with demo_database.snapshot([store_id]) as fleet:
            alone = facts(overview(fleet, as_of=demo.AS_OF, whole_history=True), 0)
        listed = facts(demo_overview, i)
        if listed["since_us"] is None and listed["last_observed_at_us"] is not None:
            left_open += 1
            assert alone["since_us"] < demo_overview.followed_back_to_us + DAY_US
            listed["since_us"] = alone["since_us"]
        assert listed == alone
    assert 0 < left_open < len(demo_overview.store_ids)


def test_the_facts_of_a_store_are_plain_values() -> None:
    table = polls(("a", "active", "2023-01-25 09:00"), ("a", "inactive", "2023-01-25 10:00"))
    made = seen("2023-01-25 11:00", table, NINE_TO_FIVE, UTC, window="today")
    assert json.loads(json.dumps(facts(made, 0))) == {
        "store_id": "a",
        "name": None,
        "attributes": {},
        "state": "down",
        "since_us": instant_us("2023-01-25 10:00"),
        "last_observed_at_us": instant_us("2023-01-25 10:00"),
        "timezone": "UTC",
        "timezone_is_default": False,
        "hours_known": True,
        "hours_are_default": False,
        "uptime_us": HOUR_US,
        "downtime_us": HOUR_US,
        "unknown_us": 0,
        "excluded_us": 0,
        "scheduled_us": 2 * HOUR_US,
        "business_us": 2 * HOUR_US,
        "raw_uptime_us": HOUR_US,
        "raw_downtime_us": HOUR_US,
        "raw_unknown_us": 0,
        "watched_us": 2 * HOUR_US,
        "availability": 0.5,
        "coverage": 1.0,
        "uptime_min_us": 0,
        "uptime_max_us": 2 * HOUR_US,
        "observations": 2,
        "outages": 1,
        "longest_outage_us": HOUR_US,
    }


def test_a_store_without_zone_and_hours_has_the_default_ones() -> None:
    found = facts(seen("2023-01-25 11:00", polls(AT_TEN)), 0)
    assert (found["timezone"], found["timezone_is_default"]) == ("America/Chicago", True)
    assert found["hours_are_default"]


def test_a_zone_that_is_given_is_not_the_default_one_though_it_may_be_the_same() -> None:
    made = seen(
        "2023-01-25 11:00", polls(AT_TEN, ("b", "active", "2023-01-25 10:00")), None, zones({"b": "America/Chicago"})
    )
    assert made.timezones == ["America/Chicago", "America/Chicago"]
    assert made.timezone_is_default.tolist() == [True, False]
    assert selected(made, without=["timezone"], limit=9).rows == [0]


def test_what_no_store_can_lack_and_when_it_cannot_be_observed_are_mistakes() -> None:
    made = seen("2023-01-25 11:00", polls(AT_TEN))
    with pytest.raises(InputError, match="'phone'; valid are hours, timezone"):
        selected(made, without=["phone"], limit=9)
    with pytest.raises(InputError, match="'once'; valid are ever, never"):
        selected(made, observed="once", limit=9)  # type: ignore[arg-type]


def test_stores_come_in_the_order_of_their_ids_as_text_with_what_is_theirs() -> None:
    table = polls(("b", "inactive", "2023-01-25 09:00"), ("10", "active", "2023-01-25 10:00"))
    only_zones = zones({"9": "Europe/Paris", "b": "UTC"})
    made = seen("2023-01-25 11:00", table, hours(("10", EVERY_DAY, "20:00", "21:00")), only_zones)
    assert list(made.store_ids) == ["10", "9", "b"]
    assert [STATES[code] for code in made.states] == ["closed", "unknown", "down"]
    assert made.timezones == ["America/Chicago", "Europe/Paris", "UTC"]
    assert made.timezone_is_default.tolist() == [True, False, False]
    assert made.hours_are_default.tolist() == [False, True, True]
    assert made.last_observed_at_us.tolist() == [
        instant_us("2023-01-25 10:00"),
        NEVER,
        instant_us("2023-01-25 09:00"),
    ]


def test_the_last_observation_is_the_last_one_of_all_and_not_of_the_window() -> None:
    table = polls(("a", "active", "2023-01-24 10:00"), ("a", "active", "2023-01-25 10:00"))
    made = seen("2023-01-25 11:00", table, NINE_TO_FIVE, UTC, window="yesterday", whole_history=False)
    assert made.last_observed_at_us.tolist() == [instant_us("2023-01-25 10:00")]
    assert facts(made, 0)["observations"] == 1


def test_an_overview_speaks_for_the_latest_observation_unless_told_otherwise() -> None:
    fleet = uphours.validate(polls(AT_TEN)).fleet
    assert overview(fleet).report.as_of == instant_us("2023-01-25 10:00")
    with pytest.raises(InputError, match="there are no observations yet"):
        overview(uphours.validate(None, NINE_TO_FIVE).fleet)


def test_an_unknown_window_is_refused() -> None:
    with pytest.raises(InputError, match="there is no window 'last_year'; valid are last_hour"):
        seen("2023-01-25 11:00", polls(AT_TEN), window="last_year")


# --- the fleet ---------------------------------------------------------------------------------------


def test_the_fleet_has_the_sums_of_its_stores_and_the_availability_of_the_sums(demo_overview: Overview) -> None:
    stores = [facts(demo_overview, i) for i in range(len(demo_overview.store_ids))]
    fleet = json.loads(json.dumps(fleet_facts(demo_overview)))
    assert fleet["stores"] == len(stores) == sum(fleet["states"].values())
    names = ("uptime_us", "downtime_us", "unknown_us", "business_us", "watched_us", "uptime_min_us", "uptime_max_us")
    for name in (*names, "outages"):
        assert fleet[name] == sum(store[name] for store in stores)
    for name, count in fleet["states"].items():
        assert count == sum(store["state"] == name for store in stores)
    assert fleet["availability"] == fleet["uptime_us"] / (fleet["uptime_us"] + fleet["downtime_us"])
    assert fleet["coverage"] == fleet["watched_us"] / fleet["business_us"]
    assert fleet["coverage"] < 1  # one store was never observed


def test_a_fleet_of_nothing_has_no_availability() -> None:
    empty = seen("2023-01-25 11:00", None)
    assert fleet_facts(empty)["availability"] is None
    assert fleet_facts(empty)["coverage"] is None
    none = {"down": 0, "up": 0, "unknown": 0, "excluded": 0, "closed": 0, "hours unknown": 0}
    assert fleet_facts(empty)["states"] == none
    page = selected(empty, limit=10)
    assert (page.rows, page.end, page.total_matching) == ([], None, 0)


def test_the_coverage_of_a_fleet_is_what_was_watched_whatever_unknown_time_is_booked_as() -> None:
    policy, table = Policy(max_age=timedelta(hours=1), assume="active"), polls(AT_TEN)
    found = fleet_facts(seen("2023-01-25 13:00", table, NINE_TO_FIVE, UTC, policy=policy, window="today"))
    assert (found["coverage"], found["availability"]) == (0.5, 1.0)


def test_sums_of_a_large_fleet_over_many_years_do_not_overflow() -> None:
    table = polls(*((str(store), "active", "2000-01-02 10:00") for store in range(1200)))
    long = Window("long", "1970-01-01T00:00Z", "2199-12-31T00:00Z")
    fleet = uphours.validate(table).fleet
    made = overview(fleet, as_of=instant_us("2199-12-31"), window=long)
    start, end = long.bounds_us()
    length = end - start
    assert 1200 * length > 2**62
    many = replace(made.report, totals=made.report.totals.of(np.arange(1200).repeat(2)))
    big = replace(made, report=replace(many, store_ids=[*made.store_ids, *made.store_ids]))
    assert fleet_facts(big)["uptime_us"] == 2400 * length > 2**63


# --- pages -------------------------------------------------------------------------------------------

FIVE: Final = (
    polls(
        ("A1", "active", "2023-01-25 00:00"),
        ("A2", "active", "2023-01-25 00:00"),
        ("A2", "inactive", "2023-01-25 06:00"),
        ("b3", "inactive", "2023-01-25 00:00"),
        ("B4", "active", "2023-01-25 00:00"),
        ("B4", "inactive", "2023-01-25 06:00"),
        ("B4", "inactive", "2023-01-25 11:00"),
    ),
    hours(("B4", EVERY_DAY, "00:00", "11:00")),
    zones({"A1": "UTC", "A2": "UTC", "B4": "UTC", "c5": "Europe/Paris"}),
)


@pytest.fixture(scope="module")
def five() -> Overview:
    return seen("2023-01-25 12:00", *FIVE, window="today")


def ids(made: Overview, **options: Any) -> list[str]:
    page = selected(made, **({"limit": 100} | options))
    assert page.total_matching >= len(page.rows)
    return [made.store_ids[row] for row in page.rows]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["A1", "A2", "B4", "b3", "c5"]),
        ({"descending": True}, ["c5", "b3", "B4", "A2", "A1"]),
        ({"search": "B"}, ["B4", "b3"]),
        ({"search": "a"}, ["A1", "A2"]),
        ({"search": "nothing"}, []),
        ({"search": ""}, ["A1", "A2", "B4", "b3", "c5"]),
        ({"states": ["down"]}, ["A2", "b3"]),
        ({"states": {"closed", "unknown"}}, ["B4", "c5"]),
        ({"states": []}, []),
        ({"timezones": ["UTC"]}, ["A1", "A2", "B4"]),
        ({"timezones": ["Asia/Tokyo"]}, []),
        ({"availability_below": 1}, ["A2", "B4", "b3"]),
        ({"availability_below": 0.5}, ["b3"]),
        ({"sort": "availability"}, ["b3", "A2", "B4", "A1", "c5"]),
        ({"sort": "availability", "descending": True}, ["A1", "B4", "A2", "b3", "c5"]),
        ({"sort": "lost_time", "descending": True}, ["A2", "b3", "B4", "A1", "c5"]),
        ({"sort": "lost_time"}, ["A1", "c5", "B4", "A2", "b3"]),
        ({"sort": "since"}, ["A1", "b3", "A2", "B4", "c5"]),
        ({"sort": "since", "descending": True}, ["B4", "A2", "A1", "b3", "c5"]),
        ({"sort": "since", "states": ["down", "up"], "search": "a"}, ["A1", "A2"]),
    ],
)
def test_rows_are_found_and_sorted(five: Overview, options: dict[str, Any], expected: list[str]) -> None:
    assert ids(five, **options) == expected


def test_a_page_says_how_many_rows_there_are_and_how_to_go_on(five: Overview) -> None:
    first = selected(five, sort="availability", search="", limit=2)
    assert (first.rows, first.total_matching) == ([3, 1], 5)
    assert first.end is not None
    second = selected(five, sort="availability", after=first.end, limit=2)
    assert (second.rows, second.total_matching) == ([2, 0], 5)
    third = selected(five, sort="availability", after=second.end, limit=2)
    assert (third.rows, third.end, third.total_matching) == ([4], None, 5)
    assert selected(five, sort="availability", limit=5).end is None


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("descending", [False, True])
def test_pages_go_on_where_the_store_of_the_cursor_is_gone(five: Overview, sort: Any, descending: bool) -> None:
    whole = ids(five, sort=sort, descending=descending)
    for place, gone in enumerate(whole[:-1]):
        cursor = selected(five, sort=sort, descending=descending, limit=place + 1).end
        tables = [table.filter(pl.col("store_id") != gone) for table in FIVE]
        without = seen("2023-01-25 12:00", *tables, window="today")
        assert ids(without, sort=sort, descending=descending, after=cursor) == whole[place + 1 :]


def test_a_cursor_of_another_order_is_refused(five: Overview) -> None:
    cursor = selected(five, sort="lost_time", descending=True, limit=2).end
    with pytest.raises(
        InputError, match=r"continues a list sorted by lost_time, descending, this one is sorted by lost_time, asc"
    ):
        selected(five, sort="lost_time", after=cursor, limit=2)
    with pytest.raises(InputError, match=r"sorted by since, descending; valid is the next_cursor of the page before"):
        selected(five, sort="since", descending=True, after=cursor, limit=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "limit is 0; valid are 1 and more"),
        (
            {"states": ["open"]},
            "there is no state 'open'; valid are down, up, unknown, excluded, closed, hours unknown$",
        ),
        ({"timezones": ["Mars/Base"]}, "unknown time zone 'Mars/Base'; valid are IANA names"),
        ({"availability_below": 1.1}, "availability_below is 1.1; valid are 0 to 1"),
        ({"availability_below": float("nan")}, "availability_below is nan; valid are 0 to 1"),
        ({"sort": "name"}, "cannot sort by 'name'; valid are store_id, availability, lost_time, since"),
    ],
)
def test_an_invalid_value_is_refused_with_the_valid_ones(five: Overview, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ids(five, **options)


def test_the_worst_stores_of_the_demonstration_come_first(demo_overview: Overview) -> None:
    page = selected(demo_overview, sort="lost_time", descending=True, limit=10)
    lost = [facts(demo_overview, row)["downtime_us"] for row in page.rows]
    assert all(before >= after for before, after in pairwise(lost))
    assert lost[0] == max(demo_overview.figures["downtime_us"])
    assert page.total_matching == 42
    assert ids(demo_overview, search="sILENT") == ["Silent-1"]
