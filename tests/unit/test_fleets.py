"""Views of a fleet are made once of the same content, and one at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fixtures import tables
from uphours.database import ledger
from uphours.database.database import Database, connect
from uphours.database.prune import prune
from uphours.errors import DatabaseUnavailableError, InputError
from uphours.kernel.policy import Policy
from uphours.kernel.windows import Window
from uphours.reports.fleet import Overview
from uphours.reports.history import HeatMap, History
from uphours.schema import DAY_US, instant_us
from uphours.service import views as module
from uphours.service.views import FRESH_S, Asked
from uphours.service.views import Fleets as Views

pytestmark = pytest.mark.anywhere

QUESTION: dict[str, Any] = {"as_of": None, "window": "last_week", "policy": Policy()}


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = connect(f"sqlite:///{tmp_path / 'store.db'}", keep_open=True)
    tables.load(made, tmp_path, polls=tables.POLLS, hours=tables.HOURS, timezones=tables.TIMEZONES)
    return made


class Fleets(Views):
    """Takes what is asked for by name."""

    def overview(self, *, stale_ok: float = FRESH_S, **asked: Any) -> Overview:  # type: ignore[override]
        return super().overview(Asked(**asked), stale_ok=stale_ok)

    def history(self, *, stale_ok: float = FRESH_S, **asked: Any) -> History:  # type: ignore[override]
        return super().history(Asked(**asked), stale_ok=stale_ok)

    def heat_map(self, *, stale_ok: float = FRESH_S, **asked: Any) -> HeatMap:  # type: ignore[override]
        return super().heat_map(Asked(**asked), stale_ok=stale_ok)


@pytest.fixture
def fleets(database: Database) -> Iterator[Fleets]:
    yield Fleets(database)
    database.close()


class Clock:
    """The monotonic clock, put forward by a test."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


