"""What differs between engines, and must not show: errors, texts, order, who waits for whom."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from ssl import SSLContext
from typing import Any

import psycopg
import pymysql
import pytest
from alembic import command
from alembic.config import Config
from pymysql.constants import CR
from sqlalchemy import insert, make_url

from tests.fixtures import tables
from tests.fixtures.databases import dump, only_mysql, only_postgresql, only_servers, opened, url_in, url_of
from tests.fixtures.tables import NOW
from uphours.database import locks, queue, reports, sources
from uphours.database.database import Database, connect
from uphours.database.dialects.dialect import Numbers, query
from uphours.database.loads import list_stores
from uphours.database.migrate import SCHEMA_VERSION
from uphours.database.tables import quarantine
from uphours.errors import (
    ConflictError,
    DatabaseError,
    DatabaseUnavailableError,
    InputError,
    NotFoundError,
    QueueFullError,
    UphoursError,
)
from uphours.schema import DAY_US
from uphours.wire.words import JobKind

AT_ONCE = 8


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = connect(url_in(tmp_path, "store.db"))
    tables.load(made, tmp_path, polls=tables.POLLS, hours=tables.HOURS, timezones=tables.TIMEZONES)
    return made


def at_once(database: Database, act: Callable[[int, Database], Any], times: int = AT_ONCE) -> list[Any]:
    """Do something in many threads, each with connections of its own; return what it gave or raised."""
    together = threading.Barrier(times)

    def one(place: int) -> Any:
        mine = connect(url_of(database))
        together.wait(60)
        try:
            return act(place, mine)
        except UphoursError as error:
            return error
        finally:
            mine.close()

    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(one, range(times)))


# --- errors ----------------------------------------------------------------------------------------------


def another(database: Database, /, **parts: Any) -> Database:
    """Return a store under the URL of this one, changed."""
    return connect(make_url(url_of(database)).set(**parts).render_as_string(hide_password=False))


def use(database: Database, way: str) -> None:
    with getattr(database, way)():
        pass


WAYS = ("snapshot", "reading", "writing")


@only_servers
@pytest.mark.parametrize("way", WAYS)
def test_a_database_that_is_not_there_is_not_found(database: Database, way: str) -> None:
    with pytest.raises(NotFoundError, match=r"no_such_database.*make it on the server"):
        use(another(database, **{"database": "no_such_database"}), way)


@only_servers
@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_does_not_answer_is_unavailable_and_no_password_is_told(database: Database, way: str) -> None:
    gone = another(database, host="127.0.0.1", port=1, username="me", password="hunter2")
    with pytest.raises(DatabaseUnavailableError, match=r"me:\*\*\*@127\.0\.0\.1:1") as error:
        use(gone, way)
    assert "hunter2" not in str(error.value)


@only_servers
def test_a_server_that_refuses_is_not_tried_again_and_no_password_is_told(database: Database) -> None:
    with pytest.raises(DatabaseError) as error:
        use(another(database, username="nobody_known", password="hunter2"), "reading")
    assert not isinstance(error.value, DatabaseUnavailableError)
    assert "hunter2" not in str(error.value)


@only_postgresql
def test_no_password_among_the_options_of_a_url_is_told() -> None:
    assert "hunter2" not in connect("postgresql://me@localhost/x?password=hunter2").described


@only_mysql
def test_a_connection_reads_certificates_only_where_its_url_names_some(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("all certificates of the system are read")

    monkeypatch.setattr(SSLContext, "load_default_certs", refuse)
    monkeypatch.setattr(SSLContext, "set_default_verify_paths", refuse)
    use(database, "reading")
    with pytest.raises(InputError, match=r"FileNotFoundError|No such file"):
        use(connect(f"{url_of(database)}?ssl_ca=nowhere.pem"), "reading")


def test_a_table_that_is_missing_is_an_error_and_not_a_store_that_is_not_there(database: Database) -> None:
    with opened(database) as sql:
        sql.execute("DROP TABLE properties")
    with pytest.raises(DatabaseError, match="properties") as error, database.snapshot() as fleet:
        fleet.observations(0, NOW, NOW)
    assert not isinstance(error.value, DatabaseUnavailableError)


@only_servers
def test_a_store_goes_on_after_its_connections_were_cut(database: Database) -> None:
    kept = connect(url_of(database), keep_open=True)
    try:
        use(kept, "reading")
        with pytest.raises(DatabaseUnavailableError):
            read_while_cut(kept)
        for way in WAYS:
            use(kept, way)
    finally:
        kept.close()


@only_servers
@pytest.mark.parametrize("keep_open", [True, False])
def test_a_connection_that_breaks_after_its_last_transaction_is_let_go_in_silence(
    database: Database, keep_open: bool, caplog: pytest.LogCaptureFixture
) -> None:
    kept = connect(url_of(database), keep_open=keep_open)
    try:
        with kept.reading() as connection:
            connection.exec_driver_sql("SELECT 1 FROM stores")
            connection.commit()
            cut_others(database)
        assert caplog.records == []
        use(kept, "reading")
    finally:
        kept.close()


@only_servers
def test_what_the_driver_raises_between_statements_is_unavailable_too(database: Database) -> None:
    raised = {
        "mysql": pymysql.OperationalError(CR.CR_SERVER_LOST, "Lost connection to MySQL server during query"),
        "postgresql": psycopg.OperationalError("the connection is lost"),
    }
    with pytest.raises(DatabaseUnavailableError, match=r"Lost connection|is lost"), database.reading() as connection:
        raise raised[connection.dialect.name]


@only_mysql
def test_a_connection_that_has_changed_tables_is_not_set_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that broke on being set back would keep its place in the pool, until there is none left."""
    committing: set[pymysql.Connection] = set()
    set_mode = pymysql.Connection.autocommit

    def noted(connection: pymysql.Connection, value: bool) -> None:
        assert connection not in committing or value
        if value:
            committing.add(connection)
        set_mode(connection, value)

    monkeypatch.setattr(pymysql.Connection, "autocommit", noted)
    kept = connect(url_of(database), keep_open=True)
    try:
        kept.migrate()
        use(kept, "writing")
    finally:
        kept.close()
    assert committing


