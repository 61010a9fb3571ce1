"""Several processes on one store: writers wait for each other, readers wait for nobody."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest

from storepulse.errors import StoreUnavailableError
from storepulse.store import connect
from storepulse.store.loads import list_loads
from tests.faults.conftest import KINDS, Fleet, load, report
from tests.fixtures import tables
from tests.fixtures.commands import begin
from tests.fixtures.databases import only_sqlite, opened, url_in, url_of

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("is_new", [True, False], ids=["a new store", "an old store"])
def test_two_loads_at_once_are_both_there_in_the_end(fleet: Fleet, tmp_path: Path, is_new: bool) -> None:
    store = connect(url_in(tmp_path, fresh=True))
    if not is_new:
        load(store, fleet.small)
    small = [word for kind in KINDS for word in (f"--{kind}", str(fleet.small / f"{kind}.csv"))]
    processes = [begin(tmp_path, "load", *options) for options in (fleet.options, small, fleet.options)]
    for process in processes:
        _, messages = process.communicate(timeout=120)
        assert (process.returncode, messages) == (0, b"")
    assert report(store) == fleet.both
    with store.reading() as connection:
        records = list_loads(connection)
    assert len(records) == (3 if is_new else 4)
    assert sum(record.accepted - record.repeated >= fleet.polls for record in records) == 1


def test_a_report_during_a_load_shows_what_was_before_or_what_is_after(fleet: Fleet, tmp_path: Path) -> None:
    store = connect(url_in(tmp_path))
    load(store, fleet.small)
    report(store)
    process = begin(tmp_path, "load", *fleet.options)
    seen: list[bytes] = []
    slowest = 0.0
    while process.poll() is None:
        began = time.perf_counter()
        seen.append(report(store))
        slowest = max(slowest, time.perf_counter() - began)
    _, messages = process.communicate(timeout=60)
    assert (process.returncode, messages) == (0, b"")
    seen.append(report(store))
    changes = [seen[0], *(later for earlier, later in pairwise(seen) if later != earlier)]
    assert changes == [fleet.only_small, fleet.both]
    assert len(seen) > 5
    assert slowest < 10  # nobody waits for the writer, whose lock would be waited for much longer


def test_lists_during_a_load_are_never_refused(fleet: Fleet, tmp_path: Path) -> None:
    store = connect(url_in(tmp_path))
    load(store, fleet.small)
    process = begin(tmp_path, "load", *fleet.options)
    seen = set()
    while process.poll() is None:
        with store.reading() as connection:
            seen.add(len(list_loads(connection)))
    assert process.communicate(timeout=60)[1] == b""
    assert seen <= {1, 2}


@only_sqlite
def test_a_writer_that_waits_too_long_says_that_the_store_is_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storepulse.store.engines.sqlite._BUSY_TIMEOUT_MS", 50)
    store = connect(url_in(tmp_path))
    tables.load(store, tmp_path, polls=tables.POLLS)
    with opened(store) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match=r"storepulse\.db"):
            tables.load(connect(url_of(store)), tmp_path, polls=tables.POLLS)
        with store.snapshot() as fleet:
            assert fleet.store_ids == ["1", "2"]
    tables.load(store, tmp_path, polls=tables.POLLS)
