"""Several processes on one store: writers wait for each other, readers wait for nobody."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.faults.conftest import KINDS, Fleet, load, report
from tests.fixtures import tables
from tests.fixtures.commands import begin
from tests.fixtures.databases import only_sqlite, opened, url_in, url_of
from uphours.database.database import connect
from uphours.database.loads import list_loads
from uphours.errors import DatabaseUnavailableError

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("is_new", [True, False], ids=["a new store", "an old store"])
def test_two_loads_at_once_are_both_there_in_the_end(fleet: Fleet, tmp_path: Path, is_new: bool) -> None:
    database = connect(url_in(tmp_path, fresh=True))
    if not is_new:
        load(database, fleet.small)
    small = [word for kind in KINDS for word in (f"--{kind}", str(fleet.small / f"{kind}.csv"))]
    processes = [begin(tmp_path, "load", *options) for options in (fleet.options, small, fleet.options)]
    for process in processes:
        _, messages = process.communicate(timeout=120)
        assert (process.returncode, messages) == (0, b"")
    assert report(database) == fleet.both
    with database.reading() as connection:
        records = list_loads(connection)
    assert len(records) == (3 if is_new else 4)
    assert sum(record.accepted - record.repeated >= fleet.polls for record in records) == 1


def test_a_report_during_a_load_shows_what_was_before_or_what_is_after(fleet: Fleet, tmp_path: Path) -> None:
    database = connect(url_in(tmp_path))
    load(database, fleet.small)
    report(database)
    process = begin(tmp_path, "load", *fleet.options)
    seen: list[bytes] = []
    slowest = 0.0
    while process.poll() is None:
        began = time.perf_counter()
        seen.append(report(database))
        slowest = max(slowest, time.perf_counter() - began)
    _, messages = process.communicate(timeout=60)
    assert (process.returncode, messages) == (0, b"")
    seen.append(report(database))
    changes = [seen[0], *(later for earlier, later in pairwise(seen) if later != earlier)]
    assert changes == [fleet.only_small, fleet.both]
    assert len(seen) > 5
    assert slowest < 10  # nobody waits for the writer, whose lock would be waited for much longer


def test_lists_during_a_load_are_never_refused(fleet: Fleet, tmp_path: Path) -> None:
    database = connect(url_in(tmp_path))
    load(database, fleet.small)
    process = begin(tmp_path, "load", *fleet.options)
    seen = set()
    while process.poll() is None:
        with database.reading() as connection:
            seen.add(len(list_loads(connection)))
    assert process.communicate(timeout=60)[1] == b""
    assert seen <= {1, 2}


@only_sqlite
def test_a_writer_that_waits_too_long_says_that_the_store_is_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uphours.database.dialects.sqlite._BUSY_TIMEOUT_MS", 50)
    database = connect(url_in(tmp_path))
    tables.load(database, tmp_path, polls=tables.POLLS)
    with opened(database) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailableError, match=r"uphours\.db"):
            tables.load(connect(url_of(database)), tmp_path, polls=tables.POLLS)
        with database.snapshot() as fleet:
            assert fleet.store_ids == ["1", "2"]
    tables.load(database, tmp_path, polls=tables.POLLS)
