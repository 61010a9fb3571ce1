"""Tabs are what their definitions say of plain facts; the last day of a store is that of the slow oracle."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any, Final, NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import uphours
from tests import oracle
from tests.oracle import DAY_US, HOUR_US
from tests.property.strategies import FEWER, MORE, Case, cases
from tests.property.test_overview import FILTERS, fleets
from uphours.reports.expected import expected
from uphours.reports.fleet import Overview, facts
from uphours.reports.last_day import last_days
from uphours.reports.store_list import selected
from uphours.reports.tabs import NOT_POLLED_US, TABS, UNSTABLE_OUTAGES, key_figures, missed, tab_rows
from uphours.schema import SINCE_EVER, Target

#: Which values of odd a filter means; no store has a size.
MEANT: Final = {
    "": ("yes", "no", "(none)"),
    "odd=yes": ("yes",),
    "odd=": ("(none)",),
    "odd=no\nodd=": ("no", "(none)"),
    "size=\nodd=yes": ("yes",),
    "odd=yes\nsize=big": (),
}
#: Targets of every store, of some, and of those that have no value.
TARGETS: Final = st.lists(
    st.builds(
        Target,
        name=st.sampled_from("abc"),
        since=st.sampled_from([SINCE_EVER, 19_300, 40_000]),
        where=st.sampled_from([*MEANT]),
        share=st.sampled_from([None, 1_000, 50_000, 98_000, 100_000]),
        period=st.just("month"),
    ),
    max_size=4,
    unique_by=lambda target: (target.name, target.since),
)


class Aimed(NamedTuple):
    """A fleet with targets, and what the definition says is expected of each store: the shares in 100,000ths."""

    overview: Overview
    shares: list[dict[str, int]]


@st.composite
def aimed(draw: st.DrawFn) -> Aimed:
    made, targets = draw(fleets()), draw(TARGETS)
    values = [draw(st.sampled_from(["yes", "no", "(none)"])) for _ in made.store_ids]
    day = made.report.as_of // DAY_US
    shares: list[dict[str, int]] = [{} for _ in made.store_ids]
    for name in {target.name for target in targets}:
        begun = [target for target in targets if target.name == name and target.since <= day]
        if begun and (latest := max(begun, key=lambda target: target.since)).share is not None:
            for of_store, value in zip(shares, values, strict=True):
                if value in MEANT[latest.where]:
                    of_store[name] = latest.share
    labels = {"odd": values}
    known = expected(targets, made.report.as_of, labels, len(values))
    return Aimed(replace(made, labels=labels, expected=known), shares)


def belongs(row: dict[str, Any], tab: str, shares: dict[str, int], as_of: int) -> Any:
    """Return whether a store belongs to a tab, from its facts alone."""
    up, down = row["uptime_us"], row["downtime_us"]
    throughout = down > 0 and up == 0
    match tab:
        case "attention":
            return bool(row["state"] == "down") and not throughout
        case "down_throughout":
            return bool(throughout)
        case "unstable":
            return bool(row["outages"] >= UNSTABLE_OUTAGES)
        case "below_target":
            return (
                any(Fraction(up, up + down or 1) * 100_000 < one for one in shares.values() if up + down)
                and not throughout
            )
        case "not_polled":
            last = row["last_observed_at_us"]
            return row["observations"] == 0 or last is None or last < as_of - NOT_POLLED_US
        case "incomplete":
            return row["hours_are_default"] or not row["hours_known"] or row["timezone_is_default"]
    return True


@MORE
@given(fleet=aimed(), filters=FILTERS)
def test_every_tab_is_what_its_definition_says_whatever_is_filtered(fleet: Aimed, filters: dict[str, Any]) -> None:
    made = fleet.overview
    rows = {row: facts(made, row) for row in range(len(made.store_ids))}
    matching = set(selected(made, limit=100, **filters).rows)
    for tab in TABS:
        expected = {row for row in matching if belongs(rows[row], tab, fleet.shares[row], made.report.as_of)}
        page = selected(made, tab=tab, limit=100, **filters)
        assert set(page.rows) == expected
        assert page.total_matching == page.tabs[tab] == len(expected)


@FEWER
@given(fleet=aimed())
def test_a_store_misses_the_targets_that_it_is_below_and_has(fleet: Aimed) -> None:
    made = fleet.overview
    for row, shares in enumerate(fleet.shares):
        store = facts(made, row)
        known = store["uptime_us"] + store["downtime_us"]
        below = {name for name, share in shares.items() if known and store["uptime_us"] * 100_000 < share * known}
        found = missed(made, row)
        assert {target.name for target in found} == below
        assert [target.share for target in found] == sorted((shares[name] for name in below), reverse=True)
    some = made.of(np.arange(0, len(made.store_ids), 2))
    assert some.expected.shares.tolist() == [max(of_store.values(), default=0) for of_store in fleet.shares[::2]]


@FEWER
@given(fleet=aimed())
def test_the_sentences_about_a_fleet_are_sums_over_its_stores(fleet: Aimed) -> None:
    made = fleet.overview
    rows = [facts(made, row) for row in range(len(made.store_ids))]
    found, as_of = key_figures(made), made.report.as_of
    throughout = tab_rows(made)["down_throughout"].tolist()
    others = [row for row, is_throughout in zip(rows, throughout, strict=True) if not is_throughout]
    down = [row for row in rows if row["state"] == "down"]
    assert found.down_now == len(down)
    for count, length in ((found.went_down_day, DAY_US), (found.went_down_hour, HOUR_US)):
        assert count == sum(row["since_us"] is not None and row["since_us"] >= as_of - length for row in down)
    up, lost = (sum(row[name] for row in others) for name in ("uptime_us", "downtime_us"))
    assert found.availability_of_others == (up / (up + lost) if up + lost else None)
    assert found.downtime_us == found.downtime_throughout_us + lost
    assert found.others == sum(row["availability"] is not None for row in others)
    aimed_at = [row for row, shares in zip(rows, fleet.shares, strict=True) if shares and row in others]
    assert found.with_target == sum(row["availability"] is not None for row in aimed_at)
    assert found.below_target == sum(
        belongs(row, "below_target", shares, as_of) for row, shares in zip(rows, fleet.shares, strict=True)
    )


@MORE
@given(cases(max_stores=2))
def test_the_last_day_of_a_store_equals_the_oracle(case: Case) -> None:
    fleet = uphours.validate(*case.tables()).fleet
    found = dict(zip(fleet.store_ids, last_days(fleet, case.as_of_us, case.policy()), strict=True))
    for store in case.stores:
        since = case.as_of_us - DAY_US
        spans = oracle.timeline(
            store, case.observations, case.hours, case.zones,
            start_us=since, as_of_us=case.as_of_us, rules=case.rules,
        )  # fmt: skip
        last = found[store]
        stretches = [(one.start_us, one.end_us, one.status, one.confirmed) for one in last.stretches]
        assert oracle.joined(stretches) == spans
        polls = [status for _, status in oracle.polls_of(store, case.observations, case.as_of_us)]
        assert last.polls <= len(polls)
        assert set(polls[len(polls) - last.polls :]) <= {polls[-1] if polls else ""}
        assert 0 <= last.confirmed_us <= last.known_us <= DAY_US
        assert (last.evidence is None) == (not spans or spans[-1][2] not in ("up", "down"))
