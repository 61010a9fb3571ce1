"""Tabs are what their definitions say of plain facts; the last day of a store is that of the slow oracle."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

import uphours
from tests import oracle
from tests.oracle import DAY_US, HOUR_US
from tests.property.strategies import FEWER, MORE, Case, cases
from tests.property.test_overview import FILTERS, fleets
from uphours.reports.fleet import Overview, facts
from uphours.reports.last_day import last_days
from uphours.reports.store_list import selected
from uphours.reports.tabs import NOT_POLLED_US, TABS, UNSTABLE_OUTAGES, standing, tab_rows

SHARES: Final = st.sampled_from([None, 0, 50_000, 98_000, 100_000])


def belongs(row: dict[str, Any], tab: str, share: int | None, as_of: int) -> Any:
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
            return share is not None and up + down > 0 and up * 100_000 < share * (up + down) and not throughout
        case "not_polled":
            last = row["last_observed_at_us"]
            return row["observations"] == 0 or last is None or last < as_of - NOT_POLLED_US
        case "incomplete":
            return row["hours_are_default"] or not row["hours_known"] or row["timezone_is_default"]
    return True


@MORE
@given(made=fleets(), share=SHARES, filters=FILTERS)
def test_every_tab_is_what_its_definition_says_whatever_is_filtered(
    made: Overview, share: int | None, filters: dict[str, Any]
) -> None:
    rows = {row: facts(made, row) for row in range(len(made.store_ids))}
    matching = set(selected(made, limit=100, **filters).rows)
    for tab in TABS:
        expected = {row for row in matching if belongs(rows[row], tab, share, made.report.as_of)}
        page = selected(made, tab=tab, share=share, limit=100, **filters)
        assert set(page.rows) == expected
        assert page.total_matching == page.tabs[tab] == len(expected)


@FEWER
@given(made=fleets(), share=SHARES)
def test_the_sentences_about_a_fleet_are_sums_over_its_stores(made: Overview, share: int | None) -> None:
    rows = [facts(made, row) for row in range(len(made.store_ids))]
    found, as_of = standing(made, share), made.report.as_of
    throughout = tab_rows(made, share)["down_throughout"].tolist()
    others = [row for row, is_throughout in zip(rows, throughout, strict=True) if not is_throughout]
    down = [row for row in rows if row["state"] == "down"]
    assert found.down_now == len(down)
    for count, length in ((found.went_down_day, DAY_US), (found.went_down_hour, HOUR_US)):
        assert count == sum(row["since_us"] is not None and row["since_us"] >= as_of - length for row in down)
    up, lost = (sum(row[name] for row in others) for name in ("uptime_us", "downtime_us"))
    assert found.availability_of_others == (up / (up + lost) if up + lost else None)
    assert found.downtime_us == found.downtime_throughout_us + lost
    assert found.others == sum(row["availability"] is not None for row in others)


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
