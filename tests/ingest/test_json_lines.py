"""JSON Lines: one object a line; ids are never floats on their way, and a broken line is set aside alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures import tables
from tests.fixtures.tables import hours_of, lines_of, only_reason, polls_of, read, zones_of
from uphours.ingest.readers.json_texts import DECODER, Repeated, decoded

TIME = "2023-01-24 10:00:00 UTC"
GOOD = b'{"store_id": "1", "status": "active", "timestamp_utc": "2023-01-24 10:00:00 UTC"}'


def with_id(written: str) -> str:
    return f'{{"store_id": {written}, "status": "active", "timestamp_utc": "{TIME}"}}\n'


def test_the_three_kinds_are_read(tmp_path: Path) -> None:
    polls = read(tmp_path, "polls", GOOD)
    assert polls_of(polls) == [("1", "active", TIME)]
    hours = '{"store_id":"1","%s":%s,"start_time_local":"09:00","end_time_local":"17:00:00"}\n'
    named = [hours % ("day", "0"), hours % ("dayOfWeek", '"1"'), hours % ("day_of_week", "2")]
    assert hours_of(read(tmp_path, "hours", "".join(named))) == [("1", day, 540, 1020) for day in range(3)]
    zones = read(tmp_path, "timezones", '{"timezone_str":"Asia/Kolkata","store_id":1}')
    assert zones_of(zones) == {"1": "Asia/Kolkata"}


@pytest.mark.parametrize(
    "written",
    ["8419537941919820732", "9223372036854775807", "18446744073709551615", "123456789012345678901234567890"],
)
def test_long_numbers_as_ids_keep_every_digit(tmp_path: Path, written: str) -> None:
    as_number = read(tmp_path, "polls", with_id(written))
    as_text = read(tmp_path, "polls", with_id(f'"{written}"'))
    assert as_number.store_ids == as_text.store_ids == [written]


@pytest.mark.parametrize("written", ["8.4e18", "8.41954E+18", "1e+18", "1.5", "true", "[1]", '{"a": 1}'])
def test_ids_that_are_neither_text_nor_whole_numbers_are_set_aside(tmp_path: Path, written: str) -> None:
    loaded = read(tmp_path, "polls", with_id(written))
    assert lines_of(loaded) == [(1, with_id(written).rstrip().encode())]
    assert "valid are text and whole numbers" in only_reason(loaded)


def test_an_id_in_text_that_went_through_a_spreadsheet_is_set_aside(tmp_path: Path) -> None:
    loaded = read(tmp_path, "polls", with_id('"8.41954E+18"'))
    assert "scientific notation" in only_reason(loaded)


def test_blank_lines_are_nothing_and_are_counted(tmp_path: Path) -> None:
    content = b"\n\r\n" + GOOD + b"\r\n  \n{}\n" + GOOD
    loaded = read(tmp_path, "polls", content)
    assert loaded.files[0].rows_read == 3
    assert loaded.files[0].accepted == 2
    assert lines_of(loaded) == [(5, b"{}")]


def test_a_byte_order_mark_is_no_part_of_the_first_object(tmp_path: Path) -> None:
    assert polls_of(read(tmp_path, "polls", b"\xef\xbb\xbf" + GOOD)) == [("1", "active", TIME)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"store_id": "1", "status": "act', "not a JSON object"),
        (b'{"store_id": "1"} {"store_id": "2"}', "not a JSON object"),
        (b"[1, 2, 3]", "not a JSON object"),
        (b"17", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b"store_id,status,timestamp_utc", "not a JSON object"),
        (b'{"store_id": "caf\xe9"}', "not UTF-8"),
        (b"{\x00", "not"),
        (b"[" * 100_000, "not a JSON object"),
        (b'{"store_id":' + b"[" * 100_000 + b"}", "not a JSON object"),
        (b"{}", "missing store_id"),
        (b'{"store_id": null, "status": "active", "timestamp_utc": "x"}', "missing store_id"),
        (b'{"store_id": "1", "timestamp_utc": "2023-01-24 10:00:00 UTC"}', "missing status"),
        (b'{"store_id": "1", "status": "active"}', "missing timestamp_utc"),
        (b'{"store_id": "1", "status": 2, "timestamp_utc": "2023-01-24 10:00:00 UTC"}', "status"),
        (b'{"store_id": "1", "status": "active", "timestamp_utc": 167455440}', "timestamp_utc"),
        (b'{"store_id": "a\\u0000b", "status": "active", "timestamp_utc": "x"}', "control or invisible character"),
        (b'{"store": "1", "status": "active", "timestamp_utc": "x"}', "missing store_id: the object has 'store', "),
        (b'{"store_id": "1", "STATUS": "up", "status": "down", "timestamp_utc": "x"}', "2 columns for status"),
        (b'{"store_id": "1", "status": "up", "status": "down", "timestamp_utc": "x"}', "2 columns for status"),
    ],
)
def test_a_line_that_is_no_row_is_set_aside_alone(tmp_path: Path, line: bytes, reason: str) -> None:
    loaded = read(tmp_path, "polls", GOOD + b"\n" + line + b"\n" + GOOD.replace(b'"1"', b'"2"') + b"\n")
    assert lines_of(loaded) == [(2, line[:4096])]
    assert reason in only_reason(loaded)
    assert polls_of(loaded) == [("1", "active", TIME), ("2", "active", TIME)]


@pytest.mark.parametrize("depth", range(940, 1001, 4))
def test_deeply_nested_values_never_end_in_a_crash(tmp_path: Path, depth: int) -> None:
    loaded = read(tmp_path, "polls", with_id("[" * depth + "]" * depth))
    assert len(loaded.quarantine) == 1


@pytest.mark.parametrize("written", ['"\\ud800x"', '"x\\udc80"'])
def test_an_id_with_half_a_character_is_rejected(tmp_path: Path, written: str) -> None:
    loaded = read(tmp_path, "polls", with_id(written))
    assert only_reason(loaded) == "a character is cut in half: a lone surrogate"
    assert not loaded.store_ids


def test_json_lines_and_csv_of_the_same_rows_say_the_same(tmp_path: Path) -> None:
    for kind, content in tables.CONTENTS.items():
        header, *rows = (line.split(",") for line in content.splitlines())
        objects = "".join(json.dumps(dict(zip(header, row, strict=True))) + "\n" for row in rows)
        assert tables.content_of(read(tmp_path, kind, objects)) == tables.content_of(read(tmp_path, kind, content))


@given(
    st.lists(st.tuples(st.sampled_from(['"a"', '"b"', '"\\u0061"']), st.sampled_from(
        ["1", '"x"', '"x,y"', '"\\u002c"',
         '"\\",\\""', '{"c": 1}', '{"c": 1, "c": 2}', '{"c": 1, "d": 2}', "[1, 2]", "[]"]
    )), max_size=4),
    st.sampled_from([",", " , "]),
)  # fmt: skip
def test_a_repeated_key_is_seen_by_the_quick_way_too(pairs: list[tuple[str, str]], comma: str) -> None:
    text = "{" + comma.join(f"{key}: {value}" for key, value in pairs) + "}"
    expected, found = DECODER.decode(text), decoded(text)
    assert found == expected
    assert isinstance(found, Repeated) == isinstance(expected, Repeated)
