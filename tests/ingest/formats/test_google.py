"""Google's Business Profile and Places: their periods, in all the forms that they have, or rejected."""

import json
import random
from datetime import date
from typing import Any

import pytest

from tests.fixtures.openings import DAY, HERE, RANDOM_CASES, WEEK, day_of, hours_a_week, week_of
from uphours.ingest.formats import import_hours
from uphours.ingest.formats.imported import Imported
from uphours.ingest.formats.wall_clock import WEEKDAYS

pytestmark = pytest.mark.anywhere  # it is about clocks on walls, wherever the machine is


def location(*periods: object, **more: object) -> Imported:
    record = {"storeCode": "1", "regularHours": {"periods": list(periods)}, **more}
    return import_hours(json.dumps(record).encode())


def place(*periods: object) -> Imported:
    return import_hours(json.dumps({"place_id": "1", "opening_hours": {"periods": list(periods)}}).encode())


def rows(imported: Imported) -> list[tuple[int, str, str]]:
    return [(row.day, row.start_time_local, row.end_time_local) for row in imported.hours]


def period(opens: str, start: object, closes: str, end: object) -> dict[str, object]:
    return {"openDay": opens, "openTime": start, "closeDay": closes, "closeTime": end}


def test_locations_say_hours_special_hours_and_attributes() -> None:
    said = import_hours(HERE / "business_profile.json")
    assert [tuple(row[1:4]) for row in said.hours if row.store_id == "0017"] == [
        (0, "07:30", "15:00"), (1, "07:30", "11:00"), (1, "12:00", "24:00"), (5, "18:00", "02:00"),
    ]  # fmt: skip
    assert [tuple(row[1:4]) for row in said.special_hours] == [
        ("2026-12-24", "09:00", "14:00"), ("2026-12-25", "closed", "closed"), ("2026-12-31", "20:00", "04:00"),
    ]  # fmt: skip
    assert hours_a_week(row for row in said.hours if row.store_id == "0018") == 4 + 24 + 5
    assert said.unknown_hours == ["1003"]
    assert {(row.kind, row.position.path) for row in said.rejected} == {
        ("special", "locations[0].specialHours.specialHourPeriods[3]"),
        ("hours", "locations[2].regularHours.periods[1]"),
        ("stores", "locations[3]"),
    }
    attributes = {row.name: row.value for row in said.attributes if row.store_id == "0017"}
    assert (attributes["first_day"], attributes["city"], attributes["region"]) == ("2019-05-06", "Chicago", "IL")
    assert "1 of 4 stores (0021)" in said.notices[-1].text


def test_places_say_hours_zones_and_special_days() -> None:
    said = import_hours(HERE / "places.json")
    assert hours_a_week(row for row in said.hours if row.store_id == "made-up-place-1") == 168
    assert [tuple(row[1:4]) for row in said.hours if row.store_id == "made-up-place-2"] == [
        (5, "17:00", "01:00"), (6, "10:00", "16:30"),
    ]  # fmt: skip
    assert [tuple(row[:2]) for row in said.timezones] == [("made-up-place-1", "America/Denver")]
    assert day_of(said, "made-up-place-1", date(2026, 12, 25)) == set()
    assert day_of(said, "made-up-place-1", date(2026, 12, 26)) == set(range(40, 104))
    assert day_of(said, "made-up-place-1", date(2026, 12, 23)) == set(range(96))  # truncated, so the week holds
    assert [row.cause for row in said.rejected] == ["period … is truncated"]


def test_details_of_a_place_count_days_from_sunday() -> None:
    said = import_hours(HERE / "place_details.json")
    assert rows(said) == [(0, "06:00", "12:00"), (5, "22:00", "03:00"), (6, "06:00", "12:00")]


def test_always_open_is_one_period_without_an_end() -> None:
    assert hours_a_week(place({"open": {"day": 0, "time": "0000"}}).hours) == 168
    for other in ({"day": 1, "time": "0000"}, {"day": 0, "time": "0900"}):
        assert place({"open": other}).unknown_hours == ["1"]
    # Two such periods say nothing.
    assert place(*[{"open": {"day": 0, "time": "0000"}}] * 2).unknown_hours == ["1"]


def test_forms_of_times() -> None:
    nine = {"hours": 9}
    cases: list[tuple[dict[str, object], list[tuple[int, str, str]]]] = [
        (period("MONDAY", {}, "MONDAY", {"hours": 24}), [(0, "00:00", "24:00")]),
        (period("MONDAY", nine, "MONDAY", {"hours": 23, "minutes": 59}), [(0, "09:00", "24:00")]),
        (period("MONDAY", "09:00", "MONDAY", "24:00"), [(0, "09:00", "24:00")]),
        (period("SUNDAY", nine, "MONDAY", {}), [(6, "09:00", "24:00")]),
        (period("SUNDAY", nine, "MONDAY", {"hours": 9}), [(6, "09:00", "09:00")]),
        (period("SUNDAY", nine, "MONDAY", {"hours": 9, "minutes": 15}), [(0, "00:00", "09:15"), (6, "09:00", "24:00")]),
        (period("MONDAY", {}, "SUNDAY", {"hours": 24}), [(day, "00:00", "24:00") for day in range(7)]),
    ]
    for given, expected in cases:
        assert rows(location(given)) == expected, given


