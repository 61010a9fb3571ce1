"""All migrations together make exactly the tables that the code describes, and nothing but a known store is used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from storepulse.errors import InputError, NotFoundError, SchemaVersionError, StoreError
from storepulse.store import Store, connect, migrations
from storepulse.store.migrations import SCHEMA_VERSION
from storepulse.store.tables import metadata
from tests.fixtures import tables
from tests.fixtures.databases import dump, only_sqlite, opened, path_of, url_in

Structure = dict[str, object]


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
    config.set_main_option("script_location", "storepulse:store/migrations")
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
    migrations.upgrade(migrated)
    assert structure(migrated) == before


def test_the_step_of_sessions_is_taken_again_where_it_was_broken_off(migrated: Connection) -> None:
    before = structure(migrated)
    migrated.exec_driver_sql("UPDATE alembic_version SET version_num = '0004'")
    migrations.upgrade(migrated)
    assert structure(migrated) == before


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return connect(url_in(tmp_path, "store.db", fresh=True))


def open_every_way(store: Store, folder: Path, error: type[Exception], words: str) -> None:
    """Read, list and write, and expect the same of all three."""
    with pytest.raises(error, match=words), store.snapshot():
        pass
    with pytest.raises(error, match=words), store.reading():
        pass
    if error is not NotFoundError:
        with pytest.raises(error, match=words):
            tables.load(store, folder, polls=tables.POLLS)


def test_a_store_of_a_newer_version_is_refused_and_left_alone(store: Store, tmp_path: Path) -> None:
    tables.load(store, tmp_path, polls=tables.POLLS)
    with opened(store) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = dump(store)
    open_every_way(store, tmp_path, SchemaVersionError, f"version 9999, .* up to {SCHEMA_VERSION}; use")
    assert dump(store) == before


@only_sqlite
@pytest.mark.parametrize("content", [b"this is no database" * 1000, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_no_store_is_said_to_be_none_and_left_alone(
    store: Store, tmp_path: Path, content: bytes
) -> None:
    path_of(store).write_bytes(content)
    open_every_way(store, tmp_path, StoreError, "store")
    assert path_of(store).read_bytes() == content


@only_sqlite
def test_a_damaged_store_is_an_error_of_the_store(store: Store, tmp_path: Path) -> None:
    tables.load(store, tmp_path, polls=tables.POLLS)
    damaged = tables.copied(store, tmp_path / "damaged.db")
    content = path_of(damaged).read_bytes()
    path_of(damaged).write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(StoreError), damaged.snapshot() as fleet:
        fleet.observations(0, tables.NOW, tables.NOW)


def test_a_database_of_another_program_is_an_error_of_the_store(store: Store) -> None:
    with opened(store) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    error = StoreError if store.engine.name == "sqlite" else NotFoundError  # a server's databases begin without tables
    with pytest.raises(error, match="store"), store.snapshot():
        pass
    with pytest.raises(error, match="store"), store.reading():
        pass


@only_sqlite
def test_an_empty_file_becomes_a_store_with_the_first_load(store: Store, tmp_path: Path) -> None:
    path_of(store).touch()
    with pytest.raises(StoreError, match="store"), store.snapshot():
        pass
    tables.load(store, tmp_path, polls=tables.POLLS)
    with store.snapshot() as fleet:
        assert fleet.store_ids == ["1", "2"]


@only_sqlite
def test_a_missing_file_is_not_found_and_not_made(store: Store, tmp_path: Path) -> None:
    open_every_way(store, tmp_path, NotFoundError, r"store\.db.*; `storepulse load` makes one, --db names another")
    assert not path_of(store).exists()


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
    store = connect(f"sqlite:///{tmp_path / name}")
    tables.load(store, tmp_path, polls=tables.POLLS)
    assert path_of(store).name == name
    assert path_of(store).exists()
    with store.snapshot() as fleet:
        assert fleet.store_ids == ["1", "2"]
    with store.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM stores").scalar() == 2
