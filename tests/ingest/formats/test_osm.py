"""OpenStreetMap's opening_hours and the files that have them: read as the specification says, or rejected."""

import contextlib
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import pytest
from opening_hours import OpeningHours

from tests.fixtures.openings import DAY, HERE, RANDOM_CASES, day_of, days_from, hours_a_week
from uphours.ingest.formats import import_hours
from uphours.ingest.formats.imported import Imported, UnreadableError
from uphours.ingest.formats.osm import schedule_of
from uphours.ingest.formats.wall_clock import start_and_end

pytestmark = pytest.mark.anywhere  # it is about clocks on walls, wherever the machine is

YEAR = (date(2024, 1, 1), date(2024, 12, 31))
SHORT = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def imported(text: str, period: tuple[date, date] | None = None) -> Imported:
    feature = {"type": "Feature", "properties": {"ref": "1", "opening_hours": text}}
    return import_hours(json.dumps(feature).encode(), period=period)


def week(text: str) -> dict[str, list[str]]:
    """Return the week of a text: by day, the openings."""
    rows: dict[str, list[str]] = {}
    for day, times in schedule_of(text).week:
        rows.setdefault(SHORT[day], []).append("-".join(start_and_end(times)))
    return rows


def test_night_hours_belong_to_the_day_on_which_they_start() -> None:
    said = imported("Mo-Th 10:00-22:00; Fr-Sa 10:00-02:00; Su 12:00-20:00")
    assert hours_a_week(said.hours) == 88  # libraries that let Sunday cut Saturday's night say 86
    assert {row.day: row.end_time_local for row in said.hours}[5] == "02:00"


def test_what_is_read() -> None:
    whole = ["00:00-24:00"]
    cases: dict[str, dict[str, list[str]]] = {
        "24/7": dict.fromkeys(SHORT, whole),
        "24/7; Su off": dict.fromkeys(SHORT[:-1], whole),
        "open": dict.fromkeys(SHORT, whole),
        "off": {},
        "closed": {},
        'off "renovation"': {},
        "Mo 09:00-17:00": {"Mo": ["09:00-17:00"]},
        "mo 9:00-17:00": {"Mo": ["09:00-17:00"]},
        "Mon: 09:00–17:00;": {"Mo": ["09:00-17:00"]},
        "Mo,We 09:00-12:00,13:00-17:00": {day: ["09:00-12:00", "13:00-17:00"] for day in ("Mo", "We")},
        "Sa-Mo 10:00-12:00": {day: ["10:00-12:00"] for day in ("Mo", "Sa", "Su")},
        "Mo-Tu 10:00-12:00; Tu off": {"Mo": ["10:00-12:00"]},
        "Mo-Tu 10:00-12:00; Tu 14:00-16:00": {"Mo": ["10:00-12:00"], "Tu": ["14:00-16:00"]},
        "Mo-Tu 10:00-12:00, Tu 14:00-16:00": {"Mo": ["10:00-12:00"], "Tu": ["10:00-12:00", "14:00-16:00"]},
        "Mo 10:00-12:00,Mo 11:00-13:00": {"Mo": ["10:00-13:00"]},
        "Mo 10:00-18:00; Mo 12:00-13:00 off": {"Mo": ["10:00-12:00", "13:00-18:00"]},
        "Mo 22:00-26:00": {"Mo": ["22:00-02:00"]},
        "Mo 22:00-23:59": {"Mo": ["22:00-24:00"]},
        "Mo 22:00-05:00": {"Mo": ["22:00-05:00"]},
        'Mo 10:00-12:00 open "front door"': {"Mo": ["10:00-12:00"]},
        'Mo 10:00-12:00 || "by appointment"': {"Mo": ["10:00-12:00"]},
        "Mo,PH 10:00-12:00; PH off; SH off": {"Mo": ["10:00-12:00"]},
    }
    assert {text: week(text) for text in cases} == cases


