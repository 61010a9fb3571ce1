"""Readings of the database that several requests wait for, as when many clients ask how far the same report is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool

T = TypeVar("T")


class SharedReads:
    """Makes readings in threads; requests for one that waits for its thread get what it finds."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, asyncio.Task[Any]] = {}

    async def read(self, key: Hashable, read: Callable[[], T]) -> T:
        """Return what a reading finds that begins after it was asked for; those with the same key are the same."""

        def begin() -> T:
            del self._waiting[key]  # what is asked for from now on may be newer
            return read()

        task = self._waiting.get(key)
        if task is None:
            task = self._waiting[key] = asyncio.ensure_future(run_in_threadpool(begin))
            task.add_done_callback(_look_at)
        # A client that leaves must not take the reading away from the others.
        found: T = await asyncio.shield(task)
        return found


def _look_at(task: asyncio.Task[Any]) -> None:
    """Look at what a reading raised: if all who waited for it have left, no one else does, and asyncio complains."""
    if not task.cancelled():
        task.exception()
