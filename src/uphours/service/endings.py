"""Waiting for jobs to end: one look at the database for all who wait, however many they are."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from starlette.concurrency import run_in_threadpool

from uphours.database import queue
from uphours.database.database import Database
from uphours.errors import DatabaseError

log = structlog.get_logger("uphours.service")

#: Seconds between two looks: short while someone has just begun to wait, ever longer after that.
_FIRST_LOOK_S: Final = 0.05
_LONGEST_LOOK_S: Final = 1.0
_SLOWER: Final = 1.2


class Endings:
    """Tells those who wait for jobs that these have ended. For one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._watcher: asyncio.Task[None] | None = None
        self._pause = _FIRST_LOOK_S

    async def ended(self, job: str, *, seconds: float, stopping: asyncio.Event) -> queue.Job:
        """Wait for a job to end, for some time or until the service stops; return how it stands then."""
        if seconds > 0 and not stopping.is_set():
            await self._wait(job, seconds, stopping)
        return await run_in_threadpool(self._find, job)

    async def _wait(self, job: str, seconds: float, stopping: asyncio.Event) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job, []).append(future)
        self._pause = _FIRST_LOOK_S
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch())
        stop = asyncio.ensure_future(stopping.wait())
        try:
            await asyncio.wait([future, stop], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            others = self._waiting.get(job, [])
            if future in others:
                others.remove(future)
            if not others:
                self._waiting.pop(job, None)

    async def _watch(self) -> None:
        while self._waiting:
            try:
                ended = await run_in_threadpool(self._ended, list(self._waiting))
            except DatabaseError as error:  # those who wait look themselves when their time is over
                log.warning("jobs that are waited for could not be looked at", error=str(error))
                ended = []
            for job in ended:
                for future in self._waiting.pop(job, []):
                    if not future.done():
                        future.set_result(None)
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * _SLOWER, _LONGEST_LOOK_S)

    def _ended(self, jobs: list[str]) -> list[str]:
        with self._database.reading() as connection:
            return queue.ended(connection, jobs)

    def _find(self, job: str) -> queue.Job:
        with self._database.reading() as connection:
            found = queue.find(connection, job)
        assert found is not None
        return found
