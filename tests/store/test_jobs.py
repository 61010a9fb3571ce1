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

from storepulse.errors import LeaseLostError, QueueFullError
from storepulse.schema import SECOND_US
from storepulse.store import Store, connect, uploads
from storepulse.store import jobs as queue
from storepulse.store.jobs import KINDS, LEASE_US, MAX_ATTEMPTS, Claim, Job, Kind
from storepulse.store.tables import jobs, metadata
from storepulse.store.tables import uploads as upload_table
from tests.fixtures.databases import url_in, url_of
from tests.fixtures.tables import NOW

pytestmark = pytest.mark.anywhere


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = connect(url_in(tmp_path, "store.db"), keep_open=True)
    made.migrate()
    yield made
    made.close()


def submit(store: Store, kind: Kind = "report", *, now: int = NOW, **more: Any) -> str:
    with store.writing() as connection:
        return queue.submit(connection, kind, {"kind": kind}, now=now, **more)


def claim(store: Store, worker: str = "w", *kinds: Kind, now: int = NOW) -> Claim | None:
    with store.writing() as connection:
        return queue.claim(connection, worker, kinds or KINDS, now=now)


def claimed(store: Store, worker: str = "w", *, now: int = NOW) -> Claim:
    found = claim(store, worker, now=now)
    assert found is not None
    return found


def finish(store: Store, held: Claim, *, now: int = NOW, **more: Any) -> None:
    with store.writing() as connection:
        queue.finish(connection, held, now=now, **more)


def beat(store: Store, held: Claim, *, now: int = NOW, done: int = 0, total: int | None = None) -> None:
    with store.writing() as connection:
        queue.beat(connection, held, now=now, done=done, total=total)


def hand_back(store: Store, held: Claim, *, now: int = NOW, **more: Any) -> None:
    with store.writing() as connection:
        queue.hand_back(connection, held, now=now, **more)


def job(store: Store, name: str) -> Job:
    with store.reading() as connection:
        found = queue.find(connection, name)
    assert found is not None
    return found


# --- waiting and claiming --------------------------------------------------------------------------------


def test_the_job_that_has_waited_longest_is_claimed_first(store: Store) -> None:
    late, early, middle = (submit(store, now=NOW + wait) for wait in (2, 0, 1))
    assert [claimed(store, now=NOW + 2).job for _ in range(3)] == [early, middle, late]
    assert claim(store, now=NOW + 2) is None


def test_a_job_is_not_claimed_before_it_is_due(store: Store) -> None:
    submit(store, now=NOW + 1)
    assert claim(store, now=NOW) is None
    with store.reading() as connection:
        assert not queue.any_queued(connection, KINDS, NOW)
        assert queue.any_queued(connection, KINDS, NOW + 1)


def test_a_worker_claims_jobs_of_its_kinds_alone(store: Store) -> None:
    submit(store, "load")
    report = submit(store, "report", now=NOW + 1)
    found = claim(store, "w", "report", "source", now=NOW + 1)
    assert found is not None
    assert (found.job, found.kind) == (report, "report")
    assert claim(store, "w", "report", "source", now=NOW + 1) is None


def test_a_claim_says_what_to_do_and_begins_the_job(store: Store) -> None:
    name = submit(store)
    held = claimed(store, now=NOW + 5)
    assert held == Claim(name, "report", {"kind": "report"}, attempts=1, fence=1)
    found = job(store, name)
    assert (found.state, found.created_at, found.started_at, found.attempts) == ("running", NOW, NOW + 5, 1)


def test_each_of_many_threads_gets_jobs_of_its_own(store: Store) -> None:
    names = {submit(store) for _ in range(40)}
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda number: claimed(store, str(number)).job, range(40)))
    assert len(found) == 40
    assert set(found) == names
    assert claim(store) is None


_CLAIMING = """
import sys
from storepulse.store import connect, jobs
store = connect(sys.argv[1], keep_open=True)
while True:
    with store.writing() as connection:
        held = jobs.claim(connection, sys.argv[2], jobs.KINDS, now=int(sys.argv[3]))
    if held is None:
        break
    print(held.job, held.fence)
"""


