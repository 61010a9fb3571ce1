"""The commands for the upkeep of a store."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.fixtures import tables
from uphours.database.database import connect
from uphours.database.loads import list_loads
from uphours.database.migrate import SCHEMA_VERSION

DB = "sqlite:///uphours.db"


def test_migrate_makes_a_store_and_then_has_nothing_to_do(run: Run) -> None:
    assert run("migrate").out.decode() == f"uphours.db is now at version {SCHEMA_VERSION}\n"
    assert run("migrate").out.decode() == f"uphours.db is already at version {SCHEMA_VERSION}\n"


def test_the_store_may_be_named_by_a_file(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables.write(tmp_path / "url", "sqlite:///named.db\n")
    monkeypatch.setenv("UPHOURS_DATABASE_URL_FILE", str(tmp_path / "url"))
    assert run("migrate").out.decode().startswith("named.db is now")
    assert (tmp_path / "named.db").exists()


@pytest.mark.usefixtures("loaded")
def test_doctor_prints_a_line_for_each_thing(run: Run) -> None:
    ran = run("doctor")
    assert (ran.code, ran.err) == (0, "")
    assert re.search(r"good +integrity", ran.out.decode())
    ran = run("doctor", "--json")
    assert {finding["state"] for finding in json.loads(ran.out)} <= {"good", "warning"}


@pytest.mark.usefixtures("loaded")
def test_doctor_leaves_with_3_if_something_is_bad(run: Run, tmp_path: Path) -> None:
    with tables.sqlite_file(tmp_path / "uphours.db") as connection:
        connection.execute("DELETE FROM quarantine")
    ran = run("doctor")
    assert ran.code == 3
    assert "a load lacks rows of its quarantine" in ran.out.decode()
    assert ran.err == "uphours: uphours.db needs attention\n"


def test_doctor_and_prune_make_no_store(run: Run, tmp_path: Path) -> None:
    ran = run("prune", "--before", "1d")
    assert (ran.code, ran.out) == (2, b"")
    assert "there is no uphours database 'uphours.db'" in ran.err
    ran = run("doctor")  # it says whether one could be made
    assert (ran.code, ran.err) == (0, "")
    assert "there are no tables yet" in ran.out.decode()
    assert not (tmp_path / "uphours.db").exists()
    ran = run("doctor", "--db", "sqlite:///nowhere/uphours.db")
    assert ran.code == 3
    assert "there is no folder" in ran.out.decode()


@pytest.mark.usefixtures("loaded")
def test_prune_says_how_much_went(run: Run) -> None:
    ran = run("prune", "--before", "2023-01-25T12:45:00Z", "--yes")
    assert ran.code == 0, ran.err
    assert ran.out.decode() == "1 observation before 2023-01-25 12:45:00 UTC taken away\n"
    assert run("prune", "--before", "2023-01-25T12:45:00Z").out.startswith(b"0 observations")
    ran = run("report", "--window", "last_week")
    assert ran.code == 2
    assert "were pruned" in ran.err
    assert run("report", "--window", "last_hour").code == 0


@pytest.mark.usefixtures("loaded")
def test_prune_with_something_else_than_an_instant_says_what_is_valid(run: Run) -> None:
    ran = run("prune", "--before", "soon")
    assert ran.code == 2
    assert "valid is also how long ago it was, such as 400d" in ran.err
    assert run("prune").code == 2


@pytest.mark.usefixtures("loaded")
def test_copy_prints_rows_and_checksums(run: Run) -> None:
    ran = run("copy", "--from", DB, "--to", "sqlite:///copy.db", "--json")
    assert ran.code == 0, ran.err
    copied = {table["table"]: table for table in json.loads(ran.out)}
    assert copied["observations"]["rows"] == 3
    assert "the same in both databases" in ran.err
    with connect("sqlite:///copy.db").reading() as connection:
        assert len(list_loads(connection)) == 1
    assert run("report", "--db", "sqlite:///copy.db").out == run("report").out
    ran = run("copy", "--from", DB, "--to", "sqlite:///copy.db")
    assert ran.code == 2
    assert "copy.db is not empty" in ran.err
