import csv
import io
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zipfile import ZipFile

import openpyxl  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape  # type: ignore[import-untyped]

import uphours
from tests.unit.tables import EVERY_DAY, hours, polls, zones
from uphours import __version__
from uphours.errors import InputError
from uphours.kernel.windows import WINDOW_NAMES, Window
from uphours.reports.columns import Column, availability_layout
from uphours.reports.measure import run_report
from uphours.reports.report import Report
from uphours.reports.sheets import heading
from uphours.reports.writers import as_csv, written
from uphours.reports.xlsx import write_workbook
from uphours.schema import instant_us

AS_OF = instant_us("2023-01-25 18:00:00.25 UTC")
IDS = [
    "8419537941919820732", "007", "1e5", "a", "=1+1", "-1", "+1", "@SUM(A1)", "{=1}", "http://example.org",
    "mailto:a@b", "<r>a & b", "a & b</r>", "<b>", "]]>", "_x0041_", "TRUE", "12:30", " padded ", "é☃🍕",
]  # fmt: skip


def report(*store_ids: str, **options: Any) -> Report:
    fleet = uphours.validate(
        polls(
            *((store_id, "active", "2023-01-25 12:00:00.5 UTC") for store_id in store_ids),
            *((store_id, "inactive", "2023-01-25 17:20:01 UTC") for store_id in store_ids),
        ),
        hours(*((store_id, EVERY_DAY, "09:00", "17:45") for store_id in store_ids[::2])),
        zones(dict.fromkeys(store_ids[::3], "Asia/Kathmandu")),
    ).fleet
    return run_report(fleet, as_of=AS_OF, **options)


def named(*store_ids: str) -> Report:
    """Return a report of stores with ids that need not be acceptable."""
    return replace(report(*map(str, range(len(store_ids)))), store_ids=store_ids)


def opened(report: Report, *, detail: bool = False) -> Any:
    return openpyxl.load_workbook(io.BytesIO(written(report, "xlsx", detail=detail)))


def shown_ids(report: Report) -> list[str]:
    """Return the ids as ECMA-376 says that they read, as openpyxl leaves some characters escaped."""
    with ZipFile(io.BytesIO(written(report, "xlsx"))) as archive:
        strings = ElementTree.fromstring(archive.read("xl/sharedStrings.xml"))
        sheet = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    texts = [unescape(string.findtext("{*}t")) for string in strings]
    _, *places, _ = (row.findtext("{*}c/{*}v") for row in sheet.iterfind("{*}sheetData/{*}row"))
    return [texts[int(place or "")] for place in places]


@pytest.mark.parametrize("detail", [False, True])
def test_the_sheet_has_the_cells_of_the_csv_as_numbers(detail: bool) -> None:
    made = report("a", "b", "c", "d", chosen=[*WINDOW_NAMES, Window("own", "2030-01-01", "2030-01-02")])
    columns = availability_layout(made.windows.names, detail=detail)
    sheet = opened(made, detail=detail)["Report"]
    header, *rows = csv.reader(io.StringIO(as_csv(made, columns, hours_known=detail).decode()))
    shown = ["Store id", *map(heading, columns), *(["Hours known"] if detail else [])]
    assert [cell.value for cell in sheet[1]] == shown
    assert len({*shown}) == len(header)
    assert sheet.max_row == 1 + len(rows) + 1
    for cells, texts in zip(sheet.iter_rows(min_row=2, max_row=1 + len(rows)), rows, strict=True):
        assert cells[0].value == texts[0]
        figures = slice(1, -1 if detail else None)
        expected = [
            None if not text else float(text.replace(".", "")) / 10_000 if column.unit == "percent" else float(text)
            for text, column in zip(texts[figures], columns, strict=True)
        ]
        assert [cell.value for cell in cells[figures]] == expected
        assert {cell.data_type for cell in cells[figures]} == {"n"}
        assert not detail or (cells[-1].value, texts[-1]) == (True, "true")


