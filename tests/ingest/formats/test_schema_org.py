"""schema.org in JSON-LD: openingHours and specifications, weekly, seasonal and of single dates, or rejected."""

import json
import random
from datetime import date, timedelta
from typing import Any

import pytest

from tests.fixtures.openings import HERE, RANDOM_CASES, day_of, days_from, quarters
from uphours.ingest.formats import import_hours
from uphours.ingest.formats.imported import Imported
from uphours.ingest.formats.wall_clock import WEEKDAYS

pytestmark = pytest.mark.anywhere  # it is about clocks on walls, wherever the machine is

SHORT = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")


def store(**hours: object) -> Imported:
    node = {"@context": "https://schema.org", "@type": "Store", "branchCode": "1", **hours}
    return import_hours(json.dumps(node).encode())


def specified(*specifications: object) -> Imported:
    return store(openingHoursSpecification=list(specifications))


def spec(days: object, opens: object, closes: object, **more: object) -> dict[str, object]:
    return {"@type": "OpeningHoursSpecification", "dayOfWeek": days, "opens": opens, "closes": closes, **more}


def rows(imported: Imported) -> list[tuple[int, str, str]]:
    return [(row.day, row.start_time_local, row.end_time_local) for row in imported.hours]


def test_a_graph_says_hours_seasons_special_dates_and_attributes() -> None:
    said = import_hours(HERE / "stores.jsonld")
    assert day_of(said, "S-1", date(2026, 11, 24)) == quarters("09:00", "18:00")
    assert day_of(said, "S-1", date(2026, 12, 1)) == quarters("08:00", "20:00")
    assert day_of(said, "S-1", date(2026, 12, 2)) == quarters("09:00", "18:00")  # the season says nothing of Wednesdays
    assert day_of(said, "S-1", date(2027, 1, 5)) == quarters("09:00", "18:00")
    assert day_of(said, "S-1", date(2026, 11, 28)) == quarters("18:00", "02:00")
    assert day_of(said, "S-1", date(2026, 12, 25)) == set()
    assert day_of(said, "S-1", date(2026, 12, 31)) == quarters("10:00", "16:00")
    assert said.unknown_hours == ["3"]
    assert [(row.kind, row.position.path) for row in said.rejected] == [
        ("special", "@graph[1].specialOpeningHoursSpecification[2]"),
        ("hours", "@graph[3].openingHours"),
        ("stores", "@graph[4]"),
    ]
    attributes = {row.name: row.value for row in said.attributes if row.store_id == "S-1"}
    assert attributes["brand"] == "Shop"
    assert attributes["city"] == "Köln"
    assert any("public holidays" in notice.text for notice in said.notices)


def test_forms_of_opening_hours() -> None:
    nine = ("09:00", "17:00")
    cases: list[tuple[object, list[tuple[int, str, str]]]] = [
        ("Mo-We 09:00-17:00", [(day, *nine) for day in range(3)]),
        ("Mo,We 9:00-17:00", [(0, *nine), (2, *nine)]),
        (["Mo 09:00-17:00", "Sa-Su 18:00-02:00"], [(0, *nine), (5, "18:00", "02:00"), (6, "18:00", "02:00")]),
        ("Mo 09:00-17:00, Sa 09:00-17:00", [(0, *nine), (5, *nine)]),
        ("Mo 09:00-17:00; Monday 18:00-20:00", [(0, *nine), (0, "18:00", "20:00")]),
        ("Mo-Su", [(day, "00:00", "24:00") for day in range(7)]),
        ("Su-Mo 09:00-17:00", [(0, *nine), (6, *nine)]),
        ("Mo 00:00-23:59", [(0, "00:00", "24:00")]),
    ]
    for given, expected in cases:
        assert rows(store(openingHours=given)) == expected, given
    for bad in ("", "9-17", "Mo-Fr 9-17", "Mo-Fr 09:00", "Mo 00:00-00:00", "Xx 09:00-17:00", "Mo-We-Fr 09:00-17:00", 7,
                "Mo 09:00-17:00 or so", "Mo 09:00-25:00", {"a": 1}):  # fmt: skip
        assert store(openingHours=["Mo 09:00-17:00", bad]).unknown_hours == ["1"], bad


def test_forms_of_specifications() -> None:
    assert rows(specified(spec("https://schema.org/Friday", "T09:00", "17:00:00"))) == [(4, "09:00", "17:00")]
    assert rows(specified(spec({"@id": "schema:Friday"}, "09:00", "01:00"))) == [(4, "09:00", "01:00")]
    assert rows(specified(spec(["Friday", "Sunday"], "09:00", "23:59"))) == [
        (4, "09:00", "24:00"),
        (6, "09:00", "24:00"),
    ]
    closed = [(day, "closed", "closed") for day in range(7)]
    assert rows(specified(spec(list(WEEKDAYS), "00:00", "00:00"))) == closed
    assert rows(specified({"dayOfWeek": list(WEEKDAYS)})) == closed  # open where opens is given, and closed otherwise
    for bad in (
        spec("Friday", "09:00", None),
        spec("Friday", None, "17:00"),
        spec("Friday", "09:00", "09:00"),
        spec("Friday", "09:00Z", "17:00"),
        spec("Friday", 9, 17),
        spec("Fryday", "09:00", "17:00"),
        spec(None, "09:00", "17:00"),
        spec("Friday", "09:00", "17:00", validFrom="soon"),
        spec("Monday", "00:00", "00:00"),
        spec("Friday", "09:00", "17:00", validFrom="2026-12-31", validThrough="2026-01-01"),
        "Friday",
    ):
        assert specified(spec("Monday", "09:00", "17:00"), bad).unknown_hours == ["1"], bad


