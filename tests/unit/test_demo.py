"""The made-up fleet is the same at any time, only later or earlier."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from uphours import demo
from uphours.schema import DAY_US, instant_us


def polls_in(folder: Path) -> tuple[pl.DataFrame, list[int]]:
    """Return the good polls of a folder, and when they were made."""
    rows = pl.read_csv(folder / "polls.csv", schema_overrides={"store_id": pl.String}).head(-3)
    return rows.drop("timestamp_utc"), [instant_us(text) for text in rows["timestamp_utc"]]


def test_at_another_time_all_polls_are_moved_and_nothing_else(tmp_path: Path) -> None:
    first, later = tmp_path / "first", tmp_path / "later"
    demo.make_files(first)
    demo.make_files(later, as_of=demo.AS_OF + 1000 * DAY_US)
    (rows, instants), (moved_rows, moved_instants) = polls_in(first), polls_in(later)
    assert moved_rows.equals(rows)
    assert moved_instants == [instant + 1000 * DAY_US for instant in instants]
    assert max(instants) == demo.AS_OF
    for name in ("hours.csv", "timezones.csv"):
        assert (later / name).read_bytes() == (first / name).read_bytes()


def test_rows_that_make_no_sense_are_of_the_same_day(tmp_path: Path) -> None:
    demo.make_files(tmp_path, as_of=instant_us("2026-02-28 23:00:00 UTC"))
    assert (tmp_path / "polls.csv").read_text().splitlines()[-3:] == [
        "1007,activ,2026-02-28 10:00:00 UTC", "8.41954E+18,active,2026-02-28 10:00:00 UTC", "1009,inactive,soon"
    ]  # fmt: skip
