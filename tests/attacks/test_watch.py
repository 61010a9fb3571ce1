"""The watch itself: it sees what it is there to see."""

from __future__ import annotations

import signal
import time

import pytest

from tests.attacks.conftest import Target, served, watched
from tests.fixtures.databases import only_sqlite
from tests.fixtures.services import ServiceProcess

pytestmark = [pytest.mark.slow, only_sqlite]


def test_a_quiet_service_passes_and_others_are_served_meanwhile(target: Target) -> None:
    with target() as running, running.client() as client, watched(running, slowest_s=10) as watch:
        served(client)
    assert len(watch.peaks) >= 3, "the service and two workers"
    assert watch.probes > 0


def pause(running: ServiceProcess, seconds: float) -> None:
    time.sleep(0.3)
    running.process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    running.process.send_signal(signal.SIGCONT)


def test_memory_and_silence_are_seen(target: Target) -> None:
    with target(workers="0") as running:
        with pytest.raises(AssertionError, match="megabytes"), watched(running, most_bytes=1_000_000):
            time.sleep(0.5)
        with pytest.raises(AssertionError, match="healthz took"), watched(running, slowest_s=0.5):
            pause(running, 1)