REFUSED = {
    "": "blank",
    "Mo-Fr 9-17": "names no hours",
    "Mo-Fr 0900-1700": "names no hours",
    "Mo-Fr,10:00-12:00": "names no hours",
    "Mo-Fr 24/7": "names no hours",
    "Mo 10:00": "a time without an end",
    "Mo 18:00+": "hours without an end",
    "Mo 18:00-22:00+": "hours without an end",
    "Mo 10:00-16:00/01:30": "hours without an end",
    "Mo sunrise-18:00": "follow the sun",
    "Mo 10:00-(sunset-00:30)": "follow the sun",
    "Mo 10:00-10:00": "end when they begin",
    "Mo 00:00-48:00": "last more than a day",
    "Mo 10:00-25:75": "unreadable time",
    "Mo 10:00-18:00 unknown": "is unknown",
    'Mo 10:00-18:00 "call us"': "depends on its comment",
    '"by appointment"': "depends on its comment",
    "Mo 10:00-12:00 || Sa 10:00-12:00": "fallback",
    "Mo 18:00-02:00; Mo 19:00-20:00 off": "beside hours past midnight",
    "PH 10:00-12:00": "ordinary days",
    "Sa-Su off": "ordinary days",
    "2024 Dec 24 10:00-14:00": "ordinary days",
    "PH Mo 10:00-12:00": "holidays that fall on a weekday",
    "PH +1 day off; Mo 10:00-12:00": "days beside other days",
    "easter off; Mo 10:00-12:00": "Easter",
    "Mo 10:00-12:00; Dec 25 off": "name the dates",
    "Mo 10:00-12:00; Mo[1] off": "name the dates",
    "Mo 10:00-12:00; week 10 off": "name the dates",
    "Mo 10:00-12:00; 2023 Feb 29 off": "no such day",
    "Mo 10:00-12:00; 2023 Feb 10-5 off": "out of order",
    "Mo 10:00-12:00; 1900-2099 off": "ten years",
    "Mo 10:00-12:00 maybe": "unreadable",
    "Maybe 10:00-12:00": "unreadable",
    "Mo 10:00-12:00 and Tu 10:00-12:00": "unreadable",
    "Mo-Fr-Su 10:00-12:00": "names no hours",
}


def test_what_is_refused_and_why() -> None:
    for text, cause in REFUSED.items():
        with pytest.raises(UnreadableError) as refused:
            schedule_of(text)
        assert cause in refused.value.reason, text
        assert "'" not in refused.value.cause, text


def test_a_refused_text_leaves_the_hours_unknown_and_never_closed_or_always_open() -> None:
    for text in filter(None, REFUSED):
        said = imported(text)
        assert said.hours == []
        assert said.special_hours == []
        assert said.unknown_hours == ["1"], text
        assert [row.raw for row in said.rejected] == [text]


def test_dates_are_special_hours_where_they_differ() -> None:
    text = 'Mo-Fr 10:00-18:00; 2024 Dec 24,31 10:00-14:00 open "short"; 2024 Dec 25-26 off; 2024 Dec 28-29 off'
    assert [tuple(row) for row in imported(text).special_hours] == [
        ("1", "2024-12-24", "10:00", "14:00", "short"),
        ("1", "2024-12-25", "closed", "closed", ""),
        ("1", "2024-12-26", "closed", "closed", ""),
        ("1", "2024-12-31", "10:00", "14:00", "short"),
    ]


def test_what_comes_again_each_year_is_written_for_the_named_dates() -> None:
    said = imported("Apr-Oct 10:00-20:00; Nov-Mar 11:00-17:00; Dec 25 off; Mo[1] off; week 1-2 off", YEAR)
    assert day_of(said, "1", date(2024, 7, 2)) == set(range(40, 80))
    assert day_of(said, "1", date(2024, 2, 29)) == set(range(44, 68))
    for closed in (date(2024, 12, 25), date(2024, 7, 1), date(2024, 1, 14), date(2024, 12, 30)):
        assert day_of(said, "1", closed) == set()
    assert {row.date[:4] for row in said.special_hours} == {"2024"}
    assert "2024-01-01 to 2024-12-31" in said.notices[0].text


