"""Mistakes: one clear message that ends in what is valid, the right exit code, and never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Ran, Run
from tests.fixtures import tables
from uphours.errors import EngineError

DB = ["--db", "sqlite:///uphours.db"]
#: Words on the command line, and what the message must say.
MISTAKES: list[tuple[list[str], list[str]]] = [
    (["report", "--as-off", "2023-01-24"], ["No such option", "--as-of"]),
    (["reprot"], ["No such command", "report"]),
    (["report", "extra"], ["unexpected extra argument"]),
    (["report", "--as-of"], ["--as-of", "requires an argument"]),
    (["explain"], ["Missing argument", "store_id"]),
    (["quarantine", "--load", "x"], ["--load", "'x'"]),
    (["report", "--as-of", "yesterday"], ["cannot read the instant 'yesterday'", "valid are 2023-01-25T18:13:22Z"]),
    (["report", "--as-of", "2023-02-30"], ["cannot read the instant", "valid are"]),
    (["report", "--as-of", "1850-01-01"], ["out of range", "1970 to 2199"]),
    (["report", "--as-of", ""], ["cannot read the instant", "valid are"]),
    (["report", "--max-age", "long"], ["cannot read the duration 'long'", "valid are 90m, 1.5h"]),
    (["report", "--max-age", "0h"], ["max_age", "longer than nothing"]),
    (["report", "--max-age", "-1h"], ["cannot read the duration", "valid are"]),
    (["report", "--max-age", "9" * 40 + "d"], ["duration", "valid"]),
    (["report", "--window", "last_year"], ["there is no window 'last_year'", "last_hour", "NAME=START/END"]),
    (["report", "--window", "w=2023-01-01"], ["cannot read the window", "NAME=START/END"]),
    (["report", "--window", "w=x/y"], ["cannot read the instant 'x'", "valid are"]),
    (["report", "--window", "w=2023-01-02/2023-01-01"], ["not after its start"]),
    (["report", "--window", "two words=2023-01-01/2023-01-02"], ["cannot be called 'two words'", "letters, digits"]),
    (["report", "--window", "last_day=2023-01-01/2023-01-02"], ["cannot be called 'last_day'", "taken"]),
    (["report", "--window", "last_day", "--window", "last_day"], ["more than once"]),
    (["report", "--interpolation", "linear"], ["interpolation is 'linear'", "previous, next, nearest"]),
    (["report", "--assume", "open"], ["assume is 'open'", "unknown, active, inactive"]),
    (["report", "--format", "xls"], ["there is no format 'xls'", "csv, json, parquet, xlsx"]),
    (["explain", "1", "--format", "csv"], ["there is no format 'csv'", "text, json"]),
    (["report", "--store", "nobody"], ["there is no store 'nobody'", "uphours stores"]),
    (["explain", "nobody"], ["there is no store 'nobody'", "uphours stores"]),
    (["quarantine", "--load", "99"], ["there is no load '99'", "uphours loads"]),
    (["report", "--db", "oracle://x"], ["names no database", "sqlite:///FILE", "postgresql://"]),
    (["report", "--db", "postgres://x"], ["names no database", "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"]),
    (["report", "--db", "sqlite:///nowhere.db"], ["there is no", "'nowhere.db'", "uphours load", "--db"]),
    (["stores", "--db", "sqlite:///nowhere.db"], ["there is no", "'nowhere.db'"]),
    (["report", *DB, "--polls", "polls.csv"], ["either --db or files", "not both"]),
    (["load"], ["nothing to load", "--polls, --hours, --timezones, --special, --stores, --adjustments"]),
    (["load", "--polls", "nowhere.csv"], ["there is no file nowhere.csv (polls)"]),
    (["load", "--polls", "*.nothing"], ["no file matches '*.nothing' (polls)"]),
    (["load", "--polls", "."], [". is a folder; name files (polls)"]),
    (["report", "--polls", "nowhere.csv"], ["there is no file nowhere.csv (polls)"]),
    (["load", "--polls", "hours.csv"], ["hours.csv (polls) has no column status", "needs store_id, status"]),
    (["load", "--polls", "empty.csv"], ["empty.csv (polls) is empty"]),
    (["load", "--polls", "broken.gz"], ["cannot read broken.gz (polls)"]),
    (["report", "--polls", "polls.csv", "--store", "nobody"], ["there is no store 'nobody'"]),
    (["report", "--hours", "hours.csv"], ["there are no", "polls", "as_of"]),
    (["report", "--engine", "flink"], ["there is no engine 'flink'", "local, spark"]),
    (["report", "--master", "yarn"], ["--master and --conf are for --engine spark"]),
    (["report", "--engine", "spark"], ["reports from files or tables", "--polls"]),
    (["report", "--engine", "spark", *DB], ["reports from files or tables", "--polls"]),
    (["report", "--engine", "spark", "--polls", "p", "--hours", "x.csv"], ["there is no file x.csv (hours)"]),
    (["report", "--engine", "spark", "--polls", "p", "--conf", "x"], ["cannot read the property 'x'", "NAME=VALUE"]),
    (["report", "-o", "nowhere/report.csv"], ["cannot write nowhere/report.csv"]),
    (["report", "-o", "s3://"], ["there is no bucket in the place", "s3://bucket/prefix"]),
    (["report", "--memory", "4GB"], ["--memory is for reports from files", "--polls"]),
    (["report", "--temp", "."], ["--temp is for reports from files"]),
    (["report", "--quarantine", "q.csv"], ["--quarantine is for reports from files"]),
    (["report", "--polls", "polls.csv", "--memory", "4"], ["cannot read the size '4'", "500MB, 4GB"]),
    (["report", "--polls", "polls.csv", "--memory", "-4GB"], ["cannot read the size '-4GB'", "500MB, 4GB"]),
    (["report", "--polls", "polls.csv", "--memory", "1KB"], ["--memory 1KB is too little", "from 1MiB on"]),
    (["report", "--polls", "polls.csv", "--temp", "nowhere"], ["there is no folder nowhere", "--temp"]),
    (["report", "--polls", "polls.csv", "--quarantine", "nowhere/q.csv"], ["cannot write nowhere/q.csv"]),
    (["report", "--polls", "s3://k:secret@b/x"], ["there is no bucket in the place", "without credentials"]),
    (["export", "out"], ["Missing option '--to'"]),
    (["export", "--to", "csv", "out"], ["there is no format 'csv' to export to", "valid are parquet"]),
    (["export", "--to", "parquet"], ["Missing argument", "DIR"]),
    (["export", "--to", "parquet", "polls.csv"], ["there is something at polls.csv already", "new or empty"]),
    (["export", "--to", "parquet", "out", "--db", "sqlite:///nowhere.db"], ["there is no", "'nowhere.db'"]),
    (["report", "-o", "folder"], ["cannot write folder"]),
]  # fmt: skip


def assert_one_clear_message(ran: Ran, *words: str) -> None:
    flat = " ".join(ran.err.replace("│", " ").split())
    for word in words:
        assert word.casefold() in flat.casefold(), words
    assert "Traceback" not in ran.err
    assert "defect" not in ran.err
    assert ran.out == b""
    assert ran.err.count("uphours:") <= 1


def test_a_mistake_is_said_clearly_with_what_is_valid(run: Run, loaded: list[str], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    tables.write(tmp_path / "empty.csv", b"")
    tables.write(tmp_path / "broken.gz", b"\x1f\x8b\x08broken")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    present = sorted(path.name for path in tmp_path.iterdir())
    for words, message in MISTAKES:
        ran = run(*words, *loaded)
        assert ran.code == 2, words
        assert_one_clear_message(ran, *message)
        assert sorted(path.name for path in tmp_path.iterdir()) == present, words
        assert {name: (tmp_path / name).read_bytes() for name in before} == before, words


def test_no_word_at_all_shows_the_help(run: Run) -> None:
    ran = run()
    assert "Usage" in (ran.out.decode() + ran.err)
    assert "Traceback" not in ran.err


def test_a_report_of_a_store_without_observations_says_what_to_do(run: Run, tmp_path: Path) -> None:
    tables.write(tmp_path / "hours.csv", tables.HOURS)
    assert run("load", "--hours", "hours.csv").code == 0
    ran = run("report")
    assert ran.code == 2
    assert_one_clear_message(ran, "there are no", "polls", "as_of")


BROKEN_STORES = {
    "text": b"this is no database at all, but it is long enough to be looked at" * 100,
    "an empty file": b"",
}


@pytest.mark.parametrize("content", BROKEN_STORES)
@pytest.mark.parametrize("words", [["report"], ["stores"], ["loads"], ["quarantine"], ["explain", "1"]])
def test_a_file_that_is_no_store_is_exit_code_3_and_an_empty_one_is_no_store_yet(
    run: Run, tmp_path: Path, content: str, words: list[str]
) -> None:
    tables.write(tmp_path / "uphours.db", BROKEN_STORES[content])
    ran = run(*words)
    assert ran.code == (3 if BROKEN_STORES[content] else 2)
    assert_one_clear_message(
        ran, "uphours.db", "is no SQLite database" if BROKEN_STORES[content] else "there is no uphours database"
    )
    assert (tmp_path / "uphours.db").read_bytes() == BROKEN_STORES[content]


def test_a_load_into_a_file_that_is_no_store_is_exit_code_3(run: Run, files: list[str], tmp_path: Path) -> None:
    tables.write(tmp_path / "uphours.db", BROKEN_STORES["text"])
    ran = run("load", *files)
    assert ran.code == 3
    assert_one_clear_message(ran, "uphours.db", "is no SQLite database")
    assert (tmp_path / "uphours.db").read_bytes() == BROKEN_STORES["text"]


def test_a_store_of_a_newer_version_is_exit_code_3(run: Run, loaded: list[str], tmp_path: Path) -> None:
    with tables.sqlite_file(tmp_path / "uphours.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for words in (["report"], ["stores"], ["load", "--polls", "polls.csv"]):
        ran = run(*words, *loaded)
        assert ran.code == 3
        assert_one_clear_message(ran, "version 9999", "newer")


def test_a_store_in_a_folder_that_is_not_there_is_no_defect(run: Run, files: list[str]) -> None:
    ran = run("load", "--db", "sqlite:///nowhere/store.db", *files)
    assert ran.code in (2, 3)
    assert_one_clear_message(ran, "nowhere/store.db")


def test_a_folder_is_no_store(run: Run, files: list[str], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for words in (["load", *files], ["report"], ["stores"]):
        ran = run(*words, "--db", "sqlite:///folder")
        assert ran.code in (2, 3)
        assert_one_clear_message(ran, "folder")


def test_a_defect_is_exit_code_1_and_says_so(run: Run, loaded: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("uphours.reports.measure.run_report", fail)
    ran = run("report", *loaded)
    assert ran.code == 1
    assert "ZeroDivisionError: a defect" in ran.err
    assert "this is a defect of uphours; please report it" in ran.err
    assert ran.out == b""


# --- a file is whole or not there ------------------------------------------------------------------------


def test_an_existing_report_is_replaced_and_nothing_is_left_beside_it(
    run: Run, loaded: list[str], tmp_path: Path
) -> None:
    tables.write(tmp_path / "report.csv", b"old")
    before = {path.name for path in tmp_path.iterdir()}
    assert run("report", "-o", "report.csv", *loaded).code == 0
    assert (tmp_path / "report.csv").read_bytes().startswith(b"store_id,")
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith("uphours.db")} == {
        name for name in before if not name.startswith("uphours.db")
    }


def test_a_report_has_the_permissions_of_any_new_file(run: Run, loaded: list[str], tmp_path: Path) -> None:
    assert run("report", "-o", "report.csv", *loaded).code == 0
    (tmp_path / "plain").touch()
    assert (tmp_path / "report.csv").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("step", ["os.fsync", "os.replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_report_that_cannot_be_finished_leaves_the_old_one_and_nothing_else(
    run: Run, loaded: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    tables.write(tmp_path / "report.csv", b"old")
    before = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("uphours.db"))

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(step, fail)
    ran = run("report", "-o", "report.csv", *loaded)
    monkeypatch.undo()
    assert ran.code == (2 if isinstance(error, OSError) else 130)
    assert "Traceback" not in ran.err
    assert (tmp_path / "report.csv").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("uphours.db")) == before


def test_spark_that_is_not_installed_is_said_with_how_to_get_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uphours.spark.command.find_spec", lambda _name: None)
    ran = run("report", "--engine", "spark", "--polls", "polls")
    assert ran.code == 2
    assert_one_clear_message(ran, "the engine spark needs PySpark", "pip install 'uphours[spark]'")


def test_a_cluster_that_fails_is_no_defect_of_ours(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_given: object, **_named: object) -> None:
        raise EngineError("the Spark job failed: an executor ran out of memory")

    monkeypatch.setattr("uphours.cli.engines.on_spark", fail)
    ran = run("report", "--engine", "spark", "--polls", "polls")
    assert ran.code == 3
    assert_one_clear_message(ran, "the Spark job failed: an executor ran out of memory")