def test_a_bad_date_spoils_itself_alone() -> None:
    said = specified(
        spec("Monday", "09:00", "17:00"),
        spec(None, "09:00", "soon", validFrom="2026-12-24", validThrough="2026-12-25"),
        spec(None, "09:00", "12:00", validFrom="2026-12-25", validThrough="2026-12-26"),
    )
    assert [row.date for row in said.special_hours] == ["2026-12-26"]
    assert (len(said.hours), len(said.rejected)) == (1, 1)


def test_what_begins_once_is_a_dated_week_and_what_ends_says_so() -> None:
    said = specified(
        spec("Monday", "09:00", "17:00", validThrough="2026-06-30"),
        spec("Monday", "10:00", "18:00", validFrom="2026-07-01", validThrough="9999-12-31"),
    )
    assert [(row.valid_from, row.start_time_local) for row in said.hours] == [("", "09:00"), ("2026-07-01", "10:00")]
    summer = specified(spec("Monday", "09:00", "17:00", validFrom="2026-06-01", validThrough="2026-08-31"))
    assert {row.valid_from: row.start_time_local for row in summer.hours} == {
        "2026-06-01": "09:00",
        "2026-09-01": "closed",
    }
    assert "after 2026-08-31" in summer.notices[0].text


def test_nodes_are_read_wherever_they_are() -> None:
    deep: dict[str, Any] = {"@id": "d", "openingHours": "Mo 09:00-17:00"}
    for _ in range(300):
        deep = {"department": [deep]}
    said = import_hours(json.dumps({"@context": "https://schema.org", "@id": "top", **deep}).encode())
    assert [row.store_id for row in said.hours] == ["d"]


# --- ten thousand made-up specifications --------------------------------------------------------------------

FIRST = date(2026, 3, 1)


def random_specification(chance: random.Random) -> tuple[dict[str, Any], Any]:
    """Return a made-up specification and what it means: weekdays, quarters, first and last date."""
    weekdays = chance.sample(range(7), chance.choice([1, 2, 5]))
    start, end = chance.randrange(96), chance.randrange(97)
    times = (f"{start // 4:02}:{start % 4 * 15:02}", f"{end // 4:02}:{end % 4 * 15:02}")
    names = [chance.choice(["", "https://schema.org/"]) + WEEKDAYS[day].title() for day in weekdays]
    written = spec(names, *times)
    first = last = None
    if chance.random() < 0.4:
        first = FIRST + timedelta(days=chance.randrange(15))
        last = first + timedelta(days=chance.choice([0, 1, 5, 6]))
        written |= {"validFrom": first.isoformat(), "validThrough": last.isoformat()}
    meant = None if start == end and start else (quarters(*times) if start != end else set())
    return written, (set(weekdays), meant, first, last)


def test_random_specifications_are_used_rightly_or_rejected(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(RANDOM_CASES // 2):
        made = [random_specification(chance) for _ in range(chance.choice([1, 2, 4]))]
        said = specified(*(written for written, _ in made))
        weekly = [meant for _, meant in made if meant[2] is None]
        dated = [meant for _, meant in made if meant[2] is not None]
        is_open = {day for m in weekly if m[1] for day in m[0]}
        is_closed = {day for m in weekly if not m[1] for day in m[0]}
        if any(meant is None for _, meant, _, _ in weekly) or is_open & is_closed:
            assert said.unknown_hours == ["1"]
            continue
        assert bool(said.rejected) >= any(meant is None for _, meant, _, _ in dated)
        for day in days_from(FIRST, 22):
            special = [m for m in dated if m[2] <= day <= m[3] and day.weekday() in m[0]]
            parts = special or [m for m in weekly if day.weekday() in m[0]]
            is_contradicted = special and any(not m[1] for m in special) and any(m[1] for m in special)
            spoilt = [m for m in dated if m[1] is None and m[2] <= day <= m[3]]
            if is_contradicted or spoilt:
                assert said.rejected
                continue
            expected = {quarter for m in parts for quarter in m[1]}
            assert (day_of(said, "1", day) or set()) == expected, (day, made)


def test_random_texts_are_used_rightly_or_rejected(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(RANDOM_CASES):
        first, last = chance.randrange(7), chance.randrange(7)
        start, end = chance.randrange(96), chance.randrange(97)
        times = (f"{start // 4:02}:{start % 4 * 15:02}", f"{end // 4:02}:{end % 4 * 15:02}")
        text = (
            f"{SHORT[first]}{chance.choice(['-', ' - ', ','])}{SHORT[last]} {times[0]}{chance.choice('--–')}{times[1]}"
        )
        said = store(openingHours=text)
        if start == end or "–" in text:
            assert said.unknown_hours == ["1"]
            continue
        days = {first, last} if "," in text else {(first + number) % 7 for number in range((last - first) % 7 + 1)}
        for day in days_from(date(2026, 3, 2), 7):
            assert day_of(said, "1", day) == (quarters(*times) if day.weekday() in days else set()), text
