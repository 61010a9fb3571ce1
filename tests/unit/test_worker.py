"""A worker does each job once, keeps its lease while it works, and outlives every job."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from polars.exceptions import PanicException
from sqlalchemy import Connection, func, select
from structlog.testing import capture_logs

from tests.fixtures import tables
from tests.fixtures.tables import NOW
from uphours.database import queue, reports, sources, uploads
from uphours.database.database import Database, Snapshot
from uphours.database.dialects.dialect import engine_of
from uphours.database.loads import list_loads
from uphours.database.queue import KINDS, LEASE_US, MAX_ATTEMPTS, Job
from uphours.database.tables import jobs
from uphours.database.tables import results as result_table
from uphours.database.tables import uploads as upload_table
from uphours.errors import DatabaseUnavailableError, InputError, LeaseLostError, NotFoundError
from uphours.ingest import inputs
from uphours.reports.archive import packed
from uphours.reports.measure import run_report
from uphours.reports.request import ReportRequest
from uphours.schema import DAY_US, HOUR_US, SECOND_US
from uphours.service import worker as working
from uphours.service.heart import Heart
from uphours.service.worker import Terms, Watched, Worker, failure_of
from uphours.wire.words import JobKind

pytestmark = pytest.mark.anywhere


class Clock:
    """Time that goes on when a test says so."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


class Waylaid(Database):
    """A store in which something happens just before a report is read, or before a transaction has its lock."""

    before_snapshot: Callable[[], None] = staticmethod(lambda: None)
    before_writing: Callable[[], None] = staticmethod(lambda: None)

    @contextmanager
    def snapshot(self, store_ids: Sequence[str] | None = None) -> Iterator[Snapshot]:
        self.before_snapshot()
        with super().snapshot(store_ids) as fleet:
            yield fleet

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        self.before_writing()
        with super().writing() as connection:
            yield connection


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Waylaid]:
    made = Waylaid(engine_of(f"sqlite:///{tmp_path / 'store.db'}", keep_open=True))
    tables.load(made, tmp_path, polls=tables.POLLS, hours=tables.HOURS, timezones=tables.TIMEZONES)
    yield made
    made.close()


def worker(database: Database, clock: Clock, name: str = "w", **more: Any) -> Worker:
    return Worker(database, name, Terms(now=clock, **more))


def submit(database: Database, kind: JobKind, request: dict[str, Any], **more: Any) -> str:
    with database.writing() as connection:
        return queue.submit(connection, kind, request, now=NOW, **more)


def ask(database: Database, **options: Any) -> str:
    return submit(database, "report", ReportRequest(**options).to_dict())


def job(database: Database, name: str) -> Job:
    with database.reading() as connection:
        found = queue.find(connection, name)
    assert found is not None
    return found


def results(database: Database) -> int:
    with database.reading() as connection:
        return connection.execute(select(func.count()).select_from(result_table)).scalar_one()


def busy() -> None:
    raise DatabaseUnavailableError("the store is busy")


def take_over(database: Database, clock: Clock) -> None:
    """Let another worker take over what is being done: it waits for the end of the lease, and a moment longer."""
    other = worker(Database(database.engine), clock, "other")
    clock.now += LEASE_US + 1
    assert not other.work_once()
    clock.now += SECOND_US - 1
    assert not other.work_once()
    clock.now += 1
    assert other.work_once()


def thrown(store: Waylaid, name: str, clock: Clock) -> Callable[[], None]:
    """Return what makes the worker look dead for a moment in which another one does the job."""

    def act() -> None:
        store.before_snapshot = lambda: None
        take_over(store, clock)
        assert job(store, name).state == "complete"

    return act


def test_a_job_of_a_worker_that_is_known_to_be_dead_is_taken_over_at_once(store: Waylaid, clock: Clock) -> None:
    name = ask(store)
    with store.writing() as connection:
        assert queue.claim(connection, "gone", KINDS, now=clock()) is not None
    other = worker(store, clock, "other")
    assert not other.work_once()
    with store.writing() as connection:
        queue.release(connection, "gone")
    assert other.work_once()
    assert job(store, name).state == "complete"


