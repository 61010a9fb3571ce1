"""A process that is killed in the middle of its work leaves all of it or nothing."""

from __future__ import annotations

import io
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest

from tests.faults.conftest import Fleet, load, report
from tests.fixtures.commands import begin, start
from tests.fixtures.databases import (
    check_whole,
    empty,
    exists,
    only_servers,
    only_sqlite,
    opened,
    tables_in,
    url_in,
    url_of,
    use,
)
from uphours.database.database import Database, connect
from uphours.database.tables import metadata
from uphours.errors import DatabaseError, InputError, NotFoundError

pytestmark = pytest.mark.slow

#: Each run draws other moments, and `make soak` draws them for an hour.
KILLS = 4
#: How often a copy is killed at the least; fewer times between servers, which takes longest.
COPIES = 6
COPIES_OF_SERVERS = 3


@pytest.fixture(scope="module")
def moments(fleet: Fleet, engine: str, tmp_path_factory: pytest.TempPathFactory, seed: int) -> list[float]:
    """Moments spread by chance over the whole run of an undisturbed load, in seconds after its start."""
    folder = tmp_path_factory.mktemp("measured")
    start(folder, "--version")  # what is read from disk for the first time shall not count
    began = time.perf_counter()
    ran = start(folder, "load", *fleet.options)
    length = time.perf_counter() - began
    assert ran.returncode == 0, ran.stderr
    chance = random.Random(seed)
    return [(place + chance.random()) / KILLS * length for place in range(KILLS)]


def kill(folder: Path, moment: float, *words: str) -> None:
    """Start a command and kill it at a moment, if it is still running then."""
    process = begin(folder, *words)
    time.sleep(moment)
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode in (0, -signal.SIGKILL)


def counts(database: Database) -> tuple[int, int, int, int] | None:
    """Return how much a store holds, once it was found in order; None for a database without tables."""
    with opened(database) as connection:
        if not tables_in(connection) >= metadata.tables.keys():  # on MySQL some may be there
            return None
        found = [
            connection.execute(f"SELECT count(*) FROM {table}")[0][0]
            for table in ("loads", "stores", "observations", "load_files")
        ]
    check_whole(database)
    return found[0], found[1], found[2], found[3]


@only_sqlite
@pytest.mark.parametrize("number", range(KILLS))
def test_a_load_that_is_killed_leaves_all_or_nothing(
    fleet: Fleet, moments: list[float], tmp_path: Path, number: int
) -> None:
    check_killed(fleet, moments[number], tmp_path, had_data=number % 2 == 1)


@only_servers
@pytest.mark.parametrize("number", [1, 2])
def test_a_load_that_is_killed_leaves_all_or_nothing_on_a_server(
    fleet: Fleet, moments: list[float], tmp_path: Path, number: int
) -> None:
    check_killed(fleet, moments[number], tmp_path, had_data=number % 2 == 1)


def check_killed(fleet: Fleet, moment: float, tmp_path: Path, *, had_data: bool) -> None:
    database = connect(url_in(tmp_path, fresh=True))
    if had_data:
        load(database, fleet.small)
        nothing = counts(database)
    else:
        nothing = (0, 0, 0, 0)
    kill(tmp_path, moment, "load", *fleet.options)
    if exists(database):
        found = counts(database)
        if found is None:
            assert not had_data  # killed before the first tables were there
            # On MySQL tables that were begun are finished by whoever comes next.
            with pytest.raises((DatabaseError, NotFoundError, InputError)):
                report(database)
        elif found == nothing:
            if had_data:
                assert report(database) == fleet.only_small
        else:
            loads, _, polls, _ = found
            assert loads == 1 + had_data
            assert polls >= fleet.polls
            assert report(database) == (fleet.both if had_data else fleet.only_large)
    else:
        assert not had_data
    load(database, fleet.folder)
    assert report(database) == (fleet.both if had_data else fleet.only_large)
    found = counts(database)
    assert found is not None
    assert found[1] == fleet.stores + 20 * had_data


@only_sqlite  # how a report is read has nothing to do with how its file is written
def test_a_report_that_is_killed_leaves_a_whole_file_or_the_old_one(fleet: Fleet, tmp_path: Path, seed: int) -> None:
    load(connect(url_in(tmp_path)), fleet.folder)
    words = ["report", "--format", "parquet"]
    began = time.perf_counter()
    whole = start(tmp_path, *words).stdout
    length = time.perf_counter() - began
    assert pl.read_parquet(io.BytesIO(whole))["store_id"].n_unique() == fleet.stores
    target = tmp_path / "report.parquet"
    chance = random.Random(seed)
    for place in range(6):
        existing = b"the report of yesterday" if place % 2 else None
        target.unlink(missing_ok=True)
        if existing:
            target.write_bytes(existing)
        # Most of them near the end, where the file is written.
        kill(tmp_path, length * (1 - (5 - place) * 0.1 - 0.1 * chance.random()), *words, "-o", target.name)
        assert (target.read_bytes() if target.exists() else None) in (existing, whole)


def test_a_copy_that_is_killed_refuses_to_be_used_until_the_database_is_emptied(
    fleet: Fleet, before: Database, tmp_path: Path, seed: int
) -> None:
    check_killed_copy(fleet, before, tmp_path, random.Random(seed), COPIES)


@only_servers
def test_a_copy_from_the_other_server_that_is_killed_refuses_to_be_used_until_the_database_is_emptied(
    fleet: Fleet, engine: str, tmp_path: Path, seed: int
) -> None:
    use("mysql" if engine == "postgresql" else "postgresql")
    try:
        source = connect(url_in(tmp_path, "source.db"))
    finally:
        use(engine)
    load(source, fleet.folder)
    check_killed_copy(fleet, source, tmp_path, random.Random(seed), COPIES_OF_SERVERS)


def check_killed_copy(fleet: Fleet, source: Database, tmp_path: Path, chance: random.Random, kills: int) -> None:
    target = connect(url_in(tmp_path, "target.db", fresh=True))
    words = ["copy", "--from", url_of(source), "--to", url_of(target)]
    began = time.perf_counter()
    ran = start(tmp_path, *words)
    length = time.perf_counter() - began
    assert ran.returncode == 0, ran.stderr
    assert report(target) == fleet.only_large
    refused = 0
    for number in range(60):
        if number >= kills and refused:
            break
        empty(target)
        kill(tmp_path, length * (0.3 + 0.72 * (number % kills + chance.random()) / kills), *words)
        with suppress(NotFoundError, InputError):  # killed before anything was written
            try:
                assert report(connect(url_of(target))) == fleet.only_large
            except DatabaseError:
                again = start(tmp_path, *words)
                assert again.returncode != 0
                assert b"a copy that was interrupted" in again.stderr
                refused += 1
    assert refused
    empty(target)
    assert start(tmp_path, *words).returncode == 0
    assert report(connect(url_of(target))) == fleet.only_large
