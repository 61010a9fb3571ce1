"""A workbook that can be sent as it is: totals, targets, printing, groups, outages, and names that Excel takes."""

from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction
from typing import Any
from zipfile import ZipFile

import numpy as np
import openpyxl  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

import uphours
from tests.fixtures.writing import report_of
from tests.unit.tables import EVERY_DAY, hours, polls, zones
from uphours.errors import InputError
from uphours.ingest.memory_fleet import MemoryFleet
from uphours.kernel.windows import Window
from uphours.reports import fast_sheet
from uphours.reports.columns import Column, availability_layout, cell
from uphours.reports.group_members import member_reports
from uphours.reports.groups import Groups, groups
from uphours.reports.measure import run_report
from uphours.reports.memberships import with_columns
from uphours.reports.outage_list import OutageList, outage_list
from uphours.reports.report import Report
from uphours.reports.request import ReportRequest
from uphours.reports.sheets import sheet_names, titles_of
from uphours.reports.xlsx import write_group_workbook, write_workbook
from uphours.schema import HOUR_US, instant_us

AS_OF = instant_us("2024-06-08 12:00 UTC")
RED = "FFFFC7CE"


def fleet(**attributes: dict[str, str]) -> MemoryFleet:
    """Return stores in two zones with outages, the last of which goes on, and one store that changes its region."""
    given = uphours.validate(
        polls(
            ("a", "active", "2024-06-03 00:00 UTC"), ("a", "inactive", "2024-06-04 15:00 UTC"),
            ("a", "active", "2024-06-05 15:00 UTC"), ("a", "inactive", "2024-06-08 11:00 UTC"),
            ("b", "inactive", "2024-05-20 00:00 UTC"), ("b", "active", "2024-06-07 10:00 UTC"),
            ("c", "active", "2024-06-01 10:00 UTC"),
        ),
        hours(*((store, EVERY_DAY, "09:00", "17:00") for store in "ab")),
        zones({"a": "America/New_York", "b": "Asia/Kathmandu", "c": "Etc/UTC"}),
    ).fleet  # fmt: skip
    place = {store: number for number, store in enumerate(given.store_ids)}
    day = (instant_us("2024-06-05 00:00 UTC")) // (24 * HOUR_US)
    since_ever = -(1 << 31)
    rows = [
        (place["a"], "region", since_ever, "North"), (place["a"], "region", day, "South"),
        (place["b"], "region", since_ever, "South"),
        *((place[store], name, since_ever, value) for name, of in attributes.items() for store, value in of.items()),
    ]  # fmt: skip
    return replace(given, all_attributes=sorted(rows))


def book_of(report: Report, columns: Any = None, **options: Any) -> Any:
    file = io.BytesIO()
    write_workbook(report, columns or availability_layout(report.windows.names), file, **options)
    return openpyxl.load_workbook(file)


def grouped(many: MemoryFleet, **options: Any) -> tuple[Groups, list[Report]]:
    made = groups(many, ReportRequest(as_of=AS_OF, windows=("last_week",), **options), ["region"])
    return made, member_reports(made)


def group_bytes(made: Groups, members: list[Report], **options: Any) -> bytes:
    file = io.BytesIO()
    write_group_workbook(made, file, members=members, **options)
    return file.getvalue()


def values(sheet: Any) -> list[tuple[Any, ...]]:
    return [*sheet.iter_rows(values_only=True)]


# --- totals ---------------------------------------------------------------------------------------------