def test_a_worker_that_was_late_with_everybody_else_keeps_its_job(store: Waylaid, clock: Clock) -> None:
    ask(store)
    with store.writing() as connection:
        held = queue.claim(connection, "w", KINDS, now=clock())
    assert held is not None
    other = worker(store, clock, "other")
    clock.now += 3 * LEASE_US  # somebody kept the store for so long
    assert not other.work_once()
    with store.writing() as connection:
        queue.beat(connection, held, now=clock(), done=0, total=None)
    clock.now += SECOND_US
    assert not other.work_once()


# --- reports ---------------------------------------------------------------------------------------------


def test_a_report_is_made_as_it_would_be_elsewhere(store: Waylaid, clock: Clock) -> None:
    name = ask(store, all_stores=True)
    clock.now += 7
    assert worker(store, clock).work_once()
    with store.snapshot() as fleet:
        made = run_report(fleet, all_stores=True, loads_seen=1, entries_seen=0)
    found = job(store, name)
    assert (found.state, found.as_of, found.loads_seen, found.entries_seen) == ("complete", made.as_of, 1, 0)
    assert (found.done, found.total, found.finished_at) == (2, 2, NOW + 7)
    with store.reading() as connection:
        assert reports.result(connection, name) == packed(made)


def test_without_work_there_is_nothing_to_do(store: Waylaid, clock: Clock) -> None:
    assert not worker(store, clock).work_once()


def test_a_report_on_a_store_that_is_not_there_fails_with_the_reason(store: Waylaid, clock: Clock) -> None:
    name = ask(store, stores=("nowhere",))
    worker(store, clock).work_once()
    assert job(store, name).state == "failed"
    assert "there is no store 'nowhere'" in (job(store, name).reason or "")
    assert results(store) == 0


def test_a_defect_fails_the_job_loudly_and_the_worker_goes_on(store: Waylaid, clock: Clock) -> None:
    broken = submit(store, "load", {"no": "files"})
    with store.writing() as connection:
        uploads.add(connection, broken, 0, 0, b"x")
    clock.now += 1
    name = ask(store)
    doing = worker(store, clock)
    with capture_logs() as logged:
        assert doing.work_once()
        assert doing.work_once() or job(store, name).state == "complete"
    assert job(store, broken).reason == "a defect of uphours (KeyError); the log of the worker says more"
    assert not isinstance(failure_of(job(store, broken).reason or ""), InputError)
    assert (job(store, broken).state, job(store, name).state) == ("failed", "complete")
    (defect,) = [line for line in logged if line["log_level"] == "error"]
    assert (defect["event"], defect["job"], defect["exc_info"]) == ("job failed by a defect", broken, True)
    with store.reading() as connection:
        assert connection.execute(select(upload_table)).first() is None


# --- leases ----------------------------------------------------------------------------------------------


def test_a_lease_begins_when_the_store_could_be_written_and_not_when_work_was_looked_for(
    store: Waylaid, clock: Clock
) -> None:
    name = ask(store)

    def wait_for_the_lock() -> None:
        store.before_writing = lambda: None
        clock.now += 60 * SECOND_US

    seen: list[int] = []

    def look() -> None:
        with store.reading() as connection:
            seen.extend(connection.execute(select(jobs.c.lease_until).where(jobs.c.job == name)).scalars())

    store.before_writing, store.before_snapshot = wait_for_the_lock, look
    worker(store, clock).work_once()
    assert seen == [NOW + 60 * SECOND_US + LEASE_US]


def test_a_worker_that_works_for_long_keeps_its_job(store: Waylaid, clock: Clock) -> None:
    name = ask(store)

    def work_for_long() -> None:
        for _ in range(3):
            clock.now += LEASE_US - 1
            time.sleep(0.8)
            with store.writing() as connection:
                assert queue.claim(connection, "other", KINDS, now=clock.now) is None

    store.before_snapshot = work_for_long
    worker(store, clock).work_once()
    assert (job(store, name).state, job(store, name).attempts) == ("complete", 1)


