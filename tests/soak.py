"""Runs what is random again and again with new seeds for as long as it is given: `make soak`.

Each round has a seed of its own, which every test of it is random with: a thousand examples of each property, and every
test that kills. What fails is named in the end, with the command that does the same again.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from random import SystemRandom
from threading import Timer
from typing import Final

#: What a round is made of, killing first: it takes less time, and must not be what the end of the hour cuts off.
PARTS: Final = (
    ("tests/faults",),
    ("-k", "random", "tests/ingest/formats"),
    ("-m", "hypothesis", "--engines", "sqlite", "--ignore=tests/browser", "--ignore=tests/spark"),
)
#: How long pytest may take to end and tell what it has found.
GRACE_S: Final = 60
#: How pytest begins the lines of its summary that are about failures; it also writes them when it is interrupted.
FAILURES: Final = ("FAILED ", "ERROR ")


def main(words: Sequence[str] | None = None) -> int:
    """Run rounds until the time is over; return 1 if anything has failed."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--minutes", type=float, default=60, help="how long (default: %(default)s)")
    given, more = parser.parse_known_args(words)
    until = time.monotonic() + 60 * given.minutes
    failures: list[str] = []
    rounds = 0
    while time.monotonic() < until:
        rounds += 1
        seed = str(SystemRandom().getrandbits(32))
        for part in PARTS:
            print(f"round {rounds}, seed {seed}: {' '.join(part)}", flush=True)
            failures += run([sys.executable, "-m", "pytest", *part, "--seed", seed, *more], until)
    print(f"{rounds} rounds, {len(failures)} failures", *failures, sep="\n")
    return 1 if failures else 0


def run(command: Sequence[str], until: float) -> list[str]:
    """Run pytest, and return what it says of failures; when the time is over it is interrupted."""
    failures: list[str] = []
    environment = os.environ | {"HYPOTHESIS_PROFILE": "soak", "PYTHONUNBUFFERED": "1"}
    left = max(until - time.monotonic(), 0)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        ends = [Timer(left, process.send_signal, [signal.SIGINT]), Timer(left + GRACE_S, process.kill)]
        for end in ends:
            end.start()
        assert process.stdout is not None
        for line in process.stdout:
            sys.stdout.write(line)
            if line.startswith(FAILURES):
                failures.append(f"{line.strip()} (HYPOTHESIS_PROFILE=soak {' '.join(command)})")
        process.wait()
        for end in ends:
            end.cancel()
    # 5: there was no test to run, as where ARGS choose some. When the time is over, how pytest ends says nothing.
    if process.returncode not in (0, 1, 5) and not failures and time.monotonic() < until:
        failures.append(f"pytest ended with {process.returncode}: {' '.join(command)}")
    return failures


if __name__ == "__main__":
    sys.exit(main())