def test_the_last_row_sums_exactly_and_its_ratios_are_made_of_the_sums() -> None:
    made = report_of(500)
    columns = availability_layout(made.windows.names, detail=True)
    sheet = book_of(made, columns, hours_known=True)["Report"]
    titles, *_, total = values(sheet)
    shown = dict(zip(titles, total, strict=True))
    up, down = (getattr(made.totals, name)[:, 2].tolist() for name in ("uptime_us", "downtime_us"))
    assert shown["Store id"] == "Total"
    assert shown["Uptime last week (h)"] == float(round(Fraction(sum(up), HOUR_US), 2))
    assert shown["Availability last week"] == float(round(Fraction(sum(up), sum(up) + sum(down)), 4))
    means = [Fraction(one, one + other) for one, other in zip(up, down, strict=True)]
    assert shown["Availability last week"] != float(round(sum(means, Fraction()) / len(means), 4))
    assert shown["Outages last day"] == int(made.totals.outages[:, 1].sum())
    longest = int(made.totals.longest_outage_us[:, 1].max())
    assert shown["Longest outage last day (h)"] == float(round(Fraction(longest, HOUR_US), 2))
    assert shown["Hours known"] is None


def test_a_total_of_more_than_64_bits_is_exact() -> None:
    made = report_of(3)
    huge = np.full_like(made.totals.uptime_us, (1 << 62) + 1)
    made = replace(made, totals=replace(made.totals, uptime_us=huge))
    total = book_of(made, [Column("up", "uptime", "last_week", "days")])["Report"]["B5"].value
    assert total == float(cell({"uptime_us": 3 * ((1 << 62) + 1)}, Column("up", "uptime", "last_week", "days")) or "")


# --- targets --------------------------------------------------------------------------------------------


def test_availability_below_the_target_is_red_by_exact_integers() -> None:
    made = report_of(4)
    up = np.array([[99_499_999], [99_500_000], [100_000_000], [0]]) * np.ones((1, 3), dtype=np.int64)
    whole = np.array([[100_000_000]] * 3 + [[0]]) * np.ones((1, 3), dtype=np.int64)
    totals = replace(made.totals, uptime_us=up, downtime_us=whole - up, unknown_us=whole * 0)
    book = book_of(replace(made, totals=totals), target=99_500)
    cells = [row[-1] for row in book["Report"].iter_rows(min_row=2)]
    assert [one.value for one in cells] == [0.995, 0.995, 1, None, 0.9967]
    assert [one.fill.start_color.rgb == RED for one in cells] == [True, False, False, False, False]
    assert {one.number_format for one in cells} == {"0.00%"}
    assert not any(one.fill.start_color.rgb == RED for row in book["Report"].iter_rows(max_col=7) for one in row)
    about = " ".join(str(row[0]) for row in values(book["About"]))
    assert "Red cells are below the target of 99.5 %" in about


def test_a_fleet_below_the_target_is_red_in_the_total_and_no_target_colours_nothing() -> None:
    made = report_of(3)
    assert book_of(made, target=100_000)["Report"]["J5"].fill.start_color.rgb == RED
    plain = book_of(made)
    assert all(one.fill.fill_type is None for row in plain["Report"].iter_rows() for one in row)
    assert "target" not in " ".join(str(row[0]) for row in values(plain["About"]))


# --- how it prints --------------------------------------------------------------------------------------


def test_each_sheet_prints_in_landscape_one_page_wide_with_its_titles_on_each_page() -> None:
    many = fleet()
    made, members = grouped(many)
    content = group_bytes(made, members, outages=outage_list(many, made.report))
    book = openpyxl.load_workbook(io.BytesIO(content))
    assert book.sheetnames == ["Groups", "(none)", "North", "South", "Outages", "About"]
    for sheet in book:
        assert sheet.page_setup.orientation == "landscape"
        assert (sheet.sheet_properties.pageSetUpPr.fitToPage, sheet.page_setup.fitToHeight) == (True, 0)
        assert sheet.oddFooter.right.text == "Page &P of &N"
        if sheet.title != "About":
            assert (sheet.print_title_rows, sheet.freeze_panes) == ("$1:$1", "B2")
            assert sheet.auto_filter.ref is not None
    assert content == group_bytes(made, members, outages=outage_list(many, made.report))


