"""Special hours, attributes, dated weeks and the ledger: every form is read, and every mistake is named."""

from __future__ import annotations

import io
import json
import random
from dataclasses import asdict
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import uphours
from tests.fixtures.tables import CONTENTS, HEADERS, NOW, only_reason, settings_of, table, write
from uphours.errors import InputError
from uphours.ingest.inputs import Kind, Source, detected
from uphours.ingest.load import read_files, read_sources, read_tables
from uphours.ingest.local_dates import day_of_date
from uphours.ingest.quarantine import as_csv
from uphours.load_record import Brought, Loaded, Summary
from uphours.schema import CLOSED, EVERY_STORE, MINUTE_US, MOST_HOURS, SINCE_EVER, instant_us

NEW_KINDS: tuple[Kind, ...] = ("special", "stores", "adjustments")


def of(kind: Kind, content: bytes | str) -> Loaded:
    raw = content.encode() if isinstance(content, str) else content
    return read_sources([Source(kind, "rows", lambda: io.BytesIO(raw))], now=NOW, allow_unusable=True)


def rows_of(kind: Kind, *rows: str) -> Loaded:
    return of(kind, table(kind, *rows))


def day(text: str) -> int:
    days = day_of_date(text)
    assert days is not None
    return days


def dates_of(loaded: Loaded) -> list[tuple[str, int, int, int]]:
    """Return special hours in minutes; 1440 to 0 is a closed date."""
    return [
        ("*" if store == EVERY_STORE else loaded.store_ids[store], on, start // MINUTE_US, end // MINUTE_US)
        for store, on, start, end in loaded.special_hours.tolist()
    ]


# --- dates ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["2026-12-24", "20261224", " 2026-12-24 ", "2026-12-24 00:00:00", "2026-12-24T00:00:00.000Z"]
)
def test_forms_of_dates_are_read(text: str) -> None:
    loaded = rows_of("special", f"1,{text},10:00,16:00,")
    assert dates_of(loaded) == [("1", day("2026-12-24"), 600, 960)]
    assert of("hours", f"store_id,day,start_time_local,end_time_local,valid_from\n1,0,9:00,17:00,{text}").hours[
        0, 1
    ] == day("2026-12-24")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "missing date; valid are dates such as 2026-12-24 and 20261224"),
        ("24.12.2026", "may have the day or the month first; write 2026-12-24"),
        ("12/24/2026", "may have the day or the month first"),
        ("46015", "is a number of days, as spreadsheets store a date"),
        ("2026-12-24 09:00", "has a time of day; valid are dates alone"),
        ("2026-12-24T00:00:00+02:00", "has a time of day"),
        ("2026-02-30", "unreadable date '2026-02-30'"),
        ("Christmas", "unreadable date 'Christmas'"),
        ("1969-12-31", "is before the year 1970"),
        ("2200-01-01", "is after the year 2199"),
    ],
)
def test_what_is_no_date_is_rejected_with_the_reason(text: str, reason: str) -> None:
    assert reason in only_reason(rows_of("special", f"1,{text},10:00,16:00,"))


# --- special hours ----------------------------------------------------------------------------------------------


def test_a_date_without_times_is_closed_and_a_star_is_every_store() -> None:
    loaded = rows_of(
        "special", "1,2026-12-25,,,Christmas Day", "*,2026-12-25,Closed,closed,", "2,2026-12-31,18:00,26:00,"
    )
    assert dates_of(loaded) == [
        ("*", day("2026-12-25"), 1440, 0),
        ("1", day("2026-12-25"), 1440, 0),
        ("2", day("2026-12-31"), 1080, 1560),
    ]
    assert loaded.special_names == {(loaded.store_ids.index("1"), day("2026-12-25")): "Christmas Day"}
    assert sorted(loaded.store_ids) == ["1", "2"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,2026-12-24,10:00,,", "missing end_time_local beside a time"),
        ("1,2026-12-24,,16:00,", "missing start_time_local beside a time"),
        ("1,2026-12-24,closed,16:00,", "stands beside a time; valid is closed for both"),
        ("1,2026-12-24,24:00,00:00,", "is on the next day; valid are starts before 24:00, in a row of that date"),
        ("1,2026-12-24,9,17,", "may be hours or minutes"),
        (f"1,2026-12-24,9:00,17:00,{'x' * 256}", "is too long; valid are up to 255 characters"),
        (",2026-12-24,9:00,17:00,", "missing store_id"),
    ],
)
def test_a_bad_row_of_special_hours_is_rejected_and_its_date_left_out(row: str, reason: str) -> None:
    assert reason in only_reason(rows_of("special", row))
    loaded = rows_of("special", row, "1,2026-12-24,18:00,20:00,", "1,2026-12-26,,,")
    if row.startswith(","):
        assert len(loaded.quarantine) == 1
    else:
        assert "another row of the date cannot be used" in loaded.quarantine[1].reason
        assert loaded.quarantine[1].raw == b"1,2026-12-24,18:00,20:00,"
        assert dates_of(loaded) == [("1", day("2026-12-26"), 1440, 0)]


