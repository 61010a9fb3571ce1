"""Targets: every figure is exactly that of the slow oracle, used and left are the budget, a closure raises nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests import operations_oracle as oracle
from tests.fixtures.databases import only_sqlite
from tests.fixtures.oracle_fleets import day_of, memory_fleet_of, policy_of
from tests.property.operations_strategies import Case, cases
from tests.property.strategies import FEWER
from uphours.kernel.periods import Period, period_around
from uphours.reports.downtime_budgets import Budget
from uphours.reports.targets import Outcome, Targets, targets
from uphours.schema import PERIODS, Target

pytestmark = only_sqlite  # no test here uses a database

#: Mostly such that some hours of downtime use a part of the budget of a period.
SHARES = st.sampled_from([99_000, 99_500, 98_000, 97_000, 95_000, 99_800, 100_000, 1_000]) | st.integers(
    90_000, 100_000
)
WHERES = st.sampled_from(["", "region=North", "region=", "brand=A\nregion=North", "region=North\nregion=South"])


@dataclass(frozen=True)
class Piece:
    """A store, and a part of the period in which it belongs to the target."""

    store: str
    window: oracle.Interval


def made(case: Case, wheres: Sequence[tuple[str, int]], period: Period, fleet: oracle.Fleet | None = None) -> Targets:
    """Return targets of these stores and shares, each called by its place."""
    defined = [
        Target(f"t{place}", day_of(""), where, share, period.kind) for place, (where, share) in enumerate(wheres)
    ]
    known = replace(memory_fleet_of(fleet or case.fleet), all_targets=defined)
    return targets(known, period=period, as_of=case.as_of_us, policy=policy_of(case.fleet.rules), all_stores=True)


def with_outage(case: Case, hours: int) -> Case:
    """Return a case in which every store was down for a while before its instant: else few budgets are used."""
    since = case.as_of_us - hours * oracle.HOUR_US
    polls = [
        oracle.Poll(store, at_us, status)
        for store in case.fleet.stores
        for at_us, status in (
            (since - 30 * oracle.DAY_US, "active"),
            (since, "inactive"),
            (since + 90 * oracle.MINUTE_US, "active"),
        )
    ]
    return replace(case, fleet=replace(case.fleet, polls=[*case.fleet.polls, *polls]))


def pieces_of(fleet: oracle.Fleet, where: str, period: Period) -> list[Piece]:
    wanted: dict[str, set[str]] = {}
    for line in where.splitlines():
        name, _, value = line.partition("=")
        wanted.setdefault(name, set()).add(value or oracle.NO_VALUE)
    found = []
    for store in fleet.stores:
        window = oracle.local_window(fleet, store, period.first, period.end)
        for values, start, end in oracle.memberships(fleet, store, list(wanted), window):
            if all(value in some for value, some in zip(values, wanted.values(), strict=True)):
                found.append(Piece(store, (start, end)))
    return found


def exhausted_at(case: Case, pieces: Sequence[Piece], share: int, total: oracle.Figures) -> int | None:
    budget = total.business_whole_us * (100_000 - share) // 100_000
    used, left = total.downtime_us, budget - total.downtime_us
    if not used:
        return None
    fleet, intervals = case.fleet, []
    for piece in pieces:
        if left <= 0:
            spans = oracle.timeline(fleet, piece.store, piece.window, case.as_of_us)
            intervals += [(span.start, span.end) for span in spans if span.status == "down"]
        else:
            to_come = (max(case.as_of_us, piece.window[0]), piece.window[1])
            opened = oracle.clipped(oracle.sessions(fleet, piece.store, piece.window), to_come)
            intervals += oracle.difference(opened, oracle.closures(fleet, piece.store))
    needed = budget if left <= 0 else left * total.business_us // used
    for start, end in pairwise(sorted({bound for interval in intervals for bound in interval})):
        at_once = sum(opens <= start < closes for opens, closes in intervals)
        if at_once and needed <= (end - start) * at_once:
            return start + needed // at_once
        needed -= (end - start) * at_once
    return None


def assert_same(said: Budget, case: Case, pieces: Sequence[Piece], share: int) -> None:
    total = sum(
        (oracle.figures(case.fleet, piece.store, piece.window, case.as_of_us) for piece in pieces), oracle.Figures()
    )
    known = total.uptime_us + total.downtime_us
    assert said.budget_us == total.business_whole_us * (100_000 - share) // 100_000
    assert (said.business_us, said.elapsed_us) == (total.business_whole_us, total.business_us)
    assert (said.uptime_us, said.used_us, said.unknown_us) == (total.uptime_us, total.downtime_us, total.unknown_us)
    assert said.used_us + said.left_us == said.budget_us
    assert said.elapsed_us == said.uptime_us + said.used_us + said.unknown_us
    assert said.is_met == (total.uptime_us * 100_000 >= share * known if known else None)
    assert said.exhausted_at == exhausted_at(case, pieces, share, total)
    expected = None if said.exhausted_at is None else "past" if said.left_us <= 0 else "projected"
    assert said.exhausted == expected


@FEWER
@given(
    cases(3), st.sampled_from(PERIODS), st.lists(st.tuples(WHERES, SHARES), min_size=1, max_size=3),
    st.none() | st.integers(1, 60),
)  # fmt: skip
def test_targets_have_the_figures_of_the_oracle(
    case: Case, kind: str, wheres: list[tuple[str, int]], outage: int | None
) -> None:
    case = case if outage is None else with_outage(case, outage)
    period = period_around(kind, case.near)
    said = made(case, wheres, period)
    assert [outcome.target.name for outcome in said.outcomes] == [f"t{place}" for place in range(len(wheres))]
    for outcome, (where, share) in zip(said.outcomes, wheres, strict=True):
        pieces = pieces_of(case.fleet, where, period)
        assert sorted(outcome.store_ids) == sorted({piece.store for piece in pieces})
        assert_same(outcome.pooled, case, pieces, share)
        for store, budget in outcome.by_store():
            assert_same(budget, case, [piece for piece in pieces if piece.store == store], share)


@FEWER
@given(cases(3), st.sampled_from(PERIODS), WHERES, SHARES)
def test_pooled_sums_are_sums_over_stores_and_the_worst_comes_first(
    case: Case, kind: str, where: str, share: int
) -> None:
    (outcome,) = made(case, [(where, share)], period_around(kind, case.near)).outcomes
    for name in ("business_us", "elapsed_us", "uptime_us", "used_us", "unknown_us"):
        assert getattr(outcome.pooled, name) == sum(getattr(budget, name) for _, budget in outcome.by_store()), name
    floors = sum(budget.budget_us for _, budget in outcome.by_store())
    assert floors <= outcome.pooled.budget_us <= floors + len(outcome.by_store())
    order = [(budget.availability is None, budget.availability or 0.0) for _, budget in outcome.by_store()]
    assert order == sorted(order)
    below = [(store, budget) for store, budget in outcome.by_store() if budget.is_met is False]
    assert outcome.below() == below
    assert outcome.below(1) == below[:1]
    assert sorted(map(str, outcome.is_met)) == sorted(str(budget.is_met) for _, budget in outcome.by_store())


@FEWER
@given(cases(2), st.sampled_from(PERIODS), WHERES, SHARES, st.data())
def test_a_closure_raises_neither_uptime_nor_downtime_nor_unknown_time(
    case: Case, kind: str, where: str, share: int, data: st.DataObject
) -> None:
    period = period_around(kind, case.near)
    newest = max((entry.number for entry in case.fleet.ledger), default=0)
    start, end = sorted(data.draw(st.lists(st.integers(*case.around), min_size=2, max_size=2, unique=True)))
    closure = oracle.Entry(newest + 1, case.store, start, end, "excluded")
    closed = replace(case.fleet, ledger=[*case.fleet.ledger, closure])
    before, after = (of_stores(made(case, [(where, share)], period, fleet).outcomes) for fleet in (case.fleet, closed))
    assert before.keys() == after.keys()
    for store, budget in before.items():
        for name in ("business_us", "budget_us", "elapsed_us", "uptime_us", "used_us", "unknown_us"):
            assert getattr(after[store], name) <= getattr(budget, name), (store, name)


def of_stores(outcomes: Sequence[Outcome]) -> dict[str, Budget]:
    (outcome,) = outcomes
    return {**dict(outcome.by_store()), "": outcome.pooled}
