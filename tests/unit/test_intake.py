"""Small requests are committed together, and each is answered for its own rows, whatever becomes of the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, select
from structlog.testing import capture_logs

from tests.fixtures.tables import NOW
from uphours.database import queue, uploads
from uphours.database.audit import list_audit
from uphours.database.database import Database
from uphours.database.dialects.dialect import engine_of
from uphours.database.loads import list_loads
from uphours.database.tables import uploads as upload_table
from uphours.errors import DatabaseUnavailableError, QueueFullError
from uphours.schema import SECOND_US, instant_text
from uphours.service import intake
from uphours.service.intake import GroupCommit, Outcome, Sending

pytestmark = pytest.mark.anywhere

T = TypeVar("T")


class Gated(Database):
    """A store that lets a test hold back, or refuse, what would be written."""

    def __init__(self, path: Path) -> None:
        super().__init__(engine_of(f"sqlite:///{path}", keep_open=True))
        self.open = threading.Event()
        self.open.set()
        self.error: BaseException | None = None

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        assert self.open.wait(30)
        if self.error is not None:
            raise self.error
        with super().writing() as connection:
            yield connection


class Panic(BaseException):
    """What a compiled library raises that has lost its head: no `Exception`."""


class Hostile(dict[str, Any]):
    """A row that no parser makes: looking at it is a defect."""

    def get(self, *_: Any) -> Any:
        raise RuntimeError("hostile")

    __getitem__ = __iter__ = keys = items = values = __contains__ = get


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Gated]:
    made = Gated(tmp_path / "store.db")
    made.migrate()
    yield made
    made.close()


def row(store: str, number: int = 0, status: str = "active") -> dict[str, str]:
    return {"store_id": store, "status": status, "timestamp_utc": instant_text(NOW - number * SECOND_US)}


def with_commits(database: Database, act: Callable[[GroupCommit], Awaitable[T]]) -> tuple[T, list[int]]:
    """Run something with a group commit; return what it gives, and how many requests each commit had."""
    committed: list[int] = []

    async def run() -> T:
        commits = GroupCommit(database, now=lambda: NOW, committed=committed.append)
        commits.start()
        try:
            return await act(commits)
        finally:
            await asyncio.to_thread(commits.stop)

    return asyncio.run(run()), committed


def test_each_of_many_requests_gets_its_own_outcome(store: Gated) -> None:
    requests = [[row(f"s{number}", n) for n in range(number % 5 + 1)] for number in range(100)]
    requests[7].append(row("s7", status="activ"))
    requests[8] = [row("x", status="activ"), *requests[8]]

    async def act(commits: GroupCommit) -> list[Outcome]:
        return await asyncio.gather(*(commits.write(one, f"a{place % 2}") for place, one in enumerate(requests)))

    outcomes, committed = with_commits(store, act)
    assert [made.rows_read for made in outcomes] == [len(one) for one in requests]
    assert [made.accepted for made in outcomes] == [len(one) - (place in (7, 8)) for place, one in enumerate(requests)]
    assert [[line for line, _ in made.quarantine] for made in outcomes[7:9]] == [[len(requests[7])], [1]]
    assert sum(committed) == 100
    assert len(committed) < 100
    with store.reading() as connection:
        loads = list_loads(connection)
        entries = list_audit(connection, limit=1_000)
    assert {made.load for made in outcomes} == {load.load for load in loads}
    assert sum(load.rows_read for load in loads) == sum(len(one) for one in requests)
    assert sum(int(str(entry.details["rows"])) for entry in entries) == sum(len(one) for one in requests)
    assert {entry.actor for entry in entries} == {"a0", "a1"}


def test_requests_that_come_while_one_is_written_are_committed_together(store: Gated) -> None:
    async def act(commits: GroupCommit) -> list[Outcome]:
        store.open.clear()
        first = asyncio.create_task(commits.write([row("a")], "me"))
        await asyncio.sleep(0.2)
        others = [asyncio.create_task(commits.write([row("a", 1), row(f"b{n}")], "me")) for n in range(10)]
        await asyncio.sleep(0.2)
        store.open.set()
        return await asyncio.gather(first, *others)

    outcomes, committed = with_commits(store, act)
    assert committed == [1, 10]
    assert [made.load for made in outcomes] == [1, *[2] * 10]
    assert [made.repeated for made in outcomes] == [0, 0, *[1] * 9]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DatabaseUnavailableError("the disk is full"), DatabaseUnavailableError),
        (Panic("index out of range"), RuntimeError),
    ],
    ids=["a full disk", "a panic"],
)
def test_what_fails_all_that_wait_does_not_fail_the_next_request(
    store: Gated, error: BaseException, told: type[Exception]
) -> None:
    async def act(commits: GroupCommit) -> list[Outcome | BaseException]:
        store.error = error
        failed = await asyncio.gather(*(commits.write([row("a")], "me") for _ in range(5)), return_exceptions=True)
        store.error = None
        return [*failed, await commits.write([row("a")], "me")]

    with capture_logs():
        outcomes, committed = with_commits(store, act)
    assert all(isinstance(one, told) and str(error) in str(one) for one in outcomes[:5])
    assert isinstance(outcomes[5], Outcome)
    assert (outcomes[5].load, outcomes[5].repeated, committed) == (1, 0, [1])


def test_a_defect_that_one_request_causes_does_not_fail_the_others(store: Gated) -> None:
    async def act(commits: GroupCommit) -> list[Outcome | BaseException]:
        store.open.clear()
        first = asyncio.create_task(commits.write([row("first")], "me"))
        await asyncio.sleep(0.2)
        others = [
            asyncio.create_task(commits.write([Hostile(row("x"))] if n == 2 else [row(f"b{n}")], "me"))
            for n in range(5)
        ]
        await asyncio.sleep(0.2)
        store.open.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    with capture_logs() as logged:
        outcomes, _ = with_commits(store, act)
    assert [line["log_level"] for line in logged if line["log_level"] != "info"] == ["error"]
    assert [isinstance(one, Outcome) for one in outcomes] == [True, True, True, False, True, True]
    assert isinstance(outcomes[3], RuntimeError)
    with store.reading() as connection:
        assert sum(load.accepted for load in list_loads(connection)) == 5


def test_a_request_that_was_cancelled_troubles_no_other(store: Gated) -> None:
    async def act(commits: GroupCommit) -> list[Outcome]:
        store.open.clear()
        tasks = [asyncio.create_task(commits.write([row(f"b{n}")], "me")) for n in range(6)]
        await asyncio.sleep(0.2)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.sleep(0)
        store.open.set()
        made = await asyncio.gather(*tasks[1::2])
        assert all(
            isinstance(one, asyncio.CancelledError) for one in await asyncio.gather(*tasks[::2], return_exceptions=True)
        )
        return [*made, await commits.write([row("after")], "me")]

    outcomes, _ = with_commits(store, act)
    assert [made.accepted for made in outcomes] == [1] * 4


def test_stopping_writes_what_has_come_in(store: Gated) -> None:
    async def act() -> list[Outcome]:
        commits = GroupCommit(store, now=lambda: NOW, committed=lambda _: None)
        commits.start()
        store.open.clear()
        tasks = [asyncio.create_task(commits.write([row(f"b{n}")], "me")) for n in range(20)]
        await asyncio.sleep(0.2)
        stopping = asyncio.create_task(asyncio.to_thread(commits.stop))
        await asyncio.sleep(0.1)
        assert not stopping.done()
        store.open.set()
        await stopping
        return await asyncio.wait_for(asyncio.gather(*tasks), 30)

    assert [made.accepted for made in asyncio.run(act())] == [1] * 20


def test_too_many_rows_at_once_are_refused_but_one_large_request_is_not(
    store: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_ROWS_WAITING", 10)

    async def act(commits: GroupCommit) -> Outcome:
        store.open.clear()
        first = asyncio.create_task(commits.write([row("a", n) for n in range(20)], "me"))
        await asyncio.sleep(0.2)
        with pytest.raises(QueueFullError):
            await commits.write([row("b")], "me")
        store.open.set()
        await first
        return await commits.write([row("b")], "me")

    outcome, committed = with_commits(store, act)
    assert (outcome.accepted, committed) == (1, [1, 1])


# --- files that are sent ---------------------------------------------------------------------------------


async def blocks(*contents: bytes | Exception) -> AsyncIterator[bytes]:
    for content in contents:
        if isinstance(content, Exception):
            raise content
        yield content


def receive(database: Database, *sending: Sending) -> str:
    async def run() -> str:
        try:
            return await intake.receive(database, sending, actor="me", limit=3, now=lambda: NOW)
        finally:
            await asyncio.get_running_loop().shutdown_default_executor()

    return asyncio.run(run())


def test_a_file_is_kept_in_parts_and_queued_when_all_of_it_is_there(store: Gated) -> None:
    content = bytes(range(256)) * (uploads.PART // 128)
    pieces = [content[start : start + 700_001] for start in range(0, len(content), 700_001)]
    job = receive(store, Sending("polls", "a", blocks(*pieces)), Sending(None, "b", blocks(b"x", b"", b"y")))
    with store.reading() as connection:
        found = queue.find(connection, job)
        parts = connection.execute(select(upload_table.c.file, upload_table.c.part)).all()
    assert found is not None
    assert found.state == "queued"
    assert found.request["files"] == [
        {"file": 0, "kind": "polls", "name": "a"},
        {"file": 1, "kind": None, "name": "b"},
    ]
    assert sorted(map(tuple, parts)) == [(0, 0), (0, 1), (1, 0)]
    for place, expected in enumerate((content, b"xy")):
        with uploads.opener(store, job, place)() as opened:
            assert opened.read() == expected


def test_an_upload_that_breaks_off_leaves_nothing_behind_and_no_place_in_the_queue_taken(store: Gated) -> None:
    for _ in range(5):
        with pytest.raises(ConnectionError):
            receive(store, Sending("polls", "a", blocks(b"x" * uploads.PART, ConnectionError())))
    with store.reading() as connection:
        assert connection.execute(select(upload_table)).first() is None
        assert queue.counts(connection) == {("load", "cancelled"): 5}


def test_files_are_refused_before_they_are_read_when_the_queue_is_full(store: Gated) -> None:
    for _ in range(3):
        receive(store, Sending("polls", "a", blocks(b"x")))
    with pytest.raises(QueueFullError):
        receive(store, Sending("polls", "a", blocks(AssertionError("it was read"))))
