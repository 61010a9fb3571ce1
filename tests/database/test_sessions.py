"""Sessions: as good as their keys, not longer than their time, and no token is anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, func, select

from tests.fixtures.databases import dump, only_sqlite, path_of, url_in
from tests.fixtures.tables import NOW
from uphours.database import api_keys as keys
from uphours.database.api_keys import Key
from uphours.database.audit import Entry, list_audit
from uphours.database.copy import copy
from uphours.database.database import Database, connect
from uphours.database.logins import begin, end, expire, verified
from uphours.database.tables import api_keys, sessions
from uphours.schema import HOUR_US, instant_text
from uphours.service.worker import Terms, Worker

pytestmark = pytest.mark.anywhere

LASTS = 12 * HOUR_US


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = connect(url_in(tmp_path, "store.db"), keep_open=True)
    yield made
    made.close()


@pytest.fixture
def key(database: Database) -> Key:
    return key_in(database)


def key_in(database: Database, *scopes: str) -> Key:
    with database.writing() as connection:
        return keys.create(connection, name="a person", scopes=scopes or ("read",), now=NOW, actor="cli:me")[0]


def begun(database: Database, key: Key, *, now: int = NOW, lasts: int = LASTS) -> str:
    with database.writing() as connection:
        return begin(connection, key, now=now, lasts=lasts)


def ended(database: Database, token: str, *, now: int = NOW) -> None:
    with database.writing() as connection:
        end(connection, token, now=now)


def behind(database: Database, token: str, *, now: int = NOW) -> Key | None:
    with database.reading() as connection:
        return verified(connection, token, now=now)


def kept(database: Database) -> int:
    with database.reading() as connection:
        found: int = connection.execute(select(func.count()).select_from(sessions)).scalar_one()
    return found


def trail(database: Database) -> list[Entry]:
    with database.reading() as connection:
        return list_audit(connection, limit=100)


# --- beginning and ending -----------------------------------------------------------------------------------


def test_behind_a_token_is_the_key_with_its_scopes(database: Database) -> None:
    key = key_in(database, "read", "ingest")
    assert behind(database, begun(database, key)) == key


def test_each_session_has_a_token_of_its_own(database: Database, key: Key) -> None:
    tokens = [begun(database, key) for _ in range(20)]
    assert len(set(tokens)) == 20
    assert all(re.fullmatch("[a-z2-7]{52}", token) for token in tokens)
    assert [behind(database, token) for token in tokens] == [key] * 20


def test_a_session_ends_when_its_time_is_over(database: Database, key: Key) -> None:
    token = begun(database, key)
    assert behind(database, token, now=NOW + LASTS - 1) == key
    assert behind(database, token, now=NOW + LASTS) is None


def test_a_session_that_is_ended_is_over_and_the_others_go_on(database: Database, key: Key) -> None:
    token, other = begun(database, key), begun(database, key)
    ended(database, token)
    assert (behind(database, token), behind(database, other)) == (None, key)
    assert kept(database) == 1


def test_to_end_what_does_not_go_on_changes_nothing(database: Database, key: Key) -> None:
    token = begun(database, key)
    before = dump(database)
    for text in ("", "x", "a" * 52, token[:-1], token.upper(), "\x00", "\udcff"):
        ended(database, text)
    ended(database, token, now=NOW + LASTS)
    assert dump(database) == before


def test_with_a_revoked_key_all_its_sessions_end_at_once(database: Database, key: Key) -> None:
    tokens = [begun(database, key) for _ in range(3)]
    other = key_in(database)
    another = begun(database, other)
    with database.writing() as connection:
        keys.revoke(connection, key.key_id, now=NOW, actor="cli:me")
    assert [behind(database, token) for token in tokens] == [None] * 3
    assert behind(database, another) == other


def test_with_a_deleted_key_its_sessions_are_gone(database: Database, key: Key) -> None:
    token = begun(database, key)
    other = begun(database, key_in(database))
    with database.writing() as connection:
        connection.execute(delete(api_keys).where(api_keys.c.key_id == key.key_id))
    assert behind(database, token) is None
    assert behind(database, other) is not None
    assert kept(database) == 1


def test_the_trail_tells_who_signed_in_and_out(database: Database, key: Key) -> None:
    ended(database, begun(database, key), now=NOW + 1)
    out, into, _made = trail(database)
    assert (into.at, into.actor, into.action, into.subject) == (
        NOW, f"key:{key.key_id}", "session.begin", key.key_id
    )  # fmt: skip
    assert into.details == {"until": instant_text(NOW + LASTS)}
    assert (out.at, out.actor, out.action, out.subject) == (
        NOW + 1, f"key:{key.key_id}", "session.end", key.key_id
    )  # fmt: skip


# --- refusing -----------------------------------------------------------------------------------------------


def test_a_token_with_any_one_character_changed_opens_nothing(database: Database, key: Key) -> None:
    token = begun(database, key)
    with database.reading() as connection:
        for place, character in enumerate(token):
            other = "b" if character == "a" else "a"
            assert verified(connection, token[:place] + other + token[place + 1 :], now=NOW) is None


def test_neither_a_key_nor_a_hash_is_a_session(database: Database) -> None:
    with database.writing() as connection:
        key, token = keys.create(connection, name="x", scopes=["read"], now=NOW, actor="me")
    session = begun(database, key)
    assert behind(database, token) is None
    assert behind(database, token.rpartition("_")[2]) is None
    assert behind(database, keys.hash_of(session)) is None
    with database.reading() as connection:
        assert keys.verified(connection, session) is None


@pytest.fixture(scope="module")
def opened(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    database = connect(url_in(tmp_path_factory.mktemp("sessions"), "store.db"))
    begun(database, key_in(database))
    with database.reading() as connection:
        yield connection


@given(st.text() | st.from_regex("[a-z2-7]{52}"))
def test_any_other_text_opens_nothing(opened: Connection, text: str) -> None:
    assert verified(opened, text, now=NOW) is None


# --- what is kept -------------------------------------------------------------------------------------------


@only_sqlite
def test_a_token_is_never_in_the_files_of_the_store(database: Database, key: Key) -> None:
    token = begun(database, key)
    behind(database, token)
    ended(database, token)
    begun(database, key)
    for path in path_of(database).parent.iterdir():
        assert token.encode() not in path.read_bytes()


def test_of_a_session_only_the_hash_the_key_and_its_time_are_kept(database: Database, key: Key) -> None:
    token = begun(database, key)
    assert dump(database)["sessions"] == [(keys.hash_of(token), key.key_id, NOW, NOW + LASTS)]
    assert token not in repr(dump(database))


def test_those_whose_time_is_over_are_forgotten(database: Database, key: Key) -> None:
    begun(database, key, lasts=HOUR_US)
    token = begun(database, key, lasts=HOUR_US + 1)
    with database.writing() as connection:
        expire(connection, now=NOW + HOUR_US)
    assert kept(database) == 1
    assert behind(database, token, now=NOW + HOUR_US) == key


def test_the_schedule_that_forgets_reports_forgets_them_too(database: Database, key: Key) -> None:
    begun(database, key)
    for now, left in ((NOW, 1), (NOW + LASTS + HOUR_US, 0)):
        Worker(database, "w", Terms(lambda now=now: now)).tick()  # type: ignore[misc]
        assert kept(database) == left


def test_a_copy_has_the_keys_and_no_sessions(database: Database, key: Key, tmp_path: Path) -> None:
    token = begun(database, key)
    target = connect(url_in(tmp_path, "target.db", fresh=True))
    copy(database, target)
    with target.reading() as connection:
        assert keys.list_keys(connection) == [key]
    assert kept(target) == 0
    assert behind(target, token) is None
    assert behind(database, token) == key
