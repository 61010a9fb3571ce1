"""A check-up says what is good, what should be changed, and what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures import tables
from tests.fixtures.databases import opened, path_of, url_in
from tests.fixtures.tables import NOW
from uphours.database import queue, sources
from uphours.database.database import Database, connect
from uphours.database.dialects.dialect import Finding
from uphours.database.doctor import checkup
from uphours.database.prune import prune
from uphours.schema import HOUR_US, SECOND_US
from uphours.service.terms import now_us


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = connect(url_in(tmp_path, "store.db"))
    tables.load(made, tmp_path, polls=tables.POLLS + "3,activ,2023-01-24 10:00:00 UTC\n", hours=tables.HOURS)
    return made


def found(database: Database, *, ahead: int = 0) -> dict[str, Finding]:
    return {finding.about: finding for finding in checkup(database, now=lambda: now_us() + ahead)}


def test_a_good_store_has_nothing_bad(database: Database, engine: str) -> None:
    findings = found(database)
    expected = {"version", "engine", "durability", "rights", "integrity", "jobs", "speed"}
    assert findings.keys() >= expected | (set() if engine == "sqlite" else {"clock", "transactions"})
    assert not [finding for finding in findings.values() if finding.state == "bad"]
    assert findings["integrity"].says == "nothing is damaged, and nothing contradicts anything else"


def test_what_contradicts_itself_is_bad(database: Database) -> None:
    with opened(database) as sql:
        sql.execute("DELETE FROM quarantine")
        sql.execute("INSERT INTO timezones (store, valid_from, timezone) VALUES (999, 0, 'UTC')")
    integrity = found(database)["integrity"]
    assert integrity.state == "bad"
    assert integrity.says == "timezones has rows of stores that are not there; a load lacks rows of its quarantine"
    with opened(database) as sql:
        sql.execute("DELETE FROM polled_days")
    assert found(database)["integrity"].says.endswith("; polled_days lacks the day of the latest observation")


def test_a_complete_report_without_a_result_is_bad(database: Database) -> None:
    with database.writing() as connection:
        queue.submit(connection, "report", {}, now=NOW)
        held = queue.claim(connection, "w", queue.KINDS, now=NOW)
        assert held is not None
        queue.finish(connection, held, now=NOW)
    assert found(database)["integrity"] == Finding("integrity", "bad", "a report is complete and has no result")


@pytest.mark.engines("sqlite")
def test_a_damaged_file_is_bad(database: Database, tmp_path: Path) -> None:
    with opened(database) as sql:
        sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = path_of(database).read_bytes()
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(content[:8192] + b"\xff" * 4096 + content[12288:])
    assert "bad" in {finding.state for finding in checkup(connect(f"sqlite:///{damaged}"), now=now_us)}


@pytest.mark.engines("postgresql", "mysql")
def test_a_clock_that_differs_from_the_server_is_told(database: Database) -> None:
    for off, state in ((0, "good"), (2 * SECOND_US, "warning"), (-HOUR_US, "bad")):
        clock = found(database, ahead=off)["clock"]
        assert (off, clock.state) == (off, state)
        assert clock.says.startswith("this machine's and the server's differ by ")


def test_an_old_store_is_told_to_migrate_and_is_not_migrated(database: Database) -> None:
    with opened(database) as sql:
        sql.execute("UPDATE alembic_version SET version_num = '0002'")
    version = found(database)["version"]
    assert version.state == "warning"
    assert "`uphours migrate`" in version.says
    with opened(database) as sql:
        assert sql.execute("SELECT version_num FROM alembic_version") == [("0002",)]


def test_a_newer_store_is_bad(database: Database) -> None:
    with opened(database) as sql:
        sql.execute("UPDATE alembic_version SET version_num = '9999'")
    (finding,) = checkup(database, now=now_us)
    assert (finding.about, finding.state) == ("store", "bad")
    assert "9999" in finding.says


def test_work_that_nobody_does_is_told(database: Database) -> None:
    with database.writing() as connection:
        queue.submit(connection, "report", {}, now=now_us() - HOUR_US)
    waiting = found(database)["jobs"]
    assert waiting.state == "warning"
    assert waiting.says.endswith(": is a worker running?")
    with database.writing() as connection:
        assert queue.claim(connection, "w", queue.KINDS, now=now_us() - HOUR_US) is not None
    assert found(database)["jobs"] == Finding(
        "jobs", "warning", "1 of dead workers wait to be taken over: is a worker running?"
    )


def test_failing_sources_and_pruned_observations_are_told(database: Database) -> None:
    with database.writing() as connection:
        sources.record_visit(connection, "tills", now=NOW, error="gone", every=HOUR_US)
    prune(database, NOW - 200 * HOUR_US, now=NOW, actor="me")
    findings = found(database)
    assert findings["sources"] == Finding("sources", "warning", "failing: tills")
    assert findings["retention"].says == "observations before 2023-01-23 16:00:00 UTC were pruned"


@pytest.mark.engines("postgresql")
def test_a_server_that_does_not_answer_is_bad() -> None:
    (finding,) = checkup(connect("postgresql://me:secret@127.0.0.1:1/x"), now=now_us)
    assert finding.state == "bad"
    assert "secret" not in finding.says
