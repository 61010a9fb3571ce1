"""Comparisons in reports of stores and groups: columns, rounding, what is not known, and what is kept."""

from __future__ import annotations

import io
import json
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook  # type: ignore[import-untyped]

import uphours
from tests.unit.tables import hours, polls, zones
from uphours.errors import InputError
from uphours.kernel.windows import Window
from uphours.reports.answers import stores_of
from uphours.reports.archive import packed, unpacked
from uphours.reports.columns import Column
from uphours.reports.comparison import change_facts, changes, downtime_text, points_text
from uphours.reports.group_files import write_groups
from uphours.reports.group_members import member_reports
from uphours.reports.groups import groups
from uphours.reports.measure import run_report
from uphours.reports.report import Report
from uphours.reports.request import ReportRequest
from uphours.reports.writers import FORMATS, as_csv, written
from uphours.schema import HOUR_US, instant_us

AS_OF = "2026-11-10 12:00 UTC"
MONDAY = [0]
#: Of a, 8 of 9 hours of a Monday and then 6.5; of b nothing but its second Monday is business time; c has no polls.
POLLS = polls(
    ("a", "active", "2026-11-02 09:00 UTC"), ("a", "inactive", "2026-11-02 13:00 UTC"),
    ("a", "active", "2026-11-02 14:00 UTC"), ("a", "active", "2026-11-09 09:00 UTC"),
    ("a", "inactive", "2026-11-09 12:00 UTC"), ("a", "active", "2026-11-09 14:30 UTC"),
    ("b", "active", "2026-11-09 09:00 UTC"), ("b", "active", AS_OF),
)  # fmt: skip
SPECIAL = pl.DataFrame({"store_id": ["b"], "date": ["2026-11-02"], "start_time_local": [""], "end_time_local": [""]})
REGIONS = pl.DataFrame({
    "store_id": ["a", "b", "b"], "region": ["North", "South", "North"], "valid_from": ["", "", "2026-11-05"],
})  # fmt: skip


def fleet() -> Any:
    return uphours.validate(
        POLLS,
        hours(("a", MONDAY, "09:00", "18:00"), ("b", MONDAY, "09:00", "18:00"), ("c", MONDAY, "09:00", "18:00")),
        zones({"a": "UTC", "b": "UTC", "c": "UTC"}),
        special_hours=SPECIAL,
        attributes=REGIONS,
    ).fleet


def report(**options: Any) -> Report:
    chosen: dict[str, Any] = {"chosen": ["last_week", "yesterday"], "compare": True, "all_stores": True} | options
    return run_report(fleet(), as_of=instant_us(AS_OF), **chosen)


def test_a_csv_has_the_changes_behind_the_other_columns() -> None:
    assert written(report(), "csv").decode().splitlines() == [
        "store_id,uptime_last_week,uptime_yesterday,downtime_last_week,downtime_yesterday,"
        "availability_change_last_week,availability_change_yesterday,downtime_change_last_week,downtime_change_yesterday",
        "a,6.50,6.50,2.50,2.50,-16.67,,1.50,",
        "b,9.00,9.00,0.00,0.00,,,,",
        "c,0.00,0.00,0.00,0.00,,,,",
    ]


def test_without_a_comparison_every_format_has_the_bytes_that_it_had() -> None:
    plain = report(compare=False)
    assert plain.before is None
    for form in FORMATS:
        assert b"change" not in written(plain, form)
        assert b"before" not in written(plain, form)
    assert [column for column in report().table().columns if column in plain.table().columns] == plain.table().columns


def test_json_and_the_table_say_the_same_exactly() -> None:
    rows = report().table().to_dicts()
    said = json.loads(written(report(), "json"))
    last_week = said["windows"]["last_week"]
    assert last_week["before"]["end_us"] == last_week["start_us"] == instant_us(AS_OF) - 168 * HOUR_US
    for row in rows:
        (store,) = [store for store in said["stores"] if store["store_id"] == row["store_id"]]
        window = store["windows"][row["window"]]
        before = {name.removeprefix("before_"): value for name, value in row.items() if name.startswith("before_")}
        assert {name: before[name] for name in window["before"]} == window["before"]
        assert all(row[name] == value for name, value in window.items() if name != "before")
    assert rows[0]["availability_change"] == float(Fraction(13, 18) - Fraction(8, 9))
    assert rows[0]["downtime_change_us"] == 3 * HOUR_US // 2
    # b was closed on the first Monday: it has become neither better nor worse.
    assert [(row["availability_change"], row["downtime_change_us"]) for row in rows if row["store_id"] == "b"] == [
        (None, None),
        (None, None),
    ]


def test_a_comparison_is_kept_and_written_from_there_with_the_same_bytes() -> None:
    made = report()
    back = stores_of(unpacked(packed(made)))
    for form in FORMATS:
        for detail in (False, True):
            assert written(back, form, detail=detail) == written(made, form, detail=detail)
    of_groups = grouped()
    again: Any = unpacked(packed(of_groups))
    for form in ("csv", "json", "parquet"):
        files = [io.BytesIO(), io.BytesIO()]
        for file, answer in zip(files, (of_groups, again), strict=True):
            write_groups(answer, form, file, detail=True)
        assert files[0].getvalue() == files[1].getvalue()


