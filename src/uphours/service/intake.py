"""Rows that come in over HTTP: small ones are committed together, large ones become jobs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypedDict

import numpy as np
import structlog
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from uphours.database import audit, loads, locks, queue, uploads
from uphours.database.database import Database
from uphours.errors import DatabaseError, QueueFullError
from uphours.ingest.inputs import Kind
from uphours.ingest.load import read_rows
from uphours.wire.words import JobState

log = structlog.get_logger("uphours.intake")

#: Rows that are committed together at most, and that may wait.
_ROWS_TOGETHER: Final = 10_000
_ROWS_WAITING: Final = 200_000
#: Bytes of bodies that may be coming in or waiting; tiny ones are not counted: the number of connections bounds them.
_BYTES_WAITING: Final = 32 << 20
_TINY: Final = 32 << 10
#: A request of up to this many rows goes before those that have more.
_FEW_ROWS: Final = 100
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

    A request that comes while one is written is in the next. A request is answered when its rows are committed and
    synced. Requests with few rows go first, and beside them one with many: no one's hundred rows wait for the thousands
    of others.
    """

    def __init__(self, database: Database, *, now: Callable[[], int], committed: Callable[[int], None]) -> None:
        self._database, self._now, self._committed = database, now, committed
        self._changed = threading.Condition()  # of what follows
        self._few: deque[_Sent] = deque()
        self._many: deque[_Sent] = deque()
        self._stopped = False
        self._rows_waiting = 0
        self._bytes_waiting = 0
        self._thread = threading.Thread(target=self._run, name="group commit", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what has come in, and end."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    @contextmanager
    def room(self, size: int) -> Iterator[None]:
        """Keep room for the body of a request that is not tiny, as long as a block runs.

        Raises
        ------
        QueueFullError
            Bodies of too many bytes are coming in or waiting already.
        """
        size = 0 if size <= _TINY else size
        if size and self._bytes_waiting + size > _BYTES_WAITING:
            raise QueueFullError(self._bytes_waiting, "bytes")
        # Only the event loop adds and takes away: no lock.
        self._bytes_waiting += size
        try:
            yield
        finally:
            self._bytes_waiting -= size

    async def write(self, rows: Sequence[Any], actor: str) -> Outcome:
        """Write the rows of one request, parsed JSON values.

        Raises
        ------
        QueueFullError
            Too many rows are waiting.
        DatabaseError
            The database failed.
        """
        # Only the event loop adds and takes away: no lock.
        if self._rows_waiting and self._rows_waiting + len(rows) > _ROWS_WAITING:
            raise QueueFullError(self._rows_waiting, "rows")
        sent = _Sent(rows, actor, asyncio.get_running_loop().create_future())
        self._rows_waiting += len(rows)
        with self._changed:
            (self._few if len(rows) <= _FEW_ROWS else self._many).append(sent)
            self._changed.notify()
        try:
            return await sent.outcome
        finally:
            self._rows_waiting -= len(rows)

    def _run(self) -> None:
        while self._any_sent():
            self._gather()
            self._write(self._next())

    def _any_sent(self) -> bool:
        """Wait for a request; say whether there is one, or this is the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._few or self._many or self._stopped)
            return bool(self._few or self._many)

    def _gather(self) -> None:
        """Wait as long as more requests come in: a commit costs about the same for one as for many."""
        before = -1
        deadline = time.monotonic() + _LONGEST_GATHER_S
        while (now := len(self._few) + len(self._many)) > before and time.monotonic() < deadline:
            before = now
            time.sleep(_GATHER_S)

    def _next(self) -> list[_Sent]:
        found: list[_Sent] = []
        rows = 0
        with self._changed:
            while rows < _ROWS_TOGETHER and (self._few or (self._many and not found)):
                # The first of those with many rows has its turn in every commit.
                is_few = bool(self._few) and (bool(found) or not self._many)
                sent = (self._few if is_few else self._many).popleft()
                found.append(sent)
                rows += len(sent.rows)
        return found

    def _write(self, together: Sequence[_Sent]) -> None:
        results: Sequence[Outcome | Exception]
        try:
            results = self._outcomes(together)
        except BaseException as error:  # a panic of a compiled library is no Exception, and the thread must survive it
            if not isinstance(error, DatabaseError) and len(together) > 1:
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
        loaded = read_rows(rows, name="POST /v1/observations", now=now)
        bad = {row.line: row.reason for row in loaded.quarantine}
        request_of = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        good = np.array([line not in bad for line in range(1, len(rows) + 1)], dtype=np.bool_)
        with self._database.writing() as connection:
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
    """Wake up everyone who waits, in the loop that they wait in, all at once."""

    def wake() -> None:
        for sent, result in zip(together, results, strict=True):
            if sent.outcome.done():
                continue  # its client has gone
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


class Terms(TypedDict, total=False):
    """What holds for a load.

    ``strict``: the share of rows that may be rejected. ``allow_unusable``: whether all rows of a file may be.
    ``statuses``: words of the files for statuses, beside the usual ones. ``valid_from``: from which local date on hours
    and zones hold that name none, in days since the epoch. ``without_ledger``, ``without_targets``: no file may
    hold adjustments, or targets.
    """

    strict: str
    allow_unusable: bool
    statuses: dict[str, str]
    valid_from: int
    without_ledger: bool
    without_targets: bool


async def receive(
    database: Database,
    sending: Sequence[Sending],
    *,
    actor: str,
    limit: int,
    now: Callable[[], int],
    share: str | None = None,
    check: Callable[[Connection], None] | None = None,
    terms: Terms | None = None,
) -> str:
    """Keep files in the database and queue the job that loads them; return the job.

    ``share``: a name for the job; ``check`` may refuse it, in the transaction that makes it, beside no other.

    Raises
    ------
    QueueFullError
        ``limit`` jobs are waiting already.
    """
    request: dict[str, Any] = {
        "actor": actor,
        "files": [{"file": place, "kind": one.kind, "name": one.name} for place, one in enumerate(sending)],
        **(terms or {}),
    }
    job = await run_in_threadpool(_begin, database, request, limit, now(), "receiving", share, check)
    try:
        for place, one in enumerate(sending):
            number = 0
            async for part in _parts(one.content):
                await run_in_threadpool(_keep, database, job, place, number, part)
                number += 1
    except BaseException:
        # Not awaited: the request itself may be being cancelled.
        asyncio.get_running_loop().run_in_executor(None, _abandon, database, job, now())
        raise
    await run_in_threadpool(_received, database, job, request, now())
    return job


async def load_folder(database: Database, folder: str, *, actor: str, limit: int, now: int) -> str:
    """Queue a job that loads the files of a folder on this machine; return the job.

    Raises
    ------
    QueueFullError
        ``limit`` jobs are waiting already.
    """
    request = {"actor": actor, "files": [], "folder": folder}
    return await run_in_threadpool(_begin, database, request, limit, now, "queued")


def _begin(
    database: Database,
    request: Mapping[str, Any],
    limit: int,
    now: int,
    state: JobState,
    share: str | None = None,
    check: Callable[[Connection], None] | None = None,
) -> str:
    with database.writing() as connection:
        if check is not None:
            locks.take(connection, "queue")
            check(connection)
        asked_by = str(request["actor"]).removeprefix("key:") if str(request["actor"]).startswith("key:") else ""
        return queue.submit(
            connection, "load", request, now=now, limit=limit, state=state, share=share, asked_by=asked_by
        )


def _keep(database: Database, job: str, file: int, part: int, content: bytes) -> None:
    kept = uploads.compressed(content)
    with database.writing() as connection:
        uploads.add(connection, job, file, part, kept)


def _received(database: Database, job: str, request: Mapping[str, Any], now: int) -> None:
    with database.writing() as connection:
        queue.received(connection, job, request, now=now)


def _abandon(database: Database, job: str, now: int) -> None:
    try:
        with database.writing() as connection:
            uploads.drop(connection, job)
            queue.cancel(connection, job, now=now)
    except DatabaseError as error:
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