def test_a_workbook_that_is_not_held_in_memory_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    many = fleet(name={"a": "Fifth Avenue"})
    made, members = grouped(many)
    options: dict[str, Any] = {"detail": True, "target": 95_000, "outages": outage_list(many, made.report)}
    held = openpyxl.load_workbook(io.BytesIO(group_bytes(made, members, **options)))
    monkeypatch.setattr("uphours.reports.xlsx._CELLS_IN_MEMORY", 0)
    content = group_bytes(made, members, **options)
    assert content == group_bytes(made, members, **options)
    book = openpyxl.load_workbook(io.BytesIO(content))
    assert book.sheetnames == held.sheetnames
    reds = 0
    for sheet, other in zip(held, book, strict=True):
        assert values(sheet) == values(other)
        looks = [
            [(cell.number_format, cell.font.b, cell.fill.start_color.rgb) for row in one.iter_rows() for cell in row]
            for one in (sheet, other)
        ]
        assert looks[0] == looks[1]
        reds += sum(colour == RED for _, _, colour in looks[0])
    assert reds


# --- groups ---------------------------------------------------------------------------------------------


def test_the_sheets_of_groups_add_up_to_the_groups() -> None:
    many = fleet(name={"a": "=cmd()"})
    made, members = grouped(many)
    made = replace(made, report=with_columns(made.report, many, ["name"]))
    members = member_reports(made)
    for group, member in zip(made.groups, members, strict=True):
        for name, counted in vars(member.totals).items():
            add = np.max if name == "longest_outage_us" else np.sum
            assert int(add(counted[:, 0])) == group.windows[0][name], (group.values, name)
    book = openpyxl.load_workbook(io.BytesIO(group_bytes(made, members)))
    assert [row[:2] for row in values(book["Groups"])] == [
        ("Region", "Stores"), ("(none)", 1), ("North", 1), ("South", 2), ("(all)", 3),
    ]  # fmt: skip
    assert [row[-1] for row in values(book["Groups"])] == ["Sheet", "(none)", "North", "South", None]
    assert [row[:2] for row in values(book["South"])] == [
        ("Store id", "Name"), ("a", "=cmd()"), ("b", None), ("Total", None),
    ]  # fmt: skip
    groups_rows = {row[0]: row[2:-1] for row in values(book["Groups"])}
    assert values(book["South"])[-1][2:] == groups_rows["South"]
    north, south = (values(book[name])[1] for name in ("North", "South"))
    assert (north[0], south[0]) == ("a", "a")
    assert north[2:] != south[2:]


def test_a_store_that_moves_back_and_forth_counts_what_its_groups_count() -> None:
    many = fleet()
    place = list(many.store_ids).index("a")
    day = instant_us("2024-06-06 00:00 UTC") // (24 * HOUR_US)
    many = replace(many, all_attributes=sorted([*many.all_attributes, (place, "region", day, "North")]))
    made, members = grouped(many, raw=True)
    for group, member in zip(made.groups, members, strict=True):
        assert int(member.totals.uptime_us.sum()) == group.windows[0]["uptime_us"]
        assert int(member.totals.outages.sum()) == group.windows[0]["outages"]


def test_more_groups_than_sheets_are_refused() -> None:
    made, members = grouped(fleet())
    many = replace(made, groups=made.groups * 84)
    with pytest.raises(InputError, match=r"252 groups do not fit into a workbook, .* valid are up to 250 groups"):
        group_bytes(many, members * 84)


def test_odd_names_of_groups_become_names_that_excel_takes() -> None:
    wanted = ["about", "=cmd()", "TX/[North]", "tx_(north)", "'q'", "", "history", "True", "a\nb"]
    assert sheet_names(wanted, ["About"]) == [
        "about (2)", "=cmd()", "TX__North_", "tx_(north)", "q", "_", "history (2)", "True (2)", "a_b",
    ]  # fmt: skip
    long = sheet_names(["x" * 40, "X" * 31, "x" * 31, "🍕" * 20], [])
    assert long == ["x" * 31, "X" * 27 + " (2)", "x" * 27 + " (3)", "🍕" * 15]


