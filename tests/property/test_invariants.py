"""What must hold for every input, whatever the numbers are."""

from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

import uphours
from tests import oracle
from tests.oracle import DAY_US, HOUR_US, MINUTE_US
from tests.property.strategies import (
    FEWER,
    RULES,
    Assume,
    Case,
    cases,
    hours_table,
    observation_table,
    zone_table,
)

ADDITIVE = [
    "uptime_us",
    "downtime_us",
    "unknown_us",
    "business_us",
    "excluded_us",
    "scheduled_us",
    "raw_uptime_us",
    "raw_downtime_us",
    "raw_unknown_us",
    "watched_us",
    "uptime_min_us",
    "uptime_max_us",
    "observations",
]
DURATIONS = ["uptime_us", "downtime_us", "unknown_us", "business_us", "watched_us", "longest_outage_us"]
assumptions = st.sampled_from(["unknown", "active", "inactive"])


def rows_of(report: pl.DataFrame) -> dict[tuple[str, str], dict[str, int]]:
    """Return the rows of a report by store and window."""
    rows = {(row["store_id"], row["window"]): row for row in report.to_dicts()}
    assert len(rows) == report.height
    return rows


def chosen(row: dict[str, int], names: list[str]) -> dict[str, int]:
    return {name: row[name] for name in names}


def holds(report: pl.DataFrame, condition: pl.Expr) -> bool:
    """Whether a condition is true, and not null, in every row."""
    return report.select(condition.fill_null(value=False).all()).item() is True


def as_bytes(report: pl.DataFrame) -> bytes:
    return report.write_csv().encode()


# --- the parts of a window ---------------------------------------------------------------------------


@given(cases(max_stores=3), assumptions)
def test_uptime_downtime_and_unknown_add_up_to_business_time(case: Case, assume: Assume) -> None:
    report = case.report(assume=assume)
    parts = [pl.col(name) for name in ("uptime_us", "downtime_us", "unknown_us")]
    assert holds(report, pl.sum_horizontal(parts) == pl.col("business_us"))
    assert holds(report, pl.min_horizontal(parts) >= 0)
    assert holds(report, pl.col("business_us") <= pl.col("end_us") - pl.col("start_us"))


@given(cases(max_stores=3), assumptions)
def test_uptime_lies_between_its_bounds(case: Case, assume: Assume) -> None:
    report = case.report(assume=assume)
    assert holds(report, pl.col("uptime_min_us") <= pl.col("uptime_us"))
    assert holds(report, pl.col("uptime_us") <= pl.col("uptime_max_us"))
    assert holds(report, (pl.col("uptime_min_us") >= 0) & (pl.col("uptime_max_us") <= pl.col("business_us")))


@given(cases(max_stores=3), assumptions)
def test_confirmed_time_is_watched_and_watched_time_is_business_time(case: Case, assume: Assume) -> None:
    report = case.report(assume=assume)
    confirmed = pl.col("uptime_min_us") + pl.col("business_us") - pl.col("uptime_max_us")
    assert holds(report, confirmed <= pl.col("watched_us"))
    assert holds(report, pl.col("watched_us") <= pl.col("business_us"))


@given(cases(max_stores=3), RULES, assumptions)
def test_coverage_depends_on_no_policy_and_on_no_status(case: Case, rules: oracle.Rules, assume: Assume) -> None:
    names = ["store_id", "window", "business_us", "watched_us", "coverage"]
    other = replace(
        case,
        rules=replace(rules, confirm_within_us=case.rules.confirm_within_us),
        observations=[(store, at, "unknown") for store, at, _ in case.observations],
    )
    assert other.report(assume=assume).select(names).equals(case.report().select(names))


@given(cases(max_stores=3), RULES)
def test_known_time_is_the_watched_time_if_only_that_is_asked_for(case: Case, rules: oracle.Rules) -> None:
    polls = [row for row in case.observations if row[2] != "unknown"]
    case = replace(case, observations=polls, rules=replace(rules, only_watched=True, max_age_us=None))
    report = case.report()
    assert holds(report, pl.col("uptime_us") + pl.col("downtime_us") == pl.col("watched_us"))


