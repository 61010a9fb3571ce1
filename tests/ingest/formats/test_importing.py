"""Any file: its format is seen in it, what cannot be read is rejected, and the files that are written can be loaded."""

import contextlib
import copy
import csv
import errno
import json
import random
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.openings import HERE
from uphours.errors import InputError
from uphours.ingest.formats import FORMATS, Imported, import_hours, write_files
from uphours.ingest.formats.importing import format_of
from uphours.kernel.local_time import local_time_us

pytestmark = pytest.mark.anywhere  # it is about clocks on walls, wherever the machine is

FORMAT_OF = {
    "business_profile.json": "google",
    "places.json": "google",
    "place_details.json": "google",
    "stores.jsonld": "schema.org",
    "all_the_places.geojson": "osm",
    "overpass.json": "osm",
    "opening_hours.csv": "osm",
    "shop.ics": "icalendar",
}
PERIOD = (date(2026, 1, 1), date(2026, 3, 31))


def test_the_format_is_seen_in_the_content() -> None:
    assert set(FORMAT_OF) == {path.name for path in HERE.iterdir()}
    for name, expected in FORMAT_OF.items():
        text = (HERE / name).read_text(encoding="utf-8")
        assert format_of("\ufeff".strip("\ufeff") + text, name) == expected
        assert import_hours(HERE / name) == import_hours(HERE / name, expected)


def test_a_byte_order_mark_says_nothing() -> None:
    content = (HERE / "place_details.json").read_bytes()
    assert import_hours(b"\xef\xbb\xbf" + content, name="a").hours == import_hours(content, name="a").hours


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "file is empty; valid are Google's JSON"),
        (b"store_id,day\n1,2\n", "valid are Google's JSON, schema.org"),
        (b"<html><script>{}</script></html>", "of a web page save the JSON-LD alone"),
        (b'{"a": 1}', "no format of opening hours"),
        (b"[]", "no format of opening hours"),
        (b"{", "no format of opening hours"),
        (b"\xff\xfe", "is not UTF-8 at byte 0"),
    ],
)
def test_what_is_none_of_them_says_which_are(content: bytes, problem: str) -> None:
    with pytest.raises(InputError) as error:
        import_hours(content, name="file")
    assert problem in str(error.value)
    assert str(error.value).startswith("file ")


def test_a_wrong_format_and_a_missing_file_are_mistakes() -> None:
    with pytest.raises(InputError, match=r"there is no format 'yelp'; valid are google, schema.org, osm, icalendar"):
        import_hours(b"{}", "yelp")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="cannot read nowhere"):
        import_hours("nowhere")
    with pytest.raises(InputError, match="neither JSON nor JSON lines"):
        import_hours(b"{", "google")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("name", FORMAT_OF)
def test_files_are_written_with_every_row(name: str, tmp_path: Path) -> None:
    said = import_hours(HERE / name, period=PERIOD)
    written = {kind: table(path) for kind, path in write_files(said, tmp_path / "imported").items()}
    hours = written.get("hours", [])
    assert len(hours) == len(said.hours) + len(said.unknown_hours)
    for row in hours:
        if row["store_id"] in said.unknown_hours:
            assert (row["day"], row["end_time_local"]) == ("", "")
            assert row["start_time_local"]
        else:
            times = (row["start_time_local"], row["end_time_local"])
            assert times == ("closed", "closed") or None not in map(local_time_us, times)
    assert len(written.get("special", [])) == len(said.special_hours)
    assert len(written.get("timezones", [])) == len(said.timezones)
    assert {row["store_id"] for row in written.get("stores", [])} == {row.store_id for row in said.attributes}


def test_nothing_is_written_for_nothing(tmp_path: Path) -> None:
    assert write_files(Imported(), tmp_path / "new") == {}


def test_a_store_of_which_no_hours_could_be_used_is_not_taken_for_always_open(tmp_path: Path) -> None:
    said = import_hours(b"ref,opening_hours\n7,Mo-Fr 9-17\n")
    write_files(said, tmp_path)
    assert table(tmp_path / "hours.csv") == [
        {"store_id": "7", "day": "", "start_time_local": "Mo-Fr 9-17", "end_time_local": "", "valid_from": ""}
    ]


