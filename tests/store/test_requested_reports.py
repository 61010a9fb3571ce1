"""Reports that somebody asked for: shared work, the same key the same report, cancelling, and what is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from storepulse.errors import ConflictError, NotFoundError, QueueFullError, StoreError
from storepulse.schema import DAY_US
from storepulse.store import Store, connect, reports, uploads
from storepulse.store import jobs as queue
from storepulse.store.reports import Requested
from storepulse.store.tables import jobs, results
from storepulse.store.tables import uploads as upload_table
from tests.fixtures import tables
from tests.fixtures.databases import url_in
from tests.fixtures.tables import NOW


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = connect(url_in(tmp_path, "store.db"), keep_open=True)
    made.migrate()
    yield made
    made.close()


def ask(
    store: Store, *, by: str = "me", now: int = NOW, made_with: str = "1", limit: int = 10, **more: Any
) -> Requested:
    key = more.pop("key", None)
    with store.writing() as connection:
        return reports.request(
            connection, more, made_with=made_with, requested_by=by, now=now, limit=limit, idempotency_key=key
        )


def look(store: Store, report: str) -> Requested:
    with store.reading() as connection:
        return reports.find(connection, report)


def cancel(store: Store, report: str, *, now: int = NOW) -> Requested:
    with store.writing() as connection:
        return reports.cancel(connection, report, now=now)


def finish(store: Store, *, now: int = NOW, content: bytes = b"made", state: Any = "complete") -> str:
    """Do the next job."""
    with store.writing() as connection:
        held = queue.claim(connection, "w", queue.KINDS, now=now)
        assert held is not None
        queue.finish(connection, held, now=now, state=state)
        if state == "complete":
            reports.keep(connection, held.job, content)
    return held.job


def count(store: Store, table: Any) -> int:
    with store.reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def expire(store: Store, *, before: int, broken_off_before: int = 0) -> int:
    with store.writing() as connection:
        return reports.expire(connection, before=before, broken_off_before=broken_off_before)


# --- asking ----------------------------------------------------------------------------------------------


def test_asking_queues_a_job_and_gives_a_name(store: Store) -> None:
    made = ask(store, as_of=5)
    assert (made.requested_by, made.created_at, made.cancelled_at, made.state) == ("me", NOW, None, "queued")
    assert (made.job.kind, made.job.request) == ("report", {"as_of": 5})
    assert look(store, made.report) == made


def test_who_asks_for_the_same_shares_the_work(store: Store) -> None:
    one, two = ask(store, as_of=5, all_stores=False), ask(store, by="you", all_stores=False, as_of=5)
    assert one.report != two.report
    assert one.job.job == two.job.job
    assert finish(store) == one.job.job
    assert look(store, one.report).state == look(store, two.report).state == "complete"


def test_work_that_is_being_done_is_shared_too(store: Store) -> None:
    one = ask(store)
    with store.writing() as connection:
        queue.claim(connection, "w", queue.KINDS, now=NOW)
    assert ask(store).job.job == one.job.job


def test_work_is_not_shared_once_it_has_ended(store: Store) -> None:
    one = ask(store)
    finish(store)
    assert ask(store).job.job != one.job.job


def test_other_options_or_other_versions_are_other_work(store: Store) -> None:
    made = [ask(store), ask(store, as_of=5), ask(store, as_of=None), ask(store, made_with="2")]
    assert len({one.job.job for one in made}) == 4


def test_work_is_not_shared_across_a_load(store: Store, tmp_path: Path) -> None:
    one = ask(store)
    tables.load(store, tmp_path, polls=tables.POLLS)
    two = ask(store)
    assert one.job.job != two.job.job
    assert ask(store).job.job == two.job.job


def test_a_full_queue_refuses_new_work_but_not_shared_work(store: Store) -> None:
    one = ask(store, limit=1)
    with pytest.raises(QueueFullError):
        ask(store, limit=1, as_of=5)
    assert ask(store, limit=1).job.job == one.job.job
    assert count(store, jobs) == 1


def test_the_same_key_gives_the_same_report(store: Store) -> None:
    one = ask(store, key="k", as_of=5)
    finish(store)
    again = ask(store, key="k", as_of=5, now=NOW + 9, limit=0)
    assert (again.report, again.state, again.created_at) == (one.report, "complete", NOW)
    assert count(store, jobs) == 1


def test_a_key_belongs_to_who_used_it(store: Store) -> None:
    assert ask(store, key="k").report != ask(store, key="k", by="you").report


def test_a_key_that_is_used_for_something_else_is_refused(store: Store) -> None:
    ask(store, key="k", as_of=5)
    with pytest.raises(ConflictError, match="Idempotency-Key was used for another request"):
        ask(store, key="k", as_of=6)


def test_requests_without_a_key_are_all_different(store: Store) -> None:
    assert ask(store).report != ask(store).report


def test_reports_are_listed_the_newest_first_in_pages(store: Store) -> None:
    made = [ask(store, now=NOW + place // 2) for place in range(7)]
    expected = [one.report for one in sorted(made, key=lambda one: (one.created_at, one.report), reverse=True)]
    found: list[str] = []
    before = None
    while True:
        with store.reading() as connection:
            page = reports.list_reports(connection, before=before, limit=3)
        if not page:
            break
        found += [one.report for one in page]
        before = (page[-1].created_at, page[-1].report)
    assert found == expected


def test_an_unknown_report_is_not_found(store: Store) -> None:
    with pytest.raises(NotFoundError, match=r"there is no report 'x{64}'; reports are kept for some weeks"):
        look(store, "x" * 5000)


# --- results ---------------------------------------------------------------------------------------------


def test_a_result_is_kept_once(store: Store) -> None:
    made = ask(store)
    finish(store, content=b"first")
    with pytest.raises(StoreError), store.writing() as connection:
        reports.keep(connection, made.job.job, b"second")
    with store.reading() as connection:
        assert reports.result(connection, made.job.job) == b"first"


def test_a_job_without_a_result_has_none(store: Store) -> None:
    made = ask(store)
    with pytest.raises(NotFoundError, match="there is no result"), store.reading() as connection:
        reports.result(connection, made.job.job)


# --- cancelling ------------------------------------------------------------------------------------------


def test_cancelling_the_only_report_ends_its_job(store: Store) -> None:
    made = ask(store)
    assert cancel(store, made.report, now=NOW + 1).state == "cancelled"
    assert look(store, made.report).job.state == "cancelled"


def test_a_job_ends_with_the_last_report_that_waits_for_it(store: Store) -> None:
    one, two = ask(store), ask(store, by="you")
    assert cancel(store, one.report).state == "cancelled"
    assert look(store, two.report).state == "queued"
    finish(store)
    assert look(store, one.report).state == "cancelled"
    assert look(store, two.report).state == "complete"


def test_both_cancelled_the_job_is_cancelled(store: Store) -> None:
    one, two = ask(store), ask(store)
    cancel(store, one.report)
    assert cancel(store, two.report).job.state == "cancelled"


def test_cancelling_again_changes_nothing(store: Store) -> None:
    made = ask(store)
    first = cancel(store, made.report, now=NOW + 1)
    assert cancel(store, made.report, now=NOW + 2) == first


@pytest.mark.parametrize("state", ["complete", "failed"])
def test_what_has_ended_cannot_be_cancelled(store: Store, state: str) -> None:
    made = ask(store)
    finish(store, state=state)
    with pytest.raises(ConflictError, match=f"has ended already: it is {state}"):
        cancel(store, made.report)


def test_after_cancelling_the_same_request_is_new_work(store: Store) -> None:
    one = ask(store)
    cancel(store, one.report)
    two = ask(store)
    assert two.job.job != one.job.job
    assert two.state == "queued"


# --- forgetting ------------------------------------------------------------------------------------------


def test_old_reports_go_with_their_jobs_and_results(store: Store) -> None:
    old = ask(store)
    finish(store)
    new = ask(store, now=NOW + DAY_US)
    finish(store, now=NOW + DAY_US)
    assert expire(store, before=NOW + DAY_US) == 1
    with pytest.raises(NotFoundError):
        look(store, old.report)
    assert look(store, new.report).state == "complete"
    assert (count(store, jobs), count(store, results)) == (1, 1)


def test_a_report_that_is_not_finished_is_kept_however_old(store: Store) -> None:
    waiting, running = ask(store), ask(store, as_of=5)
    with store.writing() as connection:
        queue.claim(connection, "w", queue.KINDS, now=NOW)
    assert expire(store, before=NOW + DAY_US) == 0
    assert {look(store, one.report).job.finished_at for one in (waiting, running)} == {None}


def test_a_job_stays_as_long_as_a_report_needs_it(store: Store) -> None:
    old, new = ask(store), ask(store, now=NOW + 5)
    finish(store, now=NOW + 6)
    assert expire(store, before=NOW + 5) == 1
    with pytest.raises(NotFoundError):
        look(store, old.report)
    assert look(store, new.report).state == "complete"
    with store.reading() as connection:
        assert reports.result(connection, new.job.job) == b"made"


def test_other_jobs_go_when_they_ended_long_ago(store: Store) -> None:
    with store.writing() as connection:
        for place, (kind, state) in enumerate([("load", "complete"), ("source", "failed"), ("load", "queued")]):
            name = queue.submit(connection, kind, {}, now=NOW + place)  # type: ignore[arg-type]
            uploads.add(connection, name, 0, 0, b"x")
            if state != "queued":
                held = queue.claim(connection, "w", queue.KINDS, now=NOW + place)
                assert held is not None
                queue.finish(connection, held, now=NOW + place, state=state)  # type: ignore[arg-type]
    expire(store, before=NOW + 1)
    with store.reading() as connection:
        assert queue.counts(connection) == {("source", "failed"): 1, ("load", "queued"): 1}
    assert count(store, upload_table) == 2


def test_an_upload_that_was_broken_off_goes_with_what_had_come_in(store: Store) -> None:
    with store.writing() as connection:
        for place in range(2):
            name = queue.submit(connection, "load", {}, now=NOW + place, state="receiving")
            uploads.add(connection, name, 0, 0, b"x")
    expire(store, before=NOW + DAY_US, broken_off_before=NOW + 1)
    assert (count(store, jobs), count(store, upload_table)) == (1, 1)


def test_forgetting_twice_changes_nothing(store: Store) -> None:
    ask(store)
    finish(store)
    assert [expire(store, before=NOW + 1) for _ in range(2)] == [1, 0]
    assert count(store, jobs) == 0


def test_a_cancelled_report_goes_too(store: Store) -> None:
    cancel(store, ask(store).report)
    assert expire(store, before=NOW + 1) == 1
    assert count(store, jobs) == 0