@FEWER
@given(cases(max_stores=3))
def test_assume_moves_unknown_time_and_nothing_else(case: Case) -> None:
    plain = case.report()
    unknown, zero = plain["unknown_us"], plain["unknown_us"] * 0
    raw = ["raw_uptime_us", "raw_downtime_us", "raw_unknown_us"]
    moved = ["uptime_us", "downtime_us", "unknown_us", "availability", *raw]
    active, inactive = case.report(assume="active"), case.report(assume="inactive")
    assert active.drop(moved).equals(plain.drop(moved))
    assert inactive.drop(moved).equals(plain.drop(moved))
    assert active["unknown_us"].equals(zero)
    assert inactive["unknown_us"].equals(zero)
    assert active["uptime_us"].equals(plain["uptime_us"] + unknown)
    assert inactive["downtime_us"].equals(plain["downtime_us"] + unknown)
    for report in (plain, active, inactive):  # there is no ledger
        assert all(report[name].equals(report[name.removeprefix("raw_")]) for name in raw)


@FEWER
@given(cases(max_stores=2), st.lists(st.integers(-9 * DAY_US, DAY_US), min_size=3, max_size=5, unique=True))
def test_a_window_split_anywhere_adds_up(case: Case, shifts: list[int]) -> None:
    cuts = {case.as_of_us + shift for shift in shifts} | {at for _, at, _ in case.observations[:4]}
    parts = [(f"part_{start}", start, end) for start, end in pairwise(sorted(cuts))]
    whole = ("whole", parts[0][1], parts[-1][2])
    rows = rows_of(replace(case, extra_windows=(whole, *parts)).report())
    for store in case.stores:
        total, split = rows[store, "whole"], [rows[store, name] for name, _, _ in parts]
        assert {name: sum(part[name] for part in split) for name in ADDITIVE} == chosen(total, ADDITIVE)
        # An outage that a cut parts counts on both sides of it.
        outages, longest = ([part[name] for part in split] for name in ("outages", "longest_outage_us"))
        assert sum(outages) - len(parts) < total["outages"] <= sum(outages)
        assert max(longest) <= total["longest_outage_us"] <= sum(longest)


@given(cases(max_stores=3))
def test_an_hour_is_at_most_its_day_and_a_day_at_most_its_week(case: Case) -> None:
    rows = rows_of(case.report())
    names = [*ADDITIVE, "outages", "longest_outage_us"]
    for store in case.stores:
        hour, day, week = (rows[store, f"last_{name}"] for name in ("hour", "day", "week"))
        assert all(hour[name] <= day[name] <= week[name] for name in names)
        assert all(hour[name] <= HOUR_US and day[name] <= DAY_US for name in DURATIONS)


@FEWER
@given(cases(max_stores=3))
def test_every_number_is_a_view_of_one_timeline(case: Case) -> None:
    start = case.as_of_us - 7 * DAY_US
    tables, policy = case.tables(), case.policy()
    spans = uphours.timeline(*tables, start=start, as_of=case.as_of_us, policy=policy)
    lengths = spans.with_columns((pl.col("end") - pl.col("start")).dt.total_microseconds().alias("us"))
    outages = uphours.outages(*tables, start=start, as_of=case.as_of_us, policy=policy)
    rows = rows_of(case.report())
    for store in case.stores:
        week = rows[store, "last_week"]
        own, down = lengths.filter(store_id=store), outages.filter(store_id=store)["downtime_us"]
        assert own.filter(status="up")["us"].sum() == week["uptime_us"]
        assert own.filter(status="down")["us"].sum() == week["downtime_us"] == down.sum()
        assert own.filter(status="unknown")["us"].sum() == week["unknown_us"]
        assert own.filter(status="up", confirmed=True)["us"].sum() == week["uptime_min_us"]
        assert (len(down), down.max() or 0) == (week["outages"], week["longest_outage_us"])


