"""Keys: the token is shown once and kept nowhere, and nothing but the token of a good key opens anything."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from tests.fixtures.databases import only_sqlite, path_of, url_in
from tests.fixtures.tables import NOW
from uphours.database.api_keys import SCOPES, Key, allows, create, find, list_keys, masked, revoke, verified
from uphours.database.audit import list_audit
from uphours.database.database import Database, connect
from uphours.errors import DatabaseError, InputError, NotFoundError
from uphours.wire.words import Scope

pytestmark = pytest.mark.anywhere

LATER = NOW + 1_000_000
ACTOR = "cli:somebody"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = connect(url_in(tmp_path, "store.db"), keep_open=True)
    yield made
    made.close()


def make(database: Database, name: str = "till", *scopes: str, now: int = NOW) -> tuple[Key, str]:
    with database.writing() as connection:
        return create(connection, name=name, scopes=scopes or ("read",), now=now, actor=ACTOR)


def end(database: Database, key_id: str, now: int = LATER) -> Key:
    with database.writing() as connection:
        return revoke(connection, key_id, now=now, actor=ACTOR)


def shown_to(database: Database, token: str) -> Key | None:
    with database.reading() as connection:
        return verified(connection, token)


def keys_of(database: Database) -> list[Key]:
    with database.reading() as connection:
        return list_keys(connection)


def actions(database: Database) -> list[tuple[str, str]]:
    with database.reading() as connection:
        return [(entry.action, entry.subject) for entry in list_audit(connection, limit=100)]


# --- making ----------------------------------------------------------------------------------------------


def test_a_token_opens_what_its_key_is_for(database: Database) -> None:
    key, token = make(database, "till", "ingest", "read")
    assert key == Key(key.key_id, "till", ("read", "ingest"), NOW, None)
    assert shown_to(database, token) == key


def test_a_token_has_the_id_and_256_bits_of_chance(database: Database) -> None:
    key, token = make(database)
    assert re.fullmatch(f"sp_{key.key_id}_[a-z2-7]{{52}}", token)
    assert re.fullmatch("[a-z2-7]{12}", key.key_id)
    assert 32**52 >= 2**256


def test_keys_are_all_different(database: Database) -> None:
    made = [make(database) for _ in range(20)]
    assert len({key.key_id for key, _ in made}) == 20
    assert len({token.rpartition("_")[2] for _, token in made}) == 20


def test_two_keys_may_have_the_same_name(database: Database) -> None:
    (first, one), (second, two) = make(database, "till"), make(database, "till")
    assert shown_to(database, one) == first
    assert shown_to(database, two) == second
    assert [key.name for key in keys_of(database)] == ["till", "till"]


def test_keys_are_listed_the_oldest_first_also_the_revoked_ones(database: Database) -> None:
    later, _ = make(database, "later", now=LATER)
    earlier, _ = make(database, "earlier")
    ended = end(database, earlier.key_id)
    assert keys_of(database) == [ended, later]


def test_a_name_may_be_any_printable_text(database: Database) -> None:
    names = ["x", "x" * 100, "Kasse 7 – Zürich", "店", "a'; DROP TABLE api_keys; --", '"{}"']
    for name in names:
        key, token = make(database, name)
        assert shown_to(database, token) == key, name
    assert sorted(key.name for key in keys_of(database)) == sorted(names)


def test_other_names_are_refused(database: Database) -> None:
    for name in ("", "x" * 101, "x" * 10_000, "  ", "a\nb", "a\x00b", "\x1b[31m", "a\u202eb", "\udcff"):
        with pytest.raises(InputError, match="valid are 1 to 100 printable characters") as error:
            make(database, name)
        assert len(str(error.value)) < 300
        assert str(error.value).isprintable(), ascii(name)
    assert keys_of(database) == []


def test_an_unknown_scope_is_refused_with_the_valid_ones(database: Database) -> None:
    for scopes in (("write",), ("read", "Admin"), ("",), ("read ingest",)):
        with pytest.raises(InputError, match=r"there is no scope '.*'; valid are read, ingest, adjust, feed, admin$"):
            make(database, "till", *scopes)


def test_a_key_without_a_scope_is_refused(database: Database) -> None:
    with (
        pytest.raises(InputError, match="a key needs a scope; valid are read, ingest, adjust, feed, admin"),
        database.writing() as connection,
    ):
        create(connection, name="till", scopes=[], now=NOW, actor=ACTOR)


@pytest.mark.parametrize("scopes", [("feed", "read"), ("admin", "feed")])
def test_a_key_for_a_feed_is_for_nothing_else(database: Database, scopes: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="the scope feed cannot be joined with others"):
        make(database, "till", *scopes)
    assert keys_of(database) == []
    assert make(database, "till", "feed", "feed")[0].scopes == ("feed",)


@only_sqlite  # it knows of no database
def test_text_with_tokens_can_be_shown_without_their_secrets() -> None:
    token = f"sp_{'a2' * 6}_{'z7' * 26}"
    for text in (f"/x/{token}.ics", f"{token}{token}", token.upper(), token[:-30]):
        assert not re.search("z7", masked(text), re.IGNORECASE)
    assert masked(f"/x/{token}.ics") == f"/x/sp_{'a2' * 6}_….ics"
    assert masked("/v1/stores/sp_1") == "/v1/stores/sp_1"


def test_a_scope_that_is_named_twice_counts_once(database: Database) -> None:
    key, _ = make(database, "till", "ingest", "read", "ingest")
    assert key.scopes == ("read", "ingest")
    assert keys_of(database) == [key]


@only_sqlite  # nor does it
@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ((), set()),
        (("read",), {"read"}),
        (("ingest",), {"ingest"}),
        (("read", "ingest"), {"read", "ingest"}),
        (("adjust",), {"adjust"}),
        (("feed",), {"feed"}),
        (("admin",), {"read", "ingest", "adjust", "admin"}),
        (("read", "admin"), {"read", "ingest", "adjust", "admin"}),
    ],
)
def test_admin_includes_all_scopes_but_feed_and_they_nothing(scopes: tuple[str, ...], allowed: set[Scope]) -> None:
    assert {needed for needed in SCOPES if allows(scopes, needed)} == allowed


# --- the token is nowhere --------------------------------------------------------------------------------


@only_sqlite
def test_a_token_is_never_in_the_files_of_the_store(database: Database) -> None:
    key, token = make(database)
    shown_to(database, token)
    end(database, key.key_id)
    secret = token.rpartition("_")[2]
    files = {path.name: path.read_bytes() for path in path_of(database).parent.iterdir()}
    assert set(files) >= {"store.db", "store.db-wal"}
    assert any(key.key_id.encode() in content for content in files.values())  # this is where it would be
    for content in files.values():
        assert secret.encode() not in content
        assert f"sp_{key.key_id}".encode() not in content


def test_neither_token_nor_hash_is_in_what_can_be_shown(database: Database) -> None:
    key, token = make(database)
    with database.reading() as connection:
        (kept,) = connection.exec_driver_sql("SELECT hash FROM api_keys").scalars().all()
        shown = repr([list_keys(connection), find(connection, key.key_id).facts(), list_audit(connection, limit=9)])
    assert key.key_id in shown
    assert token.rpartition("_")[2] not in shown
    assert kept not in shown
    assert set(key.facts()) == {"key_id", "name", "scopes", "created_at", "revoked_at", "only"}


# --- revoking --------------------------------------------------------------------------------------------


def test_a_revoked_key_is_refused_and_the_others_are_not(database: Database) -> None:
    (key, token), (_, other) = make(database), make(database)
    ended = end(database, key.key_id)
    assert ended == Key(key.key_id, key.name, key.scopes, NOW, LATER)
    assert shown_to(database, token) is None
    assert shown_to(database, other) is not None


def test_revoking_twice_keeps_the_first_time(database: Database) -> None:
    key, token = make(database)
    first = end(database, key.key_id, LATER)
    assert end(database, key.key_id, LATER + 1) == first
    assert shown_to(database, token) is None
    assert actions(database) == [("key.revoke", key.key_id), ("key.create", key.key_id)]


def test_an_unknown_key_cannot_be_revoked(database: Database) -> None:
    _, token = make(database)
    for key_id in ("", "aaaaaaaaaaaa", "nobody", "' OR 1=1 --", "a\x00", "\udcff", "x" * 10_000):
        with pytest.raises(NotFoundError, match=r"there is no key .*; `uphours keys list`"):
            end(database, key_id)
        assert shown_to(database, token) is not None, ascii(key_id)[:20]
    assert len(actions(database)) == 1


def test_a_token_in_the_place_of_an_id_is_not_repeated_in_the_message(database: Database) -> None:
    key, token = make(database)
    with pytest.raises(InputError, match=f"the token of a key; valid is its id, {key.key_id}$") as error:
        end(database, token)
    assert token.rpartition("_")[2] not in str(error.value)


# --- refusing --------------------------------------------------------------------------------------------


def malformed(token: str) -> list[str]:
    """Return what is almost a token, and what is nothing like one."""
    key_id, secret = token.split("_")[1:]
    return [
        "", "sp", "sp_", "sp__", "___", f"sp_{key_id}", f"sp_{key_id}_", f"{key_id}_{secret}", secret,
        token[:-1], token + "a", token * 2, f" {token}", f"{token}\n", f"{token}\x00", f"\x00{token}", token.upper(),
        token.replace("_", "-"), f"sp_{key_id}_{secret[::-1]}", f"sp_{secret}_{key_id}", f"sp_{'a' * 12}_{secret}",
        f"Bearer {token}", "\x00" * 80, "ü" * 80, "sp_" + "é" * 12 + "_" + "é" * 52, token.replace("sp", "ѕр"),
        "\udcff" * 80, "' OR '1'='1", f"sp_' OR 1=1 --_{secret}", f"sp_%_{secret}", f"sp_{'_' * 12}_{secret}",
        "'; DROP TABLE api_keys; --", "a" * 10_000, f"{token}{'a' * 10_000}", f"sp_{key_id}_{'a' * 10_000}",
        f"sp_{'a' * 10_000}_{secret}", "_" * 10_000,
    ]  # fmt: skip


def test_text_that_is_no_token_is_refused(database: Database) -> None:
    key, token = make(database)
    for text in malformed(token):
        assert shown_to(database, text) is None, ascii(text[:100])
    assert shown_to(database, token) == key


def test_a_token_with_any_one_character_changed_is_refused(database: Database) -> None:
    _, token = make(database)
    with database.reading() as connection:
        for place, character in enumerate(token):
            other = "b" if character == "a" else "a"
            assert verified(connection, token[:place] + other + token[place + 1 :]) is None


def test_the_secret_of_one_key_does_not_open_another(database: Database) -> None:
    (first, one), (second, two) = make(database), make(database)
    assert shown_to(database, f"sp_{second.key_id}_{one.rpartition('_')[2]}") is None
    assert shown_to(database, f"sp_{first.key_id}_{two.rpartition('_')[2]}") is None


@pytest.fixture(scope="module")
def opened(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    database = connect(url_in(tmp_path_factory.mktemp("keys"), "store.db"))
    make(database)
    with database.reading() as connection:
        yield connection


@given(st.text() | st.from_regex("sp_[a-z2-7]{12}_[a-z2-7]{52}"))
def test_any_other_text_is_refused(opened: Connection, text: str) -> None:
    assert verified(opened, text) is None


def test_the_hash_is_not_a_token(database: Database) -> None:
    key, _ = make(database)
    with database.reading() as connection:
        kept = connection.exec_driver_sql("SELECT hash FROM api_keys").scalar_one()
    assert shown_to(database, kept) is None
    assert shown_to(database, f"sp_{key.key_id}_{kept[:52]}") is None


def test_hashes_are_compared_in_constant_time_whether_there_is_a_key_or_not(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    (key, token), (ended, revoked) = make(database), make(database)
    end(database, ended.key_id)
    compare, lengths = hmac.compare_digest, []

    def watched(one: str, other: str) -> bool:
        lengths.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    wrong = f"sp_{key.key_id}_{'a' * 52}"
    unknown = f"sp_{'a' * 12}_{token.rpartition('_')[2]}"
    assert [shown_to(database, text) for text in (token, wrong, unknown, revoked)] == [key, None, None, None]
    assert lengths == [(64, 64)] * 4


# --- all or nothing --------------------------------------------------------------------------------------


def test_a_transaction_that_fails_leaves_neither_key_nor_audit_line(database: Database) -> None:
    key, token = make(database)

    def make_and_end_and_fail() -> None:
        with database.writing() as connection:
            create(connection, name="lost", scopes=["admin"], now=NOW, actor=ACTOR)
            revoke(connection, key.key_id, now=LATER, actor=ACTOR)
            assert len(list_audit(connection, limit=9)) == 3
            raise InterruptedError

    with pytest.raises(InterruptedError):
        make_and_end_and_fail()
    assert keys_of(database) == [key]
    assert shown_to(database, token) == key
    assert actions(database) == [("key.create", key.key_id)]


def test_without_its_audit_line_nothing_is_made_or_revoked(database: Database) -> None:
    key, token = make(database)

    def without_audit(change: Callable[[Connection], object]) -> None:
        with database.writing() as connection:
            connection.exec_driver_sql("DROP TABLE audit")
            change(connection)

    with pytest.raises(DatabaseError, match="audit"):
        without_audit(lambda connection: create(connection, name="x", scopes=["read"], now=NOW, actor=ACTOR))
    with pytest.raises(DatabaseError, match="audit"):
        without_audit(lambda connection: revoke(connection, key.key_id, now=LATER, actor=ACTOR))
    assert keys_of(database) == [key]
    assert shown_to(database, token) == key


def test_the_trail_tells_who_made_and_revoked_a_key(database: Database) -> None:
    key, _ = make(database, "till", "read", "ingest")
    end(database, key.key_id)
    with database.reading() as connection:
        revoked, made = list_audit(connection, limit=9)
    assert (made.at, made.actor, made.action, made.subject) == (NOW, ACTOR, "key.create", key.key_id)
    assert made.details == {"name": "till", "scopes": ["read", "ingest"]}
    assert (revoked.at, revoked.actor, revoked.action, revoked.subject) == (LATER, ACTOR, "key.revoke", key.key_id)
    assert revoked.details == {"name": "till"}
