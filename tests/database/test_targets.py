"""Targets in a database: what a load replaces, which one is in force, and that copies and exports have them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fixtures import tables
from tests.fixtures.databases import opened, url_in
from uphours.database.copy import copy
from uphours.database.database import Database, connect
from uphours.database.doctor import checkup
from uphours.ingest.load import load_files
from uphours.ingest.local_dates import day_of_date
from uphours.kernel.periods import period_of
from uphours.reports import export as exporting
from uphours.reports.targets import in_force, targets
from uphours.schema import SINCE_EVER, Target, instant_us

NOW = tables.NOW


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return connect(url_in(tmp_path))


def put(database: Database, folder: Path, *rows: str) -> list[tuple[str, int, int | None]]:
    """Load targets; return all that there are then."""
    tables.load(database, folder, targets=tables.table("targets", *rows))
    with database.snapshot() as fleet:
        return [(target.name, target.since, target.share) for target in fleet.targets()]


def day(text: str) -> int:
    days = day_of_date(text)
    assert days is not None
    return days


def test_targets_are_replaced_by_name_and_date(database: Database, tmp_path: Path) -> None:
    ever, may = SINCE_EVER, day("2026-05-01")
    assert put(database, tmp_path, "a,,99,month,", "b,,98,week,2026-05-01") == [("a", ever, 99_000), ("b", may, 98_000)]
    assert put(database, tmp_path, "a,,99.5,month,2026-05-01", "b,,97,week,2026-05-01") == [
        ("a", ever, 99_000), ("a", may, 99_500), ("b", may, 97_000),
    ]  # fmt: skip
    assert put(database, tmp_path, "a,,,,2026-06-01", "b,,,,") == [
        ("a", ever, 99_000), ("a", may, 99_500), ("a", day("2026-06-01"), None),
    ]  # fmt: skip
    assert put(database, tmp_path, "a,,90,quarter,") == [("a", ever, 90_000)]
    assert put(database, tmp_path, "A ,,90,quarter,", "ä,,90,quarter,")[0] == ("A", ever, 90_000)


def test_the_target_on_the_first_day_of_a_period_holds_for_all_of_it() -> None:
    defined = [
        Target("a", SINCE_EVER, "", 99_000, "month"),
        Target("a", day("2026-12-02"), "", 99_500, "month"),
        Target("b", day("2026-12-01"), "", 98_000, "month"),
        Target("b", day("2027-01-01"), "", None, ""),
        Target("c", SINCE_EVER, "", 98_000, "week"),
    ]

    def names(period: str) -> list[tuple[str, int | None]]:
        return [(target.name, target.share) for target in in_force(defined, period_of(period))]

    assert names("2026-11") == [("a", 99_000)]
    assert names("2026-12") == [("a", 99_000), ("b", 98_000)]
    assert names("2027-01") == [("a", 99_500)]
    assert names("2026-W48") == [("c", 98_000)]
    assert names("2026-Q4") == []


def test_the_current_period_has_not_ended_in_the_zone_of_any_store(database: Database, tmp_path: Path) -> None:
    zones = tables.table("timezones", "1,Europe/Berlin", "2,Pacific/Honolulu")
    rows = tables.table("targets", "m,,99,month,", "q,,99,quarter,", "w,,99,week,")
    tables.load(database, tmp_path, polls=tables.POLLS, timezones=zones, targets=rows)
    with database.snapshot() as fleet:
        for as_of, expected in {
            "2023-01-31T23:30Z": ["2023-01", "2023-Q1", "2023-W05"],
            "2023-02-01T09:59Z": ["2023-01", "2023-Q1", "2023-W05"],
            "2023-02-01T10:00Z": ["2023-02", "2023-Q1", "2023-W05"],
            "2023-02-06T09:59Z": ["2023-02", "2023-Q1", "2023-W05"],
        }.items():
            found = targets(fleet, as_of=instant_us(as_of))
            assert [outcome.period.name for outcome in found.outcomes] == expected, as_of
        alone = targets(fleet.of(["1"]), as_of=instant_us("2023-02-01T09:59Z"))
        assert [outcome.period.name for outcome in alone.outcomes] == ["2023-02", "2023-Q1", "2023-W05"]


def test_stores_that_were_never_observed_are_counted_and_do_not_count(database: Database, tmp_path: Path) -> None:
    rows = tables.table("targets", "m,,99,month,", "n,region=North,99,month,", "o,planet=X,99,month,")
    hours = tables.HOURS + "3,1,09:00,17:00\n"
    tables.load(database, tmp_path, polls=tables.POLLS, hours=hours, stores=tables.STORES, targets=rows)
    with database.snapshot() as fleet:
        m, n, o = targets(fleet, as_of=instant_us("2023-01-25T18:00Z")).outcomes
        assert (m.store_ids, m.not_observed) == (["1", "2"], 1)
        assert (n.store_ids, n.not_observed) == (["1", "2"], 0)  # store 1 up to the 23rd
        assert n.pooled.business_us < m.pooled.business_us
        assert (o.store_ids, o.pooled.business_us, o.pooled.is_met, o.below()) == ([], 0, None, [])
        whole, *_ = targets(fleet, as_of=instant_us("2023-01-25T18:00Z"), all_stores=True).outcomes
        assert (whole.store_ids, whole.not_observed) == (["1", "2", "3"], 0)
        assert whole.pooled.business_us > m.pooled.business_us
        early, *_ = targets(fleet, as_of=instant_us("2023-01-25T13:00Z")).outcomes
        assert (early.store_ids, early.not_observed) == (["1"], 2)


def test_copies_and_exports_have_the_targets(database: Database, tmp_path: Path) -> None:
    rows = ["=a,region=TX;brand=B,99.995,month,", "=a,,,,2026-05-01", "b,,100,week,2026-05-01"]
    put(database, tmp_path, *rows)
    target = connect(url_in(tmp_path, "target.db", fresh=True))
    copied = {table.table: table.rows for table in copy(database, target)}
    assert copied["targets"] == 3
    exporting.export(database, str(tmp_path / "out"), now=NOW)
    again = connect(url_in(tmp_path, "again.db"))
    load_files(again, {"targets": [str(tmp_path / "out" / "targets.parquet")]}, now=NOW)

    def kept(database: Database) -> Sequence[Target]:
        with database.snapshot() as fleet:
            return fleet.targets()

    assert kept(database) == kept(target) == kept(again)
    assert [one.where for one in kept(again)] == ["brand=B\nregion=TX", "", ""]


def test_the_check_up_finds_a_target_that_cannot_be(database: Database, tmp_path: Path) -> None:
    put(database, tmp_path, "a,,99.5,month,", "a,,,,2026-05-01")
    assert not [one for one in checkup(database, now=lambda: NOW) if "target" in one.says]
    with opened(database) as connection:
        connection.execute("UPDATE targets SET share = 0 WHERE share IS NOT NULL")
    (finding,) = [one for one in checkup(database, now=lambda: NOW) if "target" in one.says]
    assert finding.state == "bad"
