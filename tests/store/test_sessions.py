"""Sessions: as good as their keys, not longer than their time, and no token is anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, func, select

from storepulse.jobs import Terms, Worker
from storepulse.schema import HOUR_US, instant_text
from storepulse.store import Store, connect, keys
from storepulse.store.audit import Entry, list_audit
from storepulse.store.copying import copy
from storepulse.store.keys import Key
from storepulse.store.sessions import begin, end, expire, verified
from storepulse.store.tables import api_keys, sessions
from tests.fixtures.databases import dump, only_sqlite, path_of, url_in
from tests.fixtures.tables import NOW, VERSION

pytestmark = pytest.mark.anywhere

LASTS = 12 * HOUR_US


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = connect(url_in(tmp_path, "store.db"), keep_open=True)
    yield made
    made.close()


@pytest.fixture
def key(store: Store) -> Key:
    return key_in(store)


def key_in(store: Store, *scopes: str) -> Key:
    with store.writing() as connection:
        return keys.create(connection, name="a person", scopes=scopes or ("read",), now=NOW, actor="cli:me")[0]


def begun(store: Store, key: Key, *, now: int = NOW, lasts: int = LASTS) -> str:
    with store.writing() as connection:
        return begin(connection, key, now=now, lasts=lasts)


def ended(store: Store, token: str, *, now: int = NOW) -> None:
    with store.writing() as connection:
        end(connection, token, now=now)


def behind(store: Store, token: str, *, now: int = NOW) -> Key | None:
    with store.reading() as connection:
        return verified(connection, token, now=now)


def kept(store: Store) -> int:
    with store.reading() as connection:
        found: int = connection.execute(select(func.count()).select_from(sessions)).scalar_one()
    return found


def trail(store: Store) -> list[Entry]:
    with store.reading() as connection:
        return list_audit(connection, limit=100)


# --- beginning and ending -----------------------------------------------------------------------------------


def test_behind_a_token_is_the_key_with_its_scopes(store: Store) -> None:
    key = key_in(store, "read", "ingest")
    assert behind(store, begun(store, key)) == key


def test_each_session_has_a_token_of_its_own(store: Store, key: Key) -> None:
    tokens = [begun(store, key) for _ in range(20)]
    assert len(set(tokens)) == 20
    assert all(re.fullmatch("[a-z2-7]{52}", token) for token in tokens)
    assert [behind(store, token) for token in tokens] == [key] * 20


def test_a_session_ends_when_its_time_is_over(store: Store, key: Key) -> None:
    token = begun(store, key)
    assert behind(store, token, now=NOW + LASTS - 1) == key
    assert behind(store, token, now=NOW + LASTS) is None


def test_a_session_that_is_ended_is_over_and_the_others_go_on(store: Store, key: Key) -> None:
    token, other = begun(store, key), begun(store, key)
    ended(store, token)
    assert (behind(store, token), behind(store, other)) == (None, key)
    assert kept(store) == 1


def test_to_end_what_does_not_go_on_changes_nothing(store: Store, key: Key) -> None:
    token = begun(store, key)
    before = dump(store)
    for text in ("", "x", "a" * 52, token[:-1], token.upper(), "\x00", "\udcff"):
        ended(store, text)
    ended(store, token, now=NOW + LASTS)
    assert dump(store) == before


def test_with_a_revoked_key_all_its_sessions_end_at_once(store: Store, key: Key) -> None:
    tokens = [begun(store, key) for _ in range(3)]
    other = key_in(store)
    another = begun(store, other)
    with store.writing() as connection:
        keys.revoke(connection, key.key_id, now=NOW, actor="cli:me")
    assert [behind(store, token) for token in tokens] == [None] * 3
    assert behind(store, another) == other


def test_with_a_deleted_key_its_sessions_are_gone(store: Store, key: Key) -> None:
    token = begun(store, key)
    other = begun(store, key_in(store))
    with store.writing() as connection:
        connection.execute(delete(api_keys).where(api_keys.c.key_id == key.key_id))
    assert behind(store, token) is None
    assert behind(store, other) is not None
    assert kept(store) == 1


def test_the_trail_tells_who_signed_in_and_out(store: Store, key: Key) -> None:
    ended(store, begun(store, key), now=NOW + 1)
    out, into, _made = trail(store)
    assert (into.at, into.actor, into.action, into.subject) == (
        NOW, f"key:{key.key_id}", "session.begin", key.key_id
    )  # fmt: skip
    assert into.details == {"until": instant_text(NOW + LASTS)}
    assert (out.at, out.actor, out.action, out.subject) == (
        NOW + 1, f"key:{key.key_id}", "session.end", key.key_id
    )  # fmt: skip


# --- refusing -----------------------------------------------------------------------------------------------


def test_a_token_with_any_one_character_changed_opens_nothing(store: Store, key: Key) -> None:
    token = begun(store, key)
    with store.reading() as connection:
        for place, character in enumerate(token):
            other = "b" if character == "a" else "a"
            assert verified(connection, token[:place] + other + token[place + 1 :], now=NOW) is None


def test_neither_a_key_nor_a_hash_is_a_session(store: Store) -> None:
    with store.writing() as connection:
        key, token = keys.create(connection, name="x", scopes=["read"], now=NOW, actor="me")
    session = begun(store, key)
    assert behind(store, token) is None
    assert behind(store, token.rpartition("_")[2]) is None
    assert behind(store, keys.hash_of(session)) is None
    with store.reading() as connection:
        assert keys.verified(connection, session) is None


@pytest.fixture(scope="module")
def opened(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    store = connect(url_in(tmp_path_factory.mktemp("sessions"), "store.db"))
    begun(store, key_in(store))
    with store.reading() as connection:
        yield connection


@given(st.text() | st.from_regex("[a-z2-7]{52}"))
def test_any_other_text_opens_nothing(opened: Connection, text: str) -> None:
    assert verified(opened, text, now=NOW) is None


# --- what is kept -------------------------------------------------------------------------------------------


@only_sqlite
def test_a_token_is_never_in_the_files_of_the_store(store: Store, key: Key) -> None:
    token = begun(store, key)
    behind(store, token)
    ended(store, token)
    begun(store, key)
    for path in path_of(store).parent.iterdir():
        assert token.encode() not in path.read_bytes()


def test_of_a_session_only_the_hash_the_key_and_its_time_are_kept(store: Store, key: Key) -> None:
    token = begun(store, key)
    assert dump(store)["sessions"] == [(keys.hash_of(token), key.key_id, NOW, NOW + LASTS)]
    assert token not in repr(dump(store))


def test_those_whose_time_is_over_are_forgotten(store: Store, key: Key) -> None:
    begun(store, key, lasts=HOUR_US)
    token = begun(store, key, lasts=HOUR_US + 1)
    with store.writing() as connection:
        expire(connection, now=NOW + HOUR_US)
    assert kept(store) == 1
    assert behind(store, token, now=NOW + HOUR_US) == key


def test_the_schedule_that_forgets_reports_forgets_them_too(store: Store, key: Key) -> None:
    begun(store, key)
    for now, left in ((NOW, 1), (NOW + LASTS + HOUR_US, 0)):
        Worker(store, "w", Terms(VERSION, lambda now=now: now)).tick()  # type: ignore[misc]
        assert kept(store) == left


def test_a_copy_has_the_keys_and_no_sessions(store: Store, key: Key, tmp_path: Path) -> None:
    token = begun(store, key)
    target = connect(url_in(tmp_path, "target.db", fresh=True))
    copy(store, target)
    with target.reading() as connection:
        assert keys.list_keys(connection) == [key]
    assert kept(target) == 0
    assert behind(target, token) is None
    assert behind(store, token) == key