def test_durations_show_two_decimals_counts_none_and_shares_are_percentages() -> None:
    sheet = opened(report("a"), detail=True)["Report"]
    formats = {
        sheet.cell(1, place).value: [sheet.cell(row, place).number_format for row in (2, 3)]
        for place in range(1, sheet.max_column + 1)
    }
    assert formats["Store id"] == ["@"] * 2
    assert formats["Uptime last hour (min)"] == formats["Longest outage last week (h)"] == ["0.00"] * 2
    assert formats["Availability last week"] == formats["Coverage last day"] == ["0.00%"] * 2
    assert formats["Observations last day"] == formats["Outages last day"] == ["0"] * 2


def test_ids_are_texts_as_they_are_and_never_formulas() -> None:
    assert shown_ids(named(*IDS)) == IDS
    book = opened(named(*IDS))
    for sheet in book:
        assert all(cell.data_type != "f" and cell.hyperlink is None for row in sheet.rows for cell in row)
    assert {cell.data_type for cell in book["Report"]["A"]} == {"s"}


@pytest.mark.parametrize(
    "store_id", ["<r>a & b</r>", "<r></r>", "<r>\n</r>", "<r><t>forged</t></r>", "<r></si></sst></r>"]
)
def test_an_id_that_looks_like_xml_of_the_file_is_a_text_after_an_apostrophe(store_id: str) -> None:
    column = opened(named("a", store_id, "b"))["Report"]["A"]
    assert [cell.value for cell in column] == ["Store id", "a", f"'{store_id}", "b", "Total"]


def test_a_title_that_looks_like_xml_of_the_file_is_a_text_in_both_sheets() -> None:
    column = Column("<r><t>forged</t></r>", "uptime", "last_hour", "minutes")
    file = io.BytesIO()
    write_workbook(report("a"), [column], file)
    book = openpyxl.load_workbook(file)
    assert book["Report"]["B1"].value == f"'{column.title}"
    assert (f"'{column.title}", "minutes", f"'{column.title}") in book["About"].iter_rows(max_col=3, values_only=True)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20), min_size=1, max_size=3))
def test_any_id_comes_back(store_ids: list[str]) -> None:
    assert shown_ids(named(*store_ids)) == store_ids


def test_no_part_of_the_file_can_run_or_lead_elsewhere() -> None:
    with ZipFile(io.BytesIO(written(named(*IDS), "xlsx"))) as archive:
        assert archive.testzip() is None
        for name in archive.namelist():
            content = archive.read(name).decode()
            assert "<f>" not in content
            assert 'TargetMode="External"' not in content


def test_the_header_stays_in_sight_and_filters() -> None:
    sheet = opened(report("a", "b"))["Report"]
    assert sheet.freeze_panes == "B2"
    assert sheet.auto_filter.ref == "A1:J3"  # without the total, which is not sorted with the others
    assert all(cell.font.b for row in (1, 4) for cell in sheet[row])
    assert not sheet["A2"].font.b
    assert all(10 <= dimension.width <= 40 for dimension in sheet.column_dimensions.values())


def test_the_second_sheet_says_what_the_report_was_made_with() -> None:
    made = report("a", chosen=["last_hour", "today"], policy=uphours.Policy(interpolation="next"))
    book = opened(made)
    assert book.sheetnames == ["Report", "About"]
    rows = {row[0]: row[1:] for row in book["About"].iter_rows(values_only=True) if row[0]}
    assert [str(cell) for cell in rows["as_of"][:2]] == ["2023-01-25 18:00:00.250000", "2023-01-25T18:00:00.250000Z"]
    assert rows["stores"][0] == 1
    assert (rows["uphours"][0], rows["tzdata"][0]) == (__version__, made.tzdata)
    assert (rows["interpolation"][0], rows["max_age_us"][0]) == ("next", "no limit")
    assert rows["confirm_within_us"][0] == "7200000000"
    assert str(rows["last_hour"][0]) == "2023-01-25 17:00:00.250000"
    assert rows["last_hour"][2:4] == ("2023-01-25T17:00:00.250000Z", "2023-01-25T18:00:00.250000Z")
    assert str(rows["today"][0]) == "2023-01-24 18:15:00"  # midnight in Kathmandu
    assert rows["today"][2:4] == ("of each store's own",) * 2
    assert rows["Uptime last hour (min)"][:2] == ("minutes", "uptime_last_hour")
    assert rows["Uptime today (h)"][:2] == ("hours", "uptime_today")
    assert any(str(name).startswith("An empty cell has nothing to divide by") for name in rows)
    assert "ledger" not in rows


