"""Databases that are another program's, read-only, in another encoding, or spread over schemas: said, never changed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.fixtures import tables
from tests.fixtures.databases import SERVERS, only_mysql, only_postgresql, only_servers, only_sqlite, opened, url_in
from tests.fixtures.tables import NOW
from uphours.database.copy import copy
from uphours.database.database import Database, connect
from uphours.database.dialects.dialect import Finding
from uphours.database.doctor import checkup
from uphours.errors import DatabaseError, NotFoundError
from uphours.reports.measure import run_report
from uphours.service.terms import now_us

ODD = tables.table("polls", "Café ☕,active,2023-01-25 10:00:00 UTC", "店😀,inactive,2023-01-25 11:00:00 UTC")


def filled(url: str, folder: Path) -> Database:
    made = connect(url)
    tables.load(made, folder, polls=tables.POLLS, hours=tables.HOURS)
    return made


def told(database: Database) -> dict[str, Finding]:
    return {finding.about: finding for finding in checkup(database, now=now_us)}


def bytes_in(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


def refused(database: Database, says: str) -> None:
    """Every way to use a store refuses in the same sentence, and so does the check-up."""
    for way in (database.snapshot, database.reading, database.writing):
        with pytest.raises(DatabaseError, match=says), way():
            pass
    with pytest.raises(DatabaseError, match=says):
        database.migrate()
    assert [finding for finding in told(database).values() if finding.state == "bad" and says in finding.says]


# --- files that are no store ------------------------------------------------------------------------------


def foreign(path: Path, kind: str) -> None:
    """Make a file of another program."""
    with closing(sqlite3.connect(path)) as database:
        if kind.startswith("log"):
            database.execute("PRAGMA journal_mode = WAL")
        if kind == "same names":
            database.execute("CREATE TABLE stores (name TEXT)")
            database.execute("CREATE TABLE alembic_version (version_num TEXT)")
            database.execute("INSERT INTO alembic_version VALUES ('0003')")
        elif kind == "view":
            database.execute("CREATE VIEW v AS SELECT 1")
        elif kind == "only its mark":
            database.execute("PRAGMA application_id = 1196444487")
        elif kind == "only its version":
            database.execute("PRAGMA user_version = 7")
        else:
            database.execute("CREATE TABLE moz_places (url TEXT)")
            database.execute("INSERT INTO moz_places VALUES ('x')")
        database.commit()
        if kind == "log with rows":  # as if its program had been killed
            for part in ("", "-wal"):
                shutil.copy(f"{path}{part}", f"{path}.copy{part}")
    if kind == "log with rows":
        for part in ("", "-wal"):
            Path(f"{path}.copy{part}").replace(f"{path}{part}")


@only_sqlite
@pytest.mark.parametrize(
    "kind", ["tables", "log", "log with rows", "same names", "view", "only its mark", "only its version"]
)
def test_another_programs_file_is_refused_and_not_a_byte_changes(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "other.db"
    foreign(path, kind)
    before = bytes_in(tmp_path)
    refused(connect(f"sqlite:///{path}"), "belongs to another program")
    assert bytes_in(tmp_path) == before


@only_sqlite
@pytest.mark.parametrize("kept_in", ["file", "log"])
def test_another_look_at_a_file_takes_no_locks_away(tmp_path: Path, kept_in: str) -> None:
    """Locks belong to the process, which loses them with any handle of the file that it closes."""
    path = tmp_path / "store.db"
    tables.load(connect(f"sqlite:///{path}"), tmp_path, polls=tables.POLLS)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if kept_in == "log":  # nothing of the file itself says whose it is
            lines = list(connection.iterdump())
            path.unlink()
            connection.close()
            connection = sqlite3.connect(path, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript("\n".join(lines))
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM stores").fetchone()
        with connect(f"sqlite:///{path}").snapshot() as fleet:
            assert fleet.store_ids
        # Another process that is the last to close the file would write its log back and take it away.
        subprocess.run([sys.executable, "-c", LAST_TO_CLOSE, str(path)], check=True)
        assert path.with_name("store.db-wal").exists()


LAST_TO_CLOSE = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT 1 FROM stores'); c.close()"


@only_sqlite
@pytest.mark.parametrize("content", [b"store_id,status\n1,active\n", b"PK\x03\x04" + bytes(200), b"\0", b"SQLite 2\0"])
def test_what_is_no_sqlite_file_is_refused_and_not_a_byte_changes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "polls.csv"
    path.write_bytes(content)
    refused(connect(f"sqlite:///{path}"), "is no SQLite database")
    assert bytes_in(tmp_path) == {"polls.csv": sha256(content).hexdigest()}


@only_sqlite
@pytest.mark.parametrize("table", ["loads", "observations", "stores"])
def test_a_table_that_is_missing_is_damage_and_no_sign_of_another_program(tmp_path: Path, table: str) -> None:
    database = filled(url_in(tmp_path), tmp_path)
    database.close()
    with opened(url_in(tmp_path)) as sql:
        sql.execute(f"ALTER TABLE {table} RENAME TO gone")
    with (
        pytest.raises(DatabaseError, match=f"no such table: {table}"),
        connect(url_in(tmp_path)).reading() as connection,
    ):
        connection.exec_driver_sql(f"SELECT 1 FROM {table}")


@only_sqlite
def test_folders_and_pipes_are_refused_and_an_empty_file_is_a_new_store(tmp_path: Path) -> None:
    refused(connect(f"sqlite:///{tmp_path}"), "is a folder")
    os.mkfifo(tmp_path / "pipe")
    refused(connect(f"sqlite:///{tmp_path / 'pipe'}"), "is no ordinary file")
    empty = tmp_path / "empty.db"
    empty.touch()
    with pytest.raises(NotFoundError), connect(f"sqlite:///{empty}").snapshot():
        pass
    assert empty.stat().st_size == 0
    filled(f"sqlite:///{empty}", tmp_path)
    lost = connect(f"sqlite:///{tmp_path}/nowhere/store.db")
    with pytest.raises(DatabaseError, match="there is no folder"), lost.writing():
        pass


@only_sqlite
def test_new_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = filled(f"sqlite:///{tmp_path / 'store.db'}", tmp_path)
        copy(store, connect(f"sqlite:///{tmp_path / 'copy.db'}"), now=NOW, actor="me")
        with store.writing() as connection:
            connection.exec_driver_sql("DELETE FROM ticks")
            found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("*.db*")}
    finally:
        os.umask(before)
    assert found == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm", "copy.db"), 0o600)
    (tmp_path / "store.db").chmod(0o640)  # whoever lets others read goes on to
    tables.load(store, tmp_path, polls=tables.POLLS)
    assert stat.S_IMODE((tmp_path / "store.db").stat().st_mode) == 0o640


@contextmanager
def mounted_read_only(folder: Path, name: str = "ro") -> Iterator[Path]:
    """Show a folder at another place where nothing can be written."""
    place = folder.with_name(f"{folder.name}-{name}")
    place.mkdir()
    for words in (["--bind", folder, place], ["-o", "remount,bind,ro", place]):
        done = subprocess.run(["mount", *map(str, words)], capture_output=True, check=False)
        if done.returncode:
            if os.environ.get("CI"):
                pytest.fail(f"nothing can be mounted here: {done.stderr.decode()}")
            pytest.skip("nothing can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@only_sqlite
@pytest.mark.parametrize("log", ["none", "with its index", "alone", "of a store in use"])
def test_a_store_on_a_read_only_mount_is_read_whole_and_never_written(tmp_path: Path, log: str) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    store = filled(f"sqlite:///{folder / 'store.db'}", tmp_path)
    with closing(sqlite3.connect(folder / "store.db")) as database:
        database.execute("SELECT 1 FROM loads").fetchone()
        if log != "none":  # what this load brings stands in the log alone
            tables.load(store, tmp_path, polls=tables.table("polls", "new,active,2023-01-25 14:00:00 UTC"))
        if log in ("with its index", "alone"):
            for part in ("", "-wal", "-shm") if log == "with its index" else ("", "-wal"):
                shutil.copy(folder / f"store.db{part}", folder / f"killed.db{part}")
        expected = report(store)
        name = "store.db" if log in ("none", "of a store in use") else "killed.db"
        if log == "none":
            database.close()
        before = bytes_in(folder)
        with mounted_read_only(folder) as place:
            shown = connect(f"sqlite:///{place / name}")
            assert report(shown) == expected
            with shown.reading() as connection:
                loads = connection.exec_driver_sql("SELECT count(*) FROM loads").scalar_one()
            assert loads == (1 if log == "none" else 2)
            with pytest.raises(DatabaseError, match=r"is read-only here: reports can be made"), shown.writing():
                pass
            findings = told(shown)
            assert (findings["rights"].state, "read-only" in findings["rights"].says) == ("warning", True)
            assert not [finding for finding in findings.values() if finding.state == "bad"]
            copied = connect(f"sqlite:///{tmp_path / 'copied.db'}")
            copy(shown, copied, now=NOW, actor="me")
            assert report(copied) == expected
        assert bytes_in(folder) == before


def report(database: Database) -> list[tuple[object, ...]]:
    with database.snapshot() as fleet:
        return run_report(fleet, as_of=NOW, all_stores=True).table().rows()


# --- databases on servers -----------------------------------------------------------------------------------


@contextmanager
def database_with(server: str, options: str) -> Iterator[str]:
    """Make a database with options of its own; give its URL."""
    name = f"uphours_test_whose_{os.getpid()}"
    with SERVERS[server].connected() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name}")
        cursor.execute(f"CREATE DATABASE {name} {options}")
    try:
        yield SERVERS[server].named(name)
    finally:
        SERVERS[server].drop(name)


@only_postgresql
@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1252", "EUC_JP"])
def test_a_database_that_cannot_hold_every_text_is_refused_in_one_sentence(tmp_path: Path, encoding: str) -> None:
    with database_with("postgresql", f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0") as url:
        refused(connect(url), f"is in {encoding}, which cannot hold every text; valid is UTF8")
        assert told(connect(url))["encoding"].state == "bad"


@only_postgresql
@pytest.mark.parametrize("wish", ["", "?client_encoding=latin1", "?options=-c%20client_encoding%3Dsql_ascii"])
def test_a_database_in_sql_ascii_keeps_our_bytes_whatever_the_client_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wish: str
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "SQL_ASCII")
    with database_with("postgresql", "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0") as url:
        database = connect(url + wish)
        tables.load(database, tmp_path, polls=ODD)
        with database.snapshot(["Café ☕"]) as fleet:
            assert fleet.store_ids == ["Café ☕"]
        with database.snapshot() as fleet:
            assert sorted(fleet.store_ids) == ["Café ☕", "店😀"]
        findings = told(database)
        assert findings["encoding"].state == "warning"
        assert not [finding for finding in findings.values() if finding.state == "bad"]


@only_mysql
@pytest.mark.parametrize("charset", ["latin1", "utf8mb3", "ascii"])
def test_a_mysql_database_may_have_any_character_set_as_the_tables_have_their_own(tmp_path: Path, charset: str) -> None:
    with database_with("mysql", f"CHARACTER SET {charset}") as url:
        database = connect(url)
        tables.load(database, tmp_path, polls=ODD)
        with database.snapshot(["店😀"]) as fleet:
            assert fleet.store_ids == ["店😀"]
        assert told(database)["encoding"].state == "good"
        with opened(url) as changed:
            changed.execute(f"ALTER TABLE loads CONVERT TO CHARACTER SET {charset}")
        assert told(connect(url))["encoding"].says.startswith("loads.summary (")


@only_servers
@pytest.mark.parametrize("names", [["orders"], ["stores"], ["alembic_version", "orders"], ["jobs", "users"]])
def test_a_database_with_tables_of_another_program_is_refused_and_nothing_changes(
    tmp_path: Path, engine: str, names: list[str]
) -> None:
    with database_with(engine, "") as url:
        with opened(url) as other:
            for name in names:
                other.execute(f"CREATE TABLE {name} (version_num VARCHAR(32))")
                other.execute(f"INSERT INTO {name} VALUES ('0001')")
        for use in (connect(url).migrate, lambda: filled(url, tmp_path)):
            with pytest.raises(DatabaseError, match="of another program; give uphours one of its own"):
                use()
        assert [finding for finding in told(connect(url)).values() if "of another program" in finding.says]
        with opened(url) as other:
            for name in names:
                assert other.execute(f"SELECT * FROM {name}") == [("0001",)]


@only_servers
def test_tables_that_somebody_adds_to_a_store_keep_nobody_out(tmp_path: Path) -> None:
    url = url_in(tmp_path, "more.db", fresh=True)
    filled(url, tmp_path)
    with opened(url) as database:
        database.execute("CREATE TABLE notes (note INT)")
    assert report(filled(url, tmp_path))
    assert told(connect(url))["version"].state == "good"


@only_servers
def test_an_empty_database_is_looked_over_before_there_is_a_store(tmp_path: Path, engine: str) -> None:
    with database_with(engine, "") as url:
        findings = told(connect(url))
        assert findings["version"] == Finding(
            "version", "good", "there are no tables yet: `uphours load` or `uphours migrate` makes them"
        )
        assert findings.keys() >= {"version", "encoding", "engine", "durability", "rights"}
        assert "bad" not in {findings[about].state for about in ("version", "encoding", "engine", "rights")}
        with opened(url) as looked:
            sql = "SELECT count(*) FROM information_schema.tables WHERE table_schema = "
            assert looked.execute(sql + ("current_schema()" if engine == "postgresql" else "database()")) == [(0,)]
    missing = told(connect(make_url(url).set(database="no_such_one").render_as_string(hide_password=False)))
    assert missing["database"].state == "bad"
    assert "make it on the server" in missing["database"].says


@only_sqlite
def test_a_file_that_is_not_there_is_looked_over_and_not_made(tmp_path: Path) -> None:
    findings = told(connect(f"sqlite:///{tmp_path / 'new.db'}"))
    assert {about: finding.state for about, finding in findings.items()} == dict.fromkeys(
        ("version", "engine", "rights"), "good"
    )
    assert told(connect(f"sqlite:///{tmp_path}/nowhere/new.db"))["rights"].state == "bad"
    assert list(tmp_path.iterdir()) == []


@only_postgresql
def test_a_user_without_rights_on_an_empty_database_is_told_so(tmp_path: Path) -> None:
    role = f"uphours_test_{os.getpid()}"
    with database_with("postgresql", "") as url:
        with SERVERS["postgresql"].connected() as cursor:
            cursor.execute(f"DROP ROLE IF EXISTS {role}")
            cursor.execute(f"CREATE ROLE {role} LOGIN")
        try:
            as_role = make_url(url).set(username=role).render_as_string(hide_password=False)
            with opened(url) as owner:
                owner.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
            assert "may not create tables" in told(connect(as_role))["rights"].says
            with opened(url) as owner:
                owner.execute(f"GRANT CREATE ON SCHEMA public TO {role}")
                owner.execute(f"REVOKE TEMPORARY ON DATABASE {make_url(url).database} FROM PUBLIC")
            assert "may not make temporary tables" in told(connect(as_role))["rights"].says
            with opened(url) as owner:
                owner.execute("REVOKE USAGE ON SCHEMA public FROM PUBLIC")
                owner.execute(f"REVOKE USAGE ON SCHEMA public FROM {role}")
            assert told(connect(as_role))["schema"].state == "bad"
        finally:
            with opened(url) as owner:
                owner.execute(f"DROP OWNED BY {role}")
                owner.execute(f"DROP ROLE {role}")


@only_postgresql
def test_a_read_only_database_of_a_server_is_one_sentence(tmp_path: Path) -> None:
    url = url_in(tmp_path, "read.db", fresh=True)
    before = report(filled(url, tmp_path))
    read_only = connect(f"{url}?options=-c%20default_transaction_read_only%3Don")
    assert report(read_only) == before
    with pytest.raises(DatabaseError, match="read-only transaction"):
        tables.load(read_only, tmp_path, polls=tables.POLLS)
    assert "bad" not in {finding.state for finding in told(read_only).values() if finding.about == "store"}


# --- schemas --------------------------------------------------------------------------------------------------


def in_schemas(url: str, *names: str) -> str:
    return f"{url}?options=-c%20search_path%3D{'%2C'.join(names)}"


@only_postgresql
def test_everything_is_made_in_the_schema_of_the_store_whatever_comes_first_in_the_path(tmp_path: Path) -> None:
    url = url_in(tmp_path, "schemas.db", fresh=True)
    with opened(url) as database:
        database.execute("CREATE SCHEMA app")
        database.execute('CREATE SCHEMA "Odd, one"')
    filled(url, tmp_path)  # in public
    later = connect(in_schemas(url, "app", "public"))
    tables.load(later, tmp_path, polls=tables.table("polls", "new,active,2021-05-01 14:00:00 UTC"))
    sql = (
        "SELECT DISTINCT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE relname ~ '^obs'"
    )
    with opened(url) as database:
        assert database.execute(sql) == [("public",)]
    assert told(later)["schema"] == Finding(
        "schema", "good", "everything is made in, and looked up from, the schema public"
    )
    other = connect(in_schemas(url, "app"))
    filled(in_schemas(url, "app"), tmp_path)
    assert told(other)["schema"].state == "warning"
    assert "public of this database has such tables too" in told(other)["schema"].says


@only_postgresql
def test_parts_that_lie_in_another_schema_are_told(tmp_path: Path) -> None:
    url = url_in(tmp_path, "parts.db", fresh=True)
    store = filled(url, tmp_path)
    with opened(url) as database:
        database.execute("CREATE SCHEMA app")
        ((part,), *_) = database.execute("SELECT relname FROM pg_class WHERE relname ~ '^observations_p[0-9]+$'")
        database.execute(f"ALTER TABLE {part} SET SCHEMA app")
    schema = told(store)["schema"]
    assert (schema.state, f"app.{part}" in schema.says) == ("bad", True)


# --- a new file that several processes open at once ---------------------------------------------------------


@only_sqlite
def test_threads_that_open_a_new_file_at_once_wait_for_each_other(tmp_path: Path) -> None:
    # Without waiting one of ten fails in every fifteenth file.
    together = threading.Barrier(10)

    def opened_at_once(path: Path) -> None:
        with closing(connect(f"sqlite:///{path}")) as database:
            together.wait(30)
            with database.engine.reading() as connection:
                connection.exec_driver_sql("SELECT 1")

    with ThreadPoolExecutor(10) as threads:
        for number in range(60):
            path = tmp_path / f"{number}.db"
            path.touch()
            list(threads.map(opened_at_once, [path] * 10))
