"""The lease table: one worker at a time holds a job, and one that was thought dead can write nothing for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import Connection, Engine, create_engine, delete, func, select

from tests.fixtures.commands import environment, popen
from tests.fixtures.databases import url_in, url_of
from tests.fixtures.tables import NOW
from uphours.database import queue, uploads
from uphours.database.database import Database, connect
from uphours.database.queue import KINDS, LEASE_US, MAX_ATTEMPTS, Claim, Job
from uphours.database.tables import jobs, metadata
from uphours.database.tables import uploads as upload_table
from uphours.errors import LeaseLostError, QueueFullError
from uphours.schema import SECOND_US
from uphours.wire.words import JobKind

pytestmark = pytest.mark.anywhere


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = connect(url_in(tmp_path, "store.db"), keep_open=True)
    made.migrate()
    yield made
    made.close()


def submit(database: Database, kind: JobKind = "report", *, now: int = NOW, **more: Any) -> str:
    with database.writing() as connection:
        return queue.submit(connection, kind, {"kind": kind}, now=now, **more)


def claim(database: Database, worker: str = "w", *kinds: JobKind, now: int = NOW) -> Claim | None:
    with database.writing() as connection:
        return queue.claim(connection, worker, kinds or KINDS, now=now)


def claimed(database: Database, worker: str = "w", *, now: int = NOW) -> Claim:
    found = claim(database, worker, now=now)
    assert found is not None
    return found


def finish(database: Database, held: Claim, *, now: int = NOW, **more: Any) -> None:
    with database.writing() as connection:
        queue.finish(connection, held, now=now, **more)


def beat(database: Database, held: Claim, *, now: int = NOW, done: int = 0, total: int | None = None) -> None:
    with database.writing() as connection:
        queue.beat(connection, held, now=now, done=done, total=total)


def hand_back(database: Database, held: Claim, *, now: int = NOW, **more: Any) -> None:
    with database.writing() as connection:
        queue.hand_back(connection, held, now=now, **more)


def job(database: Database, name: str) -> Job:
    with database.reading() as connection:
        found = queue.find(connection, name)
    assert found is not None
    return found


# --- waiting and claiming --------------------------------------------------------------------------------


def test_the_job_that_has_waited_longest_is_claimed_first(database: Database) -> None:
    late, early, middle = (submit(database, now=NOW + wait) for wait in (2, 0, 1))
    assert [claimed(database, now=NOW + 2).job for _ in range(3)] == [early, middle, late]
    assert claim(database, now=NOW + 2) is None


def test_a_worker_claims_jobs_of_its_kinds_alone(database: Database) -> None:
    submit(database, "load")
    report = submit(database, "report", now=NOW + 1)
    found = claim(database, "w", "report", "source", now=NOW + 1)
    assert found is not None
    assert (found.job, found.kind) == (report, "report")
    assert claim(database, "w", "report", "source", now=NOW + 1) is None


def test_a_claim_says_what_to_do_and_begins_the_job(database: Database) -> None:
    name = submit(database)
    held = claimed(database, now=NOW + 5)
    assert held == Claim(name, "report", {"kind": "report"}, attempts=1, fence=1)
    found = job(database, name)
    assert (found.state, found.created_at, found.started_at, found.attempts) == ("running", NOW, NOW + 5, 1)


def test_each_of_many_threads_gets_jobs_of_its_own(database: Database) -> None:
    names = {submit(database) for _ in range(40)}
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda number: claimed(database, str(number)).job, range(40)))
    assert len(found) == 40
    assert set(found) == names
    assert claim(database) is None


_CLAIMING = """
import sys
from uphours.database import queue
from uphours.database.database import connect
from uphours.wire.words import JobKind
store = connect(sys.argv[1], keep_open=True)
while True:
    with store.writing() as connection:
        held = queue.claim(connection, sys.argv[2], queue.KINDS, now=int(sys.argv[3]))
    if held is None:
        break
    print(held.job, held.fence)
