"""A full disk: a clear error, everything that was there is still there, and it goes on once there is room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Fleet, load, report
from tests.fixtures.commands import start
from tests.fixtures.databases import only_sqlite, opened, url_in
from tests.fixtures.services import finished, service
from uphours.database.database import connect

pytestmark = [pytest.mark.slow, only_sqlite]

MEBIBYTE = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("a small disk can be mounted by root alone")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        message = f"no small disk can be mounted here: {mounted.stderr.decode().strip()}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path, free: int) -> Path:
    """Leave so many bytes free on the disk."""
    ballast = disk / "ballast"
    room = os.statvfs(disk)
    ballast.write_bytes(b"\0" * (room.f_bavail * room.f_frsize - free))
    return ballast


@pytest.mark.parametrize("free", [0, 64 << 10, 2 * MEBIBYTE])
def test_a_load_onto_a_full_disk_changes_nothing_and_can_be_repeated(fleet: Fleet, disk: Path, free: int) -> None:
    database = connect(url_in(disk))
    load(database, fleet.small)
    ballast = fill(disk, free)
    ran = start(disk, "load", *fleet.options)
    assert ran.returncode == 3
    message = ran.stderr.decode()
    assert message.startswith("uphours: ")
    assert "uphours.db" in message
    assert "full" in message or "disk I/O error" in message
    assert "Traceback" not in message
    if not free:
        ballast.unlink()  # SQLite needs some room even to read
    with opened(database) as connection:
        assert connection.execute("PRAGMA integrity_check") == [("ok",)]
        assert connection.execute("SELECT count(*) FROM loads") == [(1,)]
    assert report(database) == fleet.only_small
    ballast.unlink(missing_ok=True)
    assert start(disk, "load", *fleet.options).returncode == 0
    assert report(database) == fleet.both


def test_a_report_onto_a_full_disk_leaves_the_old_one_and_nothing_else(fleet: Fleet, disk: Path) -> None:
    words = ["report", "--polls", str(fleet.small / "polls.csv"), "-o", "report.csv"]
    target = disk / "report.csv"
    target.write_bytes(b"the report of yesterday")
    ballast = fill(disk, 0)
    ran = start(disk, *words)
    assert ran.returncode in (2, 3)
    assert ran.stderr.decode().splitlines()[-1] == "uphours: cannot write report.csv: No space left on device"
    assert target.read_bytes() == b"the report of yesterday"
    assert {path.name for path in disk.iterdir()} == {"ballast", "report.csv"}
    ballast.unlink()
    assert start(disk, *words).returncode == 0
    assert target.read_bytes().startswith(b"store_id,")


def test_a_report_from_a_store_on_a_full_disk_works_or_says_why(fleet: Fleet, disk: Path) -> None:
    load(connect(url_in(disk)), fleet.small)
    fill(disk, 0)
    ran = start(disk, "report")
    assert ran.returncode in (0, 3)
    assert "Traceback" not in ran.stderr.decode()
    assert ran.returncode == 0 or "uphours.db" in ran.stderr.decode()


def test_results_without_room_for_temporary_files_are_507_until_there_is(
    fleet: Fleet, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(connect(url_in(tmp_path)), fleet.small)
    monkeypatch.setenv("TMPDIR", str(disk))
    with service(tmp_path, workers="1") as running, running.client() as client:
        report = client.post("/v1/reports").raise_for_status().json()["id"]
        assert finished(client, report)["state"] == "complete"
        # Python looks for a folder for temporary files when it needs the first one, and passes over a full one.
        client.get(f"/v1/reports/{report}/result", params={"detail": True}).raise_for_status()
        ballast = fill(disk, 0)
        forms = ("csv", "json", "parquet", "xlsx")
        for form in forms:
            answer = client.get(f"/v1/reports/{report}/result", params={"format": form})
            assert answer.status_code == 507, (form, answer.text)
            assert answer.headers["retry-after"], form
            assert str(disk) not in answer.text
        assert client.get("/healthz").status_code == 200
        ballast.unlink()
        for form in forms:
            assert client.get(f"/v1/reports/{report}/result", params={"format": form}).status_code == 200, form