def test_closed_beside_times_of_the_same_date_is_rejected_alone() -> None:
    loaded = rows_of("special", "1,2026-12-24,,,", "1,2026-12-24,10:00,12:00,", "2,2026-12-24,,,")
    assert "closed on a date for which other rows give times" in only_reason(loaded)
    assert dates_of(loaded) == [("1", day("2026-12-24"), 600, 720), ("2", day("2026-12-24"), 1440, 0)]


def test_a_date_with_too_many_rows_is_left_out() -> None:
    many = [f"1,2026-12-24,{n // 60:02}:{n % 60:02},24:00," for n in range(MOST_HOURS + 1)]
    loaded = rows_of("special", *many, "1,2026-12-25,,,")
    assert dates_of(loaded) == [("1", day("2026-12-25"), 1440, 0)]
    assert len(loaded.quarantine) == MOST_HOURS + 1
    assert {row.cause[:20] for row in loaded.quarantine} == {"another row of the d", "the date has more th"}


def test_a_date_is_left_out_whichever_file_of_a_load_has_the_bad_row(tmp_path: Path) -> None:
    good = write(tmp_path / "a.csv", table("special", "1,2026-12-24,10:00,12:00,", "1,2026-12-25,,,"))
    bad = write(tmp_path / "b.csv", table("special", "1,2026-12-24,13:00,x,", "2,2026-12-25,,,"))
    for names in ([good, bad], [bad, good]):
        loaded = read_files({"special": names}, now=NOW)
        assert {on for _, on, *_ in dates_of(loaded)} == {day("2026-12-25")}


# --- weeks ------------------------------------------------------------------------------------------------------

DATED = "store_id,day,start_time_local,end_time_local,valid_from\n"


def test_weeks_and_zones_are_dated_and_one_date_stands_for_those_without(tmp_path: Path) -> None:
    hours = write(
        tmp_path / "h.csv", DATED + "1,0,9:00,17:00,\n1,0,10:00,17:00,2026-07-01\n1,0,closed,closed,2026-07-01\n"
    )
    zones = write(tmp_path / "z.csv", "store_id,timezone_str,valid_from\n1,UTC,\n1,Europe/Paris,2026-07-01\n")
    loaded = read_files({"hours": [hours], "timezones": [zones]}, now=NOW)
    assert loaded.hours[:, 1].tolist() == [SINCE_EVER, day("2026-07-01")]
    assert loaded.timezones == {(0, SINCE_EVER): "UTC", (0, day("2026-07-01")): "Europe/Paris"}
    assert [row.line for row in loaded.quarantine] == [4]
    dated = read_files({"hours": [hours], "timezones": [zones]}, now=NOW, valid_from=day("2026-01-01"))
    assert dated.hours[:, 1].tolist() == [day("2026-01-01"), day("2026-07-01")]
    assert (0, day("2026-01-01")) in dated.timezones


def test_a_week_with_an_unreadable_date_leaves_the_hours_unknown() -> None:
    loaded = of("hours", DATED + "1,0,9:00,17:00,01/07/2026\n2,0,9:00,17:00,\n2,0,9:00,17:00,soon\n")
    assert [loaded.store_ids[store] for store in loaded.unusable["hours"]] == ["1"]
    assert "unreadable valid_from 'soon'; valid are dates" in loaded.quarantine[1].reason


def test_each_week_of_a_store_may_have_its_own_168_rows() -> None:
    rows = [f"1,{n % 7},{n // 7 // 2:02}:{n // 7 % 2}0,24:00," for n in range(MOST_HOURS)]
    full = "\n".join(rows + [row + "2026-07-01" for row in rows])
    assert not of("hours", DATED + full).quarantine
    assert "more than 168" in only_reason(of("hours", DATED + full + "\n1,0,23:59,24:00,2026-07-01"))


# --- attributes -------------------------------------------------------------------------------------------------


