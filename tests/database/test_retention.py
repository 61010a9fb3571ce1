"""Pruning takes old observations away, and no window that begins later notices."""

from __future__ import annotations

import threading
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fixtures import tables
from tests.fixtures.databases import opened, url_in
from tests.fixtures.tables import NOW
from uphours import demo
from uphours.database import prune as retention
from uphours.database.audit import list_audit
from uphours.database.database import Database, connect
from uphours.database.dialects.time_partitions import PERIOD_US
from uphours.database.prune import instant_before, prune
from uphours.errors import DatabaseUnavailableError, InputError, NotFoundError
from uphours.kernel.windows import Window
from uphours.reports.measure import run_report
from uphours.reports.writers import written
from uphours.schema import DAY_US, HOUR_US, instant_text, instant_us

AS_OF = demo.AS_OF


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return connect(url_in(tmp_path, "store.db"))


def report(database: Database, start: int, *, as_of: int) -> bytes:
    """Return a report of a window from an instant on, in exact form."""
    window = Window("rest", instant_text(start), instant_text(as_of + HOUR_US))
    with database.snapshot() as fleet:
        made = run_report(fleet, as_of=as_of, chosen=[window], all_stores=True)
    return written(made, "json")


def take_away(database: Database, before: int) -> int:
    return prune(database, before, now=NOW, actor="cli:me").observations


def rows(database: Database) -> list[tuple[str, int]]:
    with opened(database) as sql:
        query = (
            "SELECT store_id, observed_at FROM observations JOIN stores USING (store) ORDER BY store_id, observed_at"
        )
        return [(store_id, at) for store_id, at in sql.execute(query)]


