"""A command that is forked is a process like one that is executed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.commands import environment, popen, start
from tests.fixtures.forked import Forked, can_fork

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not can_fork(environment()), reason="forks on Linux alone")]

#: What a program can find out about itself.
TELLING = """
import os, signal, sys, threading, time
import numpy
streams = [(stream.encoding, stream.errors, stream.newlines, stream.line_buffering, stream.write_through,
            stream.seekable(), stream.isatty(), stream.fileno(), type(stream.buffer))
           for stream in (sys.stdin, sys.stdout, sys.stderr)]
signals = [signal.getsignal(number) for number in sorted(signal.valid_signals())]
files = sorted(os.readlink(f"/proc/self/fd/{number}").split(":")[0] for number in range(256)
               if os.path.exists(f"/proc/self/fd/{number}"))
print(sys.argv, os.getcwd(), sorted(os.environ.items()), time.tzname, threading.active_count(), sys.flags, signals)
print(streams, files, os.getsid(0) == os.getpid(), sys.executable, sys.stdin.read())
"""


def findings(folder: Path, *, executed: bool, **more: Any) -> tuple[int, str]:
    process = popen(
        [sys.executable, "-c", TELLING, "some", "words"], executed=executed, env=environment(TZ="Asia/Tokyo", X="y"),
        cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more,
    )  # fmt: skip
    assert isinstance(process, Forked) is not executed
    out, _ = process.communicate("grüße".encode(), timeout=60)
    return process.returncode, out.decode()


def test_a_forked_process_finds_what_an_executed_one_does(tmp_path: Path) -> None:
    for more in ({}, {"start_new_session": True}):
        executed = findings(tmp_path, executed=True, **more)
        assert executed[0] == 0, executed[1]
        assert findings(tmp_path, executed=False, **more) == executed


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["report", "--as-of", "soon"], ["nonsense"], []])
def test_a_forked_command_says_and_returns_what_an_executed_one_does(tmp_path: Path, words: list[str]) -> None:
    executed, forked = (start(tmp_path, *words, executed=executed) for executed in (True, False))
    assert (forked.returncode, forked.stdout, forked.stderr) == (
        executed.returncode, executed.stdout, executed.stderr
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_forked_process_is_ended_by_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    words = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)"]
    process = popen(words, env=environment(), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == process.poll() == -number
    assert (b"KeyboardInterrupt" in err) == (number == signal.SIGINT)
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_forked_processes_draw_different_numbers(tmp_path: Path) -> None:
    program = "import random, secrets, uuid; print(random.random(), secrets.token_hex(), uuid.uuid4())"
    drawn = [start(tmp_path, command=[sys.executable, "-c", program]).stdout.split() for _ in range(3)]
    assert len({number for numbers in drawn for number in numbers}) == 9
    assert random.random() not in map(float, next(zip(*drawn, strict=True)))


def test_what_forks_ends_with_pytest(tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text(
        "import os, signal, sys\n"
        "from tests.fixtures import forked\n"
        "from tests.fixtures.commands import COMMAND, environment, popen\n"
        "end = forked.listen()\n"
        "process = popen([sys.executable, '-c', 'import time; time.sleep(60)'], env=environment())\n"
        "print(process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n",
        encoding="utf-8",
    )
    ended = subprocess.run(
        [sys.executable, str(tmp_path / "ends.py")], env=environment(PYTHONPATH=str(Path(__file__).parents[1])),
        stdout=subprocess.PIPE, timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 30
    while Path(f"/proc/{int(ended.stdout)}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_environment_that_imports_read_is_executed() -> None:
    assert can_fork(environment(TZ="UTC", TMPDIR="/tmp"))
    for name in ("NUMBA_CACHE_DIR", "LC_ALL", "PYTHONUTF8", "PATH"):
        assert not can_fork(environment(**{name: "other"}))