def test_any_column_is_an_attribute_and_days_are_dates() -> None:
    loaded = of("stores", "STORE_ID, Region ,Last_Day,valid_from,\n1, North ,20261231,2026-01-01,x\n2,,,,\n")
    since = day("2026-01-01")
    assert loaded.attributes == {
        (0, "Region", since): "North",
        (0, "last_day", since): "2026-12-31",
        (1, "Region", SINCE_EVER): "",
        (1, "last_day", SINCE_EVER): "",
    }


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("*,,x,,North", "store_id * is for special hours alone"),
        ("1,,x,24.12.2026,North", "unreadable first_day '24.12.2026'; valid are dates"),
        ("1,soon,x,,North", "unreadable valid_from 'soon'"),
        (f"1,,x,,{'y' * 256}", "region has 256 characters; valid are up to 255 characters"),
        (",,x,,North", "missing store_id"),
    ],
)
def test_a_bad_row_of_stores_is_rejected_with_the_reason(row: str, reason: str) -> None:
    assert reason in only_reason(rows_of("stores", row))


def test_a_first_day_after_the_last_is_rejected() -> None:
    content = "store_id,first_day,last_day\n1,2026-12-24,2026-12-23\n2,2026-12-24,2026-12-24\n"
    assert "first_day 2026-12-24 is after last_day 2026-12-23" in only_reason(of("stores", content))


def test_of_several_values_the_first_as_text_stands_and_any_before_none() -> None:
    rows = ["1,,,,South", "1,,,,North", "1,,,,", "1,,,,North", "1,2026-01-01,,,South"]
    for seed in range(5):
        loaded = rows_of("stores", *random.Random(seed).sample(rows, len(rows)))
        assert loaded.attributes[0, "region", SINCE_EVER] == "North"
        assert (loaded.repeated, loaded.conflicting) == (1, 2)


@pytest.mark.parametrize("title", ["x" * 65, "reason", "raw"])
def test_a_title_that_can_be_no_attribute_is_refused(title: str) -> None:
    with pytest.raises(InputError, match="rows \\(stores\\) has a column"):
        of("stores", f"store_id,{title}\n1,x\n")
    assert "the object has a key" in only_reason(of("stores", json.dumps({"store_id": "1", title: "x"})))


def test_an_attribute_with_parts_is_rejected_and_keys_may_differ_from_row_to_row() -> None:
    lines = [
        {"store_id": 1, "region": "North"},
        {"store_id": 2, "size": 3.0, "open": True},
        {"store_id": 3, "tags": [1]},
    ]
    loaded = of("stores", "\n".join(map(json.dumps, lines)))
    assert loaded.attributes == {
        (0, "region", SINCE_EVER): "North", (1, "size", SINCE_EVER): "3", (1, "open", SINCE_EVER): "true",
    }  # fmt: skip
    assert "the attribute tags is" in only_reason(loaded)


# --- the ledger -------------------------------------------------------------------------------------------------


def adjusted(row: str) -> Loaded:
    return rows_of("adjustments", row)


@pytest.mark.parametrize(
    ("bounds", "start", "is_local"),
    [
        ("2024-11-03T06:30Z,2024-11-03T07:00Z,,", "2024-11-03 06:30", False),
        ("2024-11-03 06:30:00 UTC,20241104,,", "2024-11-03 06:30", False),
        (",,2024-11-03T01:30,2024-11-03T02:00", "2024-11-03 01:30", True),
        (",,2024-11-03 01:30:15,2024-11-03 2:00 PM", "2024-11-03 01:30:15", True),
        (",,2024-11-03,2024-11-04", "2024-11-03 00:00", True),
    ],
)
def test_bounds_are_in_utc_or_local(bounds: str, start: str, is_local: bool) -> None:
    (row,) = adjusted(f"1,{bounds},Excluded,Store’s Own  Fault, note ,7,").adjustments
    assert (row.start, row.is_local) == (instant_us(f"{start} UTC" if ":" in start else start), is_local)
    assert (row.counts_as, row.reason, row.note, row.entry) == ("excluded", "store's own fault", "note", "7")


@pytest.mark.parametrize(
    ("word", "meant"), [("UP", "up"), ("active", "up"), ("inactive", "down"), ("unknown", "unknown")]
)
def test_usual_words_are_what_time_counts_as(word: str, meant: str) -> None:
    (row,) = adjusted(f"1,2024-11-03T06:30Z,2024-11-03T07:00Z,,,{word},other,,,").adjustments
    assert row.counts_as == meant


