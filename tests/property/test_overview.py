"""The state of a store, and since when, agree with the slow oracle; pages are the whole list, cut."""

from dataclasses import replace
from itertools import chain, pairwise
from typing import Any, NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

import uphours
from tests import oracle
from tests.oracle import DAY_US, HOUR_US
from tests.property.strategies import FEWER, MORE, Case, cases, whole_weeks
from uphours.reports.fleet import Overview, facts, overview
from uphours.reports.store_list import LACKING, SORTS, selected
from uphours.reports.store_states import STATES
from uphours.wire.words import StoreOrder

WEEK_US = 7 * DAY_US
WEDNESDAY = 1_674_604_800_000_000
CLOSED_ALL_ALONG = Case([], [("1", 0, "18:00", "02:00")], {"1": "UTC"}, WEDNESDAY)
#: Observed at as_of, one microsecond later, and at the very start of the last week.
ON_THE_EDGES = Case(
    [
        ("1", WEDNESDAY, "inactive"),
        ("1", WEDNESDAY + 1, "active"),
        ("1", WEDNESDAY - WEEK_US, "inactive"),
        ("1", WEDNESDAY - WEEK_US - 1, "active"),
    ],
    [],
    {"1": "UTC"},
    WEDNESDAY,
)


class Seen(NamedTuple):
    """What is said of one store: its state, since when, and when it was last observed."""

    state: str
    since_us: int | None
    last_observed_at_us: int | None


def seen(made: Overview) -> dict[str, Seen]:
    rows = [facts(made, i) for i in range(len(made.store_ids))]
    return {row["store_id"]: Seen(*(row[name] for name in Seen._fields)) for row in rows}


def looked_at(case: Case, **options: Any) -> Overview:
    """Put the case to the library."""
    fleet = uphours.validate(*case.tables()).fleet
    return overview(fleet, as_of=case.as_of_us, policy=case.policy(), **options)


def expected(case: Case, store: str) -> Seen:
    """Return what the oracle says, back to the first observation."""
    polls = oracle.polls_of(store, case.observations, case.as_of_us)
    last = polls[-1][0] if polls else None
    opened = sessions_around(case, store, polls)
    if not any(opens <= case.as_of_us < closes for opens, closes in opened):
        return Seen("closed", max((closes for _, closes in opened if closes <= case.as_of_us), default=None), last)
    if not polls:
        return Seen("unknown", None, None)
    spans = spans_since(case, store, polls[0][0])
    since, _, state, _ = spans.pop()
    while spans and spans[-1][2] == state:
        since = spans.pop()[0]
    return Seen(state, since, last)


def expected_in_a_list(case: Case, store: str) -> Seen:
    """Return what the oracle says if it looks back for a week."""
    found = expected(case, store)
    polls = oracle.polls_of(store, case.observations, case.as_of_us)
    back_to = case.as_of_us - WEEK_US
    if found.state == "closed" or found.since_us is None or polls[0][0] > back_to:
        return found
    first_open = spans_since(case, store, back_to)[0][0]
    return found._replace(since_us=found.since_us if found.since_us > first_open else None)


def sessions_around(case: Case, store: str, polls: list[oracle.Poll]) -> list[oracle.Interval]:
    instants = [case.as_of_us, case.as_of_us - 15 * DAY_US, *(at for at, _ in polls)]
    return oracle.true_sessions(store, case.hours, case.zones, instants)


def spans_since(case: Case, store: str, start_us: int) -> list[oracle.Span]:
    """Return the spans up to as_of and over the microsecond that begins with it."""
    polls = oracle.polls_of(store, case.observations, case.as_of_us)
    return oracle.spans_of(polls, sessions_around(case, store, polls), start_us, case.as_of_us + 1, case.rules)


@MORE
@example(CLOSED_ALL_ALONG)
@example(ON_THE_EDGES)
@given(cases(max_stores=3))
def test_states_in_a_list_equal_the_oracle(case: Case) -> None:
    assert seen(looked_at(case)) == {store: expected_in_a_list(case, store) for store in case.stores}


@example(CLOSED_ALL_ALONG)
@example(ON_THE_EDGES)
@given(cases(max_stores=2))
def test_states_over_the_whole_history_equal_the_oracle(case: Case) -> None:
    assert seen(looked_at(case, whole_history=True)) == {store: expected(case, store) for store in case.stores}


@given(case=cases(max_stores=1), place=st.integers(0, 30), shift=st.sampled_from([-1, 0, 1]))
def test_states_at_the_bounds_of_sessions_equal_the_oracle(case: Case, place: int, shift: int) -> None:
    for store in case.stores:
        around = {"start_us": case.as_of_us - 3 * DAY_US, "end_us": case.as_of_us + 3 * DAY_US}
        bounds = [bound for session in oracle.sessions(store, case.hours, case.zones, **around) for bound in session]
        if bounds:
            moved = replace(case, as_of_us=bounds[place % len(bounds)] + shift)
            assert seen(looked_at(moved))[store] == expected_in_a_list(moved, store)


@FEWER
@given(case=cases(max_stores=2), week=whole_weeks(), up_bits=st.integers(0, 2**60 - 1), step_us=st.integers(1, HOUR_US))
def test_states_of_stores_that_hardly_ever_close_equal_the_oracle(
    case: Case, week: list[tuple[int, str, str]], up_bits: int, step_us: int
) -> None:
    polls = [
        (store, case.as_of_us - number * (6 * HOUR_US + step_us), "active" if up_bits >> number & 1 else "inactive")
        for store in case.stores
        for number in range(60)
    ]
    full = replace(case, observations=polls, hours=[(store, *row) for store in case.stores for row in week])
    assert seen(looked_at(full)) == {store: expected_in_a_list(full, store) for store in full.stores}
    assert seen(looked_at(full, whole_history=True)) == {store: expected(full, store) for store in full.stores}


