"""Reports that somebody asked for: shared work, the same key the same report, cancelling, and what is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.fixtures import tables
from tests.fixtures.databases import url_in
from tests.fixtures.tables import NOW
from uphours.database import queue, reports, uploads
from uphours.database.database import Database, connect
from uphours.database.reports import Requested
from uphours.database.tables import jobs, results
from uphours.database.tables import uploads as upload_table
from uphours.errors import ConflictError, DatabaseError, NotFoundError, QueueFullError
from uphours.schema import DAY_US


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = connect(url_in(tmp_path, "store.db"), keep_open=True)
    made.migrate()
    yield made
    made.close()


def ask(
    database: Database, *, by: str = "me", now: int = NOW, made_with: str = "1", limit: int = 10, **more: Any
) -> Requested:
    key = more.pop("key", None)
    with database.writing() as connection:
        return reports.request(
            connection, more, made_with=made_with, requested_by=by, now=now, limit=limit, idempotency_key=key
        )


def look(database: Database, report: str) -> Requested:
    with database.reading() as connection:
        return reports.find(connection, report)


def cancel(database: Database, report: str, *, now: int = NOW) -> Requested:
    with database.writing() as connection:
        return reports.cancel(connection, report, now=now)


def finish(database: Database, *, now: int = NOW, content: bytes = b"made", state: Any = "complete") -> str:
    """Do the next job."""
    with database.writing() as connection:
        held = queue.claim(connection, "w", queue.KINDS, now=now)
        assert held is not None
        queue.finish(connection, held, now=now, state=state)
        if state == "complete":
            reports.keep(connection, held.job, content)
    return held.job


def count(database: Database, table: Any) -> int:
    with database.reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def expire(database: Database, *, before: int, broken_off_before: int = 0) -> int:
    with database.writing() as connection:
        return reports.expire(connection, before=before, broken_off_before=broken_off_before)


# --- asking ----------------------------------------------------------------------------------------------


def test_asking_queues_a_job_and_gives_a_name(database: Database) -> None:
    made = ask(database, as_of=5)
    assert (made.requested_by, made.created_at, made.cancelled_at, made.state) == ("me", NOW, None, "queued")
    assert (made.job.kind, made.job.request) == ("report", {"as_of": 5})
    assert look(database, made.report) == made


def test_who_asks_for_the_same_shares_the_work(database: Database) -> None:
    one, two = ask(database, as_of=5, all_stores=False), ask(database, by="you", all_stores=False, as_of=5)
    assert one.report != two.report
    assert one.job.job == two.job.job
    assert finish(database) == one.job.job
    assert look(database, one.report).state == look(database, two.report).state == "complete"


def test_work_that_is_being_done_is_shared_too(database: Database) -> None:
    one = ask(database)
    with database.writing() as connection:
        queue.claim(connection, "w", queue.KINDS, now=NOW)
    assert ask(database).job.job == one.job.job


def test_work_is_not_shared_once_it_has_ended(database: Database) -> None:
    one = ask(database)
    finish(database)
    assert ask(database).job.job != one.job.job


def test_other_options_or_other_versions_are_other_work(database: Database) -> None:
    made = [ask(database), ask(database, as_of=5), ask(database, as_of=None), ask(database, made_with="2")]
    assert len({one.job.job for one in made}) == 4


def test_work_is_not_shared_across_a_load(database: Database, tmp_path: Path) -> None:
    one = ask(database)
    tables.load(database, tmp_path, polls=tables.POLLS)
    two = ask(database)
    assert one.job.job != two.job.job
    assert ask(database).job.job == two.job.job


def test_a_full_queue_refuses_new_work_but_not_shared_work(database: Database) -> None:
    one = ask(database, limit=1)
    with pytest.raises(QueueFullError):
        ask(database, limit=1, as_of=5)
    assert ask(database, limit=1).job.job == one.job.job
    assert count(database, jobs) == 1


def test_the_same_key_gives_the_same_report(database: Database) -> None:
    one = ask(database, key="k", as_of=5)
    finish(database)
    again = ask(database, key="k", as_of=5, now=NOW + 9, limit=0)
    assert (again.report, again.state, again.created_at) == (one.report, "complete", NOW)
    assert count(database, jobs) == 1


def test_a_key_belongs_to_who_used_it(database: Database) -> None:
    assert ask(database, key="k").report != ask(database, key="k", by="you").report


def test_a_key_that_is_used_for_something_else_is_refused(database: Database) -> None:
    ask(database, key="k", as_of=5)
    with pytest.raises(ConflictError, match="Idempotency-Key was used for another request"):
        ask(database, key="k", as_of=6)


def test_requests_without_a_key_are_all_different(database: Database) -> None:
    assert ask(database).report != ask(database).report


def test_reports_are_listed_the_newest_first_in_pages(database: Database) -> None:
    made = [ask(database, now=NOW + place // 2) for place in range(7)]
    expected = [one.report for one in sorted(made, key=lambda one: (one.created_at, one.report), reverse=True)]
    found: list[str] = []
    before = None
    while True:
        with database.reading() as connection:
            page = reports.list_reports(connection, before=before, limit=3)
        if not page:
            break
        found += [one.report for one in page]
        before = (page[-1].created_at, page[-1].report)
    assert found == expected


def test_an_unknown_report_is_not_found(database: Database) -> None:
    with pytest.raises(NotFoundError, match=r"there is no report 'x{64}'; reports are kept for some weeks"):
        look(database, "x" * 5000)


# --- results ---------------------------------------------------------------------------------------------


def test_a_result_is_kept_once(database: Database) -> None:
    made = ask(database)
    finish(database, content=b"first")
    with pytest.raises(DatabaseError), database.writing() as connection:
        reports.keep(connection, made.job.job, b"second")
    with database.reading() as connection:
        assert reports.result(connection, made.job.job) == b"first"


def test_a_job_without_a_result_has_none(database: Database) -> None:
    made = ask(database)
    with pytest.raises(NotFoundError, match="there is no result"), database.reading() as connection:
        reports.result(connection, made.job.job)


# --- cancelling ------------------------------------------------------------------------------------------


def test_cancelling_the_only_report_ends_its_job(database: Database) -> None:
    made = ask(database)
    assert cancel(database, made.report, now=NOW + 1).state == "cancelled"
    assert look(database, made.report).job.state == "cancelled"


def test_a_job_ends_with_the_last_report_that_waits_for_it(database: Database) -> None:
    one, two = ask(database), ask(database, by="you")
    assert cancel(database, one.report).state == "cancelled"
    assert look(database, two.report).state == "queued"
    finish(database)
    assert look(database, one.report).state == "cancelled"
    assert look(database, two.report).state == "complete"


def test_both_cancelled_the_job_is_cancelled(database: Database) -> None:
    one, two = ask(database), ask(database)
    cancel(database, one.report)
    assert cancel(database, two.report).job.state == "cancelled"


def test_cancelling_again_changes_nothing(database: Database) -> None:
    made = ask(database)
    first = cancel(database, made.report, now=NOW + 1)
    assert cancel(database, made.report, now=NOW + 2) == first


@pytest.mark.parametrize("state", ["complete", "failed"])
def test_what_has_ended_cannot_be_cancelled(database: Database, state: str) -> None:
    made = ask(database)
    finish(database, state=state)
    with pytest.raises(ConflictError, match=f"has ended already: it is {state}"):
        cancel(database, made.report)


def test_after_cancelling_the_same_request_is_new_work(database: Database) -> None:
    one = ask(database)
    cancel(database, one.report)
    two = ask(database)
    assert two.job.job != one.job.job
    assert two.state == "queued"


# --- forgetting ------------------------------------------------------------------------------------------


def test_old_reports_go_with_their_jobs_and_results(database: Database) -> None:
    old = ask(database)
    finish(database)
    new = ask(database, now=NOW + DAY_US)
    finish(database, now=NOW + DAY_US)
    assert expire(database, before=NOW + DAY_US) == 1
    with pytest.raises(NotFoundError):
        look(database, old.report)
    assert look(database, new.report).state == "complete"
    assert (count(database, jobs), count(database, results)) == (1, 1)


def test_a_report_that_is_not_finished_is_kept_however_old(database: Database) -> None:
    waiting, running = ask(database), ask(database, as_of=5)
    with database.writing() as connection:
        queue.claim(connection, "w", queue.KINDS, now=NOW)
    assert expire(database, before=NOW + DAY_US) == 0
    assert {look(database, one.report).job.finished_at for one in (waiting, running)} == {None}


def test_a_job_stays_as_long_as_a_report_needs_it(database: Database) -> None:
    old, new = ask(database), ask(database, now=NOW + 5)
    finish(database, now=NOW + 6)
    assert expire(database, before=NOW + 5) == 1
    with pytest.raises(NotFoundError):
        look(database, old.report)
    assert look(database, new.report).state == "complete"
    with database.reading() as connection:
        assert reports.result(connection, new.job.job) == b"made"


def test_other_jobs_go_when_they_ended_long_ago(database: Database) -> None:
    with database.writing() as connection:
        for place, (kind, state) in enumerate([("load", "complete"), ("source", "failed"), ("load", "queued")]):
            name = queue.submit(connection, kind, {}, now=NOW + place)  # type: ignore[arg-type]
            uploads.add(connection, name, 0, 0, b"x")
            if state != "queued":
                held = queue.claim(connection, "w", queue.KINDS, now=NOW + place)
                assert held is not None
                queue.finish(connection, held, now=NOW + place, state=state)  # type: ignore[arg-type]
    expire(database, before=NOW + 1)
    with database.reading() as connection:
        assert queue.counts(connection) == {("source", "failed"): 1, ("load", "queued"): 1}
    assert count(database, upload_table) == 2


def test_an_upload_that_was_broken_off_goes_with_what_had_come_in(database: Database) -> None:
    with database.writing() as connection:
        for place in range(2):
            name = queue.submit(connection, "load", {}, now=NOW + place, state="receiving")
            uploads.add(connection, name, 0, 0, b"x")
    expire(database, before=NOW + DAY_US, broken_off_before=NOW + 1)
    assert (count(database, jobs), count(database, upload_table)) == (1, 1)


def test_forgetting_twice_changes_nothing(database: Database) -> None:
    ask(database)
    finish(database)
    assert [expire(database, before=NOW + 1) for _ in range(2)] == [1, 0]
    assert count(database, jobs) == 0


def test_a_cancelled_report_goes_too(database: Database) -> None:
    cancel(database, ask(database).report)
    assert expire(database, before=NOW + 1) == 1
    assert count(database, jobs) == 0
