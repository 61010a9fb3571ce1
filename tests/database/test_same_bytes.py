"""The report of a whole fleet has the same bytes on every engine, and after a copy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from tests.fixtures.databases import url_in
from tests.fixtures.tables import NOW
from uphours import demo
from uphours.database.copy import copy
from uphours.database.database import Database, connect
from uphours.ingest.inputs import Kind
from uphours.ingest.load import read_files
from uphours.kernel.windows import DEFAULT_WINDOWS, Window
from uphours.load_record import Loaded
from uphours.reports.measure import run_report
from uphours.reports.writers import FORMATS, written
from uphours.schema import DAY_US, instant_text

pytestmark = [pytest.mark.slow, pytest.mark.engines("postgresql", "mysql")]

#: As many as in the published data set.
STORES = 14_092
OLD = Window("old", instant_text(demo.AS_OF - 8 * DAY_US), instant_text(demo.AS_OF - 3 * DAY_US))
CHOICES: Sequence[Sequence[str | Window]] = (DEFAULT_WINDOWS, ("yesterday", OLD))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = tmp_path_factory.mktemp("fleet")
    demo.write_files(folder, pl.Series([str(10**18 + store * 7_919) for store in range(STORES)]))
    names: dict[Kind, list[str]] = {kind: [str(folder / f"{kind}.csv")] for kind in ("polls", "hours", "timezones")}
    return read_files(names, now=NOW)


def reports(database: Database) -> list[bytes]:
    with database.snapshot() as fleet:
        made = [run_report(fleet, chosen=chosen, all_stores=True) for chosen in CHOICES]
    return [written(one, form, detail=True) for one in made for form in FORMATS if form != "xlsx"]


@pytest.fixture(scope="module")
def file(loaded: Loaded, tmp_path_factory: pytest.TempPathFactory) -> tuple[Database, list[bytes]]:
    """A SQLite file of the fleet, with the reports on it."""
    made = connect(f"sqlite:///{tmp_path_factory.mktemp('file') / 'file.db'}")
    made.write(loaded)
    return made, reports(made)


def test_a_report_of_the_whole_fleet_has_the_same_bytes_on_every_engine_and_after_a_copy(
    loaded: Loaded, file: tuple[Database, list[bytes]], tmp_path: Path
) -> None:
    original, expected = file
    assert len(expected[0].splitlines()) == STORES + 1
    server = connect(url_in(tmp_path, "loaded.db"))
    server.write(loaded)
    assert reports(server) == expected
    copied = connect(url_in(tmp_path, "copied.db", fresh=True))
    copy(original, copied)
    assert reports(copied) == expected