def test_a_worker_that_was_thought_dead_writes_nothing(store: Waylaid, clock: Clock) -> None:
    name = ask(store)
    store.before_snapshot = thrown(store, name, clock)
    assert worker(store, clock).work_once()
    assert (job(store, name).state, job(store, name).attempts, results(store)) == ("complete", 2, 1)


def test_a_worker_that_was_thought_dead_does_not_put_the_job_back(store: Waylaid, clock: Clock) -> None:
    name = ask(store)
    act = thrown(store, name, clock)

    def and_fail() -> None:
        act()
        busy()

    store.before_snapshot = and_fail
    assert worker(store, clock).work_once()  # and does not end by it
    assert (job(store, name).state, results(store)) == ("complete", 1)


def test_a_job_that_fails_after_it_was_taken_over_is_not_failed(store: Waylaid, clock: Clock) -> None:
    name = ask(store)
    act = thrown(store, name, clock)

    def and_fail() -> None:
        act()
        raise ValueError("a defect")

    store.before_snapshot = and_fail
    with capture_logs():
        assert worker(store, clock).work_once()
    assert job(store, name).state == "complete"


def test_a_job_that_is_cancelled_while_it_is_done_writes_nothing(store: Waylaid, clock: Clock) -> None:
    name = ask(store)

    def cancel() -> None:
        with store.writing() as connection:
            queue.cancel(connection, name, now=NOW + 1)

    store.before_snapshot = cancel
    assert worker(store, clock).work_once()
    assert (job(store, name).state, results(store)) == ("cancelled", 0)


def test_the_next_progress_after_cancelling_stops_the_work(store: Waylaid, clock: Clock) -> None:
    name = ask(store)
    with store.writing() as connection:
        held = queue.claim(connection, "w", KINDS, now=NOW)
        assert held is not None
    heart = Heart(store, held, clock)
    with heart.beating():
        heart.progress(3, 9)
        time.sleep(0.8)
        heart.progress(4, 9)
        assert (job(store, name).done, job(store, name).total) == (3, 9)
        with store.writing() as connection:
            queue.cancel(connection, name, now=NOW + 1)
        time.sleep(0.8)
        with pytest.raises(LeaseLostError):
            heart.progress(5, 9)


def test_a_heart_beats_on_after_the_store_was_busy(store: Waylaid, clock: Clock) -> None:
    name = ask(store)
    with store.writing() as connection:
        held = queue.claim(connection, "w", KINDS, now=NOW)
        assert held is not None
    store.before_writing = busy
    heart = Heart(store, held, clock)
    with heart.beating():
        heart.progress(3, 9)
        time.sleep(0.8)
        assert job(store, name).done == 0
        store.before_writing = lambda: None
        time.sleep(0.8)
        heart.progress(4, 9)
    assert job(store, name).done == 3


# --- handing back, putting back --------------------------------------------------------------------------


def test_a_job_is_put_back_when_the_store_is_busy_and_fails_in_the_end(store: Waylaid, clock: Clock) -> None:
    name = ask(store)
    doing = worker(store, clock)
    store.before_snapshot = busy
    for attempt in range(1, MAX_ATTEMPTS):
        assert doing.work_once()
        found = job(store, name)
        assert (found.state, found.attempts, found.reason) == ("queued", attempt, "the store is busy")
        assert not doing.work_once()
        clock.now += 5 * SECOND_US
    assert doing.work_once()
    given_up = f"given up after {MAX_ATTEMPTS} attempts: the store is busy"
    assert (job(store, name).state, job(store, name).reason) == ("failed", given_up)
    assert isinstance(failure_of(given_up), DatabaseUnavailableError)


def test_a_job_that_was_put_back_is_done_when_the_store_is_free_again(store: Waylaid, clock: Clock) -> None:
    name = ask(store)
    store.before_snapshot = busy
    worker(store, clock).work_once()
    store.before_snapshot = lambda: None
    clock.now += 5 * SECOND_US
    worker(store, clock).work_once()
    assert (job(store, name).state, job(store, name).reason) == ("complete", None)