def test_each_of_many_processes_gets_jobs_of_its_own(store: Store) -> None:
    names = {submit(store) for _ in range(60)}
    words = [sys.executable, "-c", _CLAIMING, url_of(store)]
    processes = [
        subprocess.Popen([*words, str(number), str(NOW)], stdout=subprocess.PIPE, text=True) for number in range(4)
    ]
    printed = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    found = [line.split() for text in printed for line in text.splitlines()]
    assert len(found) == 60
    assert {name for name, _ in found} == names
    assert {fence for _, fence in found} == {"1"}


# --- leases and fences -----------------------------------------------------------------------------------


def test_a_lease_is_not_taken_over_before_it_ends(store: Store) -> None:
    submit(store)
    claimed(store)
    assert claim(store, "other", now=NOW + LEASE_US) is None
    taken = claimed(store, "other", now=NOW + LEASE_US + 1)
    assert (taken.attempts, taken.fence) == (2, 2)


def test_a_worker_that_is_heard_of_keeps_its_lease(store: Store) -> None:
    name = submit(store)
    held = claimed(store)
    beat(store, held, now=NOW + LEASE_US, done=3, total=7)
    assert claim(store, "other", now=NOW + 2 * LEASE_US) is None
    assert (job(store, name).done, job(store, name).total) == (3, 7)
    beat(store, held, now=NOW + 3 * LEASE_US)  # late, but nobody came in between


@pytest.mark.parametrize("way", [finish, beat, hand_back], ids=lambda way: way.__name__)
def test_a_worker_that_was_thought_dead_can_do_nothing_more(store: Store, way: Any) -> None:
    name = submit(store)
    dead = claimed(store)
    alive = claimed(store, "other", now=NOW + LEASE_US + 1)
    before = job(store, name)
    with pytest.raises(LeaseLostError, match="no longer this worker's"):
        way(store, dead, now=NOW + LEASE_US + 2)
    with pytest.raises(LeaseLostError), store.writing() as connection:
        queue.hold(connection, dead, now=NOW + LEASE_US + 2)
    assert job(store, name) == before
    finish(store, alive, now=NOW + LEASE_US + 3)
    assert job(store, name).state == "complete"


@pytest.mark.parametrize("way", [finish, beat, hand_back], ids=lambda way: way.__name__)
def test_a_job_ends_once(store: Store, way: Any) -> None:
    name = submit(store)
    held = claimed(store)
    finish(store, held, now=NOW + 1, done=5, total=5, as_of=NOW, loads_seen=2)
    before = job(store, name)
    assert (before.state, before.finished_at, before.as_of, before.loads_seen) == ("complete", NOW + 1, NOW, 2)
    with pytest.raises(LeaseLostError):
        way(store, held, now=NOW + 2)
    assert job(store, name) == before
    assert claim(store, now=NOW + 10 * LEASE_US) is None


def test_what_a_lost_lease_wrote_is_undone(store: Store) -> None:
    submit(store)
    dead = claimed(store)
    claimed(store, "other", now=NOW + LEASE_US + 1)

    def write_and_finish() -> None:
        with store.writing() as connection:
            uploads.add(connection, dead.job, 0, 0, b"x")
            queue.finish(connection, dead, now=NOW + LEASE_US + 2)

    with pytest.raises(LeaseLostError):
        write_and_finish()
    with store.reading() as connection:
        assert connection.execute(select(func.count()).select_from(upload_table)).scalar() == 0


def test_the_jobs_of_a_dead_worker_alone_are_released(store: Store) -> None:
    first, second = submit(store), submit(store, now=NOW + 1)
    claimed(store, "dead")
    claimed(store, "alive", now=NOW + 1)
    with store.writing() as connection:
        queue.release(connection, "dead")
    taken = claimed(store, "next", now=NOW + 2)
    assert (taken.job, taken.fence, taken.attempts) == (first, 2, 2)
    assert claim(store, "next", now=NOW + 2) is None
    assert job(store, second).state == "running"


def test_releasing_changes_nothing_that_has_ended(store: Store) -> None:
    name = submit(store)
    finish(store, claimed(store, "dead"))
    with store.writing() as connection:
        queue.release(connection, "dead")
    assert job(store, name).state == "complete"
    assert claim(store, now=NOW + 10 * LEASE_US) is None


# --- attempts --------------------------------------------------------------------------------------------