# --- what must not matter ----------------------------------------------------------------------------


@FEWER
@given(cases(max_stores=3), st.randoms(use_true_random=False))
def test_order_and_repetition_of_the_input_change_no_byte(case: Case, random: Random) -> None:
    expected = as_bytes(case.report())

    def disordered(rows: list[Any]) -> list[Any]:
        return random.sample(rows, len(rows)) + (random.choices(rows, k=len(rows)) if rows else [])

    again = uphours.report(
        observation_table(disordered(case.observations)),
        hours_table(disordered(case.hours)),
        zone_table(disordered(list(case.zones.items()))),
        as_of=case.as_of_us,
        windows=[
            "last_hour",
            "last_day",
            "last_week",
            *(uphours.Window(*row) for row in case.extra_windows),
        ],
        policy=case.policy(),
        all_stores=True,
    )
    assert as_bytes(again) == expected


@FEWER
@given(cases(max_stores=3))
def test_a_store_does_not_depend_on_the_other_stores(case: Case) -> None:
    together = case.report()
    for store in case.stores:
        own = together.filter(pl.col("store_id") == store)
        assert own.equals(case.only(store).report())
        assert own.equals(case.report(stores=[store]))


@FEWER
@given(
    cases(max_stores=3),
    st.lists(st.tuples(st.integers(1, 3 * DAY_US), st.booleans()), min_size=1, max_size=5),
)
def test_nothing_after_as_of_matters(case: Case, later: list[tuple[int, bool]]) -> None:
    seen = [row for row in case.observations if row[1] <= case.as_of_us]
    extra = [
        (store, case.as_of_us + shift, "active" if up else "inactive") for store in case.stores for shift, up in later
    ]
    for all_stores in (True, False):
        # The tables of hours and zones name the stores that are left, so the list of stores is the same.
        known = {row[0] for row in case.hours} | set(case.zones) | {row[0] for row in seen}
        stores = sorted(known)
        with_later = replace(case, observations=seen + extra).report(all_stores=all_stores, stores=stores)
        without = replace(case, observations=seen).report(all_stores=all_stores, stores=stores)
        assert as_bytes(with_later) == as_bytes(without)


# --- what must go one way ----------------------------------------------------------------------------


@FEWER
@given(cases(max_stores=3), st.lists(st.integers(0, 1000), min_size=1, max_size=3))
def test_turning_an_observation_up_never_lowers_uptime(case: Case, picks: list[int]) -> None:
    if not case.observations:
        return
    # Both rows of a conflict turn up: the one that is down would win.
    turned = {case.observations[pick % len(case.observations)][:2] for pick in picks}
    better = [row if row[:2] not in turned else (*row[:2], "active") for row in case.observations]
    before, after = case.report(), replace(case, observations=better).report()
    for name in ("uptime_us", "uptime_min_us", "uptime_max_us"):
        assert (after[name] >= before[name]).all()
    assert (after["downtime_us"] <= before["downtime_us"]).all()
    assert (after["unknown_us"] <= before["unknown_us"]).all()
    if not any(row[:2] in turned and row[2] == "unknown" for row in case.observations):
        assert after["unknown_us"].equals(before["unknown_us"])


@FEWER
@given(cases(max_stores=3), st.integers(1, 8 * DAY_US), st.integers(0, 8 * DAY_US))
def test_a_shorter_max_age_only_turns_known_time_into_unknown(case: Case, age_us: int, more_us: int) -> None:
    ages = [age_us, age_us + more_us, None]
    reports = [replace(case, rules=replace(case.rules, max_age_us=age)).report() for age in ages]
    for shorter, longer in pairwise(reports):
        for name in ("uptime_us", "downtime_us", "uptime_min_us"):
            assert (shorter[name] <= longer[name]).all()
        assert (shorter["unknown_us"] >= longer["unknown_us"]).all()
        assert shorter["business_us"].equals(longer["business_us"])


