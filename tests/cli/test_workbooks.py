"""Workbooks on the command line: names, groups, outages, from a database and from files, and mistakes said clearly."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pytest

from tests.cli.conftest import Run
from uphours.cli import edge
from uphours.schema import instant_us

CASE = Path(__file__).parents[1] / "golden" / "operations" / "10_store_changes_its_region"
FILES = [word for kind in ("polls", "hours", "timezones", "stores") for word in (f"--{kind}", f"{kind}.csv")]
RED = "FFFFC7CE"
JUNE = ("--as-of", "2024-07-02", "--window", "june=2024-06-01T00:00Z/2024-07-01T00:00Z")


@pytest.fixture
def loaded(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Load a worked case: a store that changes its region, and one that does not, with names."""
    monkeypatch.setattr(edge, "now", lambda: instant_us("2024-07-03"))
    for name in ("polls", "hours", "timezones"):
        shutil.copy(CASE / f"{name}.csv", tmp_path)
    (tmp_path / "stores.csv").write_text(
        "store_id,valid_from,region,name\ns1,,North,=1+1\ns1,2024-06-16,South,=1+1\ns2,,South,@home\n"
    )
    assert run("load", *FILES).code == 0
    return tmp_path


def sheets(name: str) -> dict[str, list[tuple[Any, ...]]]:
    return {sheet.title: [*sheet.iter_rows(values_only=True)] for sheet in openpyxl.load_workbook(name)}


def test_a_workbook_names_the_stores_where_the_fleet_has_names(run: Run, loaded: Path) -> None:
    ran = run("report", *JUNE, "-o", "report.xlsx")
    assert ran.code == 0, ran.err
    assert "2 stores, as of 2024-07-02 00:00:00 UTC" in ran.err
    assert sheets("report.xlsx")["Report"] == [
        ("Store id", "Name", "Uptime june (h)", "Downtime june (h)", "Availability june"),
        ("s1", "=1+1", 672, 48, 0.9333),
        ("s2", "@home", 240, 0, 1),
        ("Total", None, 912, 48, 0.95),
    ]
    assert run("report", *JUNE, "--columns", "region", "-o", "report.xlsx").code == 0
    assert sheets("report.xlsx")["Report"][0][:2] == ("Store id", "Region")


def test_availability_below_the_target_of_the_whole_fleet_is_red(run: Run, loaded: Path) -> None:
    def reds(*words: object) -> list[str]:
        assert run("report", *JUNE, *words, "-o", "report.xlsx").code == 0
        sheet = openpyxl.load_workbook("report.xlsx").worksheets[0]
        return [cell.coordinate for row in sheet.iter_rows() for cell in row if cell.fill.start_color.rgb == RED]

    assert reds() == []
    targets = [
        "name,where,target,period,valid_from",
        "north,region=North,99,month,",
        "low,,10,week,",
        "norm,,95,month,",
    ]
    targets.append("norm,,100,month,2024-07-03")  # after the instant of the report
    (loaded / "targets.csv").write_text("\n".join(targets) + "\n")
    assert run("load", "--targets", "targets.csv").code == 0
    assert reds() == ["E2"]
    assert reds("--by", "region") == ["E2"]
    assert "Red cells are below the target of 95 %" in str(sheets("report.xlsx")["About"])


def test_groups_have_a_sheet_each(run: Run, loaded: Path) -> None:
    for number, files in enumerate(([], FILES)):
        ran = run("report", *files, *JUNE, "--by", "region", "--outages", "-o", f"{number}.xlsx")
        assert ran.code == 0, ran.err
    book = sheets("0.xlsx")
    assert [*book] == ["Groups", "North", "South", "Outages", "About"]
    assert [row[:2] for row in book["Groups"]] == [("Region", "Stores"), ("North", 1), ("South", 2), ("(all)", 2)]
    assert book["South"][1:] == [
        ("s1", "=1+1", 336, 24, 0.9333), ("s2", "@home", 240, 0, 1), ("Total", None, 576, 24, 0.96),
    ]  # fmt: skip
    assert Path("0.xlsx").read_bytes() == Path("1.xlsx").read_bytes()


def test_outages_are_a_sheet_that_is_asked_for(run: Run, loaded: Path) -> None:
    words = ("report", *JUNE, "--where", "region=South", "--outages", "-o")
    assert run(*words, "database.xlsx").code == 0
    assert run(words[0], *FILES, *words[1:], "files.xlsx").code == 0
    assert Path("database.xlsx").read_bytes() == Path("files.xlsx").read_bytes()
    header, *rows = sheets("database.xlsx")["Outages"]
    assert header[:3] == ("Store id", "Name", "Start (local)")
    assert [(row[0], str(row[2]), row[-2], row[-1]) for row in rows] == [
        ("s1", "2024-06-10 00:00:00", 24, "no"), ("s1", "2024-06-20 00:00:00", 24, "no"),
    ]  # fmt: skip
    assert run("report", *JUNE, "--raw", "--outages", "-o", "raw.xlsx").code == 0
    assert ("ledger", "ignored") in [row[:2] for row in sheets("raw.xlsx")["About"]]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--outages", "-o", "report.csv"], "--outages is a sheet of a workbook; valid with -o report.xlsx"),
        (["--outages", "--engine", "spark", "-o", "r.xlsx"], "--outages is not for --engine spark; valid is --engine"),
        (["--by", "brand", "-o", "r.xlsx"], "there is no attribute 'brand'; valid are 'name', 'region'"),
        (["--store", "s9", "-o", "r.xlsx"], "s9"),
    ],
)
def test_a_mistake_is_said_with_what_is_valid(run: Run, loaded: Path, words: list[str], says: str) -> None:
    ran = run("report", *words)
    assert (ran.code != 0, ran.out) == (True, b"")
    assert says in " ".join(ran.err.split())
    assert not Path("r.xlsx").exists()