def read_while_cut(database: Database) -> None:
    with database.reading() as connection:
        cut_others(database)
        connection.exec_driver_sql("SELECT 1 FROM stores")


def cut_others(database: Database) -> None:
    with opened(database) as sql:
        if sql.engine == "postgresql":
            sql.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return
        found = sql.execute(
            "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
        )
        for (connection,) in found:
            sql.execute(f"KILL {connection}")


@only_servers
def test_of_two_transactions_that_wait_for_each_other_one_is_told_to_try_again(database: Database) -> None:
    both_have_one = threading.Barrier(2)

    def take_both(place: int, mine: Database) -> str:
        names: list[locks.Name] = ["loads", "queue"]
        with mine.writing() as connection:
            locks.take(connection, names[place])
            both_have_one.wait(60)
            locks.take(connection, names[1 - place])
        return "done"

    found = at_once(database, take_both, 2)
    assert [type(one) for one in found if one != "done"] == [DatabaseUnavailableError]
    assert found.count("done") == 1


@only_mysql
def test_a_row_that_is_too_large_for_a_statement_is_said_to_be(database: Database) -> None:
    with pytest.raises(InputError, match=r"too large for the server.*max_allowed_packet"):
        set_aside(database, bytes(64 << 20))
    set_aside(database, bytes(6 << 20))


def set_aside(database: Database, raw: bytes) -> None:
    with database.writing() as connection:
        row = {"load": 1, "file": 0, "line": 1, "raw": raw, "reason": "x"}
        connection.execute(insert(quarantine).values(row))


# --- texts -----------------------------------------------------------------------------------------------


def test_ids_are_told_apart_and_sorted_by_code_point(database: Database, tmp_path: Path) -> None:
    ids = ["a", "A", "b", "B", "ä", "Ä", "ß", "ss", "é", "e\u0301", "z", "_", "a b", "a-b", "ab", "店", "🏪", "Ａ", "0"]
    tables.load(database, tmp_path, timezones=tables.table("timezones", *(f"{one},UTC" for one in ids)))
    with database.reading() as connection:
        assert [row["store_id"] for row in list_stores(connection)] == sorted([*ids, "1", "2"])
    for one in ids:
        with database.snapshot([one]) as fleet:
            assert fleet.store_ids == [one]


def test_an_id_that_is_nearly_one_that_is_known_is_unknown(database: Database) -> None:
    for store_id in ("1 ", " 1", "1\t", "1\0", "\0", "1\u00a0", "１", "\udcff"):
        with pytest.raises(NotFoundError, match="there is no store") as error, database.snapshot([store_id]):
            pass
        assert error.value.name == store_id


