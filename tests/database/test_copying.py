"""A copy is the same store in another database of any kind; an interrupted one cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures import tables
from tests.fixtures.databases import ENGINES, dump, empty, given_back, opened, url_in, use
from tests.fixtures.loads_by_hand import EVERY, by_hand
from tests.fixtures.tables import NOW
from uphours.database import api_keys, logins, queue, reports, saved_reports
from uphours.database import copy as copying
from uphours.database.copy import CopiedTable, copy
from uphours.database.database import Database, connect
from uphours.database.migrate import SCHEMA_VERSION
from uphours.database.prune import prune
from uphours.database.queue import KINDS
from uphours.database.saved_reports import SavedReport
from uphours.database.tables import metadata
from uphours.errors import ConflictError, DatabaseError, InputError
from uphours.reports.measure import run_report
from uphours.reports.request import ReportRequest
from uphours.reports.writers import written
from uphours.schema import CLOSED, HOUR_US, instant_text

pytestmark = pytest.mark.slow

#: What belongs to each store alone.
OWN = {"locks", "properties", "sessions"}


def filled(folder: Path) -> Database:
    """Return a store in which every table has rows."""
    made = connect(url_in(folder, "source.db"))
    bad = "3,activ,2023-01-24 10:00:00 UTC\n"
    tables.load(made, folder, polls=tables.POLLS + bad, hours=tables.HOURS, timezones=tables.TIMEZONES)
    statuses = ("active", "unknown", "inactive", "active")
    many = (
        f"s{place % 450},{statuses[place % 4]},{instant_text(NOW - place * HOUR_US // 10)}" for place in range(1500)
    )
    tables.load(made, folder, polls=tables.table("polls", *many))
    with made.writing() as connection:
        key, _token = api_keys.create(connection, name="till", scopes=["read"], now=NOW, actor="me")
        logins.begin(connection, key, now=NOW, lasts=HOUR_US)
        weekly = SavedReport("Wöchentlich", "", ReportRequest().to_dict(), key.key_id, NOW)
        saved_reports.save(connection, weekly, actor="me")
    keep_report(made, b"\x00\xff" * 1_000)
    return made


def keep_report(database: Database, content: bytes) -> None:
    with database.writing() as connection:
        asked = reports.request(
            connection, ReportRequest().to_dict(), made_with="1", requested_by="me", now=NOW, limit=9,
            idempotency_key=str(len(content)),
        )  # fmt: skip
        held = queue.claim(connection, "w", KINDS, now=NOW)
        assert held is not None
        queue.finish(connection, held, now=NOW)
        reports.keep(connection, asked.job.job, content)


@pytest.fixture(scope="module")
def source(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A store in which every table has rows, which no test changes."""
    folder = tmp_path_factory.mktemp("source")
    with given_back(folder):
        yield filled(folder)


def target_on(engine: str, folder: Path, name: str = "target.db") -> Database:
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