class Counted:
    """Calls a function, and counts."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.calls = 0
        self.before: Callable[[], object] = lambda: None
        self._function = function

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.calls += 1
        self.before()
        return self._function(*arguments, **options)


def counted(monkeypatch: pytest.MonkeyPatch, name: str) -> Counted:
    made = Counted(getattr(module, name))
    monkeypatch.setattr(module, name, made)
    return made


def add_poll(database: Database, folder: Path, at: str = "2023-01-25 16:00:00 UTC") -> None:
    tables.load(database, folder, polls=tables.table("polls", f"3,active,{at}"))


def test_a_comparison_is_an_answer_of_its_own_and_its_reading_serves_the_others(
    database: Database, fleets: Fleets, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = counted(monkeypatch, "read_fleet")
    day = QUESTION | {"window": "last_day"}
    compared, plain = fleets.overview(**day, compare=True), fleets.overview(**day)
    assert reading.calls == 1
    assert compared.before is not None
    assert plain.before is None
    fresh = Fleets(database).overview(**day)
    assert plain.report.table().equals(fresh.report.table())
    assert compared.report.table().select(fresh.report.table().columns).equals(fresh.report.table())
    assert (plain.since_us.tolist(), plain.followed_back_to_us) == (fresh.since_us.tolist(), fresh.followed_back_to_us)
    assert fleets.overview(**day, compare=True) is compared
    assert fleets.history(**day, compare=True) is fleets.history(**day)


def test_an_entry_of_the_ledger_makes_another_answer_and_raw_ones_ignore_it(database: Database, fleets: Fleets) -> None:
    day = QUESTION | {"stale_ok": 0}
    first = fleets.overview(**day)
    (store_id, *_) = first.store_ids
    as_of = np.array([first.report.as_of])
    with database.writing() as connection:
        entry = ledger.enter(
            connection, [store_id], as_of - 7 * DAY_US, as_of, counts_as="excluded", reason="other", actor="me", now=1
        )
    second = fleets.overview(**day)
    assert (first.report.entries_seen, second.report.entries_seen) == (0, entry)
    assert (first.figures["excluded_us"][0], second.figures["excluded_us"][0] > 0) == (0, True)
    for made in (fleets.history, fleets.heat_map):
        assert (made(**day).entries_seen, made(**day, raw=True).entries_seen) == (entry, entry)
    bare = fleets.overview(**day, raw=True)
    for name in ("uptime_us", "downtime_us", "unknown_us", "excluded_us"):
        assert bare.figures[name].tolist() == first.figures[name].tolist(), name
    assert sum(row["excluded_us"] for row in fleets.history(**day).buckets) == second.figures["excluded_us"].sum()
    assert sum(row["excluded_us"] for row in fleets.history(**day, raw=True).buckets) == 0


def test_an_answer_is_kept_as_long_as_the_content_is_the_same(
    fleets: Fleets, database: Database, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = counted(monkeypatch, "overview")
    first = fleets.overview(**QUESTION)
    clock.ahead = 86_400
    assert fleets.overview(**QUESTION) is first
    add_poll(database, tmp_path)
    second = fleets.overview(**QUESTION, stale_ok=0)
    assert (first.store_ids, second.store_ids) == (["1", "2"], ["1", "2", "3"])
    assert (first.report.loads_seen, second.report.loads_seen) == (1, 2)
    assert made.calls == 2


def test_hours_and_zones_are_content_too(fleets: Fleets, database: Database, tmp_path: Path) -> None:
    first = fleets.overview(**QUESTION, stale_ok=0)
    tables.load(database, tmp_path, timezones=tables.table("timezones", "2,Asia/Tokyo"))
    assert list(first.timezones) != list(fleets.overview(**QUESTION, stale_ok=0).timezones)


def test_what_is_pruned_is_no_longer_answered_from_before(fleets: Fleets, database: Database) -> None:
    question = QUESTION | {"window": Window("own", "2023-01-24", "2023-01-26")}
    fleets.history(**question, stale_ok=0)
    prune(database, instant_us("2023-01-25"), now=tables.NOW, actor="me")
    with pytest.raises(InputError, match="were pruned"):
        fleets.history(**question, stale_ok=0)


def test_other_questions_have_answers_of_their_own(fleets: Fleets) -> None:
    day = QUESTION | {"window": "last_day"}
    assert fleets.overview(**day).report.windows.names == ("last_day",)
    assert fleets.overview(**QUESTION).report.windows.names == ("last_week",)
    assert fleets.history(**day).windows.names == ("last_day",)
    assert fleets.heat_map(**day).windows.names == ("last_day",)
    policy = Policy(interpolation="next")
    assert fleets.overview(**QUESTION | {"policy": policy}).report.policy == policy


def test_observations_are_read_once_for_all_views(fleets: Fleets, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = counted(monkeypatch, "read_fleet")
    fleets.overview(**QUESTION)
    fleets.history(**QUESTION)
    fleets.heat_map(**QUESTION)
    fleets.overview(**QUESTION | {"policy": Policy(interpolation="nearest")})
    assert reading.calls == 1


def test_a_window_that_ends_earlier_is_read_up_to_its_end_unless_more_was_read_already(
    fleets: Fleets, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_of_it, of_window = counted(monkeypatch, "read_fleet"), counted(monkeypatch, "read_window")
    question = QUESTION | {"window": Window("own", "2023-01-24", "2023-01-25")}
    first = fleets.history(**question)
    fleets.heat_map(**question)
    assert (all_of_it.calls, of_window.calls) == (0, 1)
    fleets.overview(**question)
    again = fleets.history(**question | {"policy": Policy(interpolation="nearest")})
    assert (all_of_it.calls, of_window.calls) == (1, 1)
    assert again.gaps.interval_us == first.gaps.interval_us
    assert [row["observations"] for row in again.buckets] == [row["observations"] for row in first.buckets]


def test_a_large_reading_is_not_kept(fleets: Fleets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 8)
    reading = counted(monkeypatch, "read_fleet")
    fleets.overview(**QUESTION)
    fleets.history(**QUESTION)
    assert reading.calls == 2
    assert fleets._readings == {}


def test_only_so_many_answers_are_kept(fleets: Fleets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_ANSWERS", 2)
    made = counted(monkeypatch, "overview")
    at = instant_us("2023-01-25")
    for as_of in (at, at + 1, at, at + 2, at):  # what was asked for last stays
        fleets.overview(**QUESTION | {"as_of": as_of})
    assert made.calls == 3
    assert len(fleets._answers) == 2
    fleets.overview(**QUESTION | {"as_of": at + 1})
    assert made.calls == 4


def test_an_answer_that_is_older_than_accepted_is_made_again(
    fleets: Fleets, database: Database, tmp_path: Path, clock: Clock
) -> None:
    first = fleets.overview(**QUESTION)
    clock.ahead = 100
    assert fleets.overview(**QUESTION) is first  # right until now
    add_poll(database, tmp_path)
    clock.ahead = 104
    assert fleets.overview(**QUESTION) is first
    clock.ahead = 106
    assert fleets.overview(**QUESTION).store_ids == ["1", "2", "3"]


def test_answers_are_not_made_anew_for_each_load_of_many(
    fleets: Fleets, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = counted(monkeypatch, "overview")
    first = fleets.overview(**QUESTION)
    for second in range(5):
        add_poll(database, tmp_path, f"2023-01-25 16:00:0{second} UTC")
        assert fleets.overview(**QUESTION, stale_ok=600) is first
    assert made.calls == 1


def test_the_same_question_is_answered_once_for_all_who_ask_it_together(
    fleets: Fleets, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = counted(monkeypatch, "overview")
    made.before = lambda: time.sleep(0.3)
    found: list[Overview] = []
    threads = [threading.Thread(target=lambda: found.append(fleets.overview(**QUESTION))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(one) for one in found}) == made.calls == 1


def test_whoever_has_just_loaded_does_not_get_what_was_begun_before(
    fleets: Fleets, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = counted(monkeypatch, "overview")
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        go_on.wait()

    made.before = wait
    other = threading.Thread(target=lambda: fleets.overview(**QUESTION, stale_ok=0))
    other.start()
    begun.wait()
    add_poll(database, tmp_path)
    threading.Timer(0.2, go_on.set).start()
    assert fleets.overview(**QUESTION, stale_ok=0).store_ids == ["1", "2", "3"]
    other.join()
    assert made.calls == 2


def test_a_failure_is_told_to_all_who_wait_and_not_kept(fleets: Fleets, monkeypatch: pytest.MonkeyPatch) -> None:
    made = counted(monkeypatch, "overview")

    def fail() -> None:
        time.sleep(0.2)
        raise DatabaseUnavailableError("away")

    made.before = fail
    failures: list[str] = []

    def ask() -> None:
        try:
            fleets.overview(**QUESTION)
        except DatabaseUnavailableError as error:
            failures.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == ["away"] * 3
    made.before = lambda: None
    assert fleets.overview(**QUESTION).store_ids == ["1", "2"]