def test_a_worker_that_leaves_hands_its_job_back(store: Waylaid, clock: Clock) -> None:
    name = ask(store)
    leaving = worker(store, clock)
    began, ends = threading.Event(), threading.Event()

    def wait() -> None:
        store.before_snapshot = lambda: None
        began.set()
        assert ends.wait(30)

    store.before_snapshot = wait
    thread = threading.Thread(target=leaving.work_once)
    thread.start()
    assert began.wait(30)
    leaving.hand_back()
    assert (job(store, name).state, job(store, name).attempts) == ("queued", 0)
    leaving.hand_back()  # too late: it is nobody's any more
    assert worker(store, clock, "other").work_once()
    assert (job(store, name).state, job(store, name).attempts) == ("complete", 1)
    ends.set()
    thread.join(30)
    assert results(store) == 1


def test_a_worker_without_a_job_has_nothing_to_hand_back(store: Waylaid, clock: Clock) -> None:
    worker(store, clock).hand_back()


def test_a_worker_works_until_it_is_stopped(store: Waylaid, clock: Clock) -> None:
    names = [ask(store, as_of=NOW - place) for place in range(3)]
    doing = worker(store, clock)
    thread = threading.Thread(target=doing.run)
    thread.start()
    deadline = time.monotonic() + 30
    while any(job(store, name).state != "complete" for name in names):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    doing.stop()
    thread.join(30)
    assert not thread.is_alive()
    late = ask(store, as_of=NOW - 9)
    assert job(store, late).state == "queued"


def test_a_worker_waits_out_a_busy_store(store: Waylaid, clock: Clock) -> None:
    name = ask(store)
    doing = worker(store, clock)
    store.before_writing = busy
    thread = threading.Thread(target=doing.run)
    thread.start()
    time.sleep(0.5)
    assert thread.is_alive()
    store.before_writing = lambda: None
    deadline = time.monotonic() + 30
    while job(store, name).state != "complete":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    doing.stop()
    thread.join(30)


# --- loads -----------------------------------------------------------------------------------------------


def sent(database: Database, *contents: str, kinds: Sequence[str | None] = (None, None)) -> str:
    files = [{"file": place, "kind": kinds[place], "name": f"f{place}"} for place in range(len(contents))]
    name = submit(database, "load", {"actor": "me", "files": files})
    with database.writing() as connection:
        for place, content in enumerate(contents):
            uploads.add(connection, name, place, 0, uploads.compressed(content.encode()))
    return name


def loads_of(database: Database) -> int:
    with database.reading() as connection:
        return len(list_loads(connection))


def test_files_that_were_sent_are_one_load_and_are_dropped(store: Waylaid, clock: Clock) -> None:
    more = tables.table("polls", "9,active,2023-01-24 10:00:00 UTC", "9,activ,2023-01-24 10:00:00 UTC")
    name = sent(store, more, tables.table("timezones", "9,Asia/Tokyo"), kinds=("polls", None))
    worker(store, clock).work_once()
    found = job(store, name)
    assert (found.state, found.load, found.done, found.total) == ("complete", 2, 3, 3)
    with store.reading() as connection:
        assert connection.execute(select(upload_table)).first() is None
        record = list_loads(connection)[0]
    assert (record.rows_read, record.quarantined, [file.kind for file in record.files]) == (
        3,
        1,
        ["polls", "timezones"],
    )


def test_a_file_that_cannot_be_read_fails_the_whole_load_and_leaves_nothing(store: Waylaid, clock: Clock) -> None:
    name = sent(store, tables.table("polls", "9,active,2023-01-24 10:00:00 UTC"), "what,is,this\n1,2,3\n")
    worker(store, clock).work_once()
    assert job(store, name).state == "failed"
    assert "f1" in (job(store, name).reason or "")
    assert loads_of(store) == 1
    with store.reading() as connection:
        assert connection.execute(select(upload_table)).first() is None


