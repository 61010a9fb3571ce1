"""Who may do what, decided without HTTP around it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uphours.database import api_keys
from uphours.database.database import Database, connect
from uphours.errors import NotFoundError
from uphours.service import auth
from uphours.service.auth import Access, Buckets, Caller, Scope, needs, scope_of
from uphours.service.origins import Way
from uphours.service.problems import AccessError

pytestmark = pytest.mark.anywhere


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = connect(f"sqlite:///{tmp_path / 'uphours.db'}")
    made.migrate()
    return made


def token_of(database: Database, *scopes: str) -> str:
    with database.writing() as connection:
        return api_keys.create(connection, name="test", scopes=scopes, now=0, actor="test")[1]


def access_to(database: Database, *, needs_key: bool = True, burst: int = 100) -> Access:
    return Access(
        database, needs_key=needs_key, rate_per_second=1, rate_burst=burst, way=Way([]), session_us=1, now=lambda: 0
    )


def asked(database: Database, token: str | None, scope: Scope, *, needs_key: bool = True, burst: int = 100) -> Caller:
    made = access_to(database, needs_key=needs_key, burst=burst)
    return asyncio.run(made.caller(token, scope))


def status(database: Database, token: str | None, scope: Scope, *, needs_key: bool = True) -> int:
    with pytest.raises(AccessError) as caught:
        asked(database, token, scope, needs_key=needs_key)
    return caught.value.status


def test_an_endpoint_that_declares_nothing_has_no_scope() -> None:
    with pytest.raises(AttributeError):
        scope_of(lambda: None)


def test_an_endpoint_has_the_scope_that_it_declares() -> None:
    @needs("ingest", sees="all")
    def endpoint() -> None: ...

    assert scope_of(endpoint) == "ingest"


def test_an_open_route_asks_for_nothing(database: Database) -> None:
    assert asked(database, None, "open").key_id == ""
    assert asked(database, "no token at all", "open").key_id == ""


def test_without_a_key_nobody_comes_in_where_one_is_needed(database: Database) -> None:
    assert status(database, None, "read") == 401


def test_without_a_key_everything_may_be_done_where_none_is_needed(database: Database) -> None:
    caller = asked(database, None, "admin", needs_key=False)
    assert caller.actor == "no key"
    assert caller.may("admin")
    assert caller.may("ingest")


def test_a_wrong_key_is_refused_also_where_none_is_needed(database: Database) -> None:
    assert status(database, "sp_wrong", "read", needs_key=False) == 401


def test_a_key_with_a_smaller_scope_does_less_also_where_none_is_needed(database: Database) -> None:
    assert status(database, token_of(database, "read"), "admin", needs_key=False) == 403


def test_when_the_store_fails_nobody_is_taken_for_one_who_guesses(tmp_path: Path) -> None:
    database = connect(f"sqlite:///{tmp_path / 'later.db'}")
    made = access_to(database)
    for _ in range(30):
        with pytest.raises(NotFoundError):
            asyncio.run(made.sign_in("sp_wrong", "192.0.2.1", instead_of=None))
    database.migrate()
    token = token_of(database, "read")
    assert len(asyncio.run(made.sign_in(token, "192.0.2.1", instead_of=None))) == 52


@pytest.mark.parametrize(
    ("scopes", "scope", "enough"),
    [
        (["read"], "read", True), (["read"], "ingest", False), (["read"], "admin", False),
        (["ingest"], "read", False), (["ingest"], "ingest", True), (["ingest"], "admin", False),
        (["read", "ingest"], "read", True), (["read", "ingest"], "ingest", True), (["read", "ingest"], "admin", False),
        (["admin"], "read", True), (["admin"], "ingest", True), (["admin"], "admin", True),
    ],
)  # fmt: skip
def test_a_key_may_do_what_its_scopes_say_and_admin_everything(
    database: Database, scopes: list[str], scope: Scope, enough: bool
) -> None:
    token = token_of(database, *scopes)
    if enough:
        assert asked(database, token, scope).actor == f"key:{token.split('_')[1]}"
    else:
        assert status(database, token, scope) == 403


def test_a_caller_takes_as_many_as_may_come_at_once_and_then_waits() -> None:
    buckets = Buckets(per_second=2, burst=3)
    assert [buckets.take("a", 10.0) for _ in range(5)] == [0, 0, 0, 0.5, 0.5]


def test_whoever_waited_as_long_as_told_gets_one_more() -> None:
    buckets = Buckets(per_second=2, burst=1)
    assert buckets.take("a", 0.0) == 0
    wait = buckets.take("a", 0.0)
    assert buckets.take("a", wait) == 0
    assert buckets.take("a", wait) == 0.5


def test_whoever_pauses_for_long_has_no_more_than_the_burst() -> None:
    buckets = Buckets(per_second=1000, burst=2)
    buckets.take("a", 0.0)
    assert [buckets.take("a", 1e6) == 0 for _ in range(3)] == [True, True, False]


def test_one_caller_takes_nothing_from_another() -> None:
    buckets = Buckets(per_second=1, burst=1)
    assert buckets.take("a", 0.0) == 0
    assert buckets.take("a", 0.0) == 1
    assert buckets.take("b", 0.0) == 0


def test_what_is_given_back_can_be_taken_again_but_no_more_than_the_burst() -> None:
    buckets = Buckets(per_second=1, burst=2)
    assert [buckets.take("a", 0.0) for _ in range(2)] == [0, 0]
    buckets.give_back("a")
    assert [buckets.take("a", 0.0) for _ in range(2)] == [0, 1]
    for _ in range(5):
        buckets.give_back("a")
    assert [buckets.take("a", 0.0) for _ in range(3)] == [0, 0, 1]
    buckets.give_back("nobody")
    assert [buckets.take("nobody", 0.0) for _ in range(3)] == [0, 0, 1]


def test_those_that_came_last_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_MOST_BUCKETS", 2)
    buckets = Buckets(per_second=1, burst=1)
    for caller in "abac":
        buckets.take(caller, 0.0)
    assert buckets.take("a", 0.0) == 1, "it came after b"
    assert buckets.take("b", 0.0) == 0, "it was forgotten"


@given(
    per_second=st.floats(0.01, 1000),
    burst=st.integers(1, 50),
    pauses=st.lists(st.floats(0, 10), max_size=200),
)
def test_nobody_takes_more_than_the_burst_and_what_the_time_brings(
    per_second: float, burst: int, pauses: list[float]
) -> None:
    buckets = Buckets(per_second, burst)
    now, taken = 0.0, 0
    for pause in pauses:
        now += pause
        wait = buckets.take("a", now)
        taken += wait == 0
        assert wait >= 0
        assert taken <= burst + now * per_second + 1e-6


def test_a_feed_that_cannot_be_looked_up_is_no_failure_of_the_one_who_asks(tmp_path: Path) -> None:
    database = connect(f"sqlite:///{tmp_path / 'uphours.db'}")
    made = access_to(database)
    for _ in range(20):
        with pytest.raises(NotFoundError):
            asyncio.run(made.reader_of_feed("x", "192.0.2.1"))
    database.migrate()
    token = token_of(database, "feed")
    assert asyncio.run(made.reader_of_feed(token, "192.0.2.1")).scopes == ("feed",)


def test_a_key_for_a_feed_comes_only_as_often_as_any_other(database: Database) -> None:
    made = access_to(database, burst=1)
    token = token_of(database, "feed")
    assert asyncio.run(made.reader_of_feed(token, "192.0.2.1")).actor == f"key:{token.split('_')[1]}"
    with pytest.raises(AccessError) as caught:
        asyncio.run(made.reader_of_feed(token, "192.0.2.2"))
    assert caught.value.status == 429