def died(store: Store, times: int) -> int:
    """Let workers claim a job and die; return when the last lease ends."""
    now = NOW
    for _ in range(times):
        claimed(store, now=now)
        now += LEASE_US + 1
    return now


def test_a_job_whose_workers_die_is_given_up_with_a_reason(store: Store) -> None:
    name = submit(store)
    now = died(store, MAX_ATTEMPTS)
    assert claim(store, now=now) is None
    found = job(store, name)
    assert (found.state, found.finished_at, found.attempts) == ("failed", now, MAX_ATTEMPTS)
    assert found.reason == f"given up: the process that worked on it died {MAX_ATTEMPTS} times"
    assert claim(store, now=now + LEASE_US) is None


def test_a_job_that_is_given_up_leaves_no_files(store: Store) -> None:
    name, other = submit(store, "load"), submit(store, "load", now=NOW + 1, state="receiving")
    with store.writing() as connection:
        for one in (name, other):
            uploads.add(connection, one, 0, 0, b"x")
    claim(store, now=died(store, MAX_ATTEMPTS))
    with store.reading() as connection:
        assert connection.execute(select(upload_table.c.job)).scalars().all() == [other]


def test_giving_one_job_up_keeps_no_other_waiting(store: Store) -> None:
    submit(store)
    now = died(store, MAX_ATTEMPTS)
    other = submit(store, now=now)
    assert claimed(store, now=now).job == other


def test_a_job_that_is_handed_back_goes_on_at_once_and_the_attempt_does_not_count(store: Store) -> None:
    name = submit(store)
    for _ in range(MAX_ATTEMPTS + 2):
        held = claimed(store)
        assert held.attempts == 1
        hand_back(store, held)
    assert (job(store, name).state, job(store, name).attempts) == ("queued", 0)
    assert held.fence == MAX_ATTEMPTS + 2


def test_a_job_that_is_put_back_waits_and_the_attempt_counts(store: Store) -> None:
    name = submit(store)
    hand_back(store, claimed(store), wait=10, reason="the store was busy")
    found = job(store, name)
    assert (found.state, found.attempts, found.reason) == ("queued", 1, "the store was busy")
    assert claim(store, now=NOW + 9) is None
    assert claimed(store, now=NOW + 10).attempts == 2


def test_the_reason_of_a_job_that_was_put_back_goes_when_it_succeeds(store: Store) -> None:
    name = submit(store)
    hand_back(store, claimed(store), wait=10, reason="the store was busy")
    finish(store, claimed(store, now=NOW + 10))
    assert job(store, name).reason is None


def test_when_a_job_began_stays_when_it_is_taken_over_and_its_progress_begins_anew(store: Store) -> None:
    name = submit(store)
    beat(store, claimed(store), done=5, total=9)
    claimed(store, now=NOW + LEASE_US + 1)
    assert (job(store, name).started_at, job(store, name).done) == (NOW, 0)


# --- cancelling, limits, sharing -------------------------------------------------------------------------


def test_a_queued_job_that_is_cancelled_is_never_claimed(store: Store) -> None:
    name = submit(store)
    with store.writing() as connection:
        queue.cancel(connection, name, now=NOW + 1)
    assert (job(store, name).state, job(store, name).finished_at) == ("cancelled", NOW + 1)
    assert claim(store, now=NOW + 2) is None


def test_a_running_job_that_is_cancelled_is_lost_to_its_worker(store: Store) -> None:
    name = submit(store)
    held = claimed(store)
    with store.writing() as connection:
        queue.cancel(connection, name, now=NOW + 1)
    for way in (finish, beat, hand_back):
        with pytest.raises(LeaseLostError):
            way(store, held, now=NOW + 2)
    assert job(store, name).state == "cancelled"
    assert claim(store, now=NOW + 10 * LEASE_US) is None


def test_what_has_ended_cannot_be_cancelled(store: Store) -> None:
    name = submit(store)
    finish(store, claimed(store))
    with store.writing() as connection:
        queue.cancel(connection, name, now=NOW + 1)
    assert job(store, name).state == "complete"