@given(st.lists(st.text(max_size=40), max_size=30))
def test_names_of_sheets_are_valid_and_differ(wanted: list[str]) -> None:
    names = sheet_names(wanted, ["Groups", "About"])
    assert len(names) == len(wanted)
    assert len({name.lower() for name in (*names, "Groups", "About")}) == len(names) + 2
    for name in names:
        assert 0 < len(name.encode("utf-16-le")) <= 62
        assert not set("[]:*?/\\") & set(name)
        assert not name.startswith("'")
        assert not name.endswith("'")


def test_any_group_name_makes_a_workbook() -> None:
    odd = ["=cmd()", "a" * 31 + "b", "A" * 31 + "c", "x/y:z", "<r>&</r>"]
    made, _ = grouped(fleet())
    template = made.groups[0]
    made = replace(made, groups=[replace(template, values=(name,)) for name in odd])
    members = [made.report] * len(odd)
    content = group_bytes(made, members)
    book = openpyxl.load_workbook(io.BytesIO(content))
    assert book.sheetnames[1:-1] == ["=cmd()", "a" * 31, "A" * 27 + " (2)", "x_y_z", "<r>&<_r>"]
    assert [row[0] for row in values(book["Groups"])][1:-1] == [*odd[:-1], f"'{odd[-1]}"]
    with ZipFile(io.BytesIO(content)) as archive:
        assert not any(b"<f>" in archive.read(name) for name in archive.namelist())


# --- outages --------------------------------------------------------------------------------------------


