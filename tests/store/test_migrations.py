"""All migrations together make exactly the tables that the code describes, and nothing but a known store is used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

from storepulse.errors import InputError, NotFoundError, SchemaVersionError, StoreError
from storepulse.store import Store, connect, migrations
from storepulse.store.migrations import SCHEMA_VERSION
from storepulse.store.tables import metadata
from tests.fixtures import tables

Structure = dict[str, object]


@pytest.fixture
def migrated(tmp_path: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    with engine.begin() as connection:
        migrations.upgrade(connection)
        yield connection
    engine.dispose()


@pytest.fixture
def created(tmp_path: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{tmp_path / 'created.db'}")
    with engine.begin() as connection:
        metadata.create_all(connection)
        yield connection
    engine.dispose()


def structure(connection: Connection) -> Structure:
    """Return columns, keys, indices and options of every table, as SQLite has them."""

    def rows(sql: str) -> list[tuple[object, ...]]:
        return [tuple(row) for row in connection.exec_driver_sql(sql)]

    found: Structure = {}
    for name, without_rowid, strict in rows('SELECT name, wr, strict FROM pragma_table_list WHERE schema = "main"'):
        if name in ("alembic_version", "sqlite_schema", "sqlite_sequence"):
            continue
        indices = rows(f"SELECT name, \"unique\", origin, partial FROM pragma_index_list('{name}') ORDER BY name")
        found[str(name)] = (
            without_rowid,
            strict,
            rows(f"SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_xinfo('{name}')"),
            [(*index, rows(f"SELECT name, desc, coll FROM pragma_index_xinfo('{index[0]}')")) for index in indices],
            rows(f'SELECT "from", "table", "to", on_delete, on_update FROM pragma_foreign_key_list(\'{name}\')'),
        )
    return found


def test_alembic_finds_no_difference_between_the_migrations_and_the_tables(migrated: Connection) -> None:
    context = MigrationContext.configure(
        migrated, opts={"compare_type": True, "compare_server_default": True, "target_metadata": metadata}
    )
    assert compare_metadata(context, metadata) == []


def test_the_migrations_make_the_same_tables_as_their_description(migrated: Connection, created: Connection) -> None:
    assert structure(migrated) == structure(created)
    assert set(structure(created)) == set(metadata.tables)


def test_there_are_no_views_and_triggers(migrated: Connection) -> None:
    kinds = migrated.exec_driver_sql("SELECT DISTINCT type FROM sqlite_master ORDER BY type").scalars().all()
    assert kinds == ["index", "table"]


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


def test_the_steps_are_numbered_without_a_gap() -> None:
    revisions = [step.revision for step in steps().walk_revisions()]
    assert sorted(revisions) == [f"{number:04}" for number in range(1, len(revisions) + 1)]


def test_migrating_again_changes_nothing(migrated: Connection) -> None:
    before = structure(migrated)
    migrations.upgrade(migrated)
    assert structure(migrated) == before


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return connect(f"sqlite:///{tmp_path / 'store.db'}")


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
    with tables.database(store.path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = tables.dump(store.path)
    open_every_way(store, tmp_path, SchemaVersionError, f"version 9999, .* up to {SCHEMA_VERSION}; use")
    assert tables.dump(store.path) == before


@pytest.mark.parametrize("content", [b"this is no database" * 1000, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_no_store_is_said_to_be_none_and_left_alone(
    store: Store, tmp_path: Path, content: bytes
) -> None:
    store.path.write_bytes(content)
    open_every_way(store, tmp_path, StoreError, "store")
    assert store.path.read_bytes() == content


def test_a_damaged_store_is_an_error_of_the_store(store: Store, tmp_path: Path) -> None:
    tables.load(store, tmp_path, polls=tables.POLLS)
    damaged = tables.copied(store, tmp_path / "damaged.db")
    content = damaged.path.read_bytes()
    damaged.path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(StoreError), damaged.snapshot() as fleet:
        fleet.observations(0, tables.NOW, tables.NOW)


def test_a_database_of_another_program_is_an_error_of_the_store(store: Store) -> None:
    with tables.database(store.path) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(StoreError, match="store"), store.snapshot():
        pass
    with pytest.raises(StoreError, match="store"), store.reading():
        pass


def test_an_empty_file_becomes_a_store_with_the_first_load(store: Store, tmp_path: Path) -> None:
    store.path.touch()
    with pytest.raises(StoreError, match="store"), store.snapshot():
        pass
    tables.load(store, tmp_path, polls=tables.POLLS)
    with store.snapshot() as fleet:
        assert fleet.store_ids == ["1", "2"]


def test_a_missing_file_is_not_found_and_not_made(store: Store, tmp_path: Path) -> None:
    open_every_way(store, tmp_path, NotFoundError, r"store\.db.*; `storepulse load` makes one, --db names another")
    assert not store.path.exists()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "store.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///x.db?mode=ro",
        "postgresql://localhost/x",
        "/tmp/x.db",
    ],
)
def test_a_url_that_names_no_store_is_a_mistake(url: str) -> None:
    with pytest.raises(InputError, match="valid is sqlite:///FILE"):
        connect(url)


@pytest.mark.parametrize("name", ["with space.db", "100%20.db", "a#b.db", "é🏪.db", "it's.db", "a&b=c;d.db", "store"])
def test_a_store_may_be_called_anything(tmp_path: Path, name: str) -> None:
    store = connect(f"sqlite:///{tmp_path / name}")
    tables.load(store, tmp_path, polls=tables.POLLS)
    assert store.path.name == name
    assert store.path.exists()
    with store.snapshot() as fleet:
        assert fleet.store_ids == ["1", "2"]
    with store.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM stores").scalar() == 2