UTC = "2024-11-03T06:30Z,2024-11-03T07:00Z,,"
LOCAL = ",,2024-11-03T01:30,2024-11-03T02:00"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"*,{UTC},up,other,,,", "store_id * is for special hours alone; valid are ids of stores, a row for each"),
        (f"1,{UTC},,other,,,", "missing counts_as; valid are excluded, up, down, unknown"),
        (f"1,{UTC},closed,other,,,", "unknown counts_as 'closed'"),
        (f"1,{UTC},up,,,,", "missing reason; valid are planned closure, platform outage"),
        (f"1,{UTC},up,rain,,,", "unknown reason 'rain'; valid are planned closure"),
        ("1,,,,,up,other,,,", "missing start_utc and end_utc; valid are start_utc and end_utc, or start_local"),
        ("1,2024-11-03T06:30Z,,,,up,other,,,", "missing end_utc beside start_utc"),
        ("1,,,,2024-11-03T06:30,up,other,,,", "missing start_local beside end_local"),
        ("1,2024-11-03T06:30Z,,,2024-11-04,up,other,,,", "stand there in UTC and in local time"),
        ("1,2024-11-03T06:30Z,later,,,up,other,,,", "unreadable end_utc 'later'"),
        ("1,,,2024-11-03T06:30Z,2024-11-04,up,other,,,", "has an offset from UTC"),
        ("1,,,11/03/2024 1:30,2024-11-04,up,other,,,", "may have the day or the month first"),
        ("1,2024-11-03T07:00Z,2024-11-03T07:00Z,,,up,other,,,", "the end is not after the start"),
        ("1,,,2024-11-04,2024-11-03,up,other,,,", "the end is not after the start"),
        ("1,,,1969-12-31,2024-11-03,up,other,,,", "is not in the years 1970 to 2199"),
        ("1,,,2024-11-03,2200-01-02,up,other,,,", "is not in the years 1970 to 2199"),
        (f"1,{UTC},up,other,{'x' * 4001},,", "note has 4001 characters; valid are up to 4,000"),
        (f"1,{UTC},up,other,,{'x' * 65},", "entry has 65 characters; valid are up to 64"),
        (f"1,{UTC},up,other,,,1", "withdraws stands beside what is no withdrawal"),
        ("1,,,,,withdrawal,other,,,", "missing withdraws"),
        (f"1,{LOCAL},withdrawal,other,,,1", "a withdrawal has no start and no end"),
    ],
)
def test_a_bad_row_of_the_ledger_is_rejected_with_the_reason(row: str, reason: str) -> None:
    assert reason in only_reason(adjusted(row))


def test_rows_of_one_entry_say_one_thing() -> None:
    loaded = rows_of("adjustments", f"1,{UTC},up,other,,1,", f"2,{UTC},down,other,,1,", f"2,{UTC},down,other,,2,")
    assert [row.line for row in loaded.quarantine] == [2, 3]
    assert [row.entry for row in loaded.adjustments] == ["2"]
    assert "rows of the entry differ" in loaded.quarantine[0].reason


def test_a_store_that_only_the_ledger_names_is_in_the_load() -> None:
    loaded = adjusted(f"7,{UTC},up,other,,,")
    assert loaded.store_ids == ["7"]
    assert loaded.adjustments[0].store == 0


# --- all kinds --------------------------------------------------------------------------------------------------


@given(st.randoms(use_true_random=False), st.sampled_from(NEW_KINDS))
def test_order_and_repetition_of_rows_change_nothing(chance: random.Random, kind: Kind) -> None:
    header, *rows = CONTENTS[kind].splitlines()
    shuffled = rows + chance.sample(rows, chance.randrange(len(rows)))
    chance.shuffle(shuffled)
    loaded, again = of(kind, CONTENTS[kind]), of(kind, "\n".join([header, *shuffled]))
    assert settings_of(again) == settings_of(loaded)
    assert [row.entry for row in again.adjustments] == [row.entry for row in loaded.adjustments]
    assert (again.repeated, again.conflicting) == (len(shuffled) - len(rows), 0)


def objects(kind: Kind) -> list[dict[str, str]]:
    header, *rows = (line.split(",") for line in CONTENTS[kind].splitlines())
    return [dict(zip(header, row, strict=True)) for row in rows]