def test_ids_are_texts_and_whole_numbers_and_keep_their_zeros() -> None:
    def ids(value: object) -> list[str]:
        said = import_hours(
            json.dumps({"type": "Feature", "properties": {"ref": value, "opening_hours": "24/7"}}).encode()
        )
        assert bool(said.hours) is not bool(said.rejected)
        return sorted({row.store_id for row in said.hours})

    assert ids("0012") == ["0012"]
    assert ids(9_007_199_254_740_993) == ["9007199254740993"]
    for bad in (1.5, True, [1], {"a": 1}, "\ud800", "a\nb", "x" * 1000):
        assert ids(bad) == [], bad


# --- any JSON whatever --------------------------------------------------------------------------------------

VALUES = (
    "09:00 17:00 24:00 0900 Mo-Fr 24/7 off MONDAY Monday https://schema.org/Monday 2026-12-24 closed 1 Feature node"
)
WORDS = st.sampled_from(VALUES.split())
SCALARS = st.none() | st.booleans() | st.integers(-2, 30) | st.floats(allow_nan=False) | WORDS | st.text(max_size=4)
KEYS = {
    "google": """locations places result name storeCode id place_id regularHours specialHours periods specialHourPeriods
        openDay closeDay openTime closeTime hours minutes startDate endDate year month day closed opening_hours open
        close time hour date current_opening_hours special_days regularOpeningHours currentOpeningHours specialDays
        timeZone openInfo openingDate storefrontAddress addressLines address_components types location displayName""",
    "schema.org": """@graph @id branchCode identifier value openingHours openingHoursSpecification dayOfWeek opens
        closes specialOpeningHoursSpecification validFrom validThrough name address brand geo addressCountry""",
    "osm": "features elements properties tags ref id type opening_hours name geometry coordinates lat lon addr:street",
}


def objects(format: str) -> st.SearchStrategy[Any]:
    keys = st.sampled_from(KEYS[format].split())
    inner = st.recursive(
        SCALARS,
        lambda value: st.lists(value, max_size=3) | st.dictionaries(keys, value, max_size=5),
        max_leaves=20,
    )
    return st.dictionaries(keys, inner, max_size=6)


@given(st.sampled_from(sorted(KEYS)).flatmap(lambda format: st.tuples(st.just(format), objects(format))))
def test_any_json_is_used_or_rejected(case: tuple[Any, Any]) -> None:
    format, value = case
    said = import_hours(json.dumps(value).encode(), format, period=PERIOD)
    described = {
        row.store_id for rows in (said.hours, said.special_hours, said.timezones, said.attributes) for row in rows
    }
    assert "" not in described
    assert not {row.store_id for row in said.hours} & set(said.unknown_hours)
    times = {row[2:4] for rows in (said.hours, said.special_hours) for row in rows}
    assert all((start == "closed") is (end == "closed") for start, end in times)
    for rejected in said.rejected:
        assert rejected.reason
        assert rejected.position.file == "input"
        assert rejected.position.line >= 1


# --- damaged files ------------------------------------------------------------------------------------------


LISTS = {
    "all_the_places.geojson": "features",
    "places.json": "places",
    "business_profile.json": "locations",
    "overpass.json": "elements",
}