# --- time turned round -------------------------------------------------------------------------------

MIRROR_US = 1_674_432_000_000_000  # Monday 2023-01-23 00:00 UTC: weeks of UTC map onto weeks
WEEK_MINUTES = 7 * 24 * 60
GRID = 5  # minutes; so no closing time is 23:59, which would mean 24:00 and spoil the mirror


def mirrored(instant_us: int) -> int:
    return 2 * MIRROR_US - instant_us


def opening_row(start_minute: int, length: int) -> oracle.HoursRow:
    """Return the row that opens at a minute of the week for 1 to 1440 minutes."""
    day, start = divmod(start_minute % WEEK_MINUTES, 24 * 60)
    end = (start + length) % (24 * 60)
    return ("1", day, f"{start // 60:02d}:{start % 60:02d}", f"{end // 60:02d}:{end % 60:02d}")


@st.composite
def instants_off_the_grid(draw: st.DrawFn) -> int:
    """Draw an even instant on no whole minute: no session starts or ends there, no midpoint is rounded."""
    minute = draw(st.integers(-9 * 24 * 60, 9 * 24 * 60))
    return MIRROR_US + minute * MINUTE_US + draw(st.sampled_from([2, 30_000_000, 59_999_998]))


@st.composite
def a_case_and_its_mirror_image(draw: st.DrawFn) -> tuple[Case, Case]:
    """Draw a store in UTC whose observations all lie in one window, and what it is when time runs backwards.

    A span ``[a, b)`` becomes ``[m - b, m - a)`` and keeps its length exactly, though the instant `a` itself
    is mirrored to `m - a`, just outside. What has no mirror image is kept out: an observation on an opening
    or a closing (inside the session at one end only), and two observations with an odd sum (their midpoint
    is rounded down).
    """
    openings = draw(
        st.lists(st.tuples(st.integers(0, WEEK_MINUTES // GRID - 1), st.integers(1, 24 * 60 // GRID)), max_size=6)
    )
    # The two ends of the window are the first and the last instant at which an observation may be.
    start, *inner, end = sorted(draw(st.lists(instants_off_the_grid(), min_size=2, max_size=10, unique=True)))
    ends = draw(st.sampled_from([[], [start], [end], [start, end]]))
    polls = [("1", at, "active" if draw(st.booleans()) else "inactive") for at in sorted([*inner, *ends])]
    rules = replace(draw(RULES), only_watched=False)  # time after the last one is watched, before the first one not
    ahead = Case(
        polls,
        [opening_row(GRID * at, GRID * length) for at, length in openings],
        {"1": "UTC"},
        end,
        rules,
        (("whole", start, end),),
    )
    back = Case(
        [(store, mirrored(at), status) for store, at, status in polls],
        [opening_row(-GRID * (at + length), GRID * length) for at, length in openings],
        {"1": "UTC"},
        mirrored(start),
        replace(rules, interpolation=turned_round(rules)),
        (("whole", mirrored(end), mirrored(start)),),
    )
    return ahead, back


def turned_round(rules: oracle.Rules) -> oracle.Interpolation:
    mirror: dict[oracle.Interpolation, oracle.Interpolation] = {
        "previous": "next",
        "next": "previous",
        "nearest": "nearest",
    }
    return mirror[rules.interpolation]


@given(a_case_and_its_mirror_image())
def test_reversing_time_swaps_previous_and_next(pair: tuple[Case, Case]) -> None:
    ahead, back = pair
    # An observation at the start of a window is in it, one at its end is not: their number may differ. And time after
    # the last one is watched, before the first one it is not.
    names = [name for name in ADDITIVE if name not in ("observations", "watched_us")] + ["outages", "longest_outage_us"]
    one, other = (rows_of(case.report())["1", "whole"] for case in (ahead, back))
    assert chosen(one, names) == chosen(other, names)
