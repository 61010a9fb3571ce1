"""The commands for keys and the audit trail."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.fixtures.tables import NOW
from uphours.database.api_keys import Key, verified
from uphours.database.database import connect
from uphours.schema import instant_iso

DB = "sqlite:///uphours.db"


def create(run: Run, name: str = "till", *scopes: str) -> str:
    """Make a key and return its token."""
    words = [word for scope in scopes or ("read",) for word in ("--scope", scope)]
    ran = run("keys", "create", name, *words)
    assert ran.code == 0, ran.err
    return ran.out.decode().removesuffix("\n")


def shown_to_the_store(token: str) -> Key | None:
    with connect(DB).reading() as connection:
        return verified(connection, token)


def id_of(token: str) -> str:
    return token.split("_")[1]


def listed(run: Run, *words: str) -> list[dict[str, Any]]:
    ran = run(*words, "--json")
    assert ran.code == 0, ran.err
    rows: list[dict[str, Any]] = json.loads(ran.out)
    return rows


def test_create_makes_the_store_and_prints_the_token_alone(run: Run, tmp_path: Path) -> None:
    ran = run("keys", "create", "Till 7", "--scope", "ingest", "--scope", "read")
    assert ran.code == 0
    assert (tmp_path / "uphours.db").exists()
    token = ran.out.decode().removesuffix("\n")
    assert shown_to_the_store(token) == Key(id_of(token), "Till 7", ("read", "ingest"), NOW, None)
    for words in (f"key {id_of(token)} (Till 7), scopes: read, ingest", "shown once", "Authorization: Bearer TOKEN"):
        assert words in ran.err
    assert token.rpartition("_")[2] not in ran.err


def test_a_key_goes_into_the_store_that_is_named(run: Run, tmp_path: Path) -> None:
    assert run("keys", "create", "x", "--scope", "admin", "--db", "sqlite:///other.db").code == 0
    assert [path.name for path in tmp_path.glob("*.db")] == ["other.db"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x"], "a key needs a scope; valid are read, ingest, adjust, feed, admin"),
        (["x", "--scope", "write"], "there is no scope 'write'; valid are read, ingest, adjust, feed, admin"),
        (["x", "--scope", "feed", "--scope", "read"], "the scope feed cannot be joined with others"),
        (["", "--scope", "read"], "a key cannot be called ''; valid are 1 to 100 printable characters"),
        (["\udcff", "--scope", "read"], r"a key cannot be called '\udcff'; valid are"),
    ],
)
def test_a_mistake_makes_neither_a_key_nor_a_store(run: Run, tmp_path: Path, words: list[str], message: str) -> None:
    ran = run("keys", "create", *words)
    assert (ran.code, ran.out) == (2, b"")
    assert ran.err.startswith(f"uphours: {message}")
    assert list(tmp_path.iterdir()) == []


def test_list_shows_every_key_and_no_token(run: Run) -> None:
    tokens = [create(run, "Zürich"), create(run, "night job", "ingest", "admin")]
    run("keys", "revoke", id_of(tokens[0]))
    ran = run("keys", "list")
    assert ran.out.splitlines()[0].split() == [b"key_id", b"name", b"scopes", b"only", b"created", b"revoked"]
    out = ran.out.decode()
    for words in (*map(id_of, tokens), "Zürich", "night job", "ingest, admin", "2023-02-01 00:00:00 UTC"):
        assert words in out
    assert not any(token.rpartition("_")[2] in out for token in tokens)


def test_list_as_json(run: Run) -> None:
    token = create(run, "till", "read", "ingest")
    assert listed(run, "keys", "list") == [
        {
            "key_id": id_of(token),
            "name": "till",
            "scopes": ["read", "ingest"],
            "created_at": instant_iso(NOW),
            "revoked_at": None,
            "only": {},
        }
    ]


def test_revoke_ends_a_key_and_may_be_repeated(run: Run) -> None:
    token = create(run)
    for _ in range(2):
        ran = run("keys", "revoke", id_of(token))
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.decode() == f"key {id_of(token)} (till) is revoked since 2023-02-01 00:00:00 UTC\n"
    assert shown_to_the_store(token) is None
    assert [row["action"] for row in listed(run, "audit")] == ["key.revoke", "key.create"]


def test_revoking_what_is_not_there_says_where_to_look(run: Run) -> None:
    token = create(run)
    for word in ("nobody", "\udcff"):
        ran = run("keys", "revoke", word)
        assert (ran.code, ran.out) == (2, b"")
        assert "there is no key" in ran.err
        assert "`uphours keys list`" in ran.err
    ran = run("keys", "revoke", token)
    assert ran.code == 2
    assert ran.err == f"uphours: this is the token of a key; valid is its id, {id_of(token)}\n"


@pytest.mark.parametrize("words", [["keys", "list"], ["keys", "revoke", "aaaaaaaaaaaa"], ["audit"]])
def test_a_store_that_is_not_there_is_not_made(run: Run, tmp_path: Path, words: list[str]) -> None:
    ran = run(*words)
    assert ran.code == 2
    assert "there is no uphours database 'uphours.db'" in ran.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("loaded")
def test_without_keys_the_lists_say_so(run: Run) -> None:
    assert run("keys", "list").out == b"no keys yet\n"
    assert listed(run, "keys", "list") == []
    assert [entry["action"] for entry in listed(run, "audit")] == ["load"]


def test_an_empty_trail_says_so(run: Run, tmp_path: Path) -> None:
    assert run("migrate", "--db", f"sqlite:///{tmp_path / 'new.db'}").code == 0
    assert run("audit", "--db", f"sqlite:///{tmp_path / 'new.db'}").out == b"nothing is on record yet\n"


def test_audit_says_who_did_what(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    token = create(run, "Zürich")
    ran = run("audit")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[0].split() == [b"entry", b"at", b"actor", b"action", b"subject", b"details"]
    line = ran.out.decode().splitlines()[1]
    for words in ("2023-02-01 00:00:00 UTC", "cli:ada", "key.create", id_of(token), '{"name": "Zürich"'):
        assert words in line
    (row,) = listed(run, "audit")
    assert row == {
        "entry": 1, "at": instant_iso(NOW), "actor": "cli:ada", "action": "key.create", "subject": id_of(token),
        "details": {"name": "Zürich", "scopes": ["read"]},
    }  # fmt: skip


@pytest.mark.parametrize("error", [KeyError, OSError])
def test_a_user_without_a_name_can_make_a_key(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def nameless() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", nameless)
    create(run)
    assert [row["actor"] for row in listed(run, "audit")] == ["cli:unknown"]


def test_audit_says_when_there_are_older_entries(run: Run) -> None:
    for _ in range(3):
        create(run)
    ran = run("audit", "--limit", "2")
    assert len(ran.out.splitlines()) == 1 + 2
    assert ran.err == "there are older entries; a greater --limit shows them too\n"
    ran = run("audit", "--limit", "3", "--json")
    assert [row["entry"] for row in json.loads(ran.out)] == [3, 2, 1]
    assert ran.err == ""


def test_a_limit_that_makes_no_sense_is_refused(run: Run) -> None:
    create(run)
    for limit in ("0", "-1", "9" * 30):
        ran = run("audit", "--limit", limit)
        assert (ran.code, ran.out) == (2, b"")
        assert f"limit is {limit}; valid are 1 to 2147483647" in ran.err