def test_a_load_that_was_taken_over_is_written_once(store: Waylaid, clock: Clock) -> None:
    name = sent(store, tables.table("polls", "9,active,2023-01-24 10:00:00 UTC"))
    writes = 0

    def at_the_second() -> None:
        nonlocal writes
        writes += 1
        if writes == 2:  # the first takes the job, the second would write the load
            take_over(store, clock)

    store.before_writing = at_the_second
    assert worker(store, clock).work_once()
    store.before_writing = lambda: None
    assert (job(store, name).state, job(store, name).attempts, loads_of(store)) == ("complete", 2, 2)


# --- sources ---------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "incoming"
    made.mkdir()
    return made


def put(path: Path, *rows: str, at: int = NOW - 60 * SECOND_US) -> None:
    path.write_text(tables.table("polls", *rows))
    os.utime(path, ns=(at * 1000, at * 1000))


def watching(folder: Path, every: int = HOUR_US) -> dict[str, Any]:
    return {"watched": [Watched("incoming", str(folder), every)]}


def waiting(database: Database, kind: str = "source") -> int:
    with database.reading() as connection:
        return queue.counts(connection).get((kind, "queued"), 0)


def source(database: Database) -> sources.SourceState:
    with database.reading() as connection:
        return sources.states(connection)["incoming"]


def test_each_version_of_a_file_is_read_once_in_a_load_of_its_own(store: Waylaid, clock: Clock, folder: Path) -> None:
    put(folder / "a.csv", "7,active,2023-01-24 10:00:00 UTC")
    put(folder / "b.csv", "8,active,2023-01-24 10:00:00 UTC")
    doing = worker(store, clock, **watching(folder))
    for _ in range(2):
        doing.tick()
        assert doing.work_once()
        assert loads_of(store) == 3
        assert (source(store).files_read, source(store).brought_at, source(store).failures) == (2, NOW, 0)
        clock.now += HOUR_US
    clock.now -= HOUR_US
    put(folder / "a.csv", "7,inactive,2023-01-24 10:00:00 UTC", "7,active,2023-01-24 11:00:00 UTC")
    clock.now += HOUR_US
    doing.tick()
    doing.work_once()
    assert (loads_of(store), source(store).files_read) == (4, 3)


def test_a_bad_file_keeps_no_other_back_and_is_tried_again(store: Waylaid, clock: Clock, folder: Path) -> None:
    (folder / "a.csv").write_text("what,is,this\n1,2,3\n")
    os.utime(folder / "a.csv", ns=(NOW * 999, NOW * 999))
    put(folder / "b.csv", "8,active,2023-01-24 10:00:00 UTC")
    doing = worker(store, clock, **watching(folder))
    doing.tick()
    doing.work_once()
    assert loads_of(store) == 2
    found = source(store)
    assert (found.failures, found.error, found.files_read, found.checked_at) == (0, None, 1, NOW)
    assert found.retry_at == NOW + 30 * SECOND_US
    ((file),) = failing(store)
    assert file.name.endswith("a.csv")
    assert "a.csv" in file.error
    put(folder / "a.csv", "7,active,2023-01-24 10:00:00 UTC")
    clock.now += 30 * SECOND_US
    doing.tick()
    doing.work_once()
    assert (loads_of(store), source(store).retry_at, failing(store)) == (3, None, [])


def failing(database: Database) -> list[sources.FailingFile]:
    with database.reading() as connection:
        return sources.failing(connection).get("incoming", [])


def test_whatever_lies_in_a_folder_every_good_file_is_read_and_every_bad_one_is_named(
    store: Waylaid, clock: Clock, folder: Path
) -> None:
    bad = {
        "a-empty.csv": b"", "b-junk.csv": b"\x00\xff" * 100, "c-cut.parquet": b"PAR1" + b"\x00" * 20,
        "d-cut.csv.gz": b"\x1f\x8b\x08\x00garbage", "e-array.json": b"[" * 50_000, "f-utf16.csv": b"\xff\xfea",
    }  # fmt: skip
    for name, content in bad.items():
        (folder / name).write_bytes(content)
        os.utime(folder / name, ns=(NOW * 999, NOW * 999))
    (folder / "g-loop.csv").symlink_to("g-loop.csv")
    (folder / "h-first.csv").symlink_to("h-second.csv")
    (folder / "h-second.csv").symlink_to("h-first.csv")
    put(folder / "z.csv", "8,active,2023-01-24 10:00:00 UTC")
    doing = worker(store, clock, **watching(folder))
    doing.tick()
    doing.work_once()
    assert (loads_of(store), source(store).files_read, source(store).checked_at) == (2, 1, NOW)
    names = {Path(file.name).name for file in failing(store)}
    assert names == {*bad, "g-loop.csv", "h-first.csv", "h-second.csv"}
    for file in failing(store):
        assert file.error, file
    for name in names:
        (folder / name).unlink()
    clock.now += HOUR_US
    doing.tick()
    doing.work_once()
    assert (failing(store), source(store).failures) == ([], 0)