def test_a_full_queue_takes_no_more_until_a_job_is_claimed(store: Store) -> None:
    submit(store, limit=2)
    submit(store, "load", limit=2, state="receiving")
    with pytest.raises(QueueFullError, match="2 jobs are waiting already") as error:
        submit(store, limit=2)
    assert error.value.waiting == 2
    claimed(store)
    submit(store, limit=2)


def test_visits_to_sources_are_queued_however_full_the_queue_is(store: Store) -> None:
    for _ in range(3):
        submit(store, "source")
    with store.reading() as connection:
        assert queue.counts(connection) == {("source", "queued"): 3}


def test_an_upload_that_a_dead_server_broke_off_does_not_fill_the_queue_for_long(store: Store) -> None:
    for _ in range(3):
        submit(store, "load", limit=3, state="receiving")
    with pytest.raises(QueueFullError):
        submit(store, limit=3, now=NOW + queue.RECEIVING_US)
    submit(store, limit=3, now=NOW + queue.RECEIVING_US + 1)


def test_a_job_that_is_being_received_waits_for_the_last_of_its_files(store: Store) -> None:
    name = submit(store, "load", state="receiving")
    assert claim(store, now=NOW + LEASE_US) is None
    with store.writing() as connection:
        queue.received(connection, name, {"files": [1]}, now=NOW + 9)
    held = claimed(store, now=NOW + 9)
    assert (held.job, held.request) == (name, {"files": [1]})


def test_a_job_that_was_cancelled_while_it_was_received_is_not_queued(store: Store) -> None:
    name = submit(store, "load", state="receiving")
    with store.writing() as connection:
        queue.cancel(connection, name, now=NOW)
    with pytest.raises(LeaseLostError), store.writing() as connection:
        queue.received(connection, name, {}, now=NOW)
    assert job(store, name).state == "cancelled"


def test_shared_work_is_found_until_it_ends(store: Store) -> None:
    def found() -> str | None:
        with store.reading() as connection:
            return queue.active(connection, "the same")

    assert found() is None
    name = submit(store, share="the same")
    submit(store, share="another", now=NOW + 1)
    assert found() == name
    held = claimed(store)
    assert found() == name
    finish(store, held)
    assert found() is None


def test_the_same_request_is_the_same_text() -> None:
    assert queue.canonical({"b": 1, "a": [None, "é"]}) == queue.canonical({"a": [None, "é"], "b": 1})
    assert len({queue.new_id() for _ in range(100)}) == 100


def test_it_is_known_what_waits_and_since_when(store: Store) -> None:
    with store.reading() as connection:
        assert queue.waiting_since(connection) is None
        assert queue.find(connection, "nothing") is None
    submit(store, now=NOW + 2)
    submit(store, "load", now=NOW + 1)
    finish(store, claimed(store, now=NOW + 5), state="failed", reason="because")
    with store.reading() as connection:
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


def test_any_order_of_events_is_as_in_the_model(engine: str, store: Store) -> None:
    made: Any = create_engine("sqlite://") if engine == "sqlite" else store.engine
    database: Engine = made if engine == "sqlite" else made.database
    metadata.create_all(database)

    def empty() -> Engine:
        with database.begin() as connection:
            connection.execute(delete(jobs))
        return database

    machine = type("OnEngine", (LeaseTable,), {"empty": staticmethod(empty)})
    fewer = settings(max_examples=10) if engine != "sqlite" else settings()
    run_state_machine_as_test(machine, settings=settings(fewer, stateful_step_count=30))


# --- turns -----------------------------------------------------------------------------------------------


def test_a_small_job_overtakes_a_large_one_that_was_asked_for_a_little_earlier(store: Store) -> None:
    large = submit(store, size=14_092)
    small = submit(store, now=NOW + 14 * SECOND_US, size=3)
    late = submit(store, now=NOW + 15 * SECOND_US, size=3)
    turns = [claimed(store, now=NOW + 20 * SECOND_US).job for _ in range(3)]
    assert turns == [small, large, late]


def test_small_jobs_that_keep_coming_do_not_keep_a_large_one_from_its_turn(store: Store) -> None:
    large = submit(store, size=10**9)
    small = [submit(store, now=NOW + second * SECOND_US) for second in range(1, 70)]
    turns = [claimed(store, now=NOW + 70 * SECOND_US).job for _ in range(61)]
    assert turns == [*small[:59], *sorted([small[59], large])]
