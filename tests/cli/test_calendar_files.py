"""Files of the calendar and the ledger on the command line: `load` and `report` take them, and say what they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.fixtures.tables import CONTENTS, table, write

SPECIAL = "store_id,date,start_time_local,end_time_local\n1,2023-01-24,,\n"


@pytest.fixture
def all_files(tmp_path: Path) -> list[str]:
    """Write a file of each kind; return the options that name them."""
    for kind, content in CONTENTS.items():
        write(tmp_path / f"{kind}.csv", content)
    return [word for kind in CONTENTS for word in (f"--{kind}", f"{kind}.csv")]


def test_a_load_takes_all_kinds_and_says_what_came(run: Run, all_files: list[str]) -> None:
    ran = run("load", *all_files)
    assert ran.code == 0, ran.err
    for words in (
        "special hours of all stores and of 1 store on 2 dates",
        "9 attributes of stores",
        "3 entries for the ledger",
        "adjustments adjustments.csv: 3 rows, 3 accepted, 0 rejected",
    ):
        assert words in ran.out.decode()


def test_a_report_from_files_takes_all_kinds(run: Run, all_files: list[str], tmp_path: Path) -> None:
    with_them, without = run("report", *all_files), run("report", *all_files[:6])
    assert (with_them.code, without.code) == (0, 0), with_them.err
    assert with_them.out != without.out
    write(tmp_path / "closed.csv", SPECIAL)
    ran = run("report", *all_files[:6], "--special", "closed.csv", "special.csv")
    assert ran.code == 0, ran.err
    assert "closed.csv: 1 row, 1 accepted" in ran.err
    assert "special.csv: 3 rows, 3 accepted" in ran.err


def test_valid_from_dates_the_rows_that_have_no_date(run: Run, all_files: list[str]) -> None:
    ran = run("report", *all_files[:6], "--valid-from", "2023-02-01", "--detail")
    assert ran.code == 0, ran.err
    assert b",0.00,0.00,0.00" in ran.out
    assert run("load", *all_files, "--valid-from", "2023-01-01").code == 0
    for command in ("load", "report"):
        ran = run(command, *all_files, "--valid-from", "soon")
        assert (ran.code, "cannot read the date 'soon' of --valid-from; valid are dates" in ran.err) == (2, True)


def test_what_belongs_to_files_alone_is_refused_without_them(run: Run) -> None:
    ran = run("report", "--valid-from", "2023-01-01")
    assert ran.code == 2
    assert "--valid-from is for reports from files; name them with --polls, --hours, --timezones, --special" in ran.err


def test_an_id_behind_stores_is_told_from_a_file(run: Run, all_files: list[str], tmp_path: Path) -> None:
    ran = run("report", *all_files[:6], "--stores", "1001")
    assert ran.code == 2
    assert "--stores names files of attributes, --store 1001 reports that store alone" in ran.err
    write(tmp_path / "1001", CONTENTS["stores"])
    assert run("report", *all_files[:6], "--stores", "1001", "--store", "1").code == 0


def test_raw_figures_ignore_the_ledger_and_a_report_names_the_last_entry_that_it_saw(
    run: Run, all_files: list[str], tmp_path: Path
) -> None:
    write(
        tmp_path / "adjustments.csv",
        table("adjustments", "2,2023-01-25T14:30Z,2023-01-25T15:00Z,,,excluded,planned closure,,1,"),
    )
    without = run("report", *all_files[:10]).out
    from_files, raw_from_files = run("report", *all_files), run("report", *all_files, "--raw")
    assert run("load", *all_files).code == 0
    from_database, raw_from_database = run("report"), run("report", "--raw")
    assert from_files.out == from_database.out != without
    assert raw_from_files.out == raw_from_database.out == without
    assert from_database.err.rstrip().endswith(", ledger up to entry 1")
    assert "ledger" not in from_files.err.splitlines()[-1]
    for ran in (raw_from_files, raw_from_database):
        assert ran.err.rstrip().endswith(", without the ledger")
    assert json.loads(run("report", "--raw", "--format", "json").out)["raw"] is True