def grouped() -> Any:
    request = ReportRequest(as_of=instant_us(AS_OF), windows=("this_week",), compare=True)
    return groups(fleet(), request, ["region"])


def test_groups_have_the_stores_that_they_had_then() -> None:
    made = grouped()
    north, south = made.groups
    assert (north.stores, north.windows[0]["stores"], north.windows[0]["before"]["stores"]) == (2, 2, 1)
    # South has no store any more, and is listed so that the groups add up to the fleet of the week before.
    assert (south.stores, south.windows[0]["stores"], south.windows[0]["before"]["stores"]) == (0, 0, 1)
    assert made.fleet.windows[0]["availability_change"] == float(Fraction(31, 36) - Fraction(8, 9))
    file = io.BytesIO()
    write_groups(made, "csv", file)
    assert file.getvalue().decode().splitlines() == [
        "region,stores,uptime_this_week,downtime_this_week,availability_this_week,availability_change_this_week,"
        "downtime_change_this_week",
        "North,2,15.50,2.50,86.11,-2.78,1.50",
        "South,0,0.00,0.00,,,",
        "(all),2,15.50,2.50,86.11,-2.78,1.50",
    ]
    members = member_reports(made)
    assert [list(member.store_ids) for member in members] == [["a", "b"], []]
    assert members[0].before is not None
    # b did not belong to the North in the week before.
    assert members[0].before.totals.uptime_us.tolist() == [[8 * HOUR_US], [0]]


def test_a_workbook_has_changes_as_numbers_and_their_total() -> None:
    file = io.BytesIO(written(report(chosen=["last_week"]), "xlsx"))
    book = load_workbook(file)
    rows = [list(row) for row in book["Report"].iter_rows(values_only=True)]
    assert rows[0] == [
        "Store id", "Uptime last week (h)", "Downtime last week (h)", "Availability last week",
        "Availability change last week (points)", "Downtime change last week (h)",
    ]  # fmt: skip
    assert rows[1] == ["a", 6.5, 2.5, 0.7222, -16.67, 1.5]
    assert rows[2][4:] == [None, None]
    assert rows[-1] == ["Total", 15.5, 2.5, 0.8611, -2.78, 1.5]
    about = [row[0] for row in book["About"].iter_rows(values_only=True)]
    assert "before last_week" in about


def test_a_change_is_refused_where_no_window_before_was_measured() -> None:
    column = Column("change", "availability_change", "last_week", "points")
    with pytest.raises(InputError, match="shows a change, for which the report has no windows before"):
        as_csv(report(compare=False), [column])
    with pytest.raises(InputError, match="valid units are points"):
        Column("change", "availability_change", "last_week", "hours")


def test_a_window_that_has_not_begun_has_no_change() -> None:
    (row,) = report(chosen=[Window("later", "2026-12-01", "2027-01-01")]).table().filter(store_id="a").to_dicts()
    assert (row["before_start_us"], row["before_end_us"]) == (instant_us("2026-11-01"), instant_us("2026-11-01"))
    assert (row["availability_change"], row["downtime_change_us"]) == (None, None)


def test_the_library_compares() -> None:
    table = uphours.report(POLLS, windows=["last_week"], compare=True)
    assert table.columns[-1] == "before_longest_outage_us"
    of_groups = uphours.groups(POLLS, attributes=REGIONS, by=["region"], windows=["last_week"], compare=True)
    assert of_groups.schema["availability_change"] == of_groups.schema["before_availability"] == pl.Float64
    with pytest.raises(InputError, match="compare is 'yes'"):
        uphours.report(POLLS, compare="yes")  # type: ignore[arg-type]


TIMES = st.integers(0, 200 * 366 * 24 * HOUR_US)


@given(TIMES, TIMES, TIMES, TIMES)
def test_changes_are_exact_and_rounded_half_to_even(up: int, down: int, up_before: int, down_before: int) -> None:
    times = up, down, up_before, down_before
    now, before = {"uptime_us": up, "downtime_us": down}, {"uptime_us": up_before, "downtime_us": down_before}
    facts = change_facts(now, before)
    made = changes(*(np.array([[time]]) for time in times))
    if not up + down or not up_before + down_before:
        assert set(facts.values()) == {None}
        assert not made.known[0, 0]
        assert points_text(*times) is downtime_text(*times, HOUR_US) is None
        return
    change = Fraction(up, up + down) - Fraction(up_before, up_before + down_before)
    assert facts == {"availability_change": float(change), "downtime_change_us": down - down_before}
    assert (made.availability[0, 0], made.downtime_us[0, 0]) == (float(change), down - down_before)
    assert Fraction(points_text(*times) or "") == Fraction(round(change * 10_000), 100)
    assert Fraction(downtime_text(*times, HOUR_US) or "") == Fraction(
        round(Fraction(down - down_before, HOUR_US) * 100), 100
    )
    assert not (points_text(*times) or "").startswith("-0.00")