def found(made: OutageList, report: Report) -> list[tuple[Any, ...]]:
    columns = zip(
        [report.store_ids[store] for store in made.found.stores.tolist()], made.starts_local,
        (made.found.downtime_us // HOUR_US).tolist(), made.found.ongoing.tolist(), made.zones, strict=True,
    )  # fmt: skip
    return [*columns]


def test_outages_are_dates_on_the_clock_of_the_store_and_in_utc() -> None:
    many = fleet(name={"a": "Fifth Avenue"})
    made = with_columns(run_report(many, as_of=AS_OF, chosen=["last_week"]), many, ["name"])
    outages = outage_list(many, made)
    assert outages.left_out == 0
    sheet = book_of(made, outages=outages)["Outages"]
    header, *rows = values(sheet)
    assert header == (
        "Store id", "Name", "Start (local)", "End (local)", "Time zone", "Start (UTC)", "End (UTC)", "Downtime (h)",
        "Ongoing",
    )  # fmt: skip
    shown = [tuple(None if one is None else str(one) for one in row) for row in rows]
    assert shown[0] == (
        "a", "Fifth Avenue", "2024-06-04 09:00:00", "2024-06-04 17:00:00", "America/New_York",
        "2024-06-04 13:00:00", "2024-06-04 21:00:00", "8", "no",
    )  # fmt: skip
    assert [row[0] for row in shown] == ["a", "b"]
    assert shown[1][2:7] == (
        "2024-06-02 09:00:00", "2024-06-06 17:00:00", "Asia/Kathmandu", "2024-06-02 03:15:00", "2024-06-06 11:15:00",
    )  # fmt: skip
    assert sheet["C2"].number_format == "yyyy-mm-dd hh:mm:ss"
    assert sheet["H2"].number_format == "0.00"


def test_an_outage_that_goes_on_has_no_end_also_while_the_store_is_closed() -> None:
    many = fleet()
    for as_of in ("2024-06-05 14:00 UTC", "2024-06-05 02:00 UTC"):
        made = run_report(many, as_of=instant_us(as_of), chosen=["last_day"])
        outages = outage_list(many, made)
        assert [(row[0], row[3]) for row in found(outages, made)] == [("a", True), ("b", True)]
        sheet = book_of(made, outages=outages)["Outages"]
        assert [(row[2], row[5], row[7]) for row in values(sheet)[1:]] == [(None, None, "yes")] * 2


def test_the_list_agrees_with_the_figures_of_the_report() -> None:
    many = fleet()
    chosen: list[str | Window] = ["last_week", Window("days", "2024-06-02", "2024-06-05")]
    for window in chosen:
        made = run_report(many, as_of=AS_OF, chosen=[window])
        outages = outage_list(many, made)
        counts = np.bincount(outages.found.stores, minlength=len(made.store_ids))
        assert counts.tolist() == made.totals.outages[:, 0].tolist()
        times = np.zeros(len(made.store_ids), dtype=np.int64)
        np.add.at(times, outages.found.stores, outages.found.downtime_us)
        assert times.tolist() == made.totals.downtime_us[:, 0].tolist()


def test_a_store_of_another_report_has_no_outages_in_this_one() -> None:
    many = fleet()
    made = run_report(many.of(["b", "c"]), as_of=AS_OF, chosen=["last_week"])
    assert {row[0] for row in found(outage_list(many, made), made)} == {"b"}


def test_a_report_without_stores_has_no_outages() -> None:
    many = fleet()
    for as_of in ("2024-05-01 00:00 UTC", "2024-05-21 00:00 UTC"):
        made = run_report(many, as_of=instant_us(as_of), chosen=[Window("later", "2024-07-01", "2024-08-01")])
        assert len(outage_list(many, made)) == 0
        assert book_of(made, outages=outage_list(many, made))["Outages"].max_row == 1


def test_of_too_many_outages_the_longest_stay_and_the_rest_is_counted() -> None:
    many = fleet()
    made = run_report(many, as_of=AS_OF, chosen=["last_week"])
    outages = outage_list(many, made, most=1)
    assert (len(outages), outages.left_out) == (1, 1)
    assert found(outages, made)[0][0] == "b"
    book = book_of(made, outages=outages)
    assert values(book["Outages"])[-1][0] == (
        "These are the 1 outages with the most down time; 1 shorter one is left out."
    )
    assert "1 shorter one is left out" in " ".join(str(row[0]) for row in values(book["About"]))


def test_the_number_of_stores_measured_at_a_time_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    many = fleet()
    made = run_report(many, as_of=AS_OF, chosen=["last_week"])
    whole = found(outage_list(many, made), made)
    monkeypatch.setattr("uphours.reports.measure._STORES_AT_ONCE", 1)
    assert found(outage_list(many, made), made) == whole


# --- titles and cells -----------------------------------------------------------------------------------


def test_titles_that_would_be_the_same_stay_as_they_are() -> None:
    columns = availability_layout(["june"])
    assert titles_of(["store_id", "Name"], columns)[:3] == ["Store id", "Name", "Uptime june (h)"]
    assert titles_of(["store_id", "name", "Name"], columns)[:4] == ["store_id", "name", "Name", "uptime_june"]


def test_first_and_last_days_are_dates() -> None:
    made = replace(report_of(2), attributes={"first_day": ["2024-06-01", None], "city": ["2024-06-01", "x"]})
    rows = values(book_of(made)["Report"])
    assert [str(one) for one in rows[1][1:3]] == ["2024-06-01 00:00:00", "2024-06-01"]
    assert rows[2][1:3] == (None, "x")


@pytest.mark.parametrize("cells_in_memory", [0, 1_000_000])
def test_the_faster_sheet_writes_what_the_library_writes(cells_in_memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uphours.reports.xlsx._CELLS_IN_MEMORY", cells_in_memory)
    made, file, plain = report_of(500), io.BytesIO(), io.BytesIO()
    columns = availability_layout(made.windows.names)
    write_workbook(made, columns, file, target=99_000)
    monkeypatch.delattr(fast_sheet.FastSheet, "_write_cell")
    write_workbook(made, columns, plain, target=99_000)
    assert file.getvalue() == plain.getvalue()