def test_dated_rules_outside_of_the_named_dates_are_not_lost() -> None:
    said = imported("10:00-12:00; Dec 25 off; 2025 Jan 2 off", YEAR)
    assert [row.date for row in said.special_hours] == ["2024-12-25", "2025-01-02"]


def test_what_is_said_of_public_holidays_is_a_notice() -> None:
    said = imported("Mo-Fr 09:00-17:00; PH off")
    assert len(said.hours) == 5
    assert "public holidays" in said.notices[0].text


def test_all_the_places_say_hours_and_attributes() -> None:
    said = import_hours(HERE / "all_the_places.geojson")
    assert hours_a_week(row for row in said.hours if row.store_id == "88") == 88
    assert hours_a_week(row for row in said.hours if row.store_id == "91") == 168
    assert [tuple(row[2:4]) for row in said.hours if row.store_id == "92"] == [("closed", "closed")] * 7
    assert said.unknown_hours == ["90"]
    assert [(row.position.line, row.position.path) for row in said.rejected] == [
        (3, "features[2].opening_hours"),
        (6, "features[5]"),
    ]
    attributes = {row.name: row.value for row in said.attributes if row.store_id == "88"}
    assert attributes == {
        "name": "Bar 88", "brand": "Bar", "street": "8 Example St", "city": "Austin", "region": "TX",
        "postcode": "78701", "country": "US", "latitude": "30.2672", "longitude": "-97.7431",
    }  # fmt: skip
    assert "1 of 6 stores (94)" in said.notices[-1].text


def test_features_one_a_line_and_overpass_and_csv() -> None:
    lines = (HERE / "all_the_places.geojson").read_text(encoding="utf-8").splitlines()[1:3]
    said = import_hours("\n".join([*(line.rstrip(",") for line in lines), "{"]).encode())
    assert {row.store_id for row in said.hours} == {"88", "89"}
    assert [row.position.line for row in said.rejected] == [3]
    overpass = import_hours(HERE / "overpass.json", period=YEAR)
    assert {row.store_id for row in overpass.hours} == {"node/5", "K5"}
    table = import_hours(HERE / "opening_hours.csv")
    assert {row.store_id for row in table.hours} == {"A"}
    assert [(row.store_id, row.position.line) for row in table.rejected] == [("B", 3)]


# --- ten thousand made-up texts ---------------------------------------------------------------------------


@dataclass
class Rule:
    """A made-up rule, with what it means said in another way."""

    operator: str
    text: str
    is_on: Callable[[date], bool]
    times: list[tuple[int, int]] = field(default_factory=list)
    is_off: bool = False
    is_dated: bool = False


def clock(quarter: int) -> str:
    return f"{quarter // 4:02}:{quarter % 4 * 15:02}"


def random_rule(chance: random.Random, operator: str) -> Rule:
    weekdays, days_text = set(range(7)), ""
    if operator == ", " or chance.random() < 0.85:  # behind a comma, times alone would go on with the list before it
        parts = [(chance.randrange(7), chance.choice([0, 0, 1, 2, 4])) for _ in range(chance.choice([1, 1, 2]))]
        weekdays = {(first + number) % 7 for first, length in parts for number in range(length + 1)}
        days_text = ",".join(SHORT[a] + (f"-{SHORT[(a + n) % 7]}" if n else "") for a, n in parts)
    dates_text, is_dated = "", chance.random() < 0.2
    is_date: Callable[[date], bool] = lambda _: True  # noqa: E731  # replaced below where it is dated
    if is_dated:
        month, day = chance.randrange(12), chance.randrange(1, 26)
        match chance.randrange(4):
            case 0:
                dates_text, is_date = f"{MONTHS[month]} {day}", lambda d: (d.month, d.day) == (month + 1, day)
            case 1:
                dates_text = f"2024 {MONTHS[month]} {day:02}-{day + 2:02}"
                first = date(2024, month + 1, day)
                is_date = lambda d: first <= d <= first + timedelta(days=2)  # noqa: E731
            case 2:
                last = chance.randrange(12)
                dates_text = f"{MONTHS[month]}-{MONTHS[last]}"
                months = {(month + number) % 12 + 1 for number in range((last - month) % 12 + 1)}
                is_date = lambda d: d.month in months  # noqa: E731
            case _:
                dates_text, is_date = f"week {day}-{day + 3}", lambda d: day <= d.isocalendar()[1] <= day + 3
    times = [
        (start, chance.choice([start + chance.randrange(1, 60), DAY]))
        for start in (chance.randrange(DAY) for _ in range(chance.choice([1, 1, 2])))
    ]
    is_off = chance.random() < 0.15
    is_whole = is_off and chance.random() < 0.8
    times_text = "" if is_whole else ",".join(f"{clock(a)}-{clock(b if b <= DAY else b - DAY)}" for a, b in times)
    text = " ".join(filter(None, [dates_text, days_text, times_text, "off" if is_off else ""]))
    return Rule(
        operator, text, lambda d: is_date(d) and d.weekday() in weekdays, [] if is_whole else times, is_off, is_dated
    )