@FEWER
@given(cases(max_stores=4))
def test_what_is_observed_later_changes_nothing(case: Case) -> None:
    by_then = replace(case, observations=[row for row in case.observations if row[1] <= case.as_of_us])
    known = seen(looked_at(by_then))
    later = seen(looked_at(case))
    assert {store: later[store] for store in known} == known


@FEWER
@given(cases(max_stores=4))
def test_figures_are_those_of_the_report(case: Case) -> None:
    made = looked_at(case, window="last_day")
    rows = uphours.report(
        *case.tables(), as_of=case.as_of_us, windows=["last_day"], policy=case.policy(), all_stores=True
    )
    for i, row in enumerate(rows.drop("window", "start_us", "end_us").to_dicts()):
        found = facts(made, i)
        assert {name: found[name] for name in row} == row


# --- pages -------------------------------------------------------------------------------------------


@st.composite
def fleets(draw: st.DrawFn) -> Overview:
    """Draw a fleet of many stores of which many are alike, so that there are ties."""
    ids = draw(st.lists(st.text("aAbB01ü-", min_size=1, max_size=4), max_size=14, unique=True))
    observations = [
        (store, WEDNESDAY - hours * HOUR_US, status)
        for store in ids
        for hours, status in draw(
            st.lists(st.tuples(st.sampled_from([0, 1, 6, 200]), st.sampled_from(["active", "inactive"])), max_size=3)
        )
    ]
    closed = [(store, 0, "09:00", "17:00") for store in ids if draw(st.integers(0, 3)) == 0]
    drawn = {store: draw(st.sampled_from(["UTC", "Asia/Kathmandu", "America/Chicago", None])) for store in ids}
    zones = {store: zone for store, zone in drawn.items() if zone is not None}
    return looked_at(Case(observations, closed, zones, WEDNESDAY))


FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "search": st.sampled_from(["a", "B", "1", "Ü"]),
        "states": st.sets(st.sampled_from(STATES)),
        "timezones": st.sets(st.sampled_from(["UTC", "America/Chicago", "Asia/Tokyo"])),
        "availability_below": st.sampled_from([0, 0.5, 1]),
        "without": st.sets(st.sampled_from(LACKING)),
        "observed": st.sampled_from(["ever", "never"]),
        "last_observed_before": st.sampled_from([WEDNESDAY, WEDNESDAY - HOUR_US, WEDNESDAY - 6 * HOUR_US + 1]),
    },
)


#: What a list is sorted by, where it has another name.
COLUMN_OF = {"lost_time": "downtime_us", "since": "since_us", "last_observed": "last_observed_at_us"}
#: Later than any instant: of a store that was never observed there is no last observation.
NOBODY = 2**62


def by_definition(made: Overview, sort: StoreOrder, *, descending: bool, filters: dict[str, Any]) -> list[str]:
    """Return the ids of the whole list: one sort by a key in plain Python."""
    rows = [facts(made, i) for i in range(len(made.store_ids))]
    name = COLUMN_OF.get(sort, sort)
    kept = [
        row
        for row in rows
        if filters.get("search", "").lower() in row["store_id"].lower()
        and row["state"] in filters.get("states", STATES)
        and row["timezone"] in filters.get("timezones", {row["timezone"]})
        and (
            "availability_below" not in filters
            or (row["availability"] is not None and row["availability"] < filters["availability_below"])
        )
        and not ("hours" in filters.get("without", ()) and not row["hours_are_default"])
        and not ("timezone" in filters.get("without", ()) and not row["timezone_is_default"])
        and filters.get("observed") != ("ever" if row["last_observed_at_us"] is None else "never")
        and (
            "last_observed_before" not in filters
            or (row["last_observed_at_us"] or NOBODY) < filters["last_observed_before"]
        )
    ]
    with_value = sorted((row for row in kept if row[name] is not None), key=lambda row: row["store_id"])
    with_value.sort(key=lambda row: row[name], reverse=descending)
    without = sorted(row["store_id"] for row in kept if row[name] is None)
    return [row["store_id"] for row in with_value] + without


@MORE
@given(made=fleets(), sort=st.sampled_from(SORTS), descending=st.booleans(), filters=FILTERS, limit=st.integers(1, 15))
def test_pages_put_together_are_the_whole_sorted_list(
    made: Overview, sort: StoreOrder, descending: bool, filters: dict[str, Any], limit: int
) -> None:
    whole = by_definition(made, sort, descending=descending, filters=filters)
    pages: list[list[str]] = []
    after = None
    while not pages or after is not None:
        page = selected(made, sort=sort, descending=descending, after=after, limit=limit, **filters)
        pages.append([made.store_ids[row] for row in page.rows])
        assert page.total_matching == len(whole)
        after = page.end
    assert list(chain.from_iterable(pages)) == whole
    assert all(len(page) == limit for page in pages[:-1])
    assert bool(pages[-1]) == bool(whole)


@FEWER
@given(made=fleets(), sort=st.sampled_from(SORTS), descending=st.booleans())
def test_the_order_is_total(made: Overview, sort: StoreOrder, descending: bool) -> None:
    page = selected(made, sort=sort, descending=descending, limit=100)
    assert sorted(page.rows) == list(range(len(made.store_ids)))
    name = COLUMN_OF.get(sort, sort)
    values = [facts(made, row)[name] for row in page.rows]
    for (row, value), (next_row, next_value) in pairwise(zip(page.rows, values, strict=True)):
        if value is None or value == next_value:
            assert next_value == value
            assert row < next_row
        elif next_value is not None:
            assert (value > next_value) == descending
