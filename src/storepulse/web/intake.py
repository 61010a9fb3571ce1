"""Rows that come in over HTTP: small ones are committed together, large ones become jobs."""

from __future__ import annotations

import asyncio
import queue as waiting
import threading
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import structlog
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from storepulse import ingest
from storepulse.errors import QueueFullError, StoreError
from storepulse.ingest.sources import Kind
from storepulse.store import Store, audit, loads, locks, uploads
from storepulse.store import jobs as queue

log = structlog.get_logger("storepulse.intake")

#: So many rows are committed together at most, and so many may wait.
_ROWS_TOGETHER: Final = 10_000
_ROWS_WAITING: Final = 200_000
_LOOK_S: Final = 0.05
#: A commit waits this long for another request to come in, again and again, but not longer than the other.
_GATHER_S: Final = 0.002
_LONGEST_GATHER_S: Final = 0.02


@dataclass(frozen=True)
class Outcome:
    """What became of the rows of one request; ``quarantine`` holds line (from 1) and reason of each bad one."""

    load: int
    rows_read: int
    accepted: int
    repeated: int
    conflicting: int
    quarantine: Sequence[tuple[int, str]]


@dataclass(frozen=True)
class _Sent:
    rows: Sequence[Any]
    actor: str
    outcome: asyncio.Future[Outcome]