def content(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows but those that belong to each store alone."""
    return {name: rows for name, rows in dump(database).items() if name not in OWN}


def report(database: Database) -> bytes:
    with database.snapshot() as fleet:
        return written(run_report(fleet, all_stores=True, loads_seen=fleet.latest_load()), "json")


@pytest.mark.usefixtures("back_to")
@pytest.mark.parametrize("to", ENGINES)
def test_a_copy_on_any_engine_is_the_same_store(source: Database, engine: str, to: str, tmp_path: Path) -> None:
    target = target_on(to, tmp_path)
    made = copy(source, target)
    assert {one.table for one in made} == metadata.tables.keys() - OWN
    assert {one.table: one.rows for one in made}["observations"] == 1503
    assert content(target) == content(source)
    assert report(target) == report(source)
    # It goes on by itself: numbers of new rows come after those that are there.
    tables.load(target, tmp_path, polls=tables.table("polls", "new,active,2023-01-26 00:00:00 UTC"))
    with target.writing() as connection:
        api_keys.create(connection, name="another", scopes=["read"], now=NOW, actor="me")
    with target.snapshot() as fleet:
        assert fleet.latest_load() == 3
    # And back again, with the same checksums as one that never was away.
    again = target_on(engine, tmp_path, "again.db")
    once = copy(target, again)
    assert content(again) == content(target)
    assert [one for one in once if one in made and one.rows] != []


#: After how many of its steps a copy is interrupted: on a server in its first table and in the largest one.
STEPS = {"sqlite": (1, 2, 4, 8, 12), "postgresql": (1, 8), "mysql": (1, 8)}


class BrokenOffError(Exception):
    """The copy ends here."""


def test_an_interrupted_copy_refuses_to_be_used_and_an_emptied_database_takes_another(
    source: Database, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_STORES_AT_ONCE", 100)
    monkeypatch.setattr(copying, "_ROWS_AT_ONCE", 200)
    target = connect(url_in(tmp_path, "target.db", fresh=True))
    uses = (
        target.migrate,
        lambda: report(target),
        lambda: load_into(target, tmp_path),
        lambda: lists(target),
        lambda: copy(source, target),
    )
    for steps in STEPS[engine]:
        left = steps

        def stop(_table: str, _done: int, _total: int) -> None:
            nonlocal left
            left -= 1
            if not left:
                raise BrokenOffError

        with pytest.raises(BrokenOffError):
            copy(source, target, progress=stop)
        for use_it in uses:
            with pytest.raises(
                DatabaseError, match=r"a copy that was interrupted .* drop the database .* into a new one"
            ):
                use_it()
        empty(target)
    copy(source, target)
    assert content(target) == content(source)
    assert report(target) == report(source)


def load_into(database: Database, folder: Path) -> None:
    """Load as another process does."""
    tables.load(Database(database.engine), folder, polls=tables.POLLS)


def lists(database: Database) -> None:
    with database.reading():
        pass


def test_the_same_rows_have_the_same_checksums_whenever_they_are_copied(tmp_path: Path) -> None:
    source = filled(tmp_path)
    keep_report(source, b"\x00\xff" * 5_000_000)  # in parts
    first = copy(source, connect(url_in(tmp_path, "first.db", fresh=True)))
    second = copy(source, connect(url_in(tmp_path, "second.db", fresh=True)))
    assert first == second
    assert all(len(one.sha256) == 64 for one in first)


def test_progress_tells_the_rows_of_each_table(source: Database, tmp_path: Path) -> None:
    told: dict[str, tuple[int, int]] = {}
    made = copy(
        source,
        connect(url_in(tmp_path, "target.db", fresh=True)),
        progress=lambda table, done, total: told.__setitem__(table, (done, total)),
    )
    assert told == {one.table: (one.rows, one.rows) for one in made if one.table in told}
    assert {one.table for one in made if one.rows} <= told.keys()


def test_a_target_with_anything_in_it_is_left_alone(source: Database, tmp_path: Path) -> None:
    target = connect(url_in(tmp_path, "target.db", fresh=True))
    tables.load(target, tmp_path, polls=tables.POLLS)
    before = dump(target)
    with pytest.raises(ConflictError, match="is not empty; valid is a new database"):
        copy(source, target)
    assert dump(target) == before


def test_a_store_is_not_copied_to_itself(source: Database) -> None:
    with pytest.raises(InputError, match="cannot be copied to itself"):
        copy(source, Database(source.engine))


def test_what_was_pruned_stays_pruned_in_a_copy(tmp_path: Path) -> None:
    source = filled(tmp_path)
    before = NOW - 24 * HOUR_US
    prune(source, before, now=NOW, actor="me")
    target = connect(url_in(tmp_path, "target.db", fresh=True))
    copy(source, target)
    for store in (source, target):
        with store.snapshot() as fleet, pytest.raises(InputError, match="were pruned"):
            fleet.observations(before - 1, NOW, NOW)


def test_a_difference_in_the_end_is_loud(source: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = connect(url_in(tmp_path, "target.db", fresh=True))
    checked = copying._check

    def change(wanted: CopiedTable, found: CopiedTable, of: Database) -> None:
        assert wanted == found
        checked(wanted, CopiedTable(found.table, found.rows, "0" * 64), of)

    monkeypatch.setattr(copying, "_check", change)
    with pytest.raises(DatabaseError, match=r"the table \w+ of .* and should have .*; empty the database"):
        copy(source, target)
    with opened(target) as database:
        assert database.execute("SELECT version_num FROM alembic_version") == [(f"copy {SCHEMA_VERSION}",)]


def test_the_calendar_and_the_ledger_are_copied_too(tmp_path: Path) -> None:
    source, target = connect(url_in(tmp_path, "source.db")), connect(url_in(tmp_path, "target.db", fresh=True))
    rows = [{"entry": "a", "note": "Käse"}, {"counts_as": "withdrawal", "withdraws": "a"}, {"counts_as": "up"}]
    loaded = by_hand(
        polls=[("1", "2023-01-25 10:00", 1), ("2", "2023-01-25 10:00", 0)],
        hours=[("1", "2023-01-20", 2, 9 * HOUR_US, 17 * HOUR_US)],
        zones={("1", ""): "UTC", ("1", "2023-02-01"): "Asia/Tokyo"},
        special=[(EVERY, "2023-01-25", *CLOSED), ("1", "2023-01-25", 8 * HOUR_US, 20 * HOUR_US)],
        attributes={("2", "region", ""): "TX"},
        adjustments=rows,
    )
    source.write(loaded)
    copied = {table.table: table.rows for table in copy(source, target)}
    assert {name: copied[name] for name in ("special_hours", "attributes", "adjustments", "adjusted")} == {
        "special_hours": 2, "attributes": 1, "adjustments": 3, "adjusted": 2,
    }  # fmt: skip
    assert {**dump(target), "properties": []} == {**dump(source), "properties": []}
    with source.snapshot() as one, target.snapshot() as other:
        assert other.content() == one.content()
        assert other.adjustments.starts.tolist() == one.adjustments.starts.tolist()
        assert other.adjustments.entries.tolist() == [3]
    assert target.write(loaded).repeated == len(loaded.times) + len(rows)
