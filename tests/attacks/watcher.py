"""Watches a service from a process of its own: how much memory each of its processes takes, how soon it says it lives.

    python tests/attacks/watcher.py PID HOST PORT

It prints a line when it has begun to watch, watches until its standard input ends, and then prints what it saw as JSON.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from typing import Any

import psutil

LOOK_S = 0.02
PROBE_EVERY_S = 0.1
#: A probe waits longer than it may take, so that the report says how long it took.
PATIENCE_S = 30.0


def main() -> None:
    pid, host, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    ended = threading.Event()
    seen: dict[str, Any] = {"peaks": {}, "slowest_s": 0.0, "probes": 0, "failures": []}
    threads = [
        threading.Thread(target=look, args=(pid, ended, seen)),
        threading.Thread(target=probe, args=(host, port, ended, seen)),
    ]
    for thread in threads:
        thread.start()
    print(flush=True)  # noqa: T201
    sys.stdin.read()
    ended.set()
    for thread in threads:
        thread.join()
    print(json.dumps(seen))  # noqa: T201


def look(pid: int, ended: threading.Event, seen: dict[str, Any]) -> None:
    """Note the most memory that each process of the family had, by its number and command."""
    family: dict[int, psutil.Process] = {pid: psutil.Process(pid)}
    peaks: dict[str, int] = seen["peaks"]
    turn = 0
    while not ended.wait(LOOK_S):
        if turn % 10 == 0:  # finding children takes longer than looking at them
            try:
                found = psutil.Process(pid).children(recursive=True)
            except psutil.NoSuchProcess:
                return
            family = {pid: family[pid], **{child.pid: family.get(child.pid, child) for child in found}}
        turn += 1
        for number, process in list(family.items()):
            try:
                size = process.memory_info().rss
            except psutil.NoSuchProcess:
                family.pop(number, None) if number != pid else None
                continue
            peaks[str(number)] = max(peaks.get(str(number), 0), size)


def probe(host: str, port: int, ended: threading.Event, seen: dict[str, Any]) -> None:
    """Ask for /healthz on a new connection, again and again."""
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    while not ended.wait(PROBE_EVERY_S):
        began = time.monotonic()
        try:
            with socket.create_connection((host, port), timeout=PATIENCE_S) as connection:
                connection.sendall(request)
                answer = b""
                while block := connection.recv(4096):
                    answer += block
        except OSError as error:
            seen["failures"].append(f"{type(error).__name__}: {error}")
        else:
            if not answer.startswith(b"HTTP/1.1 200 "):
                seen["failures"].append(repr(answer[:80]))
        seen["slowest_s"] = max(seen["slowest_s"], time.monotonic() - began)
        seen["probes"] += 1


if __name__ == "__main__":
    main()