def meaning(rules: list[Rule], day: date) -> set[int]:
    """Apply the rules to a date, a quarter of an hour at a time."""
    quarters: set[int] = set()
    for rule in rules:
        if not rule.is_on(day):
            continue
        own = {quarter for start, end in rule.times for quarter in range(start, end)}
        if rule.is_off:
            quarters = quarters - own if rule.times else set()
        else:
            quarters = quarters | own if rule.operator == ", " else own
    return quarters


def test_random_texts_are_used_rightly_or_rejected(seed: int) -> None:
    chance = random.Random(seed)
    used = 0
    for _ in range(RANDOM_CASES):
        rules = [random_rule(chance, chance.choice(["; ", "; ", ", "])) for _ in range(chance.choice([1, 1, 2, 3]))]
        text = rules[0].text + "".join(rule.operator + rule.text for rule in rules[1:])
        first = YEAR[0] + timedelta(days=chance.randrange(330))
        said = imported(text, (first, first + timedelta(days=30)))
        if said.rejected:
            assert (said.hours, said.special_hours, said.unknown_hours) == ([], [], ["1"]), text
            continue
        used += 1
        days = chance.sample(days_from(first, 31), 10) if any(rule.is_dated for rule in rules) else days_from(first, 7)
        for day in days:
            assert day_of(said, "1", day) == meaning(rules, day), (text, day)
    assert used > RANDOM_CASES * 0.7


def test_random_texts_mean_the_same_to_another_reader(seed: int) -> None:
    """Compared where both agree on what is meant: no nights, which the other reader cuts at the next day's rule."""
    chance = random.Random(seed)
    compared = 0
    while compared < 300:
        rules = [random_rule(chance, chance.choice(["; ", ", "])) for _ in range(chance.choice([1, 2, 3]))]
        if any(end > DAY for rule in rules for _, end in rule.times):
            continue
        text = rules[0].text + "".join(rule.operator + rule.text for rule in rules[1:])
        said = imported(text, YEAR)
        if said.rejected:
            continue
        compared += 1
        other = OpeningHours(text)
        for day in chance.sample(days_from(YEAR[0], 366), 10):
            midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001  # a clock on the wall
            open_then = {q for q in range(DAY) if other.is_open(midnight + timedelta(minutes=15 * q))}
            assert day_of(said, "1", day) == open_then, (text, day)


def test_no_random_text_ends_in_another_error(seed: int) -> None:
    chance = random.Random(seed)
    words = 'PH SH off open unknown 24/7 09:00 17:00 - - , , ; || "x" 2024 25 week [1] [-1] + /2 : sunset ( ) easter é'
    every_word = [*SHORT, *MONTHS[:3], *words.split()]
    for _ in range(RANDOM_CASES):
        text = chance.choice(["", " "]).join(chance.choices(every_word, k=chance.randrange(1, 9)))
        with contextlib.suppress(UnreadableError):
            schedule_of(text, YEAR)
