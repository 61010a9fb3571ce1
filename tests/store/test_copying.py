"""A copy is the same store in another database, whatever the engines, and can be broken off and gone on with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storepulse.errors import ConflictError, InputError, StoreError
from storepulse.reports import ReportOptions, run_report, written
from storepulse.schema import HOUR_US, instant_text
from storepulse.store import Store, connect, copying, keys, reports, sessions
from storepulse.store import jobs as queue
from storepulse.store.copying import CopiedTable, copy
from storepulse.store.jobs import KINDS
from storepulse.store.migrations import SCHEMA_VERSION
from storepulse.store.retention import prune
from storepulse.store.tables import metadata
from tests.fixtures import tables
from tests.fixtures.databases import ENGINES, dump, opened, url_in, use
from tests.fixtures.tables import NOW, VERSION

#: What belongs to each store alone.
OWN = {"locks", "properties", "sessions"}


@pytest.fixture
def source(tmp_path: Path) -> Store:
    """A store in which every table has rows."""
    made = connect(url_in(tmp_path, "source.db"))
    bad = "3,activ,2023-01-24 10:00:00 UTC\n"
    tables.load(made, tmp_path, polls=tables.POLLS + bad, hours=tables.HOURS, timezones=tables.TIMEZONES)
    many = (f"s{place % 450},active,{instant_text(NOW - place * HOUR_US // 10)}" for place in range(1500))
    tables.load(made, tmp_path, polls=tables.table("polls", *many))
    with made.writing() as connection:
        key, _token = keys.create(connection, name="till", scopes=["read"], now=NOW, actor="me")
        sessions.begin(connection, key, now=NOW, lasts=HOUR_US)
        asked = reports.request(
            connection, ReportOptions().facts(), made_with="1", requested_by="me", now=NOW, limit=9, idempotency_key="k"
        )
        held = queue.claim(connection, "w", KINDS, now=NOW)
        assert held is not None
        queue.finish(connection, held, now=NOW)
        reports.keep(connection, asked.job.job, b"\x00\xff" * 5_000_000)
    return made


def target_on(engine: str, folder: Path, name: str = "target.db") -> Store:
    """Return an empty database on an engine."""
    if engine == "sqlite":
        return connect(f"sqlite:///{folder / name}")
    use(engine)
    return connect(url_in(folder, name, fresh=True))


@pytest.fixture
def back_to(engine: str) -> Iterator[None]:
    """Go back to the engine of the test, however the test ends."""
    yield
    use(engine)


def content(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows but those that belong to each store alone."""
    return {name: rows for name, rows in dump(store).items() if name not in OWN}


def report(store: Store) -> bytes:
    with store.snapshot() as fleet:
        return written(run_report(fleet, all_stores=True, version=VERSION, loads_seen=fleet.latest_load()), "json")


@pytest.mark.usefixtures("back_to")
@pytest.mark.parametrize("to", ENGINES)
def test_a_copy_on_any_engine_is_the_same_store(source: Store, engine: str, to: str, tmp_path: Path) -> None:
    target = target_on(to, tmp_path)
    made = copy(source, target)
    assert {one.table for one in made} == metadata.tables.keys() - OWN
    assert {one.table: one.rows for one in made}["observations"] == 1503
    assert content(target) == content(source)
    assert report(target) == report(source)
    # It goes on by itself: numbers of new rows come after those that are there.
    tables.load(target, tmp_path, polls=tables.table("polls", "new,active,2023-01-26 00:00:00 UTC"))
    with target.writing() as connection:
        keys.create(connection, name="another", scopes=["read"], now=NOW, actor="me")
    with target.snapshot() as fleet:
        assert fleet.latest_load() == 3
    # And back again, with the same checksums as one that never was away.
    again = target_on(engine, tmp_path, "again.db")
    once = copy(target, again)
    assert content(again) == content(target)
    assert [one for one in once if one in made and one.rows] != []


class BrokenOffError(Exception):
    """The copy ends here."""


