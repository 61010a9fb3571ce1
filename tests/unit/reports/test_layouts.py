from typing import Any

import pytest

import uphours
from tests.unit.tables import EVERY_DAY, hours, polls, zones
from uphours.errors import InputError
from uphours.kernel.windows import DEFAULT_WINDOWS
from uphours.reports.columns import Column, Unit, layout
from uphours.reports.measure import run_report
from uphours.reports.report import Report
from uphours.reports.writers import as_csv, written
from uphours.schema import instant_us


def report() -> Report:
    """Return a report of a store that was up from 09:00 to 10:20 of 3.5 open hours, polled twice, as of 12:30."""
    fleet = uphours.validate(
        polls(("a", "active", "2023-01-25 08:00 UTC"), ("a", "inactive", "2023-01-25 10:20 UTC")),
        hours(("a", EVERY_DAY, "09:00", "12:30")),
        zones({"a": "UTC"}),
    ).fleet
    policy = uphours.Policy(prefer_in_session=False)
    return run_report(fleet, as_of=instant_us("2023-01-25 12:30 UTC"), policy=policy)


def lines(*columns: Column) -> list[str]:
    return as_csv(report(), columns).decode().splitlines()


@pytest.mark.parametrize("detail", [False, True])
def test_our_own_csv_is_one_layout_among_others(detail: bool) -> None:
    assert written(report(), "csv", detail=detail) == as_csv(
        report(), layout(DEFAULT_WINDOWS, detail=detail), hours_known=detail
    )


def test_titles_order_and_units_are_free() -> None:
    assert lines(
        Column("uptime_last_hour(in mins)", "uptime", "last_hour", "minutes"),
        Column("downtime_last_hour(in mins)", "downtime", "last_hour", "minutes"),
        Column("uptime_last_day(in hrs)", "uptime", "last_day", "hours"),
        Column("downtime_last_day(in hrs)", "downtime", "last_day", "hours"),
    ) == [
        "store_id,uptime_last_hour(in mins),downtime_last_hour(in mins),"
        "uptime_last_day(in hrs),downtime_last_day(in hrs)",
        "a,0.00,60.00,1.33,2.17",
    ]


@pytest.mark.parametrize(
    ("unit", "shown"), [("seconds", "4800.00"), ("minutes", "80.00"), ("hours", "1.33"), ("days", "0.06")]
)
def test_a_duration_is_shown_in_any_unit_of_time(unit: Unit, shown: str) -> None:
    assert lines(Column("up", "uptime", "last_day", unit)) == ["store_id,up", f"a,{shown}"]


def test_every_figure_can_be_shown_alone() -> None:
    for column in layout(["last_day"], detail=True):
        [title, line] = lines(column)
        assert title == f"store_id,{column.figure}_last_day"
        whole = written(report(), "csv", detail=True).decode().splitlines()
        cells = dict(zip(whole[0].split(","), whole[1].split(","), strict=True))
        assert line == f"a,{cells[column.title]}"


def test_a_layout_without_columns_lists_the_stores() -> None:
    assert lines() == ["store_id", "a"]


def test_a_title_stays_one_cell_and_runs_in_no_spreadsheet() -> None:
    assert lines(Column('=1,"2"', "outages", "last_day", "count"))[0] == '''store_id,"'=1,""2"""'''


@pytest.mark.parametrize("title", ["up", "store_id"])
def test_a_title_that_occurs_twice_is_refused(title: str) -> None:
    with pytest.raises(InputError, match=f"column {title} occurs more than once"):
        lines(Column(title, "uptime", "last_day", "hours"), Column(title, "downtime", "last_day", "hours"), *UP)


UP = [Column("up", "uptime", "last_hour", "hours")]


def test_a_window_that_the_report_does_not_have_is_refused_with_those_it_has() -> None:
    with pytest.raises(InputError, match=r"'today'.* valid are last_hour, last_day, last_week$"):
        lines(Column("up", "uptime", "today", "hours"))


@pytest.mark.parametrize(
    ("figure", "unit", "message"),
    [
        ("uptime_us", "hours", "no figure; valid are uptime, downtime, unknown, excluded, business_time"),
        ("uptime", "fortnights", "valid units are seconds, minutes, hours, days$"),
        ("uptime", "percent", "valid units are seconds, minutes, hours, days$"),
        ("availability", "hours", "valid units are percent$"),
        ("outages", "minutes", "valid units are count$"),
    ],
)
def test_a_column_is_checked_when_it_is_made(figure: str, unit: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Column("x", figure, "last_hour", unit)
