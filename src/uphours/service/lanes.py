"""Threads of their own for what takes long, so that nothing short waits behind it; each kind has a bounded queue."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal, ParamSpec, TypeAlias, TypeVar

from anyio import CapacityLimiter, to_thread

from uphours.errors import BusyError, QueueFullError

P = ParamSpec("P")
T = TypeVar("T")

Name: TypeAlias = Literal["views", "stores", "files"]

#: Threads of each lane, and requests that may wait for one. What a view of one store takes of memory, it takes once for
#: each thread.
_LANES: Final[dict[Name, tuple[int, int]]] = {
    "views": (32, 100),
    "stores": (2, 100),
    "files": (4, 100),
}
#: A request that got no thread in this many seconds is asked to come again.
_LONGEST_WAIT_S: Final = 30.0


class Lane:
    """Some threads, and the queue before them."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._name, self._most = name, waiting
        self._turns = asyncio.Semaphore(threads)
        # Who has a turn has a thread: nothing waits here.
        self._threads = threads
        self._limiter: CapacityLimiter | None = None
        self._waiting = 0

    async def run(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Do a piece of work in a thread of the lane.

        Raises
        ------
        BusyError
            Too many wait already, or none of its threads came free in time.
        """
        await self._take_turn()
        try:
            if self._limiter is None:
                self._limiter = CapacityLimiter(self._threads)
            return await to_thread.run_sync(functools.partial(work, *arguments, **options), limiter=self._limiter)
        finally:
            self._turns.release()

    async def _take_turn(self) -> None:
        if self._turns.locked() and self._waiting >= self._most:
            raise BusyError(self._name, self._waiting)
        self._waiting += 1
        try:
            async with asyncio.timeout(_LONGEST_WAIT_S):
                await self._turns.acquire()
        except TimeoutError:
            raise BusyError(self._name, self._waiting) from None
        finally:
            self._waiting -= 1


def checks() -> Lane:
    """Return the lane of keys and of readiness, which wait for nothing else."""
    return Lane("checks", 8, 4096)


class Turns:
    """How many may do something at once; no one waits for it."""

    def __init__(self, what: str, most: int) -> None:
        self._what, self._most = what, most
        self._taken = 0

    @contextmanager
    def take(self) -> Iterator[None]:
        """Have a turn as long as a block runs.

        Raises
        ------
        QueueFullError
            All turns are taken.
        """
        if self._taken >= self._most:
            raise QueueFullError(self._taken, self._what)
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


class Lanes:
    """The lanes of one service."""

    def __init__(self) -> None:
        self._lanes = {name: Lane(name, *sizes) for name, sizes in _LANES.items()}

    def __getitem__(self, name: Name) -> Lane:
        """Return a lane."""
        return self._lanes[name]
