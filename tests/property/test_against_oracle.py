"""The library and the slow oracle agree to the microsecond, on cases drawn where such programs go wrong."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

import uphours
from tests import oracle
from tests.oracle import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from tests.property.strategies import (
    FEWER,
    INSTANT,
    MORE,
    RULES,
    STORE_IDS,
    Case,
    cases,
    hours_rows,
    hours_table,
    whole_weeks,
    zone_table,
)

CLOSED_ALL_ALONG = Case([], [("1", 0, "18:00", "02:00")], {"1": "UTC"}, 1_674_604_800_000_000)  # a Wednesday
NO_STORE = Case([], [], {}, 1_674_604_800_000_000)


def expected_report(case: Case) -> list[dict[str, Any]]:
    """Return the report as the oracle has it: stores in text order, windows in the order asked for."""
    answers = case.answers()
    return [_row(store, window, answers[store, window[0]]) for store in case.stores for window in case.windows]


def _row(store: str, window: oracle.Window, answer: oracle.Answer) -> dict[str, Any]:
    name, start, end = window
    columns: dict[str, Any] = {"store_id": store, "window": name, "start_us": start, "end_us": end, **asdict(answer)}
    columns["hours_known"] = True
    # Without a ledger nothing is excluded, and the raw parts are the parts.
    columns |= {"excluded_us": 0, "scheduled_us": answer.business_us}
    columns |= {f"raw_{name}_us": columns[f"{name}_us"] for name in ("uptime", "downtime", "unknown")}
    columns["uptime_min_us"] = columns.pop("confirmed_uptime_us")
    columns["uptime_max_us"] = answer.business_us - columns.pop("confirmed_downtime_us")
    known = answer.uptime_us + answer.downtime_us
    columns["availability"] = answer.uptime_us / known if known else None
    columns["coverage"] = answer.watched_us / answer.business_us if answer.business_us else None
    return columns


def assert_report_equals_the_oracle(case: Case) -> None:
    assert case.report().to_dicts() == expected_report(case)


def by_store(table: pl.DataFrame) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of each store, in order of time, with instants as integers."""
    plain = table.with_columns(pl.col(INSTANT).cast(pl.Int64)).sort("store_id", "start")
    found: dict[str, list[tuple[Any, ...]]] = {}
    for store, *rest in plain.rows():
        found.setdefault(store, []).append(tuple(rest))
    return found


@MORE
@example(NO_STORE)
@example(CLOSED_ALL_ALONG)
@given(cases(max_stores=4))
def test_a_report_equals_the_oracle_for_every_store_and_window(case: Case) -> None:
    assert_report_equals_the_oracle(case)


def hourly_polls(as_of_us: int, up_bits: int, seen_bits: int) -> list[oracle.Observation]:
    """Return ten days of hourly polls with jitter; the bits say which were up, and which were made at all."""
    polls = []
    for number in range(240):
        jitter = number * 7_919_000_003 % (25 * 60 * SECOND_US)
        if seen_bits >> number & 1:
            status = "active" if up_bits >> number & 1 else "inactive"
            polls.append(("1", as_of_us + HOUR_US - number * HOUR_US - jitter, status))
    return polls


@given(
    case=cases(max_stores=1),
    up_bits=st.integers(0, 2**240 - 1),
    seen_bits=st.integers(0, 2**240 - 1),
    rules=RULES,
)
def test_a_report_of_hourly_polls_equals_the_oracle(
    case: Case, up_bits: int, seen_bits: int, rules: oracle.Rules
) -> None:
    polls = hourly_polls(case.as_of_us, up_bits, seen_bits)
    zones = case.zones or {"1": oracle.DEFAULT_ZONE}
    assert_report_equals_the_oracle(Case(polls, case.hours, zones, case.as_of_us, rules))


