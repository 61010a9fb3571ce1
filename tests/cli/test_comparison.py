"""Comparisons on the command line: the same from a database and from files, and mistakes said clearly."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from uphours.cli import edge
from uphours.cli.report_table import report_table
from uphours.ingest.inputs import Kind
from uphours.ingest.load import read_files
from uphours.ingest.memory_fleet import memory_fleet
from uphours.kernel.windows import Window
from uphours.reports.measure import run_report
from uphours.schema import instant_us

CASE = Path(__file__).parents[1] / "golden" / "operations" / "10_store_changes_its_region"
FILES = [word for kind in ("polls", "hours", "timezones", "stores") for word in (f"--{kind}", f"{kind}.csv")]
LATE_JUNE = ("--as-of", "2024-07-02", "--window", "late=2024-06-16/2024-07-01")


@pytest.fixture
def loaded(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Load a worked case: a store that changes its region, and one that does not."""
    monkeypatch.setattr(edge, "now", lambda: instant_us("2024-07-03"))
    for name in ("polls", "hours", "timezones", "stores"):
        shutil.copy(CASE / f"{name}.csv", tmp_path)
    assert run("load", *FILES).code == 0
    return tmp_path


def test_a_comparison_is_the_same_from_a_database_and_from_files(run: Run, loaded: Path) -> None:
    for more in ((), ("--by", "region"), ("--columns", "region"), ("--detail",)):
        for form in ("csv", "json", "parquet", "xlsx"):
            words = ("report", *LATE_JUNE, *more, "--compare", "-o")
            assert run(*words, f"database.{form}").code == 0
            assert run(words[0], *FILES, *words[1:], f"files.{form}").code == 0
            assert Path(f"database.{form}").read_bytes() == Path(f"files.{form}").read_bytes(), (more, form)
    titles, *rows = Path("database.csv").read_text().splitlines()
    assert titles.endswith(",availability_change_late,downtime_change_late,hours_known")
    assert len(rows) == 2


def test_a_region_is_compared_with_the_stores_that_it_had_then(run: Run, loaded: Path) -> None:
    assert run("report", *LATE_JUNE, "--by", "region", "--compare", "-o", "regions.csv").code == 0
    assert Path("regions.csv").read_text().splitlines() == [
        "region,stores,uptime_late,downtime_late,availability_late,availability_change_late,downtime_change_late",
        "North,0,0.00,0.00,,,",
        "South,2,456.00,24.00,95.00,-5.00,24.00",
        "(all),2,456.00,24.00,95.00,0.00,0.00",
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--engine", "spark"], "--compare is not for --engine spark; valid is --engine local"),
        (["--window", "last_hour", "--as-of", "2024-05-01"], ""),
    ],
)
def test_a_mistake_is_said_with_what_is_valid(run: Run, loaded: Path, words: list[str], says: str) -> None:
    ran = run("report", *words, "--compare")
    assert (ran.code != 0) == bool(says)
    assert says in " ".join(ran.err.split())


def test_a_window_before_of_which_polls_were_pruned_is_refused(run: Run, loaded: Path) -> None:
    assert run("prune", "--before", "2024-06-10").code == 0
    assert run("report", *LATE_JUNE).code == 0
    ran = run("report", *LATE_JUNE, "--compare")
    assert (ran.code, ran.out) == (2, b"")
    assert "observations before 2024-06-10 00:00:00 UTC were pruned" in " ".join(ran.err.split())


def test_a_table_on_a_terminal_shows_the_changes(loaded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    files: dict[Kind, list[str]] = {"polls": ["polls.csv"], "hours": ["hours.csv"], "timezones": ["timezones.csv"]}
    fleet = memory_fleet(read_files(files, now=edge.now()))
    chosen = [Window("late", "2024-06-18", "2024-06-22")]
    made = run_report(fleet, as_of=instant_us("2024-07-02"), chosen=chosen, compare=True)
    header, first, second, _ = report_table(made).splitlines()
    assert header.split() == ["store", "window", "up", "down", "share", "points", "down", "±"]
    assert first.split() == ["s1", "late", "72", "h", "24", "h", "75.00", "%", "-25.00", "+24", "h"]
    assert second.split()[-4:] == ["%", "+0.00", "+0", "min"]