def test_a_file_that_stays_bad_is_tried_after_ever_longer(store: Waylaid, clock: Clock, folder: Path) -> None:
    (folder / "a.csv").write_text("what,is,this\n1,2,3\n")
    os.utime(folder / "a.csv", ns=(NOW * 999, NOW * 999))
    doing = worker(store, clock, **watching(folder, DAY_US))
    tried = []
    for _ in range(300):
        doing.tick()
        if doing.work_once():
            tried.append(((clock.now - NOW) // SECOND_US, failing(store)[0].failures))
        clock.now += 5 * SECOND_US
    assert tried == [(0, 1), (30, 2), (90, 3), (210, 4), (450, 5), (930, 6)]


def test_whatever_a_file_raises_keeps_no_other_back(
    store: Waylaid, clock: Clock, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder / "a.csv", "7,active,2023-01-24 10:00:00 UTC")
    put(folder / "b.csv", "8,active,2023-01-24 10:00:00 UTC")
    looked_at = inputs.detected

    def detected(name: str, open: Any, **limits: Any) -> Any:
        if name.endswith("a.csv"):
            raise PanicException("a compiled library lost its head")
        return looked_at(name, open, **limits)

    monkeypatch.setattr(working, "detected", detected)
    doing = worker(store, clock, **watching(folder))
    doing.tick()
    doing.work_once()
    assert (loads_of(store), source(store).files_read, source(store).checked_at) == (2, 1, NOW)
    ((file),) = failing(store)
    assert "PanicException" in file.error


def test_a_file_at_which_a_process_dies_is_left_out_by_the_next(
    store: Waylaid, clock: Clock, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder / "a.csv", "7,active,2023-01-24 10:00:00 UTC")
    put(folder / "b.csv", "8,active,2023-01-24 10:00:00 UTC")
    looked_at = inputs.detected

    class Death(BaseException):
        """The end of the process."""

    def detected(name: str, open: Any, **limits: Any) -> Any:
        if name.endswith("a.csv"):
            raise Death
        return looked_at(name, open, **limits)

    monkeypatch.setattr(working, "detected", detected)
    doing = worker(store, clock, **watching(folder))
    doing.tick()
    deaths = 0
    for _ in range(60):  # another worker takes over what has been late for a moment
        clock.now += SECOND_US
        try:
            if doing.work_once():
                break
        except Death:
            deaths += 1
            assert source(store).checked_at is not None
    assert deaths == 2
    assert (loads_of(store), source(store).files_read) == (2, 1)
    assert [Path(file.name).name for file in failing(store)] == ["a.csv"]


def test_a_failing_source_is_visited_after_ever_longer_until_its_interval(
    store: Waylaid, clock: Clock, tmp_path: Path
) -> None:
    doing = worker(store, clock, **watching(tmp_path / "missing", 2 * 60 * SECOND_US))
    visits = []
    for _ in range(500):
        doing.tick()
        while doing.work_once():
            visits.append((clock.now - NOW) // SECOND_US)
        clock.now += SECOND_US
    # The interval goes on beside the retries: NOW is a whole hour.
    assert visits == [0, 30, 90, 120, 240, 360, 480]
    assert source(store).failures == len(visits)


def test_one_visit_is_queued_however_many_processes_tick(store: Waylaid, clock: Clock, folder: Path) -> None:
    many = [worker(store, clock, str(number), **watching(folder)) for number in range(4)]
    for doing in many:
        doing.tick()
        doing.tick()
    assert waiting(store) == 1
    clock.now += HOUR_US  # and none more while it waits
    for doing in many:
        doing.tick()
    assert waiting(store) == 1
    many[0].work_once()
    clock.now += HOUR_US
    for doing in many:
        doing.tick()
    assert waiting(store) == 1


def test_a_visit_is_left_to_a_worker_that_watches_the_source(store: Waylaid, clock: Clock, folder: Path) -> None:
    put(folder / "a.csv", "7,active,2023-01-24 10:00:00 UTC")
    watcher, other = worker(store, clock, **watching(folder)), worker(store, clock, "other")
    watcher.tick()
    assert other.work_once()
    assert waiting(store) == 1
    clock.now += 5 * SECOND_US
    assert watcher.work_once()
    assert (loads_of(store), source(store).files_read) == (2, 1)


def test_a_visit_to_a_source_that_nobody_watches_any_more_fails_in_the_end(store: Waylaid, clock: Clock) -> None:
    name = submit(store, "source", {"source": "gone"})
    for _ in range(MAX_ATTEMPTS):
        assert worker(store, clock).work_once()
        clock.now += 5 * SECOND_US
    assert (job(store, name).state, job(store, name).reason) == (
        "failed",
        f"given up after {MAX_ATTEMPTS} attempts: the source 'gone' is watched no longer",
    )


# --- what is old -----------------------------------------------------------------------------------------


def test_what_is_old_is_forgotten_once_an_hour(store: Waylaid, clock: Clock) -> None:
    doing = worker(store, clock, keep_us=DAY_US)
    with store.writing() as connection:
        report = reports.request(
            connection, ReportRequest().to_dict(), made_with="1", requested_by="me", now=NOW, limit=9
        ).report
        queue.submit(connection, "load", {}, now=NOW, state="receiving")
    doing.tick()
    assert doing.work_once()
    clock.now += DAY_US
    doing.tick()
    assert results(store) == 1  # it is not older than a day
    clock.now += HOUR_US
    doing.tick()
    assert results(store) == 0
    with store.reading() as connection:
        assert queue.counts(connection) == {}
        with pytest.raises(NotFoundError):
            reports.find(connection, report)


# --- clocks that are set back ----------------------------------------------------------------------------


def test_the_job_of_a_worker_that_died_while_the_clock_was_ahead_is_taken_over_soon(
    store: Waylaid, clock: Clock
) -> None:
    name = submit(store, "report", ReportRequest().to_dict())
    with store.writing() as connection:
        assert queue.claim(connection, "dead", KINDS, now=NOW + 20 * HOUR_US) is not None
    other = worker(store, clock)
    assert not other.work_once()
    clock.now += LEASE_US - 1
    assert not other.work_once()
    clock.now += 1
    assert other.work_once()
    with store.reading() as connection:
        found = queue.find(connection, name)
    assert found is not None
    assert (found.state, found.attempts) == ("complete", 2)


def test_a_worker_whose_clock_is_ahead_keeps_its_job_as_long_as_it_lives(store: Waylaid, clock: Clock) -> None:
    submit(store, "report", ReportRequest().to_dict())
    with store.writing() as connection:
        held = queue.claim(connection, "ahead", KINDS, now=NOW + HOUR_US)
    assert held is not None
    other = worker(store, clock)
    for _ in range(20):
        clock.now += SECOND_US
        with store.writing() as connection:
            queue.beat(connection, held, now=clock.now + HOUR_US, done=0, total=None)
        assert not other.work_once()


def test_a_worker_that_saw_a_job_late_before_its_clock_was_set_back_takes_it_over_all_the_same(
    store: Waylaid, clock: Clock
) -> None:
    submit(store, "report", ReportRequest().to_dict())
    with store.writing() as connection:
        assert queue.claim(connection, "dead", KINDS, now=NOW) is not None
    other = worker(store, clock)
    clock.now = NOW + 20 * HOUR_US
    assert not other.work_once()
    clock.now = NOW + LEASE_US + 1
    assert not other.work_once()
    clock.now += SECOND_US
    assert other.work_once()
