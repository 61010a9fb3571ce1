"""What holds of every calendar and ledger, checked on the slow oracle, which shows that the random cases are good."""

from collections.abc import Iterable
from dataclasses import fields, replace
from datetime import date, timedelta
from itertools import pairwise, permutations

from hypothesis import assume, given
from hypothesis import strategies as st

from tests import operations_oracle as oracle
from tests.operations_oracle import ALL_STORES, DAY_US, CountsAs, Entry, Figures, Fleet, HoursRow, Interval, SpecialRow
from tests.property.operations_strategies import Case, cases, weeks_of
from tests.property.strategies import FEWER

KINDS: st.SearchStrategy[CountsAs] = st.sampled_from(["excluded", "up", "down", "unknown"])
PARTS = [part.name for part in fields(Figures)]


def figures(case: Case, window: Interval, fleet: Fleet | None = None, store: str = "") -> Figures:
    return oracle.figures(fleet or case.fleet, store or case.store, window, case.as_of_us)


def total(parts: Iterable[Figures]) -> Figures:
    result = Figures()
    for part in parts:
        result += part
    return result


def assert_whole(said: Figures) -> None:
    assert said.uptime_us + said.downtime_us + said.unknown_us + said.excluded_us == said.scheduled_us
    assert said.raw_uptime_us + said.raw_downtime_us + said.raw_unknown_us == said.scheduled_us
    assert said.uptime_us + said.downtime_us + said.unknown_us == said.business_us
    assert said.confirmed_uptime_us <= said.uptime_us
    assert said.confirmed_downtime_us <= said.downtime_us
    assert 0 <= said.watched_us <= said.business_us
    assert said.scheduled_us <= said.scheduled_whole_us
    assert said.business_us <= said.business_whole_us
    assert all(getattr(said, part) >= 0 for part in PARTS)


@FEWER
@given(cases())
def test_the_parts_are_the_scheduled_time(case: Case) -> None:
    for window in case.windows:
        for store in case.fleet.stores:
            assert_whole(figures(case, window, store=store))
        for said in oracle.group_figures(case.fleet, ["region"], window, case.as_of_us).values():
            assert_whole(said)


@FEWER
@given(cases())
def test_outside_of_the_ledger_adjusted_is_raw(case: Case) -> None:
    entries = oracle.live_entries(case.fleet, case.store)
    for window in case.windows:
        end = min(window[1], case.as_of_us)
        without = oracle.timeline(replace(case.fleet, ledger=()), case.store, (window[0], end), case.as_of_us)
        for span in oracle.timeline(case.fleet, case.store, (window[0], end), case.as_of_us):
            (unadjusted,) = [other for other in without if other.start <= span.start < other.end]
            assert span.raw == unadjusted.raw
            if not any(entry.start_us <= span.start < entry.end_us for entry in entries):
                assert span[2:] == unadjusted[2:]


@FEWER
@given(cases(max_stores=1), st.data())
def test_disjoint_entries_may_be_entered_in_any_order(case: Case, data: st.DataObject) -> None:
    bounds = sorted(data.draw(st.lists(st.integers(*case.around), min_size=6, max_size=6, unique=True)))
    kinds = data.draw(st.lists(KINDS, min_size=3, max_size=3))
    intervals = list(zip(kinds, bounds[::2], bounds[1::2], strict=True))
    answers = {
        tuple(
            figures(case, window, replace(case.fleet, ledger=[
                Entry(number, case.store, start, end, kind)
                for number, (kind, start, end) in enumerate(order, 1)
            ]))
            for window in case.windows
        )
        for order in permutations(intervals)
    }  # fmt: skip
    assert len(answers) == 1


