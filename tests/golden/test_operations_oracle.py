"""Worked cases of calendars, ledgers, groups, targets and seals: the slow oracle gives their answers exactly."""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests import operations_oracle as oracle
from tests.fixtures.databases import only_sqlite

HERE = Path(__file__).parent / "operations"
CASES = sorted(path.parent.name for path in HERE.glob("*/case.json"))
TARGET_PARTS = {"budget_us": "budget_us", "used_us": "used_us", "remaining_us": "left_us", "elapsed_us": "elapsed_us"}


def case_of(name: str) -> dict[str, Any]:
    """Return the parsed ``case.json`` of one folder."""
    case: dict[str, Any] = json.loads((HERE / name / "case.json").read_text(encoding="utf-8"))
    return case


def rows_of(name: str, file: str) -> Iterator[dict[str, str]]:
    """Yield the rows of one CSV file as text; none if the case has no such file."""
    path = HERE / name / file
    if path.exists():
        with path.open(encoding="utf-8", newline="") as lines:
            yield from csv.DictReader(lines)


def instant_us(text: str) -> int:
    """Read a timestamp; without any zone it is UTC."""
    instant = datetime.fromisoformat(text.removesuffix(" UTC"))
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return (instant - oracle.EPOCH) // timedelta(microseconds=1)


def fleet_of(name: str) -> oracle.Fleet:
    """Return everything that a case loads and enters."""
    fleet = oracle.Fleet(
        polls=[
            oracle.Poll(row["store_id"], instant_us(row["timestamp_utc"]), row["status"])
            for row in rows_of(name, "polls.csv")
        ],
        hours=[
            oracle.HoursRow(
                row["store_id"],
                int(row["day"]),
                row["start_time_local"],
                row["end_time_local"],
                row.get("valid_from", ""),
            )
            for row in rows_of(name, "hours.csv")
        ],
        zones=[
            oracle.ZoneRow(row["store_id"], row["timezone_str"], row.get("valid_from", ""))
            for row in rows_of(name, "timezones.csv")
        ],
        special=[
            oracle.SpecialRow(row["store_id"], row["date"], row["start_time_local"], row["end_time_local"])
            for row in rows_of(name, "special.csv")
        ],
        attributes=[
            oracle.AttributeRow(row["store_id"], column, value, row.get("valid_from", ""))
            for row in rows_of(name, "stores.csv")
            for column, value in row.items()
            if column not in ("store_id", "valid_from") and value
        ],
    )
    return replace(fleet, ledger=[entry_of(fleet, row) for row in rows_of(name, "adjustments.csv")])


def entry_of(fleet: oracle.Fleet, row: dict[str, str]) -> oracle.Entry:
    """Read an entry; local times are those of the store, each in the zone in force on its own date."""

    def bound_us(side: str) -> int:
        if row[f"{side}_utc"]:
            return instant_us(row[f"{side}_utc"])
        if not row[f"{side}_local"]:
            return 0  # a withdrawal has no interval
        day, clock = row[f"{side}_local"].split("T")
        zone = oracle.zone_on(fleet, row["store_id"], date.fromisoformat(day))
        hours, minutes = map(int, clock.split(":"))
        return oracle.to_utc_us(date.fromisoformat(day), hours * oracle.HOUR_US + minutes * oracle.MINUTE_US, zone)

    counts_as = row["counts_as"]
    assert counts_as in ("excluded", "up", "down", "unknown", "withdrawal")
    return oracle.Entry(
        int(row["entry"]),
        row["store_id"],
        bound_us("start"),
        bound_us("end"),
        counts_as,  # type: ignore[arg-type]  # asserted above
        int(row["withdraws"]) if row["withdraws"] else None,
    )


def windows_of(case: dict[str, Any]) -> dict[str, oracle.Interval]:
    """Return the windows of a case by name."""
    return {name: (instant_us(a), instant_us(b)) for name, (a, b) in case["options"]["windows"].items()}


def only(figures: oracle.Figures, parts: dict[str, int]) -> dict[str, int]:
    """Return those parts of the figures that a case names."""
    return {part: getattr(figures, part) for part in parts}


@only_sqlite  # it knows of no database
@pytest.mark.parametrize("name", CASES)
def test_the_oracle_gives_the_worked_answer(name: str) -> None:
    case, fleet = case_of(name), fleet_of(name)
    as_of_us, windows = instant_us(case["options"]["as_of"]), windows_of(case)
    for store, expected in case["expected"].items():
        for window, parts in expected.items():
            figures = oracle.figures(fleet, store, windows[window], as_of_us)
            assert only(figures, parts) == parts, (store, window)


@only_sqlite  # nor does it
@pytest.mark.parametrize("name", [name for name in CASES if "expected_groups" in case_of(name)])
def test_the_oracle_gives_the_worked_groups(name: str) -> None:
    case, fleet = case_of(name), fleet_of(name)
    as_of_us, windows = instant_us(case["options"]["as_of"]), windows_of(case)
    for attribute, groups in case["expected_groups"].items():
        for window, bounds in windows.items():
            figures = oracle.group_figures(fleet, [attribute], bounds, as_of_us)
            assert {key for (key,) in figures} == set(groups)
            for value, expected in groups.items():
                assert only(figures[value,], expected[window]) == expected[window], (attribute, value)


@only_sqlite  # nor does it
@pytest.mark.parametrize("name", [name for name in CASES if "expected_target" in case_of(name)])
def test_the_oracle_gives_the_worked_target(name: str) -> None:
    case, fleet = case_of(name), fleet_of(name)
    expected = case["expected_target"]
    (period,) = windows_of(case).values()
    (row,) = rows_of(name, "targets.csv")
    share = round(float(row["target"]) * 1000)
    target = oracle.target(fleet, fleet.stores, period, instant_us(case["options"]["as_of"]), share)
    assert {key: getattr(target, part) for key, part in TARGET_PARTS.items()} == {
        key: expected[key] for key in TARGET_PARTS
    }
    assert target.exhausted_at_us == instant_us(expected["exhausted_at"])


@only_sqlite  # nor does it
def test_the_oracle_gives_the_worked_restatement() -> None:
    name = "14_late_poll_and_correction_after_a_seal"
    case, fleet = case_of(name), fleet_of(name)
    as_of_us, window = instant_us(case["options"]["as_of"]), windows_of(case)["day"]
    first = replace(fleet, polls=fleet.polls[:2], ledger=())  # the third poll and the entry came after the seal
    sealed = {store: oracle.figures(first, store, window, as_of_us) for store in fleet.stores}
    now = {store: oracle.figures(fleet, store, window, as_of_us) for store in fleet.stores}
    for store, parts in case["sealed"].items():
        assert only(sealed[store], parts) == parts
    difference = oracle.restated(sealed, now)
    for store, parts in case["delta"].items():
        assert only(difference[store], parts) == parts
        assert sealed[store] + difference[store] == now[store]


@only_sqlite  # nor does it
def test_a_period_may_be_sealed_when_it_has_ended_in_every_zone() -> None:
    fleet = oracle.Fleet(zones=[oracle.ZoneRow("b", "Europe/Berlin"), oracle.ZoneRow("h", "Pacific/Honolulu")])
    ended = instant_us("2026-11-01T10:00Z")
    assert oracle.may_be_sealed(fleet, date(2026, 11, 1), ended)
    assert not oracle.may_be_sealed(fleet, date(2026, 11, 1), ended - 1)