@FEWER
@given(
    case=cases(max_stores=2),
    week=whole_weeks(),
    days_ago=st.integers(9, 300),
    hours_ago=st.integers(1, 7 * 24 - 1),
    statuses=st.permutations(["active", "inactive"]),
)
def test_a_session_that_never_closes_reaches_back_to_the_oldest_observation(
    case: Case, week: list[tuple[int, str, str]], days_ago: int, hours_ago: int, statuses: list[str]
) -> None:
    polls = [
        (store, case.as_of_us - ago_us - number * DAY_US // 3, status)
        for number, store in enumerate(case.stores)
        for ago_us, status in zip((days_ago * DAY_US, hours_ago * HOUR_US), statuses, strict=True)
    ]
    hours = [(store, *row) for store in case.stores for row in week]
    rules = oracle.Rules(interpolation=case.rules.interpolation)
    assert_report_equals_the_oracle(replace(case, observations=polls, hours=hours, rules=rules))


@FEWER
@given(cases(max_stores=3))
def test_calendar_windows_equal_the_oracle_in_the_zone_of_each_store(case: Case) -> None:
    names = [name for name, _, _ in oracle.calendar_windows("UTC", case.as_of_us)]
    report = uphours.report(*case.tables(), as_of=case.as_of_us, windows=names, policy=case.policy(), all_stores=True)
    expected: list[dict[str, Any]] = []
    for store in case.stores:
        windows = oracle.calendar_windows(case.zones.get(store, oracle.DEFAULT_ZONE), case.as_of_us)
        answers = case.only(store).answers(windows)
        expected += [_row(store, window, answers[store, window[0]]) for window in windows]
    assert report.to_dicts() == expected


@FEWER
@given(case=cases(max_stores=3))
def test_a_report_without_all_stores_has_the_stores_seen_by_then(case: Case) -> None:
    seen = sorted({store for store, at, _ in case.observations if at <= case.as_of_us})
    report = case.report(all_stores=False)
    assert report["store_id"].unique(maintain_order=True).to_list() == seen
    assert report.equals(case.report().filter(pl.col("store_id").is_in(seen)))


@FEWER
@given(case=cases(max_stores=3))
def test_the_default_as_of_is_the_latest_observation(case: Case) -> None:
    if not case.observations:
        return
    latest = max(at for _, at, _ in case.observations)
    observations, hours, zones = case.tables()
    policy = case.policy()
    without = uphours.report(observations, hours, zones, policy=policy)
    assert without.equals(uphours.report(observations, hours, zones, as_of=latest, policy=policy))


@example(case=CLOSED_ALL_ALONG, before_us=0, length_us=DAY_US)
@given(case=cases(max_stores=3), before_us=st.integers(0, 9 * DAY_US), length_us=st.integers(1, 12 * DAY_US))
def test_sessions_equal_the_oracle(case: Case, before_us: int, length_us: int) -> None:
    start = case.as_of_us - before_us
    end = start + length_us
    _, hours, zones = case.tables()
    found = by_store(uphours.sessions(hours, zones, start=start, end=end))
    for store in {row[0] for row in case.hours} | set(case.zones):
        assert found.get(store, []) == oracle.sessions(store, case.hours, case.zones, start_us=start, end_us=end)


@example(case=CLOSED_ALL_ALONG, reach_us=DAY_US)
@given(case=cases(max_stores=3), reach_us=st.integers(1, 30 * DAY_US))
def test_a_timeline_equals_the_oracle(case: Case, reach_us: int) -> None:
    start = case.as_of_us - reach_us
    spans = by_store(uphours.timeline(*case.tables(), start=start, as_of=case.as_of_us, policy=case.policy()))
    for store in case.stores:
        # Where one span ends and an equal one begins is free; what they say is not.
        assert oracle.joined(spans.get(store, [])) == expected_timeline(case, store, start)


@example(case=CLOSED_ALL_ALONG, reach_us=DAY_US)
@given(case=cases(max_stores=3), reach_us=st.integers(1, 30 * DAY_US))
def test_outages_equal_the_oracle(case: Case, reach_us: int) -> None:
    start = case.as_of_us - reach_us
    found = by_store(uphours.outages(*case.tables(), start=start, as_of=case.as_of_us, policy=case.policy()))
    for store in case.stores:
        assert found.get(store, []) == oracle.outages(expected_timeline(case, store, start))


def expected_timeline(case: Case, store: str, start_us: int) -> list[oracle.Span]:
    return oracle.timeline(
        store,
        case.observations,
        case.hours,
        case.zones,
        start_us=start_us,
        as_of_us=case.as_of_us,
        rules=case.rules,
    )


SPELLINGS = [
    "{:%Y-%m-%d %H:%M:%S.%f} UTC",
    "{:%Y-%m-%d %H:%M:%S.%f}",
    "{:%Y-%m-%dT%H:%M:%S.%f}Z",
    "{:%Y-%m-%dT%H:%M:%S.%f}+00:00",
]


@FEWER
@given(cases(max_stores=2), st.sampled_from(SPELLINGS))
def test_a_timestamp_says_the_same_as_text_and_as_an_instant(case: Case, spelling: str) -> None:
    observations, hours, zones = case.tables()
    texts = [spelling.format(oracle.EPOCH + timedelta(microseconds=at_us)) for _, at_us, _ in case.observations]
    as_text = observations.with_columns(pl.Series("timestamp_utc", texts, dtype=pl.String))
    reports = [
        uphours.report(table, hours, zones, as_of=case.as_of_us, policy=case.policy())
        for table in (observations, as_text)
    ]
    assert reports[0].equals(reports[1])


@given(
    opens_minute=st.integers(0, 24 * 60 - 1),
    length_minutes=st.integers(22 * 60, 24 * 60),
    start_minute=st.integers(0, 3 * 24 * 60),
    zone=st.sampled_from(["Pacific/Kiritimati", "Pacific/Pago_Pago", "America/Los_Angeles", "Pacific/Auckland"]),
)
def test_an_opening_of_almost_a_day_is_seen_from_every_instant_in_it(
    opens_minute: int, length_minutes: int, start_minute: int, zone: str
) -> None:
    closes_minute = (opens_minute + length_minutes) % (24 * 60)
    opens, closes = (f"{minute // 60:02d}:{minute % 60:02d}" for minute in (opens_minute, closes_minute))
    rows = [("1", day, opens, closes) for day in range(7)]
    start = 1_674_432_000_000_000 + start_minute * MINUTE_US
    found = uphours.sessions(hours_table(rows), zone_table([("1", zone)]), start=start, end=start + 1)
    assert by_store(found).get("1", []) == oracle.sessions("1", rows, {"1": zone}, start_us=start, end_us=start + 1)


@FEWER
@given(st.lists(hours_rows((0, 60, 120, 180)), min_size=1, max_size=3), st.sampled_from(["UTC", "Asia/Gaza"]))
def test_a_day_may_be_written_as_text_or_as_a_number(weeks: Sequence[list[tuple[int, str, str]]], zone: str) -> None:
    rows = [(store, *row) for store, week in zip(STORE_IDS, weeks, strict=False) for row in week]
    hours, zones = hours_table(rows), zone_table([(store, zone) for store in STORE_IDS])
    span = {"start": "2023-04-20 00:00:00 UTC", "end": "2023-05-04 00:00:00 UTC"}
    as_text = hours.with_columns(pl.col("day").cast(pl.String))
    assert uphours.sessions(hours, zones, **span).equals(uphours.sessions(as_text, zones, **span))
