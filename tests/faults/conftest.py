"""A fleet large enough that loading it takes a second or two, made once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from tests.fixtures import tables
from tests.fixtures.databases import url_of
from uphours import demo
from uphours.database.database import Database, connect
from uphours.ingest.inputs import Kind
from uphours.ingest.load import load_files, read_files
from uphours.ingest.memory_fleet import memory_fleet
from uphours.load_record import Loaded
from uphours.reports.measure import run_report
from uphours.reports.writers import written

KINDS: tuple[Kind, ...] = ("polls", "hours", "timezones")
STORES = 1_600


def load(database: Database, folder: Path) -> None:
    """Load the files of a folder, in this process, and keep no connection open."""
    names = {kind: [str(folder / f"{kind}.csv")] for kind in KINDS}
    writer = connect(url_of(database))
    load_files(writer, names, now=tables.NOW)
    writer.close()


def report(database: Database) -> bytes:
    """Return the exact report of a store, as bytes."""
    with database.snapshot() as fleet:
        return written(run_report(fleet), "parquet")


@dataclass(frozen=True)
class Fleet:
    """Files of two fleets, as options of the command; the small one is what a store holds already."""

    folder: Path
    options: list[str]
    small: Path
    stores: int
    polls: int
    only_small: bytes
    only_large: bytes
    both: bytes


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """Make both fleets, and the reports of undisturbed loads: straight from the files, the same on every engine."""
    folder, small = tmp_path_factory.mktemp("large"), tmp_path_factory.mktemp("small")
    demo.write_files(folder, pl.Series([f"{store:019}" for store in range(STORES)]))
    demo.write_files(small, pl.Series([f"s{store}" for store in range(20)]), days=3, seed=5)

    def read(*folders: Path) -> Loaded:
        return read_files({kind: [str(one / f"{kind}.csv") for one in folders] for kind in KINDS}, now=tables.NOW)

    def report_on(loaded: Loaded) -> bytes:
        return written(run_report(memory_fleet(loaded)), "parquet")

    large = read(folder)
    options = [word for kind in KINDS for word in (f"--{kind}", str(folder / f"{kind}.csv"))]
    return Fleet(
        folder, options, small, STORES, len(large.times),
        report_on(read(small)), report_on(large), report_on(read(small, folder)),
    )  # fmt: skip


@pytest.fixture(scope="session")
def before(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """The large fleet in a file that nothing disturbs: the reports of any engine are the same."""
    undisturbed = connect(f"sqlite:///{tmp_path_factory.mktemp('undisturbed') / 'before.db'}")
    load(undisturbed, fleet.folder)
    return undisturbed


def latest(database: Database) -> int:
    """Return the instant of the latest observation, which reports are made for."""
    with database.snapshot() as fleet:
        found = fleet.latest_observation()
    assert found is not None
    return found
