"""Whole commands as processes of their own, and the service: what they take of time and memory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from bench.results import Usage
from uphours.ingest.inputs import Kind

PROGRAM: Final = Path(sys.executable).with_name("uphours")
#: Starts a command from a small process: the peak memory of a new process begins with that of the one that started it.
_LAUNCHER: Final = """
import json, os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
errors = process.stderr.read()
_, status, used = os.wait4(process.pid, 0)
took = time.perf_counter() - began
if code := os.waitstatus_to_exitcode(status):
    sys.exit(f"{' '.join(sys.argv[1:])} ended with {code}: {errors.decode()[-2000:]}")
print(json.dumps([took, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""


def run(words: Sequence[str | Path], *, environment: Mapping[str, str] | None = None) -> Usage:
    """Run a command to its end, and leave out what it prints; it must succeed."""
    launched = subprocess.run(
        [sys.executable, "-c", _LAUNCHER, *map(str, words)],
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Usage(*json.loads(launched.stdout))


def file_options(files: Mapping[Kind, list[str]]) -> list[str]:
    """Return the options of a command that name files."""
    return [word for kind, names in files.items() for name in names for word in (f"--{kind}", name)]


def peak_mb(pid: int | str = "self") -> float:
    """Return the peak memory of a process that runs."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(re.findall(r"^VmHWM:\s+(\d+)", status, flags=re.MULTILINE)[0]) / 1024


@dataclass(frozen=True)
class Service:
    """A service that runs."""

    url: str
    pid: int

    def worker_pids(self) -> list[int]:
        return [child.pid for child in psutil.Process(self.pid).children()]


@contextmanager
def service(path: Path, **settings: str) -> Iterator[Service]:
    """Run the service on a SQLite database for the length of a block."""
    changes = {f"UPHOURS_{name.upper()}": value for name, value in settings.items()}
    log = path.with_suffix(".log")
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [PROGRAM, "serve", "--port", "0", "--db", f"sqlite:///{path}"],
            env={**os.environ, **changes}, stdout=sink, stderr=sink,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 180
        while not (match := re.search(r'"url": "([^"]+)"', log.read_text())) or "worker started" not in log.read_text():
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit(f"the service does not start: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        time.sleep(1)  # what it does at its start is over
        yield Service(match[1], process.pid)
    finally:
        process.terminate()
        process.wait(30)
