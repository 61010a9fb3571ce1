"""Readings that several wait for: shared until they begin, and never older than what was asked for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from anyio.to_thread import current_default_thread_limiter

from uphours.service.shared_reads import SharedReads


def with_one_thread(test: Callable[[SharedReads], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        current_default_thread_limiter().total_tokens = 1
        await test(SharedReads())

    asyncio.run(run())


def test_who_asks_before_a_reading_begins_shares_it_and_who_asks_later_does_not() -> None:
    begun, go_on = threading.Event(), threading.Event()
    readings: list[int] = []

    def read() -> int:
        readings.append(len(readings))
        begun.set()
        assert go_on.wait(30)
        return readings[-1]

    async def test(shared: SharedReads) -> None:
        first = asyncio.ensure_future(shared.read("one", read))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        later = [asyncio.ensure_future(shared.read("one", read)) for _ in range(5)]
        other = asyncio.ensure_future(shared.read("other", read))
        await asyncio.sleep(0)
        go_on.set()
        assert await first == 0
        assert await asyncio.gather(*later) == [1] * 5
        assert await other == 2

    with_one_thread(test)


def test_a_client_that_leaves_takes_nothing_away_and_a_mistake_comes_to_all() -> None:
    def fail() -> int:
        raise LookupError("there is none")

    async def test(shared: SharedReads) -> None:
        asked = [asyncio.ensure_future(shared.read("one", fail)) for _ in range(3)]
        await asyncio.sleep(0)
        asked[0].cancel()
        for one in asked[1:]:
            with pytest.raises(LookupError, match="there is none"):
                await one
        assert await shared.read("one", lambda: 7) == 7

    with_one_thread(test)