@pytest.mark.parametrize(("options", "says"), [({"raw": True}, "ignored"), ({"entries_seen": 7}, "up to entry 7")])
def test_the_second_sheet_says_what_the_ledger_has_to_do_with_it(options: dict[str, Any], says: str) -> None:
    sheet = opened(report("a", **options))["About"]
    assert ("ledger", says) in [row[:2] for row in sheet.iter_rows(values_only=True)]


def test_the_file_was_made_at_the_instant_it_speaks_for() -> None:
    assert opened(report("a")).properties.created.isoformat() == "2023-01-25T18:00:00"


def test_two_files_of_the_same_inputs_are_the_same_bytes() -> None:
    made = written(named(*IDS), "xlsx", detail=True)
    assert made == written(named(*IDS), "xlsx", detail=True)
    with ZipFile(io.BytesIO(made)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize(
    "made", [named(*IDS), report("a", "b", chosen=WINDOW_NAMES), report()], ids=["ids", "windows", "none"]
)
def test_a_workbook_that_is_not_held_in_memory_says_the_same(made: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    held = opened(made, detail=True)
    monkeypatch.setattr("uphours.reports.xlsx._CELLS_IN_MEMORY", 0)
    assert written(made, "xlsx", detail=True) == written(made, "xlsx", detail=True)
    for sheet, other in zip(held, opened(made, detail=True), strict=True):
        assert (sheet.title, sheet.dimensions, sheet.freeze_panes) == (
            other.title,
            other.dimensions,
            other.freeze_panes,
        )
        assert sheet.auto_filter.ref == other.auto_filter.ref
        for cells, others in zip(sheet.rows, other.rows, strict=True):
            assert [value_and_form(cell) for cell in cells] == [value_and_form(cell, unescape) for cell in others]
        widths = [{name: at.width for name, at in one.column_dimensions.items()} for one in (sheet, other)]
        assert widths[0] == widths[1]


def value_and_form(cell: Any, of_text: Callable[[str], str] = str) -> tuple[Any, ...]:
    # A text may be in the sheet, where openpyxl leaves it escaped, or in a table of texts.
    value = of_text(cell.value) if isinstance(cell.value, str) else cell.value
    return value, cell.data_type.replace("inlineStr", "s"), cell.number_format, cell.font.b


def test_no_temporary_file_is_needed_for_a_usual_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    assert opened(report("a"))["Report"]["A2"].value == "a"


def test_a_report_without_stores_has_its_header() -> None:
    sheet = opened(report())["Report"]
    assert (sheet.max_row, sheet["A1"].value, sheet.auto_filter.ref) == (2, "Store id", "A1:J1")
    assert [cell.value for cell in sheet[2]] == ["Total", *[0] * 6, *[None] * 3]


def test_columns_after_z_have_two_letters() -> None:
    sheet = opened(report("a", chosen=WINDOW_NAMES), detail=True)["Report"]
    assert sheet.max_column == 1 + 15 * len(WINDOW_NAMES) + 1
    assert sheet["AA1"].value == sheet.cell(1, 27).value != sheet["ZZ1"].value


@pytest.mark.parametrize("n", [1_048_575, 2_000_000])
def test_more_stores_than_a_sheet_has_rows_are_refused(n: int) -> None:
    made = replace(report("a"), store_ids=range(n))  # type: ignore[arg-type]  # only their number counts
    with pytest.raises(InputError, match="do not fit into a sheet; valid are up to 1,048,574 stores"):
        written(made, "xlsx")


@pytest.mark.parametrize("module", ["uphours.reports", "uphours.reports.xlsx"])
def test_no_other_report_waits_for_the_library_of_this_one(module: str) -> None:
    program = f"import {module}, sys; sys.exit('xlsxwriter' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
