"""The real command as a process: what only a process can show."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import uphours
from tests.fixtures import tables
from tests.fixtures.commands import begin, start

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of a small fleet, and a store of them."""
    made = tmp_path_factory.mktemp("folder")
    for kind, content in tables.CONTENTS.items():
        tables.write(made / f"{kind}.csv", content)
    names = [word for kind in tables.CONTENTS for word in (f"--{kind}", f"{kind}.csv")]
    ran = start(made, "load", *names)
    assert (ran.returncode, ran.stderr) == (0, b"")
    return made


def test_a_report_of_a_process_is_the_same_from_files_and_from_the_store(folder: Path) -> None:
    names = [word for kind in tables.CONTENTS for word in (f"--{kind}", f"{kind}.csv")]
    from_store, from_files = start(folder, "report"), start(folder, "report", *names)
    assert from_store.returncode == from_files.returncode == 0
    assert from_store.stdout == from_files.stdout
    assert from_store.stdout.startswith(b"store_id,uptime_last_hour,")


def test_the_module_runs_like_the_command(folder: Path) -> None:
    as_module = start(folder, "--version", command=[sys.executable, "-m", "uphours"], executed=True)
    assert (as_module.returncode, as_module.stdout.decode()) == (0, f"{uphours.__version__}\n")


def test_the_zone_of_the_machine_changes_nothing(folder: Path) -> None:
    zone = "Australia/Lord_Howe"
    words = ["report", "--detail", "--window", "yesterday", "--window", "last_day"]
    assert start(folder, *words, TZ=zone).stdout == start(folder, *words, TZ="UTC").stdout != b""
    words = ["explain", "1", "--window", "last_week"]
    assert start(folder, *words, TZ=zone).stdout == start(folder, *words, TZ="UTC").stdout != b""


def test_a_locale_without_utf_8_is_no_crash(folder: Path) -> None:
    ran = start(folder, "explain", "1", LC_ALL="C", LANG="C")
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert "09:00–17:00".encode() in ran.stdout


def test_standard_input_is_loaded(folder: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    ran = start(folder, "load", "--db", url, "--polls", "-", "--json", stdin=tables.POLLS.encode())
    assert json.loads(ran.stdout)["accepted"] == 3
    ran = start(folder, "report", "--polls", "-", "--hours", "hours.csv", stdin=tables.POLLS.encode())
    assert (ran.returncode, ran.stdout.count(b"\n")) == (0, 3)


def test_a_mistake_is_exit_code_2_and_a_failing_store_3(folder: Path, tmp_path: Path) -> None:
    mistake = start(folder, "report", "--as-of", "soon", executed=True)
    assert (mistake.returncode, mistake.stdout) == (2, b"")
    assert mistake.stderr.decode().startswith("uphours: cannot read the instant 'soon'")
    tables.write(tmp_path / "x.db", b"no database" * 1000)
    failing = start(folder, "report", "--db", f"sqlite:///{tmp_path / 'x.db'}", executed=True)
    assert (failing.returncode, failing.stdout) == (3, b"")
    assert b"Traceback" not in failing.stderr


def test_a_pipe_that_is_closed_early_is_quiet(tmp_path: Path) -> None:
    rows = (f"{store},active,2023-01-24 10:00:00 UTC" for store in range(30_000))
    name = tables.write(tmp_path / "polls.csv", tables.table("polls", *rows))
    process = begin(tmp_path, "report", "--polls", name, executed=True)
    assert process.stdout
    assert process.stderr
    with process.stdout as stdout, process.stderr as stderr:
        assert stdout.readline().startswith(b"store_id,")
        stdout.close()
        messages = stderr.read().decode()
    process.wait(timeout=60)
    assert "Traceback" not in messages
    assert "BrokenPipe" not in messages
    assert "defect" not in messages
    assert "Errno" not in messages


def test_a_list_in_a_pipe_that_is_closed_early_is_quiet(tmp_path: Path) -> None:
    bad = (f"{store},activ,2023-01-24 10:00:00 UTC" for store in range(10_000))
    tables.write(tmp_path / "polls.csv", tables.table("polls", "a,active,2023-01-24 10:00:00 UTC", *bad))
    assert start(tmp_path, "load", "--polls", "polls.csv").returncode == 0
    process = begin(tmp_path, "quarantine", "--rows", executed=True)
    assert process.stdout
    assert process.stderr
    with process.stdout as stdout, process.stderr as stderr:
        stdout.readline()
        stdout.close()
        messages = stderr.read().decode()
    process.wait(timeout=60)
    assert messages == ""
