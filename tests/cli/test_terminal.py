"""A report on a real terminal is a table that fits it; in a pipe and in a file it is CSV."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import termios
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.fixtures import tables
from tests.fixtures.commands import COMMAND, environment, start
from uphours import demo

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the demo's fleet in a database, and a store with a long id and a wide one."""
    made = tmp_path_factory.mktemp("folder")
    demo.make_files(made)
    tables.write(
        made / "more.csv",
        tables.table("polls", *(f"{name},active,2023-01-25 10:00:00 UTC" for name in ("0" * 100, "店" * 60))),
    )
    words = [f"--{kind}={kind}.csv" for kind in demo.KINDS]
    assert start(made, "load", *words, "--polls", "more.csv").returncode == 0
    return made


def on_terminal(
    folder: Path, *words: str, columns: int = 80, lines: int = 24, **changes: str
) -> tuple[list[str], list[str]]:
    """Run a report on a terminal of this size; return the lines of standard output and standard error."""
    # Two terminals tell the two outputs apart.
    terminals = [pty.openpty() for _ in range(2)]
    for _, inner in terminals:
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    env = {name: value for name, value in environment(**changes).items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [*COMMAND, "report", *words], cwd=folder, env=env,
        stdin=terminals[0][1], stdout=terminals[0][1], stderr=terminals[1][1],
    )  # fmt: skip
    texts = []
    for outer, inner in terminals:
        os.close(inner)
        texts.append(read_all(outer))
        os.close(outer)
    assert process.wait(60) == 0, texts
    return texts[0].splitlines(), texts[1].splitlines()


def read_all(terminal: int) -> str:
    """Read a terminal to its end, without sequences that steer it."""
    parts = []
    try:
        while part := os.read(terminal, 1 << 16):
            parts.append(part)
    except OSError:  # Linux says so when the other side is closed
        pass
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(parts).decode())


def width_of(line: str) -> int:
    return sum(2 if sign == "店" else 1 for sign in line)


def test_a_report_on_a_terminal_is_a_table_that_fits(folder: Path) -> None:
    out, err = on_terminal(folder, "--store", "1004", columns=80, lines=24)
    assert out == [
        "store  window              up         down     share",
        "1004   last_hour          1 h        0 min  100.00 %",
        "1004   last_day    6 h 58 min   5 h 02 min   58.07 %",
        "1004   last_week  32 h 33 min  51 h 27 min   38.75 %",
        "3 rows",
    ]
    assert " ".join(err).startswith("1 store, as of 2023-01-25 18:13:22.479220 UTC")
    for columns, lines, options in ((80, 24, ()), (40, 18, ()), (120, 50, ("--detail",)), (60, 24, ("--detail",))):
        out, err = on_terminal(folder, *options, columns=columns, lines=lines)
        assert out[0].startswith("store")
        assert len(out) <= lines - 4
        assert re.fullmatch(r"126 rows; write all with -o report\.csv", out[-1])
        assert all(width_of(line) <= columns for line in [*out, *err]), (columns, out, err)
    out, _err = on_terminal(folder, "--detail", "--store", "1004", columns=140, lines=24)
    assert out[0].split() == [
        "store", "window", "up", "down", "share", "unknown", "excluded", "open", "coverage", "outages", "longest"
    ]  # fmt: skip


def test_with_an_output_or_a_format_it_is_the_same_csv_as_in_a_pipe(folder: Path) -> None:
    piped = start(folder, "report").stdout
    for words in (("-o", "-"), ("--format", "csv")):
        out, _err = on_terminal(folder, *words, columns=80, lines=24)
        assert out == piped.decode().splitlines()
    out, _err = on_terminal(folder, "-o", "report.csv", columns=80, lines=24)
    assert out == []
    assert (folder / "report.csv").read_bytes() == piped


def test_compiling_is_announced_once(folder: Path, tmp_path: Path) -> None:
    says = "compiling the kernel for this machine, once: about 5 s"
    words = [f"--window=w{number}=2023-01-18/2023-01-25" for number in range(50)]  # so much that plain Python is slow
    _out, err = on_terminal(folder, *words, NUMBA_CACHE_DIR=str(tmp_path))
    assert err.count(says) == 1
    _out, err = on_terminal(folder, *words, NUMBA_CACHE_DIR=str(tmp_path))
    assert says not in err


def test_groups_and_columns_are_tables_that_fit(folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folder, tmp_path / "copy"))
    (folder / "stores.csv").write_text("store_id,region,city\n1001,北,Chicago\n1002,South,Gary\n")
    assert start(folder, "load", "--stores", "stores.csv").returncode == 0
    out, _err = on_terminal(folder, "--by", "region", columns=60, lines=24)
    assert all(cell_len(line) <= 60 for line in out)
    assert out[0].split()[:3] == ["region", "stores", "uptime_last_hour"]
    assert [line.split()[0] for line in out[1:]] == ["(none)", "South", "北", "(all)", "3"]
    out, _err = on_terminal(folder, "--store", "1001", "--columns", "city", columns=100, lines=24)
    assert out[0].split() == ["store", "window", "up", "down", "share", "city"]
    assert out[1].split()[-1] == "Chicago"