def test_a_week_is_used_whole_or_not_at_all() -> None:
    good = period("MONDAY", {"hours": 9}, "MONDAY", {"hours": 17})
    bad: list[object] = [
        None,
        {},
        period("MO", {"hours": 9}, "MO", {"hours": 17}),
        period("MONDAY", {"hours": 9}, "MONDAY", {"hours": 9}),
        period("MONDAY", {"hours": 17}, "MONDAY", {"hours": 9}),
        period("MONDAY", {"hours": 24}, "TUESDAY", {"hours": 9}),
        period("MONDAY", {"hours": 9.5}, "MONDAY", {"hours": 17}),
        period("MONDAY", {"hours": True}, "MONDAY", {"hours": 17}),
        period("MONDAY", {"hours": 9}, "MONDAY", {"hours": 25}),
        period("MONDAY", {"hours": 9}, "MONDAY", "5 PM"),
        {"openDay": "MONDAY", "openTime": {"hours": 9}, "closeDay": "MONDAY"},
    ]
    for other in bad:
        said = location(good, other)
        assert (said.hours, said.unknown_hours, len(said.rejected)) == ([], ["1"], 1), other
    assert location().unknown_hours == []  # nothing is said, and a notice says so
    assert "counts as always open" in location().notices[0].text
    assert location(regularHours={"periods": "none"}).unknown_hours == ["1"]


def test_a_bad_special_period_spoils_its_date_alone() -> None:
    day = {"year": 2026, "month": 12, "day": 24}
    good = {"startDate": day, "openTime": {"hours": 9}, "closeTime": {"hours": 12}}
    for bad in (
        {"startDate": day, "openTime": {"hours": 13}},
        {"startDate": day, "closed": True},
        {
            "startDate": day,
            "openTime": {"hours": 13},
            "endDate": {"year": 2026, "month": 12, "day": 27},
            "closeTime": {},
        },
        {"startDate": day, "closed": True, "endDate": {"year": 2026, "month": 12, "day": 26}},
    ):
        said = location(
            period("MONDAY", {"hours": 9}, "MONDAY", {"hours": 17}), specialHours={"specialHourPeriods": [good, bad]}
        )
        assert (len(said.hours), said.special_hours, len(said.rejected)) == (1, [], 1), bad
    no_date = location(specialHours={"specialHourPeriods": [good, {"startDate": {"year": 2026}, "closed": True}]})
    assert (len(no_date.special_hours), len(no_date.rejected)) == (1, 1)


def test_a_zone_and_current_hours_that_cannot_be_read_are_rejected() -> None:
    record = {"id": "1", "timeZone": "America/Denver", "currentOpeningHours": [1]}
    said = import_hours(json.dumps(record).encode(), "google")
    assert [row.kind for row in said.rejected] == ["special", "timezones"]


# --- ten thousand made-up periods ---------------------------------------------------------------------------


def random_place(chance: random.Random) -> tuple[list[Any], set[int], bool]:
    """Return made-up periods, the quarters of the week that they mean, and whether they all can be used."""
    periods: list[Any] = []
    quarters: set[int] = set()
    is_good = True
    for _ in range(chance.choice([1, 2, 5])):
        start, length = chance.randrange(WEEK), chance.choice([4, 36, 48, 95, 96, 97, 300])
        end = (start + length) % WEEK
        quarters |= {(start + number) % WEEK for number in range(length)}
        opens, closes = divmod(start, DAY), divmod(end, DAY)
        if closes[1] == 0 and chance.random() < 0.5:
            closes = ((closes[0] - 1) % 7, DAY)
        match chance.randrange(12):
            case 0:
                is_good = False
                periods.append({"open": point(*opens)})
            case 1:
                is_good = False
                periods.append({"open": point(*opens), "close": point(opens[0], 104)})
            case _:
                periods.append({"open": point(*opens), "close": point(*closes)})
    return periods, quarters, is_good


def point(day: int, quarter: int) -> dict[str, object]:
    return {"day": (day + 1) % 7, "time": f"{quarter // 4:02}{quarter % 4 * 15:02}"}


def as_business(periods: list[Any]) -> list[Any]:
    """Write the periods of a place as those of a location."""
    result = []
    for given in periods:
        written: dict[str, object] = {}
        for side in set(given):
            written[f"{side}Day"] = WEEKDAYS[(given[side]["day"] - 1) % 7].upper()
            hours, minutes = int(given[side]["time"][:2]), int(given[side]["time"][2:])
            written[f"{side}Time"] = {key: value for key, value in (("hours", hours), ("minutes", minutes)) if value}
        result.append(written)
    return result


def test_random_places_are_used_rightly_or_rejected(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(RANDOM_CASES // 2):
        periods, quarters, is_good = random_place(chance)
        if len(periods) == 1 and periods[0] == {"open": point(6, 0)}:
            continue
        for said in (place(*periods), location(*as_business(periods))):
            assert (week_of(said.hours) if is_good else said.unknown_hours) == (quarters if is_good else ["1"]), periods
            assert bool(said.rejected) is not is_good
