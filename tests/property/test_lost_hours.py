"""What stores lose in some hours of the week adds up to the heat map; the list has those that lose more then."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import uphours
from tests.property.strategies import FEWER, Case, cases
from uphours.reports.fleet import overview
from uphours.reports.history import heat_map
from uphours.reports.standouts import Hours
from uphours.reports.store_list import selected


@st.composite
def hours(draw: st.DrawFn) -> Hours:
    first = draw(st.integers(0, 23))
    return Hours(draw(st.integers(0, 6)), first, draw(st.integers(first + 1, 24)))


@FEWER
@given(case=cases(max_stores=4), hours=hours(), window=st.sampled_from(["last_week", "yesterday", "this_month"]))
def test_what_stores_lose_in_hours_adds_up_to_the_heat_map(case: Case, hours: Hours, window: str) -> None:
    fleet = uphours.validate(*case.tables()).fleet
    options: dict[str, Any] = {"as_of": case.as_of_us, "policy": case.policy()}
    made = overview(fleet, window=window, hours=hours, **options)
    then = made.lost_then
    assert then is not None
    cells = [
        cell
        for cell in heat_map(fleet, window=window, **options).cells
        if cell["weekday"] == hours.weekday and hours.first <= cell["hour"] < hours.end
    ]
    for name, values in (("uptime_us", then.uptime_us), ("downtime_us", then.downtime_us)):
        assert int(values.sum()) == sum(cell[name] for cell in cells)
        assert (values <= made.figures[name]).all()
    page = selected(made, sort="lost_time", descending=True, limit=10)
    rest = made.figures["downtime_us"] - then.downtime_us, made.figures["uptime_us"] - then.uptime_us
    expected = set()
    for row, (down, up, other_down, other_up) in enumerate(zip(then.downtime_us, then.uptime_us, *rest, strict=True)):
        times = int(down), int(down + up), int(other_down), int(other_down + other_up)
        # More than in the rest of the window, which may be nothing at all.
        if times[1] and times[0] * times[3] > times[2] * times[1]:
            expected.add(row)
    assert set(page.rows) == expected
    lost = [int(then.downtime_us[row]) for row in page.rows]
    assert lost == sorted(lost, reverse=True)