def test_texts_of_others_may_hold_anything(database: Database, tmp_path: Path) -> None:
    said = "a\0b \U0001f3ea ' \" \\ % %s :x ? \x1b"
    with database.writing() as connection:
        job = queue.submit(connection, "report", {"said": said}, now=NOW)
        held = queue.claim(connection, "w", queue.KINDS, now=NOW)
        assert held is not None
        assert held.request == {"said": said}
        queue.finish(connection, held, now=NOW, state="failed", reason=said)
        sources.record_visit(connection, "s", now=NOW, error=said, every=DAY_US)
    with database.reading() as connection:
        found = queue.find(connection, job)
        state = sources.states(connection)["s"]
    assert found is not None
    # PostgreSQL has no NUL in texts.
    for kept in (found.reason, state.error):
        assert kept is not None
        assert kept.replace("\ufffd", "\0") == said
    row = f"2023-01-24 10:00:00 UTC,{said}\n"
    record = tables.load(database, tmp_path, polls=f"store_id,status,timestamp_utc,n🏪te\n3,activ,{row}3,active,{row}")
    assert (record.quarantined, record.accepted) == (1, 1)


def test_a_name_that_nothing_has_is_not_found(database: Database) -> None:
    for name in ("\0", "a\0", "' OR 1=1 --", "%s", "x" * 5_000, "é"):
        with database.reading() as connection:
            with pytest.raises(NotFoundError, match="there is no report"):
                reports.find(connection, name)
            assert queue.find(connection, name) is None, name


# --- at the same time ------------------------------------------------------------------------------------


def ask(
    database: Database, *, key: str | None = None, limit: int = 100, by: str = "me", **options: Any
) -> reports.Requested:
    with database.writing() as connection:
        return reports.request(
            connection, options, made_with="1", requested_by=by, now=NOW, limit=limit, idempotency_key=key
        )


def test_the_same_idempotency_key_at_the_same_time_is_one_report(database: Database) -> None:
    found = at_once(database, lambda _, mine: ask(mine, key="k").report)
    assert len(set(found)) == 1


def test_the_same_options_at_the_same_time_are_one_job(database: Database) -> None:
    found = at_once(database, lambda _, mine: ask(mine))
    assert len({one.report for one in found}) == AT_ONCE
    assert len({one.job.job for one in found}) == 1


def test_other_options_with_the_same_idempotency_key_at_the_same_time_are_a_conflict(database: Database) -> None:
    found = at_once(database, lambda place, mine: ask(mine, key="k", as_of=place))
    assert [type(one) for one in found].count(ConflictError) == AT_ONCE - 1


@pytest.mark.parametrize("kind", ["report", "load"])
def test_no_more_jobs_wait_than_may_however_many_come_at_the_same_time(database: Database, kind: JobKind) -> None:
    def come(place: int, mine: Database) -> object:
        if kind == "report":
            return ask(mine, limit=3, by=f"k{place}", as_of=place)
        with mine.writing() as connection:
            return queue.submit(connection, kind, {}, now=NOW, limit=3)

    found = at_once(database, come)
    assert [type(one) for one in found].count(QueueFullError) == AT_ONCE - 3


def test_one_key_has_half_of_the_room_however_many_of_its_requests_come_at_the_same_time(database: Database) -> None:
    found = at_once(database, lambda place, mine: ask(mine, limit=6, as_of=place))
    assert [type(one) for one in found].count(QueueFullError) == AT_ONCE - 3


def test_loads_at_the_same_time_are_numbered_one_after_the_other(database: Database, tmp_path: Path) -> None:
    def load(place: int, mine: Database) -> int:
        folder = tmp_path / str(place)
        folder.mkdir()
        rows = [f"{one},active,2022-{place % 3 + 10}-2{place} 10:00:00 UTC" for one in ("1", "new", f"own-{place}")]
        return tables.load(mine, folder, polls=tables.table("polls", *rows)).load

    assert sorted(at_once(database, load)) == list(range(2, AT_ONCE + 2))
    with opened(database) as sql:
        assert sql.execute("SELECT count(*), count(DISTINCT store_id) FROM stores") == [(3 + AT_ONCE,) * 2]
        assert sql.execute("SELECT count(*) FROM observations") == [(3 + 3 * AT_ONCE,)]


