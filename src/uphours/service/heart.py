"""The heartbeat of a worker: keeps the lease of its job while the work goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from uphours.database import queue
from uphours.database.database import Database
from uphours.database.queue import LEASE_US, Claim
from uphours.errors import LeaseLostError, UphoursError
from uphours.schema import SECOND_US

#: How often a worker that is at work says that it is alive, in seconds.
_BEAT_S: Final = LEASE_US / SECOND_US / 10

log = structlog.get_logger("uphours.service.worker")


class Heart:
    """Keeps the lease of a claim while its work goes on, and tells the work to stop when the lease is lost."""

    def __init__(self, database: Database, held: Claim, now: Callable[[], int]) -> None:
        self._database, self._held, self._now = database, held, now
        self._progress: tuple[int, int | None] = (0, None)
        self._lost = threading.Event()
        self._ended = threading.Event()

    def progress(self, done: int, total: int | None) -> None:
        """Note how far the work is.

        Raises
        ------
        LeaseLostError
            Another worker has the job, or it was cancelled.
        """
        self._progress = (done, total)
        if self._lost.is_set():
            raise LeaseLostError(f"the job {self._held.job} is no longer this worker's")

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Keep the lease as long as a block runs."""
        thread = threading.Thread(target=self._beat, name="heart", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT_S):
            try:
                with self._database.writing() as connection:
                    done, total = self._progress
                    queue.beat(connection, self._held, now=self._now(), done=done, total=total)
            except LeaseLostError:
                self._lost.set()
                return
            except UphoursError as error:
                log.warning("heartbeat failed", job=self._held.job, error=str(error))