@pytest.mark.parametrize("steps", [1, 2, 4, 8, 12])
def test_a_copy_that_was_broken_off_goes_on_and_nothing_else_uses_it_before(
    source: Store, tmp_path: Path, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_STORES_AT_ONCE", 100)
    monkeypatch.setattr(copying, "_ROWS_AT_ONCE", 200)
    target = connect(url_in(tmp_path, "target.db", fresh=True))
    left = steps

    def stop(_table: str, _done: int, _total: int) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        copy(source, target, progress=stop)
    for use_it in (target.migrate, lambda: report(target), lambda: load_into(target, tmp_path), lambda: lists(target)):
        with pytest.raises(StoreError, match="is a copy that has not ended; `storepulse copy` again goes on with it"):
            use_it()
    # Meanwhile the source goes on: rows come, change and go.
    tables.load(source, tmp_path, polls=tables.table("polls", "s7,inactive,2023-01-26 00:00:00 UTC"))
    with source.writing() as connection:
        key = keys.list_keys(connection)[0]
        keys.revoke(connection, key.key_id, now=NOW + 1, actor="me")
        assert reports.expire(connection, before=NOW + 1, broken_off_before=0) == 1
    copy(source, target)
    assert content(target) == content(source)
    assert report(target) == report(source)


def load_into(store: Store, folder: Path) -> None:
    """Load as another process does."""
    tables.load(Store(store.engine), folder, polls=tables.POLLS)


def lists(store: Store) -> None:
    with store.reading():
        pass


def test_the_same_rows_have_the_same_checksums_whenever_they_are_copied(source: Store, tmp_path: Path) -> None:
    first = copy(source, connect(url_in(tmp_path, "first.db", fresh=True)))
    second = copy(source, connect(url_in(tmp_path, "second.db", fresh=True)))
    assert first == second
    assert all(len(one.sha256) == 64 for one in first)


def test_progress_tells_the_rows_of_each_table(source: Store, tmp_path: Path) -> None:
    told: dict[str, tuple[int, int]] = {}
    made = copy(
        source,
        connect(url_in(tmp_path, "target.db", fresh=True)),
        progress=lambda table, done, total: told.__setitem__(table, (done, total)),
    )
    assert told == {one.table: (one.rows, one.rows) for one in made if one.table in told}
    assert {one.table for one in made if one.rows} <= told.keys()


def test_a_target_with_anything_in_it_is_left_alone(source: Store, tmp_path: Path) -> None:
    target = connect(url_in(tmp_path, "target.db", fresh=True))
    tables.load(target, tmp_path, polls=tables.POLLS)
    before = dump(target)
    with pytest.raises(ConflictError, match="is not empty; valid is a new database"):
        copy(source, target)
    assert dump(target) == before


def test_the_copy_of_one_store_does_not_become_the_copy_of_another(source: Store, tmp_path: Path) -> None:
    target = connect(url_in(tmp_path, "target.db", fresh=True))

    def stop(*_: object) -> None:
        raise BrokenOffError

    with pytest.raises(BrokenOffError):
        copy(source, target, progress=stop)
    other = connect(url_in(tmp_path, "other.db"))
    tables.load(other, tmp_path, polls=tables.POLLS)
    with pytest.raises(ConflictError, match=r"is a copy of .+ that has not ended"):
        copy(other, target)


def test_a_store_is_not_copied_to_itself(source: Store) -> None:
    with pytest.raises(InputError, match="cannot be copied to itself"):
        copy(source, Store(source.engine))


def test_what_was_pruned_stays_pruned_in_a_copy(source: Store, tmp_path: Path) -> None:
    before = NOW - 24 * HOUR_US
    prune(source, before, now=NOW, actor="me")
    target = connect(url_in(tmp_path, "target.db", fresh=True))
    copy(source, target)
    for store in (source, target):
        with store.snapshot() as fleet, pytest.raises(InputError, match="were pruned"):
            fleet.observations(before - 1, NOW, NOW)


def test_a_difference_in_the_end_is_loud(source: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = connect(url_in(tmp_path, "target.db", fresh=True))
    checked = copying._check

    def change(wanted: CopiedTable, found: CopiedTable, of: Store) -> None:
        assert wanted == found
        checked(wanted, CopiedTable(found.table, found.rows, "0" * 64), of)

    monkeypatch.setattr(copying, "_check", change)
    with pytest.raises(StoreError, match=r"the table \w+ of .* and should have .*; copy again"):
        copy(source, target)
    with opened(target) as database:
        assert database.execute("SELECT name FROM properties") == [("copying_from",)]
        assert database.execute("SELECT version_num FROM alembic_version") == [(f"copy {SCHEMA_VERSION}",)]