def test_a_report_that_is_cancelled_while_it_is_finished_is_one_or_the_other(database: Database) -> None:
    asked = ask(database)
    with database.writing() as connection:
        held = queue.claim(connection, "w", queue.KINDS, now=NOW)
    assert held is not None

    def finish_or_cancel(place: int, mine: Database) -> str:
        with mine.writing() as connection:
            if place:
                return reports.cancel(connection, asked.report, now=NOW + 1).state
            queue.finish(connection, held, now=NOW + 1)
            reports.keep(connection, held.job, b"made")
            return "finished"

    finished, cancelled = at_once(database, finish_or_cancel, 2)
    with database.reading() as connection:
        shown = reports.find(connection, asked.report).state
        job = queue.find(connection, held.job)
    assert job is not None
    with opened(database) as sql:
        kept = sql.execute("SELECT count(*) FROM results") == [(1,)]
    assert kept == (finished == "finished") == (job.state == "complete")
    assert shown == ("cancelled" if cancelled == "cancelled" else "complete")
    assert cancelled == "cancelled" or isinstance(cancelled, ConflictError)


def test_a_key_is_revoked_once_however_many_revoke_it_at_the_same_time(database: Database) -> None:
    from uphours.database import api_keys

    with database.writing() as connection:
        key, _ = api_keys.create(connection, name="x", scopes=["read"], now=NOW, actor="me")

    def revoke(place: int, mine: Database) -> int | None:
        with mine.writing() as connection:
            return api_keys.revoke(connection, key.key_id, now=NOW + place, actor="me").revoked_at

    assert len(set(at_once(database, revoke))) == 1
    with opened(database) as sql:
        assert sql.execute("SELECT count(*) FROM audit WHERE action = 'key.revoke'") == [(1,)]


# --- tables ----------------------------------------------------------------------------------------------


@only_mysql
@pytest.mark.parametrize("step", ["0001", "0002"])
def test_tables_that_were_being_made_when_their_maker_was_killed_are_made_anew(tmp_path: Path, step: str) -> None:
    database = connect(url_in(tmp_path, "half.db", fresh=True))
    with database.engine.writing() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", "uphours:database/migrations")
        command.upgrade(config, step)
    assert database.migrate()
    assert dump(database)["alembic_version"] == [(SCHEMA_VERSION,)]
    tables.load(database, tmp_path, polls=tables.POLLS)


@pytest.fixture
def long_history(tmp_path: Path) -> Database:
    """Observations of a year and a half, in many partitions where there are any."""
    made = connect(url_in(tmp_path, "history.db"))
    rows = [
        f"{shop},active,202{2 + (month > 12)}-{(month - 1) % 12 + 1:02}-{day:02} 10:00:00 UTC"
        for month in range(1, 18)
        for day in range(1, 28)
        for shop in range(20)
    ]
    tables.load(made, tmp_path, polls=tables.table("polls", *rows))
    return made


LATEST = 1_685_000_000_000_000  # in May 2023
BOUNDS = {"start": LATEST - 7 * DAY_US, "end": LATEST, "as_of": LATEST}


@only_postgresql
@pytest.mark.parametrize("stores", [[3], [3, 7]], ids=["one store", "two stores"])
def test_what_a_store_needs_is_looked_up_by_its_key_in_every_partition(
    long_history: Database, stores: list[int]
) -> None:
    with opened(long_history) as database:
        database.execute("ANALYZE")
    with long_history.engine.snapshot() as reader:
        plan = [row[0] for row in reader.rows(f"EXPLAIN {query('postgresql', 'observations', stores)}", **BOUNDS)]
    assert any("Index" in line and "_pkey" in line for line in plan)
    assert [line for line in plan if "Seq Scan on observations" in line] == [], plan


@only_postgresql
def test_a_recent_window_reads_no_old_partition_as_a_whole(long_history: Database) -> None:
    with opened(long_history) as database:
        database.execute("ANALYZE")
    sql = f"EXPLAIN (ANALYZE, TIMING off) {query('postgresql', 'observations', range(2**31))}"
    with long_history.engine.snapshot() as reader:
        plan = [row[0] for row in reader.rows(sql, **BOUNDS)]
    scanned = {line.split("observations_p")[1].split()[0] for line in plan if "Seq Scan on observations_p" in line}
    assert len(scanned) <= 2, plan


@only_mysql
@pytest.mark.parametrize("stores", [[3], [3, 7], range(2**31)], ids=["one store", "two stores", "the fleet"])
def test_the_history_of_a_store_is_looked_up_by_its_key(long_history: Database, stores: Numbers) -> None:
    with long_history.engine.snapshot() as reader:
        plan = reader.rows(f"EXPLAIN {query('mysql', 'observations', stores)}", **BOUNDS)
    # id, select_type, table, type, possible_keys, key, …
    on_observations = [row for row in plan if row[2] == "o"]
    assert on_observations
    assert {row[3] for row in on_observations} <= {"ref", "range"}, plan
    assert {row[5] for row in on_observations} == {"PRIMARY"}
