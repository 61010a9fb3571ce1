"""Heads of both editions of the published data set, byte for byte as published."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.tables import HERE, NOW, content_of
from uphours.database.database import connect
from uphours.ingest.inputs import Kind
from uphours.ingest.load import load_files, read_files
from uphours.ingest.memory_fleet import memory_fleet
from uphours.reports.measure import run_report
from uphours.reports.writers import written

LATER = NOW + 3 * 365 * 86_400_000_000
EDITIONS = {"v1_2023": (398, 259, 145), "v2_2024": (287, 258, 242)}
KINDS: tuple[Kind, ...] = ("polls", "hours", "timezones")


def names(edition: str) -> dict[Kind, list[str]]:
    return {kind: [str(HERE / edition / f"{kind}.csv")] for kind in KINDS}


@pytest.mark.parametrize("edition", EDITIONS)
def test_every_row_of_a_published_file_is_accepted(edition: str) -> None:
    loaded = read_files(names(edition), now=LATER)
    assert [file.accepted for file in loaded.files] == list(EDITIONS[edition])
    assert not loaded.quarantine


def test_ids_are_the_ones_of_the_file_digit_by_digit() -> None:
    loaded = read_files({"polls": names("v1_2023")["polls"]}, now=LATER)
    lines = (HERE / "v1_2023" / "polls.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert set(loaded.store_ids) == {line.split(",")[0] for line in lines}
    assert max(map(len, loaded.store_ids)) == 19


@pytest.mark.parametrize("edition", EDITIONS)
def test_a_report_of_the_published_files_is_the_same_from_the_store(tmp_path: Path, edition: str) -> None:
    loaded = read_files(names(edition), now=LATER)
    database = connect(f"sqlite:///{tmp_path / 'store.db'}")
    database.write(loaded)
    for form in ("csv", "json"):
        from_files = written(run_report(memory_fleet(loaded)), form, detail=True)
        with database.snapshot() as fleet:
            assert written(run_report(fleet), form, detail=True) == from_files


def test_both_editions_load_into_one_store(tmp_path: Path) -> None:
    database = connect(f"sqlite:///{tmp_path / 'store.db'}")
    for edition in EDITIONS:
        load_files(database, names(edition), now=LATER)
    both = read_files(
        {kind: [name for edition in EDITIONS for name in names(edition)[kind]] for kind in KINDS},
        now=LATER,
    )
    with database.snapshot() as fleet:
        assert sorted(fleet.store_ids) == sorted(both.store_ids)
    assert content_of(both)
