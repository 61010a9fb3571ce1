"""What `load`, `report` from files and `quarantine` say of rows that cannot be used, and how they end."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.fixtures.tables import NOW, POLLS, TIMEZONES, table, write
from tests.fixtures.tables import load as load_tables
from uphours.database.database import connect
from uphours.database.prune import prune
from uphours.reports.export import export
from uphours.schema import DAY_US, HOUR_US, instant_text

HOURS = table("hours", "1,0,09:00,17:00", "2,0,dawn,17:00")
#: Files of which no row can be used, and the words of the cause.
UNUSABLE = [
    ("polls", table("polls", "s,odd,2023-01-24 10:00:00 UTC", "s,odder,2023-01-24 10:00:00 UTC"), "unknown status"),
    ("polls", table("polls", "s,active,yesterday"), "unreadable timestamp_utc"),
    ("polls", '{"store_id": "s", "status": "odd", "timestamp_utc": "2023-01-24"}\n' * 2, "unknown status"),
    ("hours", table("hours", "s,0,dawn,17:00"), "unreadable start_time_local"),
    ("hours", table("hours", "s,0,09:00,17:00,x"), "wrong number of fields"),
    ("timezones", table("timezones", "s,Mars/Olympus"), "unknown zone"),
]


def options(folder: Path, **contents: str) -> list[str]:
    """Write files and return the options that name them."""
    return [
        word
        for kind, content in contents.items()
        for word in (f"--{kind}", write(folder / f"{kind}.csv", content).rpartition("/")[2])
    ]


@pytest.mark.parametrize("command", ["load", "report"])
def test_a_file_of_which_no_row_can_be_used_is_named_with_the_reason(run: Run, tmp_path: Path, command: str) -> None:
    for place, (kind, content, words) in enumerate(UNUSABLE):
        folder = tmp_path
        others = {"polls": POLLS} if kind != "polls" else {}
        ran = run(command, *options(folder, **others, **{kind: content}), "--quarantine", f"q{place}.csv")
        assert ran.code == 2, (kind, content, ran.err)
        assert ran.out == b"", (kind, content)
        assert f"no row of {kind}.csv ({kind}) can be used" in ran.err, ran.err
        assert words in ran.err, ran.err
        assert "there are no observations yet" not in ran.err, ran.err
        assert "Traceback" not in ran.err
        with (tmp_path / f"q{place}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == content.count("\n") - (not content.startswith("{")), (kind, content)
        assert all(row["file"] == f"{kind}.csv" and row["reason"] for row in rows)
    assert not list(tmp_path.glob("*.db"))


@pytest.mark.parametrize("command", ["load", "report"])
def test_two_bad_files_are_both_named(run: Run, tmp_path: Path, command: str) -> None:
    ran = run(command, *options(tmp_path, polls=UNUSABLE[0][1], timezones=UNUSABLE[5][1]))
    assert ran.code == 2
    assert "polls.csv (polls)" in ran.err
    assert "timezones.csv (timezones)" in ran.err
    assert "2 × unknown status" in ran.err


def test_an_unusable_parquet_file_is_named_with_the_reason(run: Run, tmp_path: Path) -> None:
    import polars as pl

    instants = pl.Series([915_148_800_000_000]).cast(pl.Datetime("us", "UTC"))  # of 1999
    pl.DataFrame({"store_id": ["s"], "status": ["active"], "timestamp_utc": instants}).write_parquet(
        tmp_path / "p.parquet"
    )
    ran = run("report", "--polls", "p.parquet")
    assert ran.code == 2
    assert "1 × timestamp_utc is before the year 2000" in ran.err


def test_load_and_report_end_with_what_they_did(run: Run, tmp_path: Path) -> None:
    files = options(tmp_path, polls=POLLS, hours=HOURS, timezones=TIMEZONES.replace("2,", "3,"))
    said = [
        "hours.csv: 2 rows, 1 accepted, 1 rejected",
        "(line 3: 2,0,dawn,17:00)",
        "1 store counts as always open (no hours given)",
        "1 store counts in America/Chicago (no time zone given)",
        "1 store counts with unknown hours",
        "1 of 2 stores with polls has a time zone; 1 store with a time zone has no polls",
    ]
    loaded = run("load", *files).out.decode()
    reported = run("report", *files)
    for words in said:
        assert words in loaded, words
        assert words in reported.err, words
        assert words in run("loads").out.decode(), words
    assert "1 store of this report has unknown hours" in reported.err
    assert reported.out == run("report").out
    assert "1 store of this report has unknown hours" in run("report").err
    (record,) = json.loads(run("loads", "--json").out)
    assert record["summary"]["stores"]["hours_unknown"] == 1
    assert "hours unknown" in run("stores").out.decode()
    assert json.loads(run("stores", "--json").out)[1]["hours_known"] is False
    assert "hours unknown" in run("explain", "2").out.decode()


def test_the_latest_observation_is_said_from_files_too(run: Run, tmp_path: Path) -> None:
    files = options(tmp_path, polls=POLLS + "1,active,2023-02-01 20:00:00 UTC\n")
    words = "the latest observation, 2023-02-01 20:00:00 UTC, is 20.0 h ahead of the clock"
    assert words in run("report", *files).err
    assert words in run("load", *files).out.decode()


def test_hints_name_the_database_that_was_given_and_can_be_pasted(run: Run, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a b/my store's.db"
    (tmp_path / "a b").mkdir()
    files = options(tmp_path, polls=POLLS + "3,activ,2023-01-24 10:00:00 UTC\n")
    loaded = run("load", "--db", url, *files)
    lost = run("explain", "--db", url, "nobody")
    for ran, code in ((loaded, 0), (lost, 2)):
        assert ran.code == code, ran.err
        (hint,) = [part for part in ran.err.split("`") if part.startswith("uphours ")]
        words = shlex.split(hint)
        assert words[-2:] == ["--db", url]
        assert run(*words[1:]).code == 0
    assert "--db" not in run("explain", "nobody", "--db", "sqlite:///nowhere.db").err.replace("--db names", "").replace(
        "--db sqlite:///nowhere.db", ""
    )


def test_hints_show_no_password() -> None:
    from uphours.cli import edge

    edge._named["db"] = "postgresql://me:s3cr3t@host/db"
    try:
        assert "s3cr3t" not in edge.pasteable("`uphours loads` lists them")
    finally:
        edge._named["db"] = None


def test_strict_fails_where_more_rows_are_rejected(run: Run, tmp_path: Path) -> None:
    files = options(tmp_path, polls=POLLS + "3,activ,2023-01-24 10:00:00 UTC\n")
    for command in ("load", "report"):
        ran = run(command, *files, "--strict", "20%", "--quarantine", "q.csv")
        assert ran.code == 2
        assert "1 of 4 rows are rejected, more than 20" in ran.err
        assert "1 × unknown status" in ran.err
        assert b"activ" in (tmp_path / "q.csv").read_bytes()
        assert run(command, *files, "--strict", "0.25").code == 0
        for wrong in ("2", "-1", "x", "", "101%", "1e-3", "nan"):
            ran = run(command, *files, "--strict", wrong)
            assert ran.code == 2, wrong
            assert "cannot read the share" in ran.err, wrong
    assert "--strict is for reports from files" in run("report", "--strict", "0").err


def test_a_report_from_files_keeps_the_first_rejected_rows(run: Run, tmp_path: Path) -> None:
    odd = "".join(f"1,odd{n},2023-01-24 10:00:00 UTC\n" for n in range(10_100))
    ran = run("report", *options(tmp_path, polls=POLLS + odd), "--quarantine", "q.csv")
    assert ran.code == 0
    assert "10,100 × unknown status" in ran.err
    assert "the first 10,000 rejected rows are kept, 100 more are only counted" in ran.err
    assert (tmp_path / "q.csv").read_bytes().count(b"\n") == 10_001
    loaded = run("load", *options(tmp_path, polls=POLLS + odd)).out.decode()
    assert "the first 10,000 rejected rows are kept, 100 more are only counted" in loaded
    assert "100 rows of these are only counted, not kept" in run("quarantine").err


@pytest.mark.parametrize("command", ["load", "report"])
def test_what_days_mean_is_said(run: Run, tmp_path: Path, command: str) -> None:
    said = {
        "1,1,09:00,17:00\n1,7,09:00,17:00": "hours.csv: days are read as 1 (Monday) to 7 (Sunday): no row says 0",
        "1,1,09:00,17:00": "hours.csv: no row is of day 0 (Monday); days are read as 0 (Monday) to 6 (Sunday)",
    }
    for rows, words in said.items():
        ran = run(command, *options(tmp_path, polls=POLLS, hours=table("hours", rows)))
        assert ran.code == 0, ran.err
        assert words in ran.err + ran.out.decode(), rows
    ran = run(command, *options(tmp_path, polls=POLLS, timezones=table("timezones", "1,Etc/GMT+5")))
    assert "timezones.csv: Etc/GMT+5 is without summer time all year" in ran.err + ran.out.decode()


def test_a_load_says_from_when_on_an_export_is_complete(run: Run, tmp_path: Path) -> None:
    """Once: a later load of the same files brings no limit that was not known."""
    rows = [f"{n % 3},active,{instant_text(NOW - n * HOUR_US)}" for n in range(200)]
    database = connect(f"sqlite:///{tmp_path / 'old.db'}")
    load_tables(database, tmp_path, polls=table("polls", *rows))
    prune(database, NOW - 3 * DAY_US, now=NOW, actor="me")
    export(database, str(tmp_path / "out"), now=NOW)
    said = "observations before 2023-01-29 00:00:00 UTC are not complete; windows that begin earlier are refused"
    loads = [run("load", "--polls", "out/polls/**/*.parquet") for _ in range(2)]
    assert [said in ran.out.decode() for ran in loads] == [True, False], loads
    assert said in run("report", "--polls", "out/polls/**/*.parquet", "--window", "last_day").err
    assert run("report").code == 2
