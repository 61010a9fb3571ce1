"""Durable work: a worker claims jobs from the lease table, keeps its lease while it works, and does each job once.

Kinds of job: ``report`` makes a report, ``load`` loads files that were sent or that lie in a folder, ``source``
reads what is new at a watched place. Schedules are ticks in the database: the first to come does the work.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import structlog
from polars.exceptions import PanicException

from uphours.database import audit, locks, queue, uploads
from uphours.database import loads as load_table
from uphours.database import logins as session_table
from uphours.database import reports as report_table
from uphours.database import sources as source_table
from uphours.database.database import Database
from uphours.database.queue import KINDS, LEASE_US, Claim
from uphours.database.sources import SourceState
from uphours.errors import (
    ConflictError,
    DatabaseError,
    DatabaseUnavailableError,
    InputError,
    LeaseLostError,
    NotFoundError,
    UphoursError,
)
from uphours.ingest.inputs import Kind, Limits, Source, detected
from uphours.ingest.load import read_sources
from uphours.ingest.quarantine import share
from uphours.ingest.sources import source_file
from uphours.ingest.sources.resolve import files_of
from uphours.ingest.sources.source_file import Found
from uphours.load_record import Load
from uphours.reports.answers import answer, stores_of
from uphours.reports.archive import packed
from uphours.reports.outage_list import outage_list
from uphours.reports.request import ReportRequest
from uphours.schema import DAY_US, HOUR_US, SECOND_US, SINCE_EVER
from uphours.service.heart import Heart
from uphours.wire.words import JobKind, JobState

if TYPE_CHECKING:
    from sqlalchemy import Connection

_Also: TypeAlias = "Callable[[Connection, Load, int], None]"

#: How often an idle worker looks for work, in seconds.
_LOOK_S: Final = 0.05
_TICK_S: Final = 1.0
#: So long after the end of its lease a job is taken over.
_LAST_MOMENT_US: Final = SECOND_US
#: How long a job waits that failed because of the store or the worker, not because of what it was asked for.
_WAIT_US: Final = 5 * SECOND_US

#: How the reason of a failure begins that is a fault of ours.
DEFECT: Final = "a defect of uphours"
GIVEN_UP: Final = f"given up after {queue.MAX_ATTEMPTS} attempts: "

log = structlog.get_logger("uphours.service.worker")


@dataclass(frozen=True)
class Watched:
    """A place whose new files are read every so often."""

    name: str
    place: str
    every_us: int = HOUR_US


@dataclass(frozen=True)
class Terms:
    """What a worker needs to know; ``now`` gives UTC microseconds."""

    now: Callable[[], int]
    watched: Sequence[Watched] = ()
    allow_private: bool = False
    limits: Limits = field(default_factory=Limits)
    keep_us: int = 30 * DAY_US


class Worker:
    """Does jobs, one after the other, until it is asked to stop."""

    def __init__(self, database: Database, name: str, terms: Terms, kinds: Sequence[JobKind] = KINDS) -> None:
        self._database, self._name, self._terms, self._kinds = database, name, terms, kinds
        self._stopping = threading.Event()
        self._held: Claim | None = None
        self._fired: dict[str, int] = {}
        self._late: dict[str, tuple[int, int]] = {}

    def run(self) -> None:
        """Work until `stop` is called."""
        ticker = threading.Thread(target=self._tick_on, name="ticker", daemon=True)
        if "source" in self._kinds:
            ticker.start()
        while not self._stopping.is_set():
            try:
                pause = 0.0 if self.work_once() else _LOOK_S
            except DatabaseUnavailableError as error:
                log.warning("the store cannot be used", error=str(error))
                pause = _TICK_S
            self._stopping.wait(pause)

    def stop(self) -> None:
        """Take no new job; the one that is being done goes on."""
        self._stopping.set()

    def hand_back(self) -> None:
        """Give the job that is being done to the next worker, at once."""
        if (held := self._held) is not None:
            self._hand_back(held)

    def work_once(self) -> bool:
        """Do one job, if there is one to do."""
        now = self._terms.now()
        with self._database.reading() as connection:
            any_queued = queue.any_queued(connection, self._kinds, now)
            late = queue.late(connection, self._kinds, now)
        dead = self._dead(late, now)
        if not any_queued and not dead:
            return False
        with self._database.writing() as connection:
            # The clock again: it may have taken long to get here, and a lease must not be over when it begins.
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
        """Return the jobs that have been late for a while, with a lease that did not change meanwhile.

        When someone keeps the database for long, all workers are late, and at its end they need a moment to say that
        they are alive.
        """
        seen = {job: (until, now) for job, until in late.items()}
        for job, (until, since) in self._late.items():
            if job in seen and seen[job][0] == until and since <= now:  # or the clock was set back meanwhile
                seen[job] = (until, since)
        self._late = seen
        return [
            job
            for job, (until, since) in seen.items()
            if until == 0 or now - since >= (_LAST_MOMENT_US if until < now else LEASE_US)
        ]

    def _work(self, held: Claim) -> None:
        """Do a job; whatever happens, it ends, waits, or belongs to someone else afterwards."""
        log.info("job started", job=held.job, kind=held.kind, attempt=held.attempts)
        heart = Heart(self._database, held, self._terms.now)
        try:
            with heart.beating():
                _DO[held.kind](self, held, heart)
            log.info("job ended", job=held.job, kind=held.kind)
        except LeaseLostError:
            log.info("job lost or cancelled", job=held.job, kind=held.kind)
        except DatabaseUnavailableError as error:
            log.warning("job put back", job=held.job, kind=held.kind, error=str(error))
            self._put_back(held, str(error))
        except (InputError, NotFoundError) as error:
            log.info("job failed", job=held.job, kind=held.kind, reason=str(error))
            self._fail(held, str(error))
        except (Exception, PanicException) as error:  # the outer edge of a worker: the next job must not suffer
            log.exception("job failed by a defect", job=held.job, kind=held.kind)
            self._fail(held, _defect(error))

    def _put_back(self, held: Claim, reason: str) -> None:
        if held.attempts >= queue.MAX_ATTEMPTS:
            self._fail(held, f"{GIVEN_UP}{reason}")
        else:
            self._hand_back(held, wait=_WAIT_US, reason=reason)

    def _hand_back(self, held: Claim, *, wait: int = 0, reason: str | None = None) -> None:
        try:
            with self._database.writing() as connection:
                queue.hand_back(connection, held, now=self._terms.now(), wait=wait, reason=reason)
        except LeaseLostError:
            log.info("job lost or cancelled", job=held.job, kind=held.kind)
        else:
            log.info("job handed back", job=held.job, kind=held.kind)

    def _fail(self, held: Claim, reason: str) -> None:
        try:
            with self._database.writing() as connection:
                queue.finish(connection, held, now=self._terms.now(), state="failed", reason=reason)
                uploads.drop(connection, held.job)
        except LeaseLostError:
            log.info("job lost or cancelled", job=held.job, kind=held.kind)

    def _report(self, held: Claim, heart: Heart) -> None:
        request = ReportRequest.from_dict(held.request)
        with self._database.snapshot() as fleet:
            content = fleet.content()
            made = answer(
                fleet,
                request,
                loads_seen=content.load,
                entries_seen=content.entry,
                progress=heart.progress,
                now=self._terms.now(),
            )
            report = stores_of(made)
            # Of the same snapshot: what was loaded or entered since would not be in the figures.
            few = 0 < len(report.store_ids) < len(fleet.store_ids) // 2
            stores_read = fleet.of(report.store_ids) if few else fleet
            listed = outage_list(stores_read, report) if request.outages else None
        stores = len(report.store_ids)
        result = packed(made, listed)
        with self._database.writing() as connection:
            queue.finish(
                connection,
                held,
                now=self._terms.now(),
                as_of=report.as_of,
                loads_seen=content.load,
                entries_seen=content.entry,
                done=stores,
                total=stores,
            )
            report_table.keep(connection, held.job, result)

    def _load(self, held: Claim, heart: Heart) -> None:
        found = [self._sent(held.job, **file) for file in held.request["files"]]
        for kind, term, scope in (("adjustments", "without_ledger", "adjust"), ("targets", "without_targets", "admin")):
            if held.request.get(term) and (refused := next((one.name for one in found if one.kind == kind), None)):
                raise InputError(
                    f"{refused} holds {kind}, and the API key that sent it lacks the scope {scope}; nothing was loaded"
                )
        if folder := held.request.get("folder"):
            # Someone has asked for these now: they count as written, however new they are.
            found += [
                detected(file.name, file.open, limits=self._terms.limits)
                for file in self._files_of(folder, settled=True)
            ]
        if not found:
            raise InputError(f"there is no file to load at {folder}" if folder else "there is no file to load")

        def end(connection: Connection, made: Load, now: int) -> None:
            uploads.drop(connection, held.job)
            queue.finish(connection, held, now=now, load=made.load, done=made.rows_read, total=made.rows_read)

        self._write(held, heart, found, held.request["actor"], end)

    def _sent(self, job: str, file: int, kind: Kind | None, name: str) -> Source:
        opened = uploads.opener(self._database, job, file)
        return detected(name, opened, limits=self._terms.limits) if kind is None else Source(kind, name, opened)

    def _write(self, held: Claim, heart: Heart, found: Sequence[Source], actor: str, also: _Also) -> None:
        """Load sources in one transaction, with what else belongs into it."""
        loaded = read_sources(
            found,
            now=self._terms.now(),
            limits=self._terms.limits,
            progress=lambda _name, done, total: heart.progress(done, total),
            strict=None if (strict := held.request.get("strict")) is None else share(strict),
            allow_unusable=held.request.get("allow_unusable", False),
            statuses=held.request.get("statuses"),
            valid_from=held.request.get("valid_from", SINCE_EVER),
        )
        with self._database.writing() as connection:
            made = load_table.write(connection, loaded, actor=actor)
            now = self._terms.now()
            queue.hold(connection, held, now=now)
            details = {"job": held.job, "rows": made.rows_read, "files": [file.name for file in made.files]}
            audit.record(connection, at=now, actor=actor, action="load", subject=str(made.load), details=details)
            also(connection, made, now)

    def _files_of(self, place: str, *, settled: bool = False) -> list[Found]:
        now = self._terms.now() + (DAY_US if settled else 0)
        return files_of(place, allow_private=self._terms.allow_private, now=now)

    def _source(self, held: Claim, heart: Heart) -> None:
        """Read what is new at a place: each file in a load of its own, so that a bad one keeps no other back.

        A file that cannot be read is named as failing, and tried again after ever longer, or when it has changed.
        """
        watched = next((one for one in self._terms.watched if one.name == held.request["source"]), None)
        if watched is None:  # by this worker: another service on the same store may watch it
            self._put_back(held, f"the source {held.request['source']!r} is watched no longer")
            return
        name = watched.name
        with self._database.writing() as connection:
            source_table.begin_visit(connection, name, now=self._terms.now())
        error, new, failed = None, [], 0
        try:
            new = self._new_files(watched)
        except InputError as wrong:
            error = str(wrong)
        except (DatabaseError, ConflictError):
            raise
        except Exception as wrong:  # whatever a place does, the visit is recorded
            log.exception("source not listed by a defect", source=name)
            error = _defect(wrong)
        for file in new:
            if held.attempts > 1:
                # The process died at one of them: unless this one is read to its end, the others are read without it.
                self._record_failure(name, file, "the process that read it died")
            problem = self._problem_of(held, heart, watched, file)
            if problem is not None:
                failed += 1
                self._record_failure(name, file, problem)
        state: JobState = "complete" if error is None else "failed"
        reason = error or (f"{failed} of {len(new)} files could not be read" if failed else None)
        with self._database.writing() as connection:
            now = self._terms.now()
            queue.finish(connection, held, now=now, state=state, reason=reason, done=len(new) - failed, total=len(new))
            source_table.record_visit(connection, name, now=now, error=error, every=watched.every_us)

    def _new_files(self, watched: Watched) -> list[Found]:
        found = {source_file.fingerprint(file): file for file in self._files_of(watched.place)}
        now = self._terms.now()
        with self._database.writing() as connection:
            source_table.forget_others(connection, watched.name, found.keys())
            known = source_table.known(connection, watched.name)
            waiting = source_table.waiting(connection, watched.name, now=now)
        return [file for fingerprint, file in found.items() if fingerprint not in known | waiting]

    def _problem_of(self, held: Claim, heart: Heart, watched: Watched, file: Found) -> str | None:
        """Read a file; return why that cannot be done, if so."""
        try:
            self._read_file(held, heart, watched, file)
        except InputError as error:
            return str(error)
        except (DatabaseUnavailableError, ConflictError):
            raise  # neither is the file's fault
        except (Exception, PanicException) as error:  # one file must not keep the others back
            log.exception("file not read by a defect", file=file.name)
            return f"cannot read {file.name}: {_defect(error)}"
        return None

    def _record_failure(self, source: str, file: Found, error: str) -> None:
        with self._database.writing() as connection:
            source_table.record_failure(
                connection, source, source_file.fingerprint(file), file.name, error=error, now=self._terms.now()
            )

    def _read_file(self, held: Claim, heart: Heart, watched: Watched, file: Found) -> None:
        def remember(connection: Connection, made: Load, now: int) -> None:
            fingerprint = source_file.fingerprint(file)
            source_table.record_file(connection, watched.name, fingerprint, file.name, load=made.load, now=now)

        found = detected(file.name, file.open, limits=self._terms.limits)
        self._write(held, heart, [found], f"source:{watched.name}"[:64], remember)

    def _tick_on(self) -> None:
        while not self._stopping.is_set():
            try:
                self.tick()
            except UphoursError as error:
                log.warning("schedules could not be looked at", error=str(error))
            self._stopping.wait(_TICK_S)

    def tick(self) -> None:
        """Do what is due by schedule: queue visits to sources, forget what is old."""
        now = self._terms.now()
        with self._database.reading() as connection:
            states = source_table.states(connection)
        for watched in self._terms.watched:
            state = states.get(watched.name, SourceState(watched.name))
            due = now // watched.every_us * watched.every_us
            if state.retry_at is not None and due < state.retry_at <= now:
                due = state.retry_at
            self._fire(f"source {watched.name}", due, partial(_visit, watched=watched, now=now))
        self._fire("expire", now // HOUR_US * HOUR_US, partial(_expire, now=now, keep_us=self._terms.keep_us))

    def _fire(self, schedule: str, due: int, act: Callable[[Connection], None]) -> None:
        """Act, unless someone else did at this time of the schedule."""
        if self._fired.get(schedule) == due:
            return
        with self._database.writing() as connection:
            if source_table.tick(connection, schedule, due):
                act(connection)
        self._fired[schedule] = due


def _defect(error: BaseException) -> str:
    return f"{DEFECT} ({type(error).__name__}); the log of the worker says more"


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


_DO: Final[dict[JobKind, Callable[[Worker, Claim, Heart], None]]] = {
    "report": Worker._report,
    "load": Worker._load,
    "source": Worker._source,
}


def failure_of(reason: str) -> UphoursError:
    """Return what a failed job is answered with, by the reason that is kept of it."""
    if reason.startswith(GIVEN_UP):
        return DatabaseUnavailableError(reason)
    if reason.startswith((DEFECT, queue.DIED)):
        return UphoursError(reason)
    return InputError(reason)
