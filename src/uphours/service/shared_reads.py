"""Readings of the database that several requests wait for, as when many clients ask how far their reports are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool

K = TypeVar("K")
V = TypeVar("V")


class SharedReads(Generic[K, V]):
    """Reads in rounds, one at a time: what is asked for while one runs is read by the next, all of it at once.

    ``read`` is called in a thread with what is asked for, and returns what there is of it.
    """

    def __init__(self, read: Callable[[set[K]], Mapping[K, V]]) -> None:
        self._read = read
        self._asked: set[K] = set()
        self._coming: asyncio.Task[Mapping[K, V]] | None = None
        self._turn = asyncio.Lock()

    async def get(self, key: K) -> V | None:
        """Return what a reading finds that begins after it was asked for; None if there is nothing."""
        self._asked.add(key)
        if self._coming is None:
            self._coming = asyncio.ensure_future(self._round())
            self._coming.add_done_callback(_look_at)
        # A client that leaves must not take the reading away from the others.
        found = await asyncio.shield(self._coming)
        return found.get(key)

    async def _round(self) -> Mapping[K, V]:
        async with self._turn:
            asked, self._asked, self._coming = self._asked, set(), None
            return await run_in_threadpool(self._read, asked)


def _look_at(task: asyncio.Task[Mapping[K, V]]) -> None:
    """Look at what a reading raised: if all who waited for it have left, no one else does, and asyncio complains."""
    if not task.cancelled():
        task.exception()