@pytest.mark.parametrize("kind", NEW_KINDS)
def test_every_format_says_the_same(kind: Kind) -> None:
    wanted = settings_of(of(kind, CONTENTS[kind]))
    rows = objects(kind)
    file = io.BytesIO()
    pl.DataFrame(rows).write_parquet(file)
    forms: list[str | bytes] = [
        "\n".join(map(json.dumps, rows)),
        json.dumps(rows),
        json.dumps({"rows": rows}),
        file.getvalue(),
    ]
    for form in forms:
        assert settings_of(of(kind, form)) == wanted
        name = "rows"
        raw = form.encode() if isinstance(form, str) else form
        assert detected(name, lambda raw=raw: io.BytesIO(raw)).kind == kind  # type: ignore[misc]


def moments(*texts: str | None) -> pl.Series:
    return pl.Series(texts, dtype=pl.String).str.to_datetime()


def test_types_mean_what_their_text_means() -> None:
    special = {
        "store_id": [1],
        "date": [date(2026, 12, 24)],
        "start_time_local": ["10:00"],
        "end_time_local": ["16:00"],
    }
    stores = {
        "store_id": [1, 2],
        "valid_from": moments("2026-01-01T00:00:00", None),
        "first_day": [date(2020, 5, 1), None],
        "floors": [2.0, 2.5],
    }
    said = {"store_id": [1], "counts_as": ["up"], "reason": ["other"]}
    utc = {
        **said,
        "start_utc": moments("2024-11-03T06:30:00"),
        "end_utc": moments("2024-11-03T07:00:00").dt.replace_time_zone("UTC"),
        "entry": [7.0],
    }
    local = {
        **said, "start_local": moments("2024-11-03T01:30:00"), "end_local": [date(2024, 11, 4)], "entry": [7],
    }  # fmt: skip
    pairs: list[tuple[Kind, dict[str, object], str]] = [
        ("special", {**special}, table("special", "1,2026-12-24,10:00,16:00,")),
        ("stores", {**stores}, "store_id,valid_from,first_day,floors\n1,2026-01-01,2020-05-01,2\n2,,,2.5\n"),
        ("adjustments", {**utc}, table("adjustments", f"1,{UTC},up,other,,7,")),
        ("adjustments", {**local}, table("adjustments", "1,,,2024-11-03T01:30,2024-11-04,up,other,,7,")),
    ]
    for kind, typed, text in pairs:
        loaded = read_tables({kind: pl.DataFrame(typed)})
        assert settings_of(loaded) == settings_of(of(kind, text)), kind
        assert not loaded.quarantine
    aware = pl.DataFrame(local).with_columns(pl.col("start_local").dt.replace_time_zone("UTC"))
    assert "has an offset" in only_reason(read_tables({"adjustments": aware}))


@pytest.mark.parametrize(
    ("kind", "row", "wrong", "right"),
    [
        ("special", "1,2026-12-24,10:00,25,", "25", "16:00"),
        ("stores", "1,,=Main,24.12.2026,North", "24.12.2026", "2026-12-24"),
        ("adjustments", f"1,{UTC},up,rain,a note,7,", "rain", "other"),
    ],
)
def test_what_was_rejected_is_fixed_and_loads(kind: Kind, row: str, wrong: str, right: str) -> None:
    wanted = settings_of(rows_of(kind, row.replace(wrong, right)))
    for content in (table(kind, row), json.dumps(dict(zip(HEADERS[kind].split(","), row.split(","), strict=True)))):
        loaded = of(kind, content)
        for _ in range(2):  # also what is rejected twice
            (file,) = loaded.files
            given = as_csv([asdict(row) for row in loaded.quarantine], kind=kind, header=file.header).decode()
            loaded = of(kind, given)
            assert len(loaded.quarantine) == 1
        reason, _, cells = given.rpartition(wrong)
        fixed = of(kind, reason + right + cells)
        assert not fixed.quarantine
        assert settings_of(fixed) == wanted


def test_the_reason_may_be_the_first_column_of_the_ledger() -> None:
    content = (
        "reason,store_id,start_utc,end_utc,counts_as\nother,1,2024-11-03T06:30Z,2024-11-03T07:00Z,up\nrain,1,,,up\n"
    )
    loaded = of("adjustments", content)
    assert [row.reason for row in loaded.adjustments] == ["other"]
    given = as_csv([asdict(row) for row in loaded.quarantine], kind="adjustments", header=loaded.files[0].header)
    assert given.startswith(b"reason,reason,store_id")
    fixed = of("adjustments", given.replace(b",rain,1,,,up", b",wrong data,1,2024-11-03,2024-11-04,up"))
    assert [row.reason for row in fixed.adjustments] == ["wrong data"]


