"""The first rows of a report are those of its CSV file; of a group's stores the worst come first."""

from __future__ import annotations

import io

import polars as pl
import pytest

from tests.fixtures.writing import report_of
from tests.unit.reports.test_workbook import fleet, grouped
from uphours.reports.columns import availability_layout
from uphours.reports.first_rows import FirstRows, first_rows
from uphours.reports.group_files import group_cells
from uphours.reports.group_members import worst_first
from uphours.reports.writers import as_csv


@pytest.mark.parametrize("most", [0, 3, 500])
def test_the_first_rows_are_those_of_the_file_and_the_total_is_of_all(most: int) -> None:
    report = report_of(40)
    found = first_rows(report, most)
    table = pl.read_csv(as_csv(report, availability_layout(report.windows.names)), infer_schema=False)
    assert found.titles == table.columns
    assert [tuple(row) for row in found.rows] == table.head(most).rows()
    assert (found.count, found.words, found.total[0]) == (40, 1, "(all)")
    whole = sum(report.figures()["downtime_us"][:, 0].tolist())
    shown = found.total[found.titles.index(f"downtime_{report.windows.names[0]}")]
    unit = 60e6 if report.windows.names[0] == "last_hour" else 3.6e9
    assert float(shown or "nan") == pytest.approx(whole / unit, abs=0.005)


def test_the_first_rows_of_groups_end_in_the_fleet() -> None:
    made, _ = grouped(fleet())
    found = first_rows(made, 1)
    titles, first, *_, whole = group_cells(made)
    assert (found.titles, found.rows, found.total) == (titles, [first], whole)
    assert found.count == len(made.groups) > 1


def test_what_is_written_is_read() -> None:
    found = first_rows(report_of(3), 2)
    file = io.BytesIO()
    found.write(file)
    assert FirstRows.read(file.getvalue()) == found


def test_the_stores_of_a_group_are_in_order_of_what_they_lost_while_they_belonged_to_it() -> None:
    made, members = grouped(fleet())
    for place, member in enumerate(members):
        report = worst_first(made, place)
        lost = report.figures()["downtime_us"][:, 0].tolist()
        assert lost == sorted(lost, reverse=True)
        expected = dict(zip(member.store_ids, member.figures()["downtime_us"][:, 0].tolist(), strict=True))
        assert dict(zip(report.store_ids, lost, strict=True)) == expected
        assert list(worst_first(made, place, 1).store_ids) == list(report.store_ids[:1])
