"""All migrations together make exactly the tables that the code describes, and nothing but a known store is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from tests.fixtures import tables
from tests.fixtures.databases import check_whole, dump, only_mysql, only_sqlite, opened, path_of, tables_at_once, url_in
from uphours.database.database import Database, connect
from uphours.database.loads import list_loads, list_stores
from uphours.database.migrate import SCHEMA_VERSION, upgrade
from uphours.database.tables import metadata
from uphours.errors import DatabaseError, InputError, NotFoundError, SchemaVersionError
from uphours.reports.measure import run_report
from uphours.reports.writers import written
from uphours.schema import DAY_US, SINCE_EVER, instant_us

Structure = dict[str, object]


@pytest.fixture(autouse=True)
def step_by_step() -> Iterator[None]:
    with tables_at_once(wanted=False):
        yield


@pytest.fixture
def migrated(tmp_path: Path) -> Iterator[Connection]:
    made = connect(url_in(tmp_path, "migrated.db", fresh=True))
    made.migrate()
    with made.engine.writing() as connection:
        yield connection


@pytest.fixture
def created(tmp_path: Path) -> Iterator[Connection]:
    with connect(url_in(tmp_path, "created.db", fresh=True)).engine.writing() as connection:
        metadata.create_all(connection)
        yield connection


def structure(connection: Connection) -> Structure:
    """Return columns, keys, indices and options of every table, as the engine has them."""
    found = {"sqlite": _of_sqlite, "postgresql": _of_postgresql, "mysql": _of_mysql}[connection.dialect.name](
        connection
    )
    return {name: one for name, one in found.items() if name not in ("alembic_version", "sqlite_schema")}


def _of_sqlite(connection: Connection) -> Structure:
    def rows(sql: str) -> list[tuple[object, ...]]:
        return [tuple(row) for row in connection.exec_driver_sql(sql)]

    found: Structure = {}
    for name, without_rowid, strict in rows('SELECT name, wr, strict FROM pragma_table_list WHERE schema = "main"'):
        indices = rows(f"SELECT name, \"unique\", origin, partial FROM pragma_index_list('{name}') ORDER BY name")
        found[str(name)] = (
            without_rowid,
            strict,
            rows(f"SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_xinfo('{name}') ORDER BY name"),
            [(*index, rows(f"SELECT name, desc, coll FROM pragma_index_xinfo('{index[0]}')")) for index in indices],
            rows(f'SELECT "from", "table", "to", on_delete, on_update FROM pragma_foreign_key_list(\'{name}\')'),
        )
    return found


def _of_postgresql(connection: Connection) -> Structure:
    queries = (
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull, collname, pg_get_expr(adbin, adrelid) "
        "FROM pg_attribute AS a LEFT JOIN pg_collation AS c ON c.oid = attcollation "
        "LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum "
        "WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attname",
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass ORDER BY conname",
        "SELECT pg_get_indexdef(indexrelid) AS made FROM pg_index WHERE indrelid = %s::regclass ORDER BY made",
        "SELECT pg_get_partkeydef(%s::regclass)",
    )
    return {
        name: [[tuple(row) for row in connection.exec_driver_sql(query, (name,))] for query in queries]
        for name in inspect(connection).get_table_names()
    }


def _of_mysql(connection: Connection) -> Structure:
    def lines(name: str) -> list[str]:
        made = connection.exec_driver_sql(f"SHOW CREATE TABLE {name}").one()[1]
        return sorted(line.rstrip(",") for line in made.splitlines())

    return {name: lines(name) for name in inspect(connection).get_table_names()}


def test_alembic_finds_no_difference_between_the_migrations_and_the_tables(migrated: Connection) -> None:
    def is_of_this_engine(item: Any, *_: object) -> bool:
        only = getattr(item, "_ddl_if", None)
        return only is None or only.dialect == migrated.dialect.name

    context = MigrationContext.configure(
        migrated,
        opts={
            "compare_type": True,
            "compare_server_default": True,
            "target_metadata": metadata,
            "include_object": is_of_this_engine,
        },
    )
    assert compare_metadata(context, metadata) == []


def test_the_migrations_make_the_same_tables_as_their_description(migrated: Connection, created: Connection) -> None:
    assert structure(migrated) == structure(created)
    assert set(structure(created)) == set(metadata.tables)


@only_sqlite
def test_other_tests_have_what_the_migrations_make(migrated: Connection, tmp_path: Path) -> None:
    with tables_at_once():
        at_once = connect(url_in(tmp_path, "at_once.db"))
        at_once.migrate()
    with at_once.engine.writing() as connection:
        assert dumped(connection) == dumped(migrated)


def dumped(connection: Connection) -> list[str]:
    """Return the SQL that makes a database and all that is in it."""
    driver: Any = connection.connection.driver_connection
    return list(driver.iterdump())


@only_sqlite
def test_there_are_no_views_and_triggers(migrated: Connection) -> None:
    kinds = migrated.exec_driver_sql("SELECT DISTINCT type FROM sqlite_master ORDER BY type").scalars().all()
    assert kinds == ["index", "table"]


@only_sqlite
def test_observations_lie_in_the_order_of_their_key(migrated: Connection) -> None:
    definition = migrated.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'observations'").scalar_one()
    assert "WITHOUT ROWID" in definition
    assert "PRIMARY KEY (store, observed_at)" in definition


def steps() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", "uphours:database/migrations")
    return ScriptDirectory.from_config(config)


def test_the_schema_version_is_the_last_step(migrated: Connection) -> None:
    assert steps().get_heads() == [SCHEMA_VERSION]
    assert migrated.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all() == [SCHEMA_VERSION]


@only_sqlite
def test_the_steps_are_numbered_without_a_gap() -> None:
    revisions = [step.revision for step in steps().walk_revisions()]
    assert sorted(revisions) == [f"{number:04}" for number in range(1, len(revisions) + 1)]


def test_migrating_again_changes_nothing(migrated: Connection) -> None:
    before = structure(migrated)
    upgrade(migrated)
    assert structure(migrated) == before


def test_the_step_of_sessions_is_taken_again_where_it_was_broken_off(migrated: Connection) -> None:
    before = structure(migrated)
    migrated.exec_driver_sql("UPDATE alembic_version SET version_num = '0004'")
    upgrade(migrated)
    assert structure(migrated) == before


# --- databases of earlier versions -----------------------------------------------------------------------

#: Rows of tables into which no file is loaded, one each; all that a version does not have yet is left out of it.
KEPT: dict[str, dict[str, Any]] = {
    "jobs": {
        "job": "j1", "kind": "report", "request": "{}", "share": None, "state": "done", "created_at": 1, "due_at": 2,
        "turn_at": 2, "started_at": 3, "finished_at": 4, "attempts": 1, "worker": "w", "fence": 1, "lease_until": None,
        "done": 7, "total": 7, "reason": None, "as_of": 5, "loads_seen": 1, "load": None,
        "entries_seen": 1,
    },
    "special_hours": {
        "store": 0, "date": 19_000, "start_local_us": 86_400_000_000, "end_local_us": 0, "name": "Boxing Day",
        "load": 1,
    },
    "attributes": {"store": 1, "name": "region", "valid_from": 19_000, "value": "TX", "load": 1},
    "targets": {
        "name": "norm", "valid_from": 19_000, "filter": "region=TX", "share": 99_500, "period": "month", "load": 1,
    },
    "adjustments": {
        "entry": 1, "counts_as": "excluded", "withdraws": None, "reason": "other", "note": "Käse", "actor": "k1",
        "at": 1, "load": 1, "idempotency_key": "once", "asked": "0" * 64,
    },
    "adjusted": {"entry": 1, "store": 1, "start_at": 3, "end_at": 4},
    "reports": {
        "report": "r1", "job": "j1", "requested_by": "k1", "created_at": 1, "cancelled_at": None,
        "idempotency_key": "once",
    },
    "results": {"job": "j1", "part": 0, "content": b"store_id\r\n\x00\xff"},
    "uploads": {"job": "j1", "file": 0, "part": 0, "content": b"\x1f\x8b"},
    "ticks": {"schedule": "nightly", "due_at": 6},
    "sources": {
        "source": "folder", "checked_at": 1, "succeeded_at": 2, "brought_at": 3, "files_read": 4, "failures": 0,
        "retry_at": None, "error": None,
    },
    "source_files": {"source": "folder", "fingerprint": "f", "name": "Käse 🏪.csv", "load": 1, "read_at": 9},
    "api_keys": {
        "key_id": "k1", "name": "till", "scopes": "read", "hash": "h", "created_at": 1, "revoked_at": None,
        "only": "franchisee=F7",
    },
    "sessions": {"hash": "s", "key_id": "k1", "created_at": 1, "expires_at": 2},
    "audit": {"entry": 1, "at": 1, "actor": "k1", "action": "load", "subject": "1", "details": "{}"},
    "properties": {"name": "secret", "value": "kept"},
    "saved_reports": {"owner": "", "name": "Käse", "request": "{}", "created_by": "k1", "created_at": 1},
    "failing_files": {
        "source": "folder", "fingerprint": "g", "name": "x.csv", "error": "e", "failures": 1, "failed_at": 1,
        "retry_at": 2,
    },
}  # fmt: skip
ODD_POLLS = tables.POLLS + "3,active,2023-01-25 15:04:05 UTC\n3,perhaps,2023-01-25 16:00 UTC\n=1,active,1674662645\n"

VERSIONS = ["0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010"]


def at_version(url: str, version: str, rows: dict[str, list[dict[str, Any]]]) -> Database:
    """Make a database as the program of a version left it, with what that version keeps of these rows."""
    made = connect(url)
    with made.engine.migrating() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", "uphours:database/migrations")
        command.upgrade(config, version)
    with made.engine.writing() as connection:
        made.engine.prepare(connection, np.array([row["observed_at"] for row in rows["observations"]], dtype=np.int64))
        there = inspect(connection)
        names = set(there.get_table_names())
        for current in (table.name for table in metadata.sorted_tables if table.name != "locks"):
            name = "report_results" if current == "results" and "results" not in names else current
            if name in names:
                columns = [column["name"] for column in there.get_columns(name)]
                if kept := [{key: row[key] for key in columns if key in row} for row in rows[current]]:
                    connection.execute(sa.table(name, *map(sa.column, kept[0])).insert(), kept)
    return made


def rows_of(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of all tables with the names of their columns."""
    with database.engine.writing() as connection:
        return {
            table.name: [dict(row._mapping) for row in connection.execute(sa.select(table))]
            for table in metadata.sorted_tables
        }