def test_rejected_rows_of_json_have_the_columns_that_they_have_in_common() -> None:
    lines = [
        {"store_id": 1, "region": "N", "first_day": "x"},
        {"store_id": 2, "region": "S", "size": 1, "last_day": "x"},
    ]
    loaded = of("stores", "\n".join(map(json.dumps, lines)))
    given = as_csv([asdict(row) for row in loaded.quarantine], kind="stores", header=None).decode().splitlines()
    assert given[0] == "reason,store_id,region,raw"
    assert of("stores", "\n".join(given)).attributes == {(0, "region", SINCE_EVER): "N", (1, "region", SINCE_EVER): "S"}


@pytest.mark.parametrize("hint", ["status", "day", "date", "counts_as", "start_utc"])
def test_a_table_of_stores_that_may_be_another_one_is_of_no_kind(hint: str) -> None:
    for content in (f"store_id,region,{hint}\n", json.dumps({"store_id": 1, "region": "x", hint: "y"})):
        with pytest.raises(InputError, match="rows is neither"):
            detected("rows", lambda content=content: io.BytesIO(content.encode()))  # type: ignore[misc]


def test_a_bad_first_row_does_not_make_stores_of_polls() -> None:
    lines = [{"store_id": 1, "stat": "up"}, {"store_id": 1, "status": "up", "timestamp_utc": "2023-01-24T10:00Z"}]
    content = "\n".join(map(json.dumps, lines)).encode()
    assert detected("rows", lambda: io.BytesIO(content)).kind == "polls"


def test_a_load_says_what_it_brought(tmp_path: Path) -> None:
    names: dict[Kind, list[str]] = {kind: [write(tmp_path / kind, CONTENTS[kind])] for kind in NEW_KINDS}
    brought = Brought.of(read_files(names, now=NOW))
    assert brought == Brought(1, 2, True, 9, 3)
    summary = Summary(brought=brought, restated=2)
    assert Summary.from_dict(json.loads(summary.to_json())).brought == brought
    assert Summary.from_dict({**Summary().to_dict(), "brought": None}).brought is None
    assert summary.sentences() == [
        "special hours of all stores and of 1 store on 2 dates",
        "9 attributes of stores",
        "3 entries for the ledger",
        "figures of the past change for 2 stores",
    ]
    assert Summary(restated=1).sentences() == [
        "figures of the past change for 1 store; rows with a valid_from change nothing before it"
    ]


def test_the_library_takes_all_tables() -> None:
    polls = pl.DataFrame({"store_id": ["1"], "status": ["up"], "timestamp_utc": ["2024-06-03T00:00Z"]})
    zones = pl.DataFrame({"store_id": ["1"], "timezone_str": ["UTC"]})
    closed = pl.DataFrame(
        {"store_id": ["*"], "date": [date(2024, 6, 2)], "start_time_local": [None], "end_time_local": [None]}
    )
    first = pl.DataFrame({"store_id": ["1"], "first_day": ["2024-06-01"]})
    ledger = pl.DataFrame({"store_id": ["1"], "start_utc": ["2024-06-01"], "end_utc": ["2024-06-01T06:00Z"],
                           "counts_as": ["excluded"], "reason": ["planned closure"]})  # fmt: skip
    made = uphours.report(
        polls, None, zones, special_hours=closed, attributes=first, adjustments=ledger, as_of="2024-06-04T00:00Z",
        windows=[uphours.Window("w", "2024-05-30T00:00Z", "2024-06-04T00:00Z")],
    )  # fmt: skip
    hour = 3_600_000_000
    assert made["business_us"].to_list() == [(24 - 6 + 24) * hour]
    sessions = uphours.sessions(
        None, zones, special_hours=closed, attributes=first, start="2024-05-30", end="2024-06-04"
    )
    assert sessions["start"].dt.date().to_list() == [date(2024, 6, 1), date(2024, 6, 3)]
    checked = uphours.validate(polls, None, zones, special_hours=closed, attributes=first, adjustments=ledger)
    assert uphours.report(checked, as_of="2024-06-04T00:00Z").height == 3
    with pytest.raises(InputError, match="give it alone"):
        uphours.report(checked, adjustments=ledger)
    rejected = uphours.validate(polls, special_hours=pl.DataFrame({**closed.to_dict(), "date": ["x"]}))
    assert rejected.quarantine["table"].to_list() == ["special_hours"]


def test_closed_is_one_row() -> None:
    (row,) = rows_of("special", "1,2026-12-25,,,").special_hours.tolist()
    assert tuple(row[2:]) == CLOSED