def long_history(folder: Path, database: Database) -> list[tuple[str, int]]:
    """Load observations of five partitions: of one store all the time, of another one at the beginning alone."""
    times = [NOW - place * PERIOD_US // 3 for place in range(15)]
    known = [("always", time) for time in times] + [("gone", times[-1])]
    lines = (
        f"{store_id},{('in', '')[place % 2]}active,{instant_text(time)}" for place, (store_id, time) in enumerate(known)
    )
    tables.load(database, folder, polls=tables.table("polls", *lines))
    return sorted(known)


def test_every_window_from_the_instant_on_keeps_its_numbers(database: Database, tmp_path: Path) -> None:
    demo.write_files(tmp_path, pl.Series([str(1001 + place) for place in range(30)]), days=20)
    kinds = ("polls", "hours", "timezones")
    tables.load(database, tmp_path, **{kind: (tmp_path / f"{kind}.csv").read_text() for kind in kinds})
    for days in (15, 9, 8, 2):
        before = AS_OF - days * DAY_US
        later = [before, before + HOUR_US, AS_OF - HOUR_US]
        expected = [report(database, start, as_of=AS_OF) for start in later]
        assert take_away(database, before) > 0
        assert [report(database, start, as_of=AS_OF) for start in later] == expected
        assert take_away(database, before) == 0
        assert [report(database, start, as_of=AS_OF) for start in later] == expected


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    polls=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 12), st.booleans()), min_size=1, max_size=30),
    before=st.integers(0, 13),
    places=st.lists(st.integers(0, 13), max_size=4),
)
def test_whatever_is_pruned_no_later_window_changes(
    tmp_path_factory: pytest.TempPathFactory, polls: list[tuple[str, int, bool]], before: int, places: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("pruned")
    database = connect(url_in(folder, "store.db"))
    step = PERIOD_US // 3
    first = NOW - 14 * step
    lines = (f"{name},{'' if up else 'in'}active,{instant_text(first + place * step)}" for name, place, up in polls)
    tables.load(database, folder, polls=tables.table("polls", *lines))
    at = min(first + before * step, max(first + place * step for _, place, _ in polls))
    starts = [max(at, first + place * step) for place in places]
    expected = [report(database, start, as_of=NOW) for start in starts]
    was = rows(database)
    gone = take_away(database, at)
    assert [report(database, start, as_of=NOW) for start in starts] == expected
    kept = {(name, max(time for other, time in was if other == name and time < at)) for name, time in was if time < at}
    assert rows(database) == sorted({(name, time) for name, time in was if time >= at} | kept)
    assert gone == len(was) - len(rows(database))


def test_a_store_that_was_seen_long_ago_keeps_the_observation_that_speaks_for_it(
    database: Database, tmp_path: Path
) -> None:
    known = long_history(tmp_path, database)
    times = [time for store_id, time in known if store_id == "always"]
    before = times[-1]
    assert take_away(database, before) == len(times) - 2
    assert rows(database) == [("always", times[-2]), ("always", times[-1]), ("gone", times[0])]
    assert take_away(database, before) == 0


def test_windows_that_begin_earlier_are_refused_from_then_on(database: Database, tmp_path: Path) -> None:
    tables.load(database, tmp_path, polls=tables.POLLS)
    before = instant_us("2023-01-25 12:00:00 UTC")
    take_away(database, before)
    with pytest.raises(
        InputError, match=r"before 2023-01-25 12:00:00 UTC were pruned.*valid are windows that begin later"
    ):
        report(database, before - 1, as_of=NOW)
    report(database, before, as_of=NOW)
    take_away(database, before - HOUR_US)  # an earlier instant brings nothing back
    with pytest.raises(InputError, match="12:00:00"):
        report(database, before - HOUR_US, as_of=NOW)


def test_more_than_there_is_cannot_be_pruned(database: Database, tmp_path: Path) -> None:
    tables.load(database, tmp_path, timezones=tables.TIMEZONES)
    with pytest.raises(InputError, match="there are none"):
        take_away(database, NOW)
    tables.load(database, tmp_path, polls=tables.POLLS)
    with pytest.raises(InputError, match=r"the latest one is of 2023-01-25 15:04:05\.123456 UTC"):
        take_away(database, NOW)
    assert len(rows(database)) == 3


def test_observations_that_come_after_pruning_are_kept_whenever_they_were_made(
    database: Database, tmp_path: Path
) -> None:
    long_history(tmp_path, database)
    take_away(database, NOW)
    again = long_history(tmp_path, database)
    assert rows(database) == again


def test_the_audit_trail_says_who_pruned_what(database: Database, tmp_path: Path) -> None:
    tables.load(database, tmp_path, polls=tables.POLLS)
    take_away(database, instant_us("2023-01-25 13:00:00 UTC"))
    with database.reading() as connection:
        (entry,) = list_audit(connection, limit=10)
    assert (entry.actor, entry.action, entry.subject) == ("cli:me", "prune", "observations")
    assert entry.details == {"before": "2023-01-25 13:00:00 UTC", "observations": 1}


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_pruning_that_was_broken_off_is_finished_by_the_next(
    database: Database, tmp_path: Path, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [(f"s{place:03}", NOW - age * DAY_US) for place in range(7) for age in (9, 5, 1)]
    lines = (f"{store_id},active,{instant_text(time)}" for store_id, time in known)
    tables.load(database, tmp_path, polls=tables.table("polls", *lines))
    monkeypatch.setattr(retention, "_STORES_AT_ONCE", 2)
    expected = report(database, NOW - 2 * DAY_US, as_of=NOW)
    left = steps

    def stop(_done: int, _total: int) -> None:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1

    with pytest.raises(Killed):
        prune(database, NOW - 2 * DAY_US, now=NOW, actor="me", progress=stop)
    assert report(database, NOW - 2 * DAY_US, as_of=NOW) == expected
    take_away(database, NOW - 2 * DAY_US)
    assert report(database, NOW - 2 * DAY_US, as_of=NOW) == expected
    assert len(rows(database)) == 14


@pytest.mark.engines("postgresql", "mysql")
def test_a_report_that_is_being_made_keeps_its_partition(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = long_history(tmp_path, database)
    monkeypatch.setattr("uphours.database.dialects.server_dialect._DROP_TIMEOUT_S", 1)
    monkeypatch.setattr("uphours.database.dialects.server_dialect._DROP_PAUSE_S", 0.1)
    monkeypatch.setattr("uphours.database.dialects.server_dialect._DROP_ATTEMPTS", 2)
    with database.snapshot() as fleet:
        with pytest.raises(DatabaseUnavailableError):
            take_away(database, NOW)
        assert len(fleet.observations(NOW, NOW, NOW).times) == 2
    assert rows(database) == known
    monkeypatch.setattr("uphours.database.dialects.server_dialect._DROP_ATTEMPTS", 60)
    pruning = threading.Thread(target=take_away, args=[database, NOW])
    with database.snapshot() as fleet:
        pruning.start()
        pruning.join(2)
        assert pruning.is_alive()
        assert len(fleet.observations(NOW, NOW, NOW).times) == 2
    pruning.join(60)
    assert not pruning.is_alive()
    assert len(rows(database)) == 3


def test_pruning_makes_no_store(tmp_path: Path) -> None:
    database = connect(f"sqlite:///{tmp_path / 'nothing.db'}")
    with pytest.raises(NotFoundError):
        database.engine.check_there()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("400d", NOW - 400 * DAY_US),
        ("90m", NOW - 90 * 60_000_000),
        ("2023-01-25", instant_us("2023-01-25 00:00:00 UTC")),
    ],
)
def test_an_instant_may_be_said_by_how_long_ago_it_was(text: str, expected: int) -> None:
    assert instant_before(text, now=NOW) == expected


def test_what_is_neither_an_instant_nor_a_duration_is_a_mistake() -> None:
    with pytest.raises(InputError, match="valid is also how long ago it was, such as 400d"):
        instant_before("yesterday", now=NOW)