def places_in(value: Any) -> list[tuple[Any, Any]]:
    """Return all places of a JSON value: the container and the key or number in it."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [place for key in keys for place in [(value, key), *places_in(value[key])]]


@pytest.mark.parametrize("name", [name for name in FORMAT_OF if "json" in name])
def test_a_damaged_file_is_used_or_rejected_and_no_store_is_lost(name: str) -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")  # noqa: T201  # shown when it fails
    chance = random.Random(seed)
    text = (HERE / name).read_text(encoding="utf-8")
    whole: list[Any] = [None, True, -1, 5, 1.5, "", "x", "09:00", "2026-12-24", [], {}, [1], {"a": 1}, [None], "\ud800"]
    for _ in range(150):
        value = json.loads(text)
        for _ in range(chance.choice([1, 1, 3])):
            container, key = chance.choice(places_in(value)[1:])
            container[key] = copy.deepcopy(chance.choice(whole))
        said = import_hours(json.dumps(value).encode(), FORMAT_OF[name], period=PERIOD)  # type: ignore[arg-type]
        records = value.get(LISTS.get(name))
        if isinstance(records, list):
            lost = [row for row in said.rejected if not row.store_id]
            assert len(said.stores) + len(lost) >= len(records)
        assert not set(said.unknown_hours) & {row.store_id for row in said.hours}


def test_a_damaged_calendar_is_used_or_rejected() -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")  # noqa: T201  # shown when it fails
    chance = random.Random(seed)
    lines = (HERE / "shop.ics").read_text(encoding="utf-8").splitlines()
    for _ in range(100):
        damaged = [*lines]
        for _ in range(chance.choice([1, 2, 5])):
            number = chance.randrange(2, len(damaged) - 1)
            match chance.randrange(3):
                case 0:
                    del damaged[number]
                case 1:
                    damaged.insert(number, chance.choice(lines[2:-1]))
                case _:
                    at = chance.randrange(len(damaged[number]) + 1)
                    damaged[number] = damaged[number][:at] + chance.choice("0Z;:=\u00e9T") + damaged[number][at + 1 :]
        said = import_hours("\n".join(damaged).encode(), "icalendar", store_id="1", period=PERIOD)
        assert not (said.hours and said.unknown_hours)


@given(st.binary(max_size=60), st.sampled_from([None, *FORMATS]))
def test_any_bytes_are_read_or_refused(content: bytes, format: Any) -> None:
    with contextlib.suppress(InputError):
        import_hours(content, format, store_id="1", period=PERIOD)


LINES = st.sampled_from(
    """BEGIN:VEVENT|END:VEVENT|BEGIN:VALARM|END:VALARM|UID:1|DTSTART:20240101T090000|DTSTART;VALUE=DATE:20240101|
DTSTART;TZID=Europe/Berlin:20240331T023000|DTEND;TZID=Europe/Berlin:20240331T033000|DTEND:20240101T170000|DURATION:PT2H|
DURATION:-PT2H|DURATION:P400D|RRULE:FREQ=WEEKLY|RRULE:FREQ=DAILY;COUNT=99999999|RRULE:FREQ=YEARLY;BYMONTHDAY=31;BYMONTH=2|
RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=31|RRULE:FREQ=MONTHLY;BYDAY=-1FR|RRULE:FREQ=WEEKLY;UNTIL=20240201T000000Z|
EXDATE:20240108T090000|RDATE:20240109T090000|RDATE;VALUE=DATE:20240109|RECURRENCE-ID:20240108T090000|SUMMARY:Closed|
SUMMARY:Open|STATUS:CANCELLED|STATUS:TENTATIVE|TRANSP:TRANSPARENT|X-WR-TIMEZONE:Europe/Berlin|X-WR-TIMEZONE:Mars/Base|
DTSTART:00010101T000000|DTEND:99991231T000000|RRULE:FREQ=WEEKLY;UNTIL=99991231T000000Z|RRULE:FREQ=SECONDLY""".replace(
        "\n", ""
    ).split("|")
)


@given(st.lists(st.lists(LINES, max_size=6), max_size=3))
def test_any_calendar_is_used_or_rejected(events: list[list[str]]) -> None:
    blocks = ["\r\n".join(["BEGIN:VEVENT", *lines, "END:VEVENT"]) for lines in events]
    text = "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", *blocks, "END:VCALENDAR"])
    said = import_hours(text.encode(), store_id="1", period=PERIOD)
    assert not (said.hours and said.unknown_hours)


# --- the folder that is written -----------------------------------------------------------------------------


def test_a_folder_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = import_hours(HERE / "all_the_places.geojson", period=PERIOD)
    descriptors: list[int] = []

    def fills_up(descriptor: int) -> None:
        descriptors.append(descriptor)
        if len(descriptors) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fills_up)
        with pytest.raises(InputError, match=r"cannot write .*imported: No space left on device; name a new folder"):
            write_files(said, tmp_path / "imported")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_may_be_there_if_it_is_empty_and_has_the_usual_rights(tmp_path: Path) -> None:
    said = import_hours(HERE / "all_the_places.geojson", period=PERIOD)
    for name in ("there", "usual"):
        (tmp_path / name).mkdir()
    write_files(said, tmp_path / "there")
    write_files(said, tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode
    contents = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("there", "new")]
    assert contents[0] == contents[1] != {}
    with pytest.raises(InputError, match=r"there is something at .*new already; name a folder that is new or empty"):
        write_files(said, tmp_path / "new")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="there is something at"):
        write_files(said, tmp_path / "link")
