"""What a command writes has the format that its name says, and leaves devices, pipes, links and rights as they are."""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import subprocess
import threading
from pathlib import Path

import polars as pl
import pytest
from backports import zstd

from tests.cli.conftest import FILES, Run
from tests.fixtures.commands import COMMAND, environment, start

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("files")]
REPORT = ["report", "--polls", "polls.csv"]
#: Major and minor number of what /dev/null and /dev/full are; only ever made in the folder of a test.
NULL, FULL = (1, 3), (1, 7)


def device(path: Path, numbers: tuple[int, int]) -> Path:
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(*numbers))
        path.open("wb").close()
    except OSError as error:
        pytest.skip(f"devices cannot be made here: {error}")
    return path


# --- the format ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["report.csv", "report", "report.txt", "REPORT.CSV", ".csv", "a.b/report", "2024.01/r"]
)
def test_a_name_that_says_csv_or_nothing_is_csv(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    expected = run(*REPORT).out
    assert run(*REPORT, "-o", name).code == 0
    assert (tmp_path / name).read_bytes() == expected


@pytest.mark.parametrize("name", ["report.csv.gz", "r.CSV.GZ", "report.gz", "r.txt.gz"])
def test_a_name_that_ends_in_gz_is_compressed_to_the_same_bytes_each_time(run: Run, tmp_path: Path, name: str) -> None:
    asked = ["--format", "csv"] if ".csv" not in name.lower() else []
    assert run(*REPORT, *asked, "-o", name).code == 0
    first = (tmp_path / name).read_bytes()
    assert gzip.decompress(first) == run(*REPORT).out
    assert run(*REPORT, *asked, "-o", name).code == 0
    assert (tmp_path / name).read_bytes() == first


def test_all_formats_are_known_by_their_names(run: Run, tmp_path: Path) -> None:
    for name in ("r.json", "r.json.gz", "r.json.zst", "r.csv.zst", "r.parquet", "r.xlsx"):
        ran = run(*REPORT, "-o", name)
        assert ran.code == 0, (name, ran.err)
    contents = {path.name: path.read_bytes() for path in tmp_path.glob("r.*")}
    document = json.loads(contents["r.json"])
    assert json.loads(gzip.decompress(contents["r.json.gz"])) == document
    assert json.loads(zstd.decompress(contents["r.json.zst"])) == document
    assert zstd.decompress(contents["r.csv.zst"]) == run(*REPORT).out
    assert "availability" in pl.read_parquet(io.BytesIO(contents["r.parquet"])).columns
    assert contents["r.xlsx"].startswith(b"PK")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-o", "r.xlsx", "--format", "csv"], "r.xlsx is called xlsx and --format says csv"),
        (["-o", "r.csv", "--format", "parquet"], "r.csv is called csv and --format says parquet"),
        (["-o", "r.json.gz", "--format", "csv"], "r.json.gz is called json and --format says csv"),
        (["-o", "r.xls"], "ends in .xls, which is no format; valid are .csv, .json, .parquet, .xlsx, .csv.gz"),
        (["-o", "r.pdf"], "ends in .pdf, which is no format"),
        (["-o", "r.tar.gz"], "valid are .csv.gz, .csv.zst, .json.gz, .json.zst"),
        (["-o", "r.parquet.gz"], "would be compressed twice"),
        (["-o", "r.gz", "--format", "xlsx"], "would be compressed twice"),
        (["-o", "r.csv", "--format", "excel"], "there is no format 'excel'; valid are csv, json, parquet, xlsx"),
        (["-o", "r.csv", "--quarantine", "q.xlsx"], "--quarantine q.xlsx ends in .xlsx, which is no format"),
        (["-o", "r.csv", "--quarantine", "q.json.gz"], "--quarantine q.json.gz would be compressed twice"),
    ],
)
def test_a_name_that_contradicts_is_refused_and_writes_nothing(
    run: Run, tmp_path: Path, words: list[str], says: str
) -> None:
    ran = run(*REPORT, *words)
    assert (ran.code, ran.out) == (2, b"")
    assert says in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not [path for path in tmp_path.iterdir() if path.name[0] in "rq"]


def test_any_name_may_be_given_to_a_format_that_is_asked_for(run: Run, tmp_path: Path) -> None:
    assert run(*REPORT, "--format", "json", "-o", "r.out").code == 0
    json.loads((tmp_path / "r.out").read_bytes())


def test_the_quarantine_can_be_compressed(run: Run, tmp_path: Path) -> None:
    assert run(*REPORT, "-o", "r.csv", "--quarantine", "q.csv").code == 0
    assert run(*REPORT, "-o", "r.csv", "--quarantine", "q.csv.gz").code == 0
    assert gzip.decompress((tmp_path / "q.csv.gz").read_bytes()) == (tmp_path / "q.csv").read_bytes()


# --- what is there already ----------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-o", "--quarantine"])
def test_a_device_is_written_into_and_stays_one(run: Run, tmp_path: Path, option: str) -> None:
    path = device(tmp_path / "null", NULL)
    ran = run(*REPORT, option, path)
    assert ran.code == 0, ran.err
    assert stat.S_ISCHR(path.lstat().st_mode)
    assert path.lstat().st_rdev == os.makedev(*NULL)
    link = tmp_path / "link"
    link.symlink_to(path)
    assert run(*REPORT, option, link).code == 0
    assert link.is_symlink()
    assert stat.S_ISCHR(path.lstat().st_mode)