@FEWER
@given(cases(), st.data())
def test_an_entry_and_its_withdrawal_are_nothing_and_twice_is_once(case: Case, data: st.DataObject) -> None:
    ledger = [*case.fleet.ledger]
    newest = max((entry.number for entry in ledger), default=0)
    start, end = sorted(data.draw(st.lists(st.integers(*case.around), min_size=2, max_size=2, unique=True)))
    entry = Entry(newest + 1, case.store, start, end, data.draw(KINDS))
    withdrawal = Entry(newest + 2, case.store, 0, 0, "withdrawal", entry.number)
    for window in case.windows:
        once = figures(case, window, replace(case.fleet, ledger=[*ledger, entry]))
        assert once == figures(
            case, window, replace(case.fleet, ledger=[*ledger, entry, entry._replace(number=newest + 2)])
        )
        assert figures(case, window) == figures(case, window, replace(case.fleet, ledger=[*ledger, entry, withdrawal]))


@FEWER
@given(cases())
def test_excluded_time_is_the_closures_inside_of_the_sessions(case: Case) -> None:
    for window in case.windows:
        bounds = (window[0], max(window[0], min(window[1], case.as_of_us)))
        opened = oracle.clipped(oracle.sessions(case.fleet, case.store, bounds), bounds)
        closed = oracle.intersection(opened, oracle.closures(case.fleet, case.store))
        assert figures(case, window).excluded_us == oracle.measure(closed)


@FEWER
@given(cases(), st.data())
def test_a_window_may_be_split_anywhere(case: Case, data: st.DataObject) -> None:
    for start, end in case.windows:
        cuts = sorted({start, end, *data.draw(st.lists(st.integers(start, end), max_size=3))})
        pieces = [figures(case, piece) for piece in pairwise(cuts)]
        assert total(pieces) == figures(case, (start, end))


@FEWER
@given(cases(has_weeks=True), st.data())
def test_a_dated_week_changes_no_session_before_its_first_row(case: Case, data: st.DataObject) -> None:
    store, day = case.store, case.near + timedelta(days=data.draw(st.integers(-5, 5)))
    before = [row for row in case.fleet.hours if row.store != store or row.valid_from < day.isoformat()]
    assume(any(row.store == store for row in before))  # otherwise it was always open before, and now is not
    drawn = data.draw(st.composite(lambda draw: weeks_of(draw, store, case.near, (), at_least=1))())
    newest = max(row.valid_from for row in drawn)
    added = [row._replace(valid_from=day.isoformat()) for row in drawn if row.valid_from == newest]
    old, new = replace(case.fleet, hours=before), replace(case.fleet, hours=[*before, *added])
    firsts = [
        oracle.to_utc_us(moment, start, oracle.zone_on(fleet, store, moment))
        for fleet in (old, new)
        for moment in (day + timedelta(days=number) for number in range(30))
        for start, _ in oracle.schedule(fleet, store, moment)[1]
    ]
    window = (min(case.around[0], oracle.midnight_us(new, store, day) - 20 * DAY_US), min(firsts, default=oracle.END))
    if window[0] < window[1]:
        window = (window[0], min(window[1], window[0] + 60 * DAY_US))
        assert oracle.clipped(oracle.sessions(old, store, window), window) == oracle.clipped(
            oracle.sessions(new, store, window), window
        )


def as_special(fleet: Fleet, store: str, days: Iterable[date]) -> list[SpecialRow]:
    """Write what is scheduled on some dates as special hours."""
    rows = []
    for day in days:
        openings = [
            SpecialRow(store, day.isoformat(), clock(start), clock(end))
            for start, end in oracle.schedule(fleet, store, day)[1]
        ]
        rows += openings or [SpecialRow(store, day.isoformat(), "closed", "closed")]
    return rows


def clock(wall_us: int) -> str:
    seconds, fraction = divmod(wall_us, oracle.SECOND_US)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction:06}"


def is_scheduled(fleet: Fleet, store: str, day: date) -> bool:
    return oracle.schedule(fleet, store, day)[0] not in ("outside", "no zone yet")