def since(version: str, name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what is left of the rows of a table after they have been in a database of a version."""
    first = {
        "0002": ("jobs", "reports", "results", "uploads", "ticks", "sources", "source_files", "api_keys", "audit"),
        "0003": ("properties",),
        "0005": ("sessions",),
        "0006": ("unknown_hours",),
        "0007": ("failing_files",),
        "0008": ("special_hours", "attributes", "adjustments", "adjusted"),
        "0009": ("targets",),
        "0011": ("saved_reports",),
    }
    if any(version < number and name in names for number, names in first.items()):
        return []
    lost = {
        ("loads", "summary"): "0006", ("load_files", "header"): "0002", ("business_hours", "load"): "0008",
        ("timezones", "load"): "0008", ("jobs", "entries_seen"): "0008", ("api_keys", "only"): "0009",
    }  # fmt: skip
    return [{key: None if version < lost.get((name, key), "") else value for key, value in row.items()} for row in rows]


def reports(database: Database) -> list[bytes]:
    with database.snapshot() as fleet:
        made = run_report(fleet, all_stores=True)
    return [written(made, "csv", detail=True), written(made, "json")]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_database_of_an_earlier_version_keeps_what_it_has(tmp_path: Path, version: str, engine: str) -> None:
    if engine == "mysql" and version < "0003":
        pytest.skip("no server has had a database before the third version")
    new = connect(url_in(tmp_path, "new.db"))
    tables.load(new, tmp_path, polls=ODD_POLLS, hours=tables.HOURS, timezones=tables.TIMEZONES)
    rows = rows_of(new)
    rows.update({name: [*rows[name], row] for name, row in KEPT.items()})
    old = at_version(url_in(tmp_path, "old.db", fresh=True), version, rows)
    assert reports(old) == reports(new)
    check_whole(old)
    found = rows_of(old)
    assert found["polled_days"] == [
        {"day": day, "polls": polls}
        for day, polls in sorted(Counter(row["observed_at"] // DAY_US for row in rows["observations"]).items())
    ]
    for name in sorted({*found} - {"locks"}):
        expected = since(version, name, rows[name])
        if name == "jobs":
            expected = [row | {"turn_at": row["due_at"]} for row in expected]
        assert sorted(found[name], key=repr) == sorted(expected, key=repr), name
    assert {row["name"] for row in found["locks"]} == {row["name"] for row in rows["locks"]}
    with old.reading() as one, new.reading() as other:
        assert list_stores(one) == list_stores(other)
        assert [load.load for load in list_loads(one)] == [load.load for load in list_loads(other)]
    tables.load(old, tmp_path, hours=tables.table("hours", "3,0,nine,five", "2,6,closed,closed"))
    with old.snapshot() as fleet:
        assert fleet.schedule.known().tolist() == [True, True, False]
        assert 6 in fleet.schedule.of(1, 2).weekdays


@only_mysql
@pytest.mark.parametrize("broken_off", ["business_hours", "timezones", "ledger"])
def test_the_step_of_the_calendar_is_taken_again_where_it_was_broken_off(tmp_path: Path, broken_off: str) -> None:
    """Where each change of a table is a transaction of its own, a killed process leaves some of them behind."""
    new = connect(url_in(tmp_path, "new.db"))
    tables.load(new, tmp_path, polls=tables.POLLS, hours=tables.HOURS, timezones=tables.TIMEZONES)
    old = at_version(url_in(tmp_path, "old.db", fresh=True), "0007", rows_of(new))
    with opened(old) as connection:
        if broken_off == "ledger":
            old.migrate()
            connection.execute("UPDATE alembic_version SET version_num = '0007'")
        else:  # between the last two statements about a table
            dated = f"uphours_{broken_off}"
            connection.execute(f"CREATE TABLE {dated} LIKE {broken_off}")
            connection.execute(f"ALTER TABLE {dated} ADD valid_from INT NOT NULL DEFAULT {SINCE_EVER} AFTER store")
            connection.execute(f"ALTER TABLE {dated} ADD `load` INT")
            names = "store, day, start_local_us, end_local_us" if broken_off == "business_hours" else "store, timezone"
            connection.execute(f"INSERT INTO {dated} ({names}) SELECT {names} FROM {broken_off}")
            connection.execute(f"DROP TABLE {broken_off}")
    assert reports(connect(url_in(tmp_path, "old.db"))) == reports(new)


def test_the_step_of_targets_is_taken_again_where_it_was_broken_off(migrated: Connection) -> None:
    before = structure(migrated)
    migrated.exec_driver_sql("UPDATE alembic_version SET version_num = '0008'")
    upgrade(migrated)
    assert structure(migrated) == before


def test_of_a_pruned_database_only_the_days_after_are_polled_days(tmp_path: Path) -> None:
    new = connect(url_in(tmp_path, "new.db"))
    tables.load(new, tmp_path, polls=tables.POLLS)
    rows = rows_of(new)
    rows["properties"] = [{"name": "pruned_before", "value": str(instant_us("2023-01-25 12:00 UTC"))}]
    old = at_version(url_in(tmp_path, "old.db", fresh=True), "0003", rows)
    old.migrate()
    (day,) = rows_of(old)["polled_days"]
    assert day["day"] == instant_us("2023-01-25 UTC") // DAY_US


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return connect(url_in(tmp_path, "store.db", fresh=True))


def open_every_way(database: Database, folder: Path, error: type[Exception], words: str) -> None:
    """Read, list and write, and expect the same of all three."""
    with pytest.raises(error, match=words), database.snapshot():
        pass
    with pytest.raises(error, match=words), database.reading():
        pass
    if error is not NotFoundError:
        with pytest.raises(error, match=words):
            tables.load(database, folder, polls=tables.POLLS)


def test_a_store_of_a_newer_version_is_refused_and_left_alone(database: Database, tmp_path: Path) -> None:
    tables.load(database, tmp_path, polls=tables.POLLS)
    with opened(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = dump(database)
    open_every_way(database, tmp_path, SchemaVersionError, f"version 9999, .* up to {SCHEMA_VERSION}; use")
    assert dump(database) == before


@only_sqlite
@pytest.mark.parametrize("content", [b"this is no database" * 1000, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_no_store_is_said_to_be_none_and_left_alone(
    database: Database, tmp_path: Path, content: bytes
) -> None:
    path_of(database).write_bytes(content)
    open_every_way(database, tmp_path, DatabaseError, "store")
    assert path_of(database).read_bytes() == content


@only_sqlite
def test_a_damaged_store_is_an_error_of_the_store(database: Database, tmp_path: Path) -> None:
    tables.load(database, tmp_path, polls=tables.POLLS)
    damaged = tables.copied(database, tmp_path / "damaged.db")
    content = path_of(damaged).read_bytes()
    path_of(damaged).write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(DatabaseError), damaged.snapshot() as fleet:
        fleet.observations(0, tables.NOW, tables.NOW)


def test_a_database_of_another_program_is_an_error_of_the_store(database: Database) -> None:
    with opened(database) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    error = (
        DatabaseError if database.engine.name == "sqlite" else NotFoundError
    )  # a server's databases begin without tables
    with pytest.raises(error, match="store"), database.snapshot():
        pass
    with pytest.raises(error, match="store"), database.reading():
        pass


@only_sqlite
def test_an_empty_file_becomes_a_store_with_the_first_load(database: Database, tmp_path: Path) -> None:
    path_of(database).touch()
    with (
        pytest.raises(NotFoundError, match=r"there is no uphours database .*; `uphours load` makes one"),
        database.snapshot(),
    ):
        pass
    tables.load(database, tmp_path, polls=tables.POLLS)
    with database.snapshot() as fleet:
        assert fleet.store_ids == ["1", "2"]


@only_sqlite
def test_a_missing_file_is_not_found_and_not_made(database: Database, tmp_path: Path) -> None:
    open_every_way(database, tmp_path, NotFoundError, r"store\.db.*; `uphours load` makes one, --db names another")
    assert not path_of(database).exists()


@only_sqlite
@pytest.mark.parametrize(
    "url",
    [
        "",
        "store.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///x.db?mode=ro",
        "oracle://localhost/x",
        "/tmp/x.db",
    ],
)
def test_a_url_that_names_no_store_is_a_mistake(url: str) -> None:
    with pytest.raises(InputError, match=r"valid (is|are) sqlite:///FILE"):
        connect(url)


@only_sqlite
@pytest.mark.parametrize("name", ["with space.db", "100%20.db", "a#b.db", "é🏪.db", "it's.db", "a&b=c;d.db", "store"])
def test_a_store_may_be_called_anything(tmp_path: Path, name: str) -> None:
    database = connect(f"sqlite:///{tmp_path / name}")
    tables.load(database, tmp_path, polls=tables.POLLS)
    assert path_of(database).name == name
    assert path_of(database).exists()
    with database.snapshot() as fleet:
        assert fleet.store_ids == ["1", "2"]
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM stores").scalar() == 2