@pytest.mark.parametrize("option", ["-o", "--quarantine"])
def test_a_device_that_is_full_is_one_sentence(run: Run, tmp_path: Path, option: str) -> None:
    path = device(tmp_path / "full", FULL)
    ran = run(*REPORT, option, path)
    assert ran.code == 2
    assert ran.err.splitlines()[-1] == f"uphours: cannot write {path}: No space left on device"
    assert "Traceback" not in ran.err
    assert stat.S_ISCHR(path.lstat().st_mode)


@pytest.mark.parametrize("words", [REPORT, ["stores"], ["loads", "--json"]])
def test_standard_output_that_is_full_is_one_sentence(run: Run, tmp_path: Path, words: list[str]) -> None:
    path = device(tmp_path / "full", FULL)
    assert run("load", *FILES).code == 0
    with path.open("wb") as sink:
        ran = subprocess.run(
            [*COMMAND, *words], cwd=tmp_path, env=environment(), stdout=sink, stderr=subprocess.PIPE, check=False,
            timeout=60,
        )  # fmt: skip
    assert ran.returncode == 2
    said = ran.stderr.decode().splitlines()
    assert said[-1] == "uphours: cannot write to standard output: No space left on device"
    assert not [line for line in said if "Traceback" in line or "Exception" in line]


@pytest.mark.parametrize("name", ["pipe", "pipe.csv", "pipe.fifo"])
def test_a_pipe_is_written_into_and_stays_one(run: Run, tmp_path: Path, name: str) -> None:
    expected = run(*REPORT).out
    path = tmp_path / name
    os.mkfifo(path)
    (tmp_path / "link").symlink_to(path)
    for output in (path, tmp_path / "link"):
        heard: list[bytes] = []
        reader = threading.Thread(target=lambda heard=heard: heard.append(path.read_bytes()), daemon=True)
        reader.start()
        assert run(*REPORT, "-o", output).code == 0
        reader.join(30)
        assert heard == [expected]
        assert stat.S_ISFIFO(path.lstat().st_mode)


def test_the_target_of_a_link_is_replaced_and_the_link_stays(run: Run, tmp_path: Path) -> None:
    expected = run(*REPORT).out
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "real.csv"
    target.write_text("old")
    (tmp_path / "one.csv").symlink_to(target)
    (tmp_path / "two.csv").symlink_to("one.csv")
    (tmp_path / "new.csv").symlink_to("there/new.csv")  # leads nowhere yet
    for name in ("two.csv", "new.csv"):
        assert run(*REPORT, "-o", name).code == 0
        assert (tmp_path / name).is_symlink()
    assert target.read_bytes() == (tmp_path / "there" / "new.csv").read_bytes() == expected
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == ["new.csv", "real.csv"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_a_file_that_is_replaced_keeps_its_rights(run: Run, tmp_path: Path, mode: int) -> None:
    path = tmp_path / "r.csv"
    path.write_text("old")
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, 12345, 54321)
    before = path.stat()
    assert run(*REPORT, "-o", path).code == 0
    after = path.stat()
    assert after.st_ino != before.st_ino  # it was replaced as a whole
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_a_report_that_fails_leaves_the_file_that_is_there(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("old")
    assert run(*REPORT, "--store", "nowhere", "-o", "r.csv").code == 2
    assert (tmp_path / "r.csv").read_text() == "old"


@pytest.mark.parametrize("name", ["/dev/stdout", "/proc/self/fd/1", "-", "link"])
def test_standard_output_has_names(run: Run, tmp_path: Path, name: str) -> None:
    expected = run(*REPORT).out
    (tmp_path / "link").symlink_to("/dev/stdout")
    ran = start(tmp_path, *REPORT, "-o", name)
    assert (ran.returncode, ran.stdout) == (0, expected), ran.stderr
    # Also where the shell has opened a file to append to.
    path = tmp_path / "all.txt"
    path.write_bytes(b"before\n")
    with path.open("ab") as file:
        ran_into = subprocess.run(
            [*COMMAND, *REPORT, "-o", name], cwd=tmp_path, env=environment(), stdout=file, check=False, timeout=60
        )
    assert ran_into.returncode == 0
    assert path.read_bytes() == b"before\n" + expected
    assert Path("/dev/stdout").is_symlink()


@pytest.mark.parametrize("name", ["folder", "folder/", "nowhere/r.csv", "/dev/fd/77", "/proc/self/fd/0"])
def test_what_cannot_be_written_is_one_sentence(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with (tmp_path / "polls.csv").open("rb") as stdin:  # can be read, and not written
        ran = subprocess.run(
            [*COMMAND, *REPORT, "-o", name], cwd=tmp_path, env=environment(), stdin=stdin, capture_output=True,
            check=False, timeout=60,
        )  # fmt: skip
    assert ran.returncode == 2
    assert f"uphours: cannot write {name}: " in ran.stderr.decode()
    assert "Traceback" not in ran.stderr.decode()