"""


def test_each_of_many_processes_gets_jobs_of_its_own(database: Database) -> None:
    names = {submit(database) for _ in range(60)}
    words = [sys.executable, "-c", _CLAIMING, url_of(database)]
    processes = [
        popen([*words, str(number), str(NOW)], env=environment(), stdout=subprocess.PIPE) for number in range(4)
    ]
    printed = [process.communicate(timeout=120)[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    found = [line.split() for text in printed for line in text.splitlines()]
    assert len(found) == 60
    assert {name for name, _ in found} == names
    assert {fence for _, fence in found} == {"1"}


# --- leases and fences -----------------------------------------------------------------------------------


def test_a_lease_is_not_taken_over_before_it_ends(database: Database) -> None:
    submit(database)
    claimed(database)
    assert claim(database, "other", now=NOW + LEASE_US) is None
    taken = claimed(database, "other", now=NOW + LEASE_US + 1)
    assert (taken.attempts, taken.fence) == (2, 2)


def test_a_worker_that_is_heard_of_keeps_its_lease(database: Database) -> None:
    name = submit(database)
    held = claimed(database)
    beat(database, held, now=NOW + LEASE_US, done=3, total=7)
    assert claim(database, "other", now=NOW + 2 * LEASE_US) is None
    assert (job(database, name).done, job(database, name).total) == (3, 7)
    beat(database, held, now=NOW + 3 * LEASE_US)  # late, but nobody came in between


@pytest.mark.parametrize("way", [finish, beat, hand_back], ids=lambda way: way.__name__)
def test_a_worker_that_was_thought_dead_can_do_nothing_more(database: Database, way: Any) -> None:
    name = submit(database)
    dead = claimed(database)
    alive = claimed(database, "other", now=NOW + LEASE_US + 1)
    before = job(database, name)
    with pytest.raises(LeaseLostError, match="no longer this worker's"):
        way(database, dead, now=NOW + LEASE_US + 2)
    with pytest.raises(LeaseLostError), database.writing() as connection:
        queue.hold(connection, dead, now=NOW + LEASE_US + 2)
    assert job(database, name) == before
    finish(database, alive, now=NOW + LEASE_US + 3)
    assert job(database, name).state == "complete"


@pytest.mark.parametrize("way", [finish, beat, hand_back], ids=lambda way: way.__name__)
def test_a_job_ends_once(database: Database, way: Any) -> None:
    name = submit(database)
    held = claimed(database)
    finish(database, held, now=NOW + 1, done=5, total=5, as_of=NOW, loads_seen=2)
    before = job(database, name)
    assert (before.state, before.finished_at, before.as_of, before.loads_seen) == ("complete", NOW + 1, NOW, 2)
    with pytest.raises(LeaseLostError):
        way(database, held, now=NOW + 2)
    assert job(database, name) == before
    assert claim(database, now=NOW + 10 * LEASE_US) is None


def test_what_a_lost_lease_wrote_is_undone(database: Database) -> None:
    submit(database)
    dead = claimed(database)
    claimed(database, "other", now=NOW + LEASE_US + 1)

    def write_and_finish() -> None:
        with database.writing() as connection:
            uploads.add(connection, dead.job, 0, 0, b"x")
            queue.finish(connection, dead, now=NOW + LEASE_US + 2)

    with pytest.raises(LeaseLostError):
        write_and_finish()
    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(upload_table)).scalar() == 0


def test_the_jobs_of_a_dead_worker_alone_are_released(database: Database) -> None:
    first, second = submit(database), submit(database, now=NOW + 1)
    claimed(database, "dead")
    claimed(database, "alive", now=NOW + 1)
    with database.writing() as connection:
        queue.release(connection, "dead")
    taken = claimed(database, "next", now=NOW + 2)
    assert (taken.job, taken.fence, taken.attempts) == (first, 2, 2)
    assert claim(database, "next", now=NOW + 2) is None
    assert job(database, second).state == "running"


def test_releasing_changes_nothing_that_has_ended(database: Database) -> None:
    name = submit(database)
    finish(database, claimed(database, "dead"))
    with database.writing() as connection:
        queue.release(connection, "dead")
    assert job(database, name).state == "complete"
    assert claim(database, now=NOW + 10 * LEASE_US) is None


# --- attempts --------------------------------------------------------------------------------------------


def died(database: Database, times: int) -> int:
    """Let workers claim a job and die; return when the last lease ends."""
    now = NOW
    for _ in range(times):
        claimed(database, now=now)
        now += LEASE_US + 1
    return now


def test_a_job_whose_workers_die_is_given_up_with_a_reason(database: Database) -> None:
    name = submit(database)
    now = died(database, MAX_ATTEMPTS)
    assert claim(database, now=now) is None
    found = job(database, name)
    assert (found.state, found.finished_at, found.attempts) == ("failed", now, MAX_ATTEMPTS)
    assert found.reason == f"given up: the process that worked on it died {MAX_ATTEMPTS} times"
    assert claim(database, now=now + LEASE_US) is None


def test_a_job_that_is_given_up_leaves_no_files(database: Database) -> None:
    name, other = submit(database, "load"), submit(database, "load", now=NOW + 1, state="receiving")
    with database.writing() as connection:
        for one in (name, other):
            uploads.add(connection, one, 0, 0, b"x")
    claim(database, now=died(database, MAX_ATTEMPTS))
    with database.reading() as connection:
        assert connection.execute(select(upload_table.c.job)).scalars().all() == [other]


def test_giving_one_job_up_keeps_no_other_waiting(database: Database) -> None:
    submit(database)
    now = died(database, MAX_ATTEMPTS)
    other = submit(database, now=now)
    assert claimed(database, now=now).job == other


def test_a_job_that_is_handed_back_goes_on_at_once_and_the_attempt_does_not_count(database: Database) -> None:
    name = submit(database)
    for _ in range(MAX_ATTEMPTS + 2):
        held = claimed(database)
        assert held.attempts == 1
        hand_back(database, held)
    assert (job(database, name).state, job(database, name).attempts) == ("queued", 0)
    assert held.fence == MAX_ATTEMPTS + 2


def test_a_job_that_is_put_back_waits_and_the_attempt_counts(database: Database) -> None:
    name = submit(database)
    hand_back(database, claimed(database), wait=10, reason="the store was busy")
    found = job(database, name)
    assert (found.state, found.attempts, found.reason) == ("queued", 1, "the store was busy")
    assert claim(database, now=NOW + 9) is None
    assert claimed(database, now=NOW + 10).attempts == 2


def test_the_reason_of_a_job_that_was_put_back_goes_when_it_succeeds(database: Database) -> None:
    name = submit(database)
    hand_back(database, claimed(database), wait=10, reason="the store was busy")
    finish(database, claimed(database, now=NOW + 10))
    assert job(database, name).reason is None


def test_when_a_job_began_stays_when_it_is_taken_over_and_its_progress_begins_anew(database: Database) -> None:
    name = submit(database)
    beat(database, claimed(database), done=5, total=9)
    claimed(database, now=NOW + LEASE_US + 1)
    assert (job(database, name).started_at, job(database, name).done) == (NOW, 0)


# --- cancelling, limits, sharing -------------------------------------------------------------------------


def test_a_queued_job_that_is_cancelled_is_never_claimed(database: Database) -> None:
    name = submit(database)
    with database.writing() as connection:
        queue.cancel(connection, name, now=NOW + 1)
    assert (job(database, name).state, job(database, name).finished_at) == ("cancelled", NOW + 1)
    assert claim(database, now=NOW + 2) is None


def test_a_running_job_that_is_cancelled_is_lost_to_its_worker(database: Database) -> None:
    name = submit(database)
    held = claimed(database)
    with database.writing() as connection:
        queue.cancel(connection, name, now=NOW + 1)
    for way in (finish, beat, hand_back):
        with pytest.raises(LeaseLostError):
            way(database, held, now=NOW + 2)
    assert job(database, name).state == "cancelled"
    assert claim(database, now=NOW + 10 * LEASE_US) is None


def test_what_has_ended_cannot_be_cancelled(database: Database) -> None:
    name = submit(database)
    finish(database, claimed(database))
    with database.writing() as connection:
        queue.cancel(connection, name, now=NOW + 1)
    assert job(database, name).state == "complete"


def test_a_full_queue_takes_no_more_until_a_job_is_claimed(database: Database) -> None:
    submit(database, "load", limit=2)
    submit(database, "load", limit=2, state="receiving")
    with pytest.raises(QueueFullError, match="2 jobs are waiting already") as error:
        submit(database, "load", limit=2)
    assert error.value.waiting == 2
    claimed(database)
    submit(database, "load", limit=2)


def test_loads_keep_no_report_out_and_reports_no_load(database: Database) -> None:
    for kind in ("load", "report"):
        for _ in range(2):
            submit(database, kind, limit=2)
        with pytest.raises(QueueFullError):
            submit(database, kind, limit=2)


def test_half_of_the_room_at_most_is_for_one_key(database: Database) -> None:
    def load(key: str) -> None:
        with database.writing() as connection:
            queue.submit(connection, "load", {"actor": f"key:{key}"}, now=NOW, limit=4, asked_by=key)

    for _ in range(2):
        load("a_")
    with pytest.raises(QueueFullError, match="2 jobs of this API key are waiting already"):
        load("a_")
    for _ in range(2):
        load("ab")


def test_visits_to_sources_are_queued_however_full_the_queue_is(database: Database) -> None:
    for _ in range(3):
        submit(database, "source")
    with database.reading() as connection:
        assert queue.counts(connection) == {("source", "queued"): 3}


def test_an_upload_that_a_dead_server_broke_off_does_not_fill_the_queue_for_long(database: Database) -> None:
    for _ in range(3):
        submit(database, "load", limit=3, state="receiving")
    with pytest.raises(QueueFullError):
        submit(database, "load", limit=3, now=NOW + queue.RECEIVING_US)
    submit(database, "load", limit=3, now=NOW + queue.RECEIVING_US + 1)


def test_a_job_that_is_being_received_waits_for_the_last_of_its_files(database: Database) -> None:
    name = submit(database, "load", state="receiving")
    assert claim(database, now=NOW + LEASE_US) is None
    with database.writing() as connection:
        queue.received(connection, name, {"files": [1]}, now=NOW + 9)
    held = claimed(database, now=NOW + 9)
    assert (held.job, held.request) == (name, {"files": [1]})


def test_a_job_that_was_cancelled_while_it_was_received_is_not_queued(database: Database) -> None:
    name = submit(database, "load", state="receiving")
    with database.writing() as connection:
        queue.cancel(connection, name, now=NOW)
    with pytest.raises(LeaseLostError), database.writing() as connection:
        queue.received(connection, name, {}, now=NOW)
    assert job(database, name).state == "cancelled"


def test_shared_work_is_found_until_it_ends(database: Database) -> None:
    def found() -> str | None:
        with database.reading() as connection:
            return queue.active(connection, "the same")

    assert found() is None
    name = submit(database, share="the same")
    submit(database, share="another", now=NOW + 1)
    assert found() == name
    held = claimed(database)
    assert found() == name
    finish(database, held)
    assert found() is None


def test_the_same_request_is_the_same_text() -> None:
    assert queue.canonical({"b": 1, "a": [None, "é"]}) == queue.canonical({"a": [None, "é"], "b": 1})
    assert len({queue.new_id() for _ in range(100)}) == 100


def test_it_is_known_what_waits_and_since_when(database: Database) -> None:
    with database.reading() as connection:
        assert queue.waiting_since(connection) is None
        assert queue.find(connection, "nothing") is None
    submit(database, now=NOW + 2)
    submit(database, "load", now=NOW + 1)
    finish(database, claimed(database, now=NOW + 5), state="failed", reason="because")
    with database.reading() as connection:
        assert queue.waiting_since(connection) == NOW + 2
        assert queue.counts(connection) == {("report", "queued"): 1, ("load", "failed"): 1}


# --- everything in any order -----------------------------------------------------------------------------


@dataclass
class Modelled:
    """What a job should be."""

    due_at: int
    turn_at: int
    state: str = "queued"
    attempts: int = 0
    fence: int = 0
    lease_until: int = 0
    claims: list[Claim] = field(default_factory=list)


class LeaseTable(RuleBasedStateMachine):
    """Jobs, claims by workers that may be slow or dead, and a clock that goes on, against a model in plain Python."""

    def __init__(self) -> None:
        super().__init__()
        self._engine = self.empty()
        self.now = NOW
        self.jobs: dict[str, Modelled] = {}

    #: Gives a database without jobs.
    empty: Callable[[], Engine]

    def _held(self, chosen: int) -> tuple[Claim, Modelled]:
        every = [(held, one) for one in self.jobs.values() for held in one.claims]
        return every[chosen % len(every)]

    def _any_claim(self) -> bool:
        return any(one.claims for one in self.jobs.values())

    @rule(us=st.sampled_from([1, SECOND_US, LEASE_US, LEASE_US + 1]))
    def time_goes_on(self, us: int) -> None:
        self.now += us

    @rule()
    def submit(self) -> None:
        with self._engine.begin() as connection:
            self.jobs[queue.submit(connection, "load", {}, now=self.now)] = Modelled(self.now, self.now)

    @rule()
    def claim(self) -> None:
        with self._engine.begin() as connection:
            found = queue.claim(connection, "w", KINDS, now=self.now)
        for one in self.jobs.values():
            if one.state == "running" and one.lease_until < self.now and one.attempts >= MAX_ATTEMPTS:
                one.state = "failed"
        free = [
            (one.turn_at, name)
            for name, one in self.jobs.items()
            if (one.state == "queued" and one.due_at <= self.now)
            or (one.state == "running" and one.lease_until < self.now)
        ]
        if not free:
            assert found is None
            return
        assert found is not None
        assert found.job == min(free)[1]
        one = self.jobs[found.job]
        one.state, one.attempts, one.fence = "running", one.attempts + 1, one.fence + 1
        one.lease_until = self.now + LEASE_US
        one.claims.append(found)
        assert (found.attempts, found.fence) == (one.attempts, one.fence)

    def _act(self, held: Claim, one: Modelled, act: Any) -> bool:
        """Do something with a claim; it works if and only if the claim still counts."""
        may = one.state == "running" and one.fence == held.fence
        with self._engine.connect() as connection:
            try:
                act(connection)
                connection.commit()
            except LeaseLostError:
                assert not may
                return False
        assert may
        return True

    @precondition(_any_claim)
    @rule(chosen=st.integers(0, 50), state=st.sampled_from(["complete", "failed"]))
    def finish(self, chosen: int, state: Any) -> None:
        held, one = self._held(chosen)
        if self._act(held, one, lambda it: queue.finish(it, held, now=self.now, state=state)):
            one.state = state

    @precondition(_any_claim)
    @rule(chosen=st.integers(0, 50))
    def beat(self, chosen: int) -> None:
        held, one = self._held(chosen)
        if self._act(held, one, lambda it: queue.beat(it, held, now=self.now, done=1, total=None)):
            one.lease_until = self.now + LEASE_US

    @precondition(_any_claim)
    @rule(chosen=st.integers(0, 50), wait=st.sampled_from([0, SECOND_US]))
    def hand_back(self, chosen: int, wait: int) -> None:
        held, one = self._held(chosen)
        if self._act(held, one, lambda it: queue.hand_back(it, held, now=self.now, wait=wait)):
            one.state, one.due_at = "queued", self.now + wait
            one.attempts -= not wait

    @precondition(_any_claim)
    @rule(chosen=st.integers(0, 50))
    def cancel(self, chosen: int) -> None:
        held, one = self._held(chosen)
        with self._engine.begin() as connection:
            queue.cancel(connection, held.job, now=self.now)
        if one.state in ("queued", "running"):
            one.state = "cancelled"

    @rule()
    def release(self) -> None:
        with self._engine.begin() as connection:
            queue.release(connection, "w")
        for one in self.jobs.values():
            if one.state == "running":
                one.lease_until = 0

    @invariant()
    def the_table_is_as_the_model(self) -> None:
        with self._engine.connect() as connection:
            found = {row.job: (row.state, row.attempts, row.fence) for row in self._rows(connection)}
        assert found == {name: (one.state, one.attempts, one.fence) for name, one in self.jobs.items()}

    @staticmethod
    def _rows(connection: Connection) -> Any:
        return connection.execute(select(jobs.c.job, jobs.c.state, jobs.c.attempts, jobs.c.fence))


def test_any_order_of_events_is_as_in_the_model(engine: str, database: Database) -> None:
    made: Any = create_engine("sqlite://") if engine == "sqlite" else database.engine
    sql: Engine = made if engine == "sqlite" else made.database
    metadata.create_all(sql)

    def empty() -> Engine:
        with sql.begin() as connection:
            connection.execute(delete(jobs))
        return sql

    machine = type("OnEngine", (LeaseTable,), {"empty": staticmethod(empty)})
    fewer = settings(max_examples=10) if engine != "sqlite" else settings()
    run_state_machine_as_test(machine, settings=settings(fewer, stateful_step_count=30))


# --- turns -----------------------------------------------------------------------------------------------


def test_a_small_job_overtakes_a_large_one_that_was_asked_for_a_little_earlier(database: Database) -> None:
    large = submit(database, size=14_092)
    small = submit(database, now=NOW + 14 * SECOND_US, size=3)
    late = submit(database, now=NOW + 15 * SECOND_US, size=3)
    turns = [claimed(database, now=NOW + 20 * SECOND_US).job for _ in range(3)]
    assert turns == [small, large, late]


def test_small_jobs_that_keep_coming_do_not_keep_a_large_one_from_its_turn(database: Database) -> None:
    large = submit(database, size=10**9)
    small = [submit(database, now=NOW + second * SECOND_US) for second in range(1, 70)]
    turns = [claimed(database, now=NOW + 70 * SECOND_US).job for _ in range(61)]
    assert turns == [*small[:59], *sorted([small[59], large])]


# --- clocks that were ahead ------------------------------------------------------------------------------

AHEAD = 20 * 3600 * SECOND_US


@pytest.mark.parametrize("ahead", [10 * SECOND_US, AHEAD])
def test_a_job_that_was_asked_for_while_the_clock_was_ahead_is_done_at_once(database: Database, ahead: int) -> None:
    name = submit(database, now=NOW + ahead)
    with database.reading() as connection:
        assert queue.any_queued(connection, KINDS, NOW)
        assert queue.waiting_since(connection) == NOW + ahead
    assert claimed(database, now=NOW).job == name


def test_a_job_of_a_clock_that_was_ahead_does_not_wait_behind_all_later_ones(database: Database) -> None:
    early = submit(database, now=NOW + AHEAD)
    submit(database, now=NOW)
    assert claimed(database, now=NOW + 1).job == early


@pytest.mark.parametrize("state", ["failed once", "handed back", "received"])
def test_what_was_put_off_by_a_clock_that_was_ahead_does_not_wait_for_it(database: Database, state: str) -> None:
    name = submit(database, now=NOW, state="receiving" if state == "received" else "queued")
    with database.writing() as connection:
        if state == "received":
            queue.received(connection, name, {}, now=NOW + AHEAD)
        else:
            held = queue.claim(connection, "w", KINDS, now=NOW)
            assert held is not None
            wait = 5 * SECOND_US if state == "failed once" else 0
            queue.hand_back(connection, held, now=NOW + AHEAD, wait=wait)
    assert claimed(database, now=NOW).job == name


def test_what_waits_after_a_failure_does_wait_while_the_clock_goes_on(database: Database) -> None:
    submit(database, now=NOW)
    held = claimed(database, now=NOW)
    with database.writing() as connection:
        queue.hand_back(connection, held, now=NOW, wait=5 * SECOND_US)
    assert claim(database, now=NOW + 4 * SECOND_US) is None
    assert claim(database, now=NOW + 5 * SECOND_US) is not None