class GroupCommit:
    """Writes the observations of many small requests in one transaction.

    Whoever comes while one is being written is in the next. A request is answered when its rows are committed and
    synced.
    """

    def __init__(self, store: Store, *, version: str, now: Callable[[], int], committed: Callable[[int], None]) -> None:
        self._store, self._version, self._now, self._committed = store, version, now, committed
        self._sent: waiting.SimpleQueue[_Sent | None] = waiting.SimpleQueue()
        self._rows_waiting = 0
        self._thread = threading.Thread(target=self._run, name="group commit", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what has come in, and end."""
        self._sent.put(None)
        self._thread.join()

    async def write(self, rows: Sequence[Any], actor: str) -> Outcome:
        """Write the rows of one request, parsed JSON values.

        Raises
        ------
        QueueFullError
            Too many rows are waiting.
        StoreError
            The store failed.
        """
        # Only the event loop adds and takes away: no lock.
        if self._rows_waiting and self._rows_waiting + len(rows) > _ROWS_WAITING:
            raise QueueFullError(self._rows_waiting)
        sent = _Sent(rows, actor, asyncio.get_running_loop().create_future())
        self._rows_waiting += len(rows)
        self._sent.put(sent)
        try:
            return await sent.outcome
        finally:
            self._rows_waiting -= len(rows)

    def _run(self) -> None:
        while (first := self._sent.get()) is not None:
            self._gather()
            together = [first, *self._waiting(len(first.rows))]
            self._write(together)

    def _gather(self) -> None:
        """Wait as long as more requests come in: a commit costs about the same for one as for many."""
        before = -1
        deadline = time.monotonic() + _LONGEST_GATHER_S
        while (now := self._sent.qsize()) > before and time.monotonic() < deadline:
            before = now
            time.sleep(_GATHER_S)

    def _waiting(self, rows: int) -> list[_Sent]:
        found = []
        while rows < _ROWS_TOGETHER:
            try:
                sent = self._sent.get_nowait()
            except waiting.Empty:
                break
            if sent is None:
                self._sent.put(None)  # the end comes after these
                break
            found.append(sent)
            rows += len(sent.rows)
        return found

    def _write(self, together: Sequence[_Sent]) -> None:
        results: Sequence[Outcome | Exception]
        try:
            results = self._outcomes(together)
        except BaseException as error:  # a panic of a compiled library is no Exception, and the thread shall survive it
            if not isinstance(error, StoreError) and len(together) > 1:
                log.exception("requests could not be written together; trying each alone", requests=len(together))
                for sent in together:
                    self._write([sent])
                return
            told = error if isinstance(error, Exception) else RuntimeError(f"{type(error).__name__}: {error}")
            results = [told] * len(together)
        else:
            self._committed(len(together))
        _answer(together, results)

    def _outcomes(self, together: Sequence[_Sent]) -> list[Outcome]:
        sizes = [len(sent.rows) for sent in together]
        rows = [row for sent in together for row in sent.rows]
        now = self._now()
        loaded = ingest.read_rows(rows, name="POST /v1/observations", now=now, version=self._version)
        bad = {row.line: row.reason for row in loaded.quarantine}
        request_of = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        good = np.array([line not in bad for line in range(1, len(rows) + 1)], dtype=np.bool_)
        with self._store.writing() as connection:
            made, repeated, conflicting = loads.write_each(connection, loaded, request_of[good], len(sizes))
            for actor in sorted({sent.actor for sent in together}):
                details = {"rows": sum(len(sent.rows) for sent in together if sent.actor == actor)}
                audit.record(connection, at=now, actor=actor, action="load", subject=str(made.load), details=details)
        log.info("observations committed", load=made.load, requests=len(sizes), rows=len(rows), bad=len(bad))
        starts = np.cumsum([0, *sizes]).tolist()
        return [
            Outcome(
                load=made.load,
                rows_read=size,
                accepted=int(good[start : start + size].sum()),
                repeated=int(repeated[place]),
                conflicting=int(conflicting[place]),
                quarantine=[(line - start, bad[line]) for line in range(start + 1, start + size + 1) if line in bad],
            )
            for place, (start, size) in enumerate(zip(starts, sizes, strict=False))
        ]


def _answer(together: Sequence[_Sent], results: Sequence[Outcome | Exception]) -> None:
    """Wake up whoever waits, in the loop that they wait in, all at once."""

    def wake() -> None:
        for sent, result in zip(together, results, strict=True):
            if sent.outcome.done():
                continue  # whoever sent it has gone
            if isinstance(result, Exception):
                sent.outcome.set_exception(result)
            else:
                sent.outcome.set_result(result)

    together[0].outcome.get_loop().call_soon_threadsafe(wake)


@dataclass(frozen=True)
class Sending:
    """A file that is being sent: its kind (None: its columns tell), its name, and its bytes."""

    kind: Kind | None
    name: str
    content: AsyncIterable[bytes]


async def receive(
    store: Store,
    sending: Sequence[Sending],
    *,
    actor: str,
    limit: int,
    now: Callable[[], int],
    share: str | None = None,
    check: Callable[[Connection], None] | None = None,
) -> str:
    """Keep files in the store and queue the job that loads them; return the job.

    ``share``: a name for the job; ``check`` may refuse it, in the transaction that makes it, beside no other.

    Raises
    ------
    QueueFullError
        ``limit`` jobs are waiting already.
    """
    request: dict[str, Any] = {
        "actor": actor,
        "files": [{"file": place, "kind": one.kind, "name": one.name} for place, one in enumerate(sending)],
    }
    job = await run_in_threadpool(_begin, store, request, limit, now(), "receiving", share, check)
    try:
        for place, one in enumerate(sending):
            number = 0
            async for part in _parts(one.content):
                await run_in_threadpool(_keep, store, job, place, number, part)
                number += 1
    except BaseException:
        # Not awaited: the request itself may be being cancelled.
        asyncio.get_running_loop().run_in_executor(None, _abandon, store, job, now())
        raise
    await run_in_threadpool(_received, store, job, request, now())
    return job


async def load_folder(store: Store, folder: str, *, actor: str, limit: int, now: int) -> str:
    """Queue a job that loads the files of a folder on this machine; return the job.

    Raises
    ------
    QueueFullError
        ``limit`` jobs are waiting already.
    """
    request = {"actor": actor, "files": [], "folder": folder}
    return await run_in_threadpool(_begin, store, request, limit, now, "queued")


def _begin(
    store: Store,
    request: Mapping[str, Any],
    limit: int,
    now: int,
    state: queue.State,
    share: str | None = None,
    check: Callable[[Connection], None] | None = None,
) -> str:
    with store.writing() as connection:
        if check is not None:
            locks.take(connection, "queue")
            check(connection)
        return queue.submit(connection, "load", request, now=now, limit=limit, state=state, share=share)


def _keep(store: Store, job: str, file: int, part: int, content: bytes) -> None:
    kept = uploads.compressed(content)
    with store.writing() as connection:
        uploads.add(connection, job, file, part, kept)


def _received(store: Store, job: str, request: Mapping[str, Any], now: int) -> None:
    with store.writing() as connection:
        queue.received(connection, job, request, now=now)


def _abandon(store: Store, job: str, now: int) -> None:
    try:
        with store.writing() as connection:
            uploads.drop(connection, job)
            queue.cancel(connection, job, now=now)
    except StoreError as error:
        log.warning("a broken off upload stays until it expires", job=job, error=str(error))


async def _parts(content: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Collect what comes in into parts of one size."""
    part = bytearray()
    async for block in content:
        part += block
        while len(part) >= uploads.PART:
            yield bytes(part[: uploads.PART])
            del part[: uploads.PART]
    if part:
        yield bytes(part)


async def ended(store: Store, job: str, *, seconds: float, stopping: asyncio.Event) -> queue.Job:
    """Wait for a job to end, for some time; return how it stands then."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        found = await run_in_threadpool(_find, store, job)
        late = asyncio.get_running_loop().time() >= deadline
        if found.finished_at is not None or late or stopping.is_set():
            return found
        await asyncio.sleep(_LOOK_S)


def _find(store: Store, job: str) -> queue.Job:
    with store.reading() as connection:
        found = queue.find(connection, job)
    assert found is not None
    return found
