"""Readings that several wait for: made in rounds, and never older than what was asked for."""

from __future__ import annotations

import asyncio
import threading

import pytest

from uphours.service.shared_reads import SharedReads


def test_what_is_asked_for_while_a_reading_runs_is_read_by_the_next_at_once() -> None:
    begun, go_on = threading.Event(), threading.Event()
    rounds: list[set[str]] = []

    def read(asked: set[str]) -> dict[str, int]:
        rounds.append(asked)
        begun.set()
        assert go_on.wait(30)
        return dict.fromkeys(asked - {"none"}, len(rounds))

    async def run() -> None:
        shared = SharedReads(read)
        first = asyncio.ensure_future(shared.get("one"))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        later = [asyncio.ensure_future(shared.get(key)) for key in ("one", "one", "other", "none")]
        await asyncio.sleep(0)
        go_on.set()
        assert await first == 1
        assert await asyncio.gather(*later) == [2, 2, 2, None]

    asyncio.run(run())
    assert rounds == [{"one"}, {"one", "other", "none"}]


def test_a_client_that_leaves_takes_nothing_away_and_a_mistake_comes_to_all() -> None:
    answers = iter([False, True])

    def read(asked: set[str]) -> dict[str, int]:
        if next(answers):
            return dict.fromkeys(asked, 7)
        raise LookupError("the database is gone")

    async def run() -> None:
        shared = SharedReads(read)
        asked = [asyncio.ensure_future(shared.get("one")) for _ in range(3)]
        await asyncio.sleep(0)
        asked[0].cancel()
        for one in asked[1:]:
            with pytest.raises(LookupError, match="the database is gone"):
                await one
        assert await shared.get("one") == 7

    asyncio.run(run())
