"""Durable work: a worker claims jobs from the lease table, keeps its lease while it works, and does each job once.

Kinds of job: ``report`` makes a report, ``load`` loads files that were sent or that lie in a folder, ``source``
reads what is new at a watched place. Schedules are ticks in the store: whoever comes first does the work.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import structlog

from storepulse import ingest, reports
from storepulse.errors import InputError, LeaseLostError, NotFoundError, StorepulseError, StoreUnavailableError
from storepulse.ingest import places
from storepulse.ingest.sources import Kind, Limits, Source, detected
from storepulse.schema import DAY_US, HOUR_US, SECOND_US
from storepulse.store import Store, audit, locks, uploads
from storepulse.store import jobs as queue
from storepulse.store import loads as load_table
from storepulse.store import reports as report_table
from storepulse.store import sessions as session_table
from storepulse.store import sources as source_table
from storepulse.store.jobs import KINDS, LEASE_US, Claim
from storepulse.store.loads import Load
from storepulse.store.sources import SourceState

if TYPE_CHECKING:
    from sqlalchemy import Connection

_Also: TypeAlias = "Callable[[Connection, Load, int], None]"

#: How often an idle worker looks for work, and how often a busy one says that it is alive, in seconds.
_LOOK_S: Final = 0.05
_BEAT_S: Final = LEASE_US / SECOND_US / 10
_TICK_S: Final = 1.0
#: So long after the end of its lease a job is taken over.
_LAST_MOMENT_US: Final = SECOND_US
#: How long a job waits that failed because of the store or the worker, not because of what it was asked for.
_WAIT_US: Final = 5 * SECOND_US

#: So many errors of one visit to a source are told.
_ERRORS_TOLD: Final = 5
#: How the reason of a failure begins that is nobody's fault but ours.
DEFECT: Final = "a defect of storepulse"

log = structlog.get_logger("storepulse.jobs")


@dataclass(frozen=True)
class Watched:
    """A place whose new files are read every so often."""

    name: str
    place: str
    every_us: int = HOUR_US


@dataclass(frozen=True)
class Terms:
    """What a worker needs to know; ``now`` gives UTC microseconds."""

    version: str
    now: Callable[[], int]
    watched: Sequence[Watched] = ()
    allow_private: bool = False
    limits: Limits = field(default_factory=Limits)
    keep_us: int = 30 * DAY_US


class _Heart:
    """Keeps the lease of a claim while its work goes on, and tells the work to stop when the lease is lost."""

    def __init__(self, store: Store, held: Claim, now: Callable[[], int]) -> None:
        self._store, self._held, self._now = store, held, now
        self._progress: tuple[int, int | None] = (0, None)
        self._lost = threading.Event()
        self._ended = threading.Event()

    def progress(self, done: int, total: int | None) -> None:
        """Note how far the work is.

        Raises
        ------
        LeaseLostError
            Somebody else has the job, or it was cancelled.
        """
        self._progress = (done, total)
        if self._lost.is_set():
            raise LeaseLostError(f"the job {self._held.job} is no longer this worker's")

    @contextmanager
    def beating(self) -> Iterator[None]:
        thread = threading.Thread(target=self._beat, name="heart", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT_S):
            try:
                with self._store.writing() as connection:
                    done, total = self._progress
                    queue.beat(connection, self._held, now=self._now(), done=done, total=total)
            except LeaseLostError:
                self._lost.set()
                return
            except StorepulseError as error:
                log.warning("heartbeat failed", job=self._held.job, error=str(error))


class Worker:
    """Does jobs, one after the other, until it is told to stop."""

    def __init__(self, store: Store, name: str, terms: Terms, kinds: Sequence[queue.Kind] = KINDS) -> None:
        self._store, self._name, self._terms, self._kinds = store, name, terms, kinds
        self._stopping = threading.Event()
        self._held: Claim | None = None
        self._fired: dict[str, int] = {}
        self._late: dict[str, int] = {}

    def run(self) -> None:
        """Work until `stop` is called."""
        ticker = threading.Thread(target=self._tick_on, name="ticker", daemon=True)
        if "source" in self._kinds:
            ticker.start()
        while not self._stopping.is_set():
            try:
                pause = 0.0 if self.work_once() else _LOOK_S
            except StoreUnavailableError as error:
                log.warning("the store cannot be used", error=str(error))
                pause = _TICK_S
            self._stopping.wait(pause)

    def stop(self) -> None:
        """Take no new job; the one that is being done goes on."""
        self._stopping.set()

    def hand_back(self) -> None:
        """Give the job that is being done to whoever comes next, at once."""
        if (held := self._held) is not None:
            self._hand_back(held)

    def work_once(self) -> bool:
        """Do one job, if there is one to do."""
        now = self._terms.now()
        with self._store.reading() as connection:
            any_queued = queue.any_queued(connection, self._kinds, now)
            late = queue.late(connection, self._kinds, now)
        dead = self._dead(late, now)
        if not any_queued and not dead:
            return False
        with self._store.writing() as connection:
            # The clock again: it may have taken long to get here, and a lease shall not be over when it begins.
            held = queue.claim(connection, self._name, self._kinds, now=self._terms.now(), dead=dead)
        if held is None:
            return False
        self._held = held
        try:
            self._work(held)
        finally:
            self._held = None
        return True

    def _dead(self, late: Mapping[str, int], now: int) -> list[str]:
        """Return the jobs that have been late for a while.

        When somebody keeps the store for long, all workers are late, and at its end they need a moment to say that
        they are alive.
        """
        self._late = {job: self._late.get(job, now) for job in late}
        return [job for job, since in self._late.items() if late[job] == 0 or now - since >= _LAST_MOMENT_US]

    def _work(self, held: Claim) -> None:
        """Do a job; whatever happens, it ends, waits, or belongs to somebody else afterwards."""
        log.info("job started", job=held.job, kind=held.kind, attempt=held.attempts)
        heart = _Heart(self._store, held, self._terms.now)
        try:
            with heart.beating():
                _DO[held.kind](self, held, heart)
            log.info("job ended", job=held.job, kind=held.kind)
        except LeaseLostError:
            log.info("job lost or cancelled", job=held.job, kind=held.kind)
        except StoreUnavailableError as error:
            log.warning("job put back", job=held.job, kind=held.kind, error=str(error))
            self._put_back(held, str(error))
        except (InputError, NotFoundError) as error:
            log.info("job failed", job=held.job, kind=held.kind, reason=str(error))
            self._fail(held, str(error))
        except Exception as error:  # the outer edge of a worker: the next job shall not suffer
            log.exception("job failed by a defect", job=held.job, kind=held.kind)
            self._fail(held, f"{DEFECT} ({type(error).__name__}); the log of the worker says more")

    def _put_back(self, held: Claim, reason: str) -> None:
        if held.attempts >= queue.MAX_ATTEMPTS:
            self._fail(held, reason)
        else:
            self._hand_back(held, wait=_WAIT_US, reason=reason)

    def _hand_back(self, held: Claim, *, wait: int = 0, reason: str | None = None) -> None:
        try:
            with self._store.writing() as connection:
                queue.hand_back(connection, held, now=self._terms.now(), wait=wait, reason=reason)
        except LeaseLostError:
            log.info("job lost or cancelled", job=held.job, kind=held.kind)
        else:
            log.info("job handed back", job=held.job, kind=held.kind)

    def _fail(self, held: Claim, reason: str) -> None:
        try:
            with self._store.writing() as connection:
                queue.finish(connection, held, now=self._terms.now(), state="failed", reason=reason)
                uploads.drop(connection, held.job)
        except LeaseLostError:
            log.info("job lost or cancelled", job=held.job, kind=held.kind)

    def _report(self, held: Claim, heart: _Heart) -> None:
        options = reports.ReportOptions.of(held.request)
        with self._store.snapshot(options.stores) as fleet:
            seen = fleet.latest_load()
            made = reports.run_report(
                fleet,
                as_of=options.as_of,
                chosen=options.windows,
                policy=options.policy,
                all_stores=options.all_stores,
                version=self._terms.version,
                loads_seen=seen,
                progress=heart.progress,
            )
            stores = len(fleet.store_ids)
        content = reports.packed(made)
        with self._store.writing() as connection:
            queue.finish(
                connection,
                held,
                now=self._terms.now(),
                as_of=made.as_of,
                loads_seen=seen,
                done=stores,
                total=stores,
            )
            report_table.keep(connection, held.job, content)

    def _load(self, held: Claim, heart: _Heart) -> None:
        found = [self._sent(held.job, **file) for file in held.request["files"]]
        if folder := held.request.get("folder"):
            # Somebody has asked for these now: they count as written, however new they are.
            found += [detected(file.name, file.open) for file in self._files_of(folder, settled=True)]
        if not found:
            raise InputError(f"there is no file to load at {folder}" if folder else "there is no file to load")

        def end(connection: Connection, made: Load, now: int) -> None:
            uploads.drop(connection, held.job)
            queue.finish(connection, held, now=now, load=made.load, done=made.rows_read, total=made.rows_read)

        self._write(held, heart, found, held.request["actor"], end)

    def _sent(self, job: str, file: int, kind: Kind | None, name: str) -> Source:
        opened = uploads.opener(self._store, job, file)
        return detected(name, opened) if kind is None else Source(kind, name, opened)

    def _write(self, held: Claim, heart: _Heart, found: Sequence[Source], actor: str, also: _Also) -> None:
        """Load sources in one transaction, with what else belongs into it."""
        loaded = ingest.read_sources(
            found,
            now=self._terms.now(),
            version=self._terms.version,
            limits=self._terms.limits,
            progress=lambda _name, done, total: heart.progress(done, total),
        )
        with self._store.writing() as connection:
            made = load_table.write(connection, loaded)
            now = self._terms.now()
            queue.hold(connection, held, now=now)
            details = {"job": held.job, "rows": made.rows_read, "files": [file.name for file in made.files]}
            audit.record(connection, at=now, actor=actor, action="load", subject=str(made.load), details=details)
            also(connection, made, now)

    def _files_of(self, place: str, *, settled: bool = False) -> list[places.Found]:
        now = self._terms.now() + (DAY_US if settled else 0)
        return places.files_of(place, allow_private=self._terms.allow_private, now=now)

    def _source(self, held: Claim, heart: _Heart) -> None:
        """Read what is new at a place: each file in a load of its own, so that a bad one keeps no other back."""
        watched = next((one for one in self._terms.watched if one.name == held.request["source"]), None)
        if watched is None:  # by this worker: another service on the same store may watch it
            self._put_back(held, f"the source {held.request['source']!r} is watched no longer")
            return
        errors: list[str] = []
        new: list[places.Found] = []
        try:
            new = self._new_files(watched)
        except InputError as error:
            errors.append(str(error))
        for file in new:
            try:
                self._read_file(held, heart, watched, file)
            except InputError as error:
                errors.append(str(error))
        more = f"; and {len(errors) - _ERRORS_TOLD} more" if len(errors) > _ERRORS_TOLD else ""
        failed = "; ".join(errors[:_ERRORS_TOLD]) + more or None
        read = len(new) - len(errors)
        with self._store.writing() as connection:
            now, every = self._terms.now(), watched.every_us
            state: queue.State = "failed" if errors else "complete"
            queue.finish(connection, held, now=now, state=state, reason=failed, done=max(read, 0), total=len(new))
            source_table.record_visit(connection, watched.name, now=now, error=failed, every=every)

    def _new_files(self, watched: Watched) -> list[places.Found]:
        found = self._files_of(watched.place)
        with self._store.reading() as connection:
            known = source_table.known(connection, watched.name)
        return [file for file in found if places.fingerprint(file) not in known]

    def _read_file(self, held: Claim, heart: _Heart, watched: Watched, file: places.Found) -> None:
        def remember(connection: Connection, made: Load, now: int) -> None:
            fingerprint = places.fingerprint(file)
            source_table.record_file(connection, watched.name, fingerprint, file.name, load=made.load, now=now)

        found = detected(file.name, file.open)
        self._write(held, heart, [found], f"source:{watched.name}"[:64], remember)

    def _tick_on(self) -> None:
        while not self._stopping.is_set():
            try:
                self.tick()
            except StorepulseError as error:
                log.warning("schedules could not be looked at", error=str(error))
            self._stopping.wait(_TICK_S)

    def tick(self) -> None:
        """Do what is due by schedule: queue visits to sources, forget what is old."""
        now = self._terms.now()
        with self._store.reading() as connection:
            states = source_table.states(connection)
        for watched in self._terms.watched:
            state = states.get(watched.name, SourceState(watched.name))
            due = now // watched.every_us * watched.every_us
            if state.retry_at is not None and due < state.retry_at <= now:
                due = state.retry_at
            self._fire(f"source {watched.name}", due, partial(_visit, watched=watched, now=now))
        self._fire("expire", now // HOUR_US * HOUR_US, partial(_expire, now=now, keep_us=self._terms.keep_us))

    def _fire(self, schedule: str, due: int, act: Callable[[Connection], None]) -> None:
        """Act, unless somebody else did at this time of the schedule."""
        if self._fired.get(schedule) == due:
            return
        with self._store.writing() as connection:
            if source_table.tick(connection, schedule, due):
                act(connection)
        self._fired[schedule] = due


def _visit(connection: Connection, watched: Watched, now: int) -> None:
    share = hashlib.sha256(f"source {watched.name}".encode()).hexdigest()
    locks.take(connection, "queue")
    if queue.active(connection, share) is None:
        queue.submit(connection, "source", {"source": watched.name}, now=now, share=share)


def _expire(connection: Connection, now: int, keep_us: int) -> None:
    before = now - keep_us
    forgotten = report_table.expire(connection, before=before, broken_off_before=now - DAY_US)
    source_table.forget_ticks(connection, before=before)
    session_table.expire(connection, now=now)
    if forgotten:
        log.info("reports expired", reports=forgotten)


_DO: Final[dict[queue.Kind, Callable[[Worker, Claim, _Heart], None]]] = {
    "report": Worker._report,
    "load": Worker._load,
    "source": Worker._source,
}