@FEWER
@given(cases(has_weeks=True))
def test_dated_weeks_are_the_same_days_as_special_hours(case: Case) -> None:
    store, fleet = case.store, case.fleet
    days = [case.near + timedelta(days=number) for number in range(-40, 41)]
    special = as_special(fleet, store, days)
    others = [row for row in fleet.special if row.store not in (store, ALL_STORES)]
    closed = [HoursRow(store, day, "closed", "closed") for day in range(7)]
    hours = [row for row in fleet.hours if row.store != store] + closed
    written = replace(fleet, hours=hours, special=[*others, *special])
    within = (oracle.midnight_us(fleet, store, days[8]), oracle.midnight_us(fleet, store, days[-8]))
    assert oracle.clipped(oracle.sessions(fleet, store, within), within) == oracle.clipped(
        oracle.sessions(written, store, within), within
    )


@FEWER
@given(cases(has_weeks=True), st.data())
def test_special_hours_like_the_weekly_ones_change_nothing(case: Case, data: st.DataObject) -> None:
    store, fleet = case.store, case.fleet
    shifts = data.draw(st.lists(st.integers(-9, 9), min_size=1, max_size=4, unique=True))
    days = [case.near + timedelta(days=shift) for shift in shifts]
    others = [row for row in fleet.special if row.store != store or row.date not in {d.isoformat() for d in days}]
    written = replace(fleet, special=[*others, *as_special(fleet, store, days)])
    for window in case.windows:
        assert figures(case, window) == figures(case, window, written)


@FEWER
@given(cases(max_stores=3))
def test_groups_by_any_attribute_sum_to_the_fleet(case: Case) -> None:
    for window in case.windows:
        fleet = total(figures(case, window, store=store) for store in case.fleet.stores)
        by_region = oracle.group_figures(case.fleet, ["region"], window, case.as_of_us)
        by_both = oracle.group_figures(case.fleet, ["region", "brand"], window, case.as_of_us)
        assert total(by_region.values()) == fleet
        for region, said in by_region.items():
            assert total(value for key, value in by_both.items() if key[:1] == region) == said


@FEWER
@given(cases(), st.integers(0, 100_000), st.data())
def test_used_and_left_are_the_budget_and_a_closure_raises_nothing(case: Case, share: int, data: st.DataObject) -> None:
    for window in case.windows:
        said = oracle.target(case.fleet, case.fleet.stores, window, case.as_of_us, share)
        assert said.used_us + said.left_us == said.budget_us
        assert said.exhausted_at_us is None or case.as_of_us < said.exhausted_at_us <= window[1]
    newest = max((entry.number for entry in case.fleet.ledger), default=0)
    start, end = sorted(data.draw(st.lists(st.integers(*case.around), min_size=2, max_size=2, unique=True)))
    closure = Entry(newest + 1, case.store, start, end, "excluded")
    closed = replace(case.fleet, ledger=[*case.fleet.ledger, closure])
    for window in case.windows:
        before, after = figures(case, window), figures(case, window, closed)
        for part in ("uptime_us", "downtime_us", "unknown_us", "watched_us", "business_whole_us"):
            assert getattr(after, part) <= getattr(before, part)
        assert after.scheduled_us == before.scheduled_us
        assert after.raw_downtime_us == before.raw_downtime_us


@FEWER
@given(cases())
def test_a_restatement_is_what_was_sealed_and_the_difference(case: Case) -> None:
    def all_stores(fleet: Fleet) -> dict[str, Figures]:
        return {store: figures(case, case.windows[-1], fleet, store) for store in fleet.stores}

    sealed, now = all_stores(replace(case.fleet, ledger=())), all_stores(case.fleet)
    difference = oracle.restated(sealed, now)
    assert {store: sealed[store] + difference[store] for store in sealed} == now
    assert set(oracle.restated(now, now).values()) == {Figures()}


@FEWER
@given(cases(max_stores=3, has_ledger=False))
def test_the_order_of_rows_changes_nothing(case: Case) -> None:
    parts = ("polls", "hours", "zones", "special", "attributes", "ledger")
    turned = replace(case.fleet, **{part: getattr(case.fleet, part)[::-1] for part in parts})
    for window in case.windows:
        assert [figures(case, window, store=s) for s in case.fleet.stores] == [
            figures(case, window, turned, s) for s in turned.stores
        ]
