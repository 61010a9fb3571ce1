"""A report of files that is stopped while observations lie in temporary files: nothing of it stays."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fixtures import tables
from tests.fixtures.commands import COMMAND, environment, popen
from tests.fixtures.databases import only_sqlite
from tests.fixtures.tables import NOW
from uphours.schema import HOUR_US, instant_text

pytestmark = [pytest.mark.slow, only_sqlite]


def begun(folder: Path, temp: Path) -> subprocess.Popen[bytes]:
    """Start a report of more polls than there is memory for, and wait until some are in a temporary file."""
    files = ["--polls", "-", "-o", "report.csv", "--quarantine", "q.csv"]
    words = ["report", *files, "--memory", "1MiB", "--temp", str(temp)]
    process = popen([*COMMAND, *words], env=environment(), cwd=folder, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    rows = "".join(f"s{n % 70},active,{instant_text(NOW - n * HOUR_US // 1000)}\n" for n in range(10_000))
    process.stdin.write((tables.HEADERS["polls"] + "\n" + 130 * rows).encode())  # some blocks of a text file
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while not any(held.startswith(str(temp)) for held in held_files(process.pid)):
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline, "nothing is written to a temporary file"
        time.sleep(0.05)
    return process


def held_files(process: int) -> list[str]:
    """Return the files that a process has open."""
    found = []
    for link in Path(f"/proc/{process}/fd").iterdir():
        try:
            found.append(str(link.readlink()))
        except FileNotFoundError:
            continue  # closed in the meantime
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_report_that_is_stopped_leaves_no_temporary_file(tmp_path: Path, sent: signal.Signals) -> None:
    temp = tmp_path / "temp"
    temp.mkdir()
    process = begun(tmp_path, temp)
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == (130 if sent == signal.SIGINT else -sent)
    assert b"Traceback" not in err
    assert not list(temp.iterdir())
    assert not (tmp_path / "report.csv").exists()
    # What was rejected so far is written where the program can still do something: whole, or not at all.
    assert (tmp_path / "q.csv").exists() == (sent == signal.SIGINT)
    if sent == signal.SIGINT:
        assert (tmp_path / "q.csv").read_text().startswith("reason,file,line,row\n")


def test_a_report_that_is_not_stopped_is_made(tmp_path: Path) -> None:
    process = begun(tmp_path, tmp_path)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert len((tmp_path / "report.csv").read_text().splitlines()) == 71
