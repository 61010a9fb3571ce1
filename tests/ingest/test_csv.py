"""CSV in every dress it comes in: the same rows give the same load, and what is no CSV is said clearly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures import tables
from tests.fixtures.tables import CONTENTS, HOURS, POLLS, content_of, hours_of, lines_of, only_reason, polls_of, read
from uphours.errors import InputError
from uphours.ingest.inputs import Kind
from uphours.ingest.readers import blocks

KINDS: list[Kind] = ["polls", "hours", "timezones"]
DRESSES: dict[str, Callable[[str], bytes]] = {
    "byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "windows line ends": lambda text: text.replace("\n", "\r\n").encode(),
    "byte order mark and windows line ends": lambda text: text.replace("\n", "\r\n").encode("utf-8-sig"),
    "no final newline": lambda text: text.rstrip("\n").encode(),
    "windows, no final newline": lambda text: text.rstrip("\n").replace("\n", "\r\n").encode(),
    "blank lines": lambda text: (text.replace("\n", "\n\n") + "\n\n").encode(),
    "windows blank lines": lambda text: text.replace("\n", "\r\n\r\n").encode(),
    "lines of blanks": lambda text: text.replace("\n", "\n   \n").encode(),
    "semicolons": lambda text: text.replace(",", ";").encode(),
    "tabs": lambda text: text.replace(",", "\t").encode(),
    "bars": lambda text: text.replace(",", "|").encode(),
    "blanks around everything": lambda text: text.replace(",", " , ").encode(),
    "tabs as blanks": lambda text: text.replace(",", "\t,\t").encode(),
    "everything quoted": lambda text: "".join(
        '"' + line.replace(",", '","') + '"\n' for line in text.splitlines()
    ).encode(),
    "capital headers": lambda text: (text.partition("\n")[0].upper() + "\n" + text.partition("\n")[2]).encode(),
    "an extra column first": lambda text: "".join(f"x,{line}\n" for line in text.splitlines()).encode(),
    "an extra column last": lambda text: "".join(f"{line},x\n" for line in text.splitlines()).encode(),
    "an extra empty column": lambda text: "".join(f"{line},\n" for line in text.splitlines()).encode(),
    "columns in reverse": lambda text: "".join(
        ",".join(reversed(line.split(","))) + "\n" for line in text.splitlines()
    ).encode(),
    "rows in reverse": lambda text: "\n".join([text.splitlines()[0], *reversed(text.splitlines()[1:])]).encode(),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dress", DRESSES)
def test_a_file_in_another_dress_says_the_same(tmp_path: Path, dress: str, kind: Kind) -> None:
    plain = read(tmp_path, kind, CONTENTS[kind])
    dressed = read(tmp_path, kind, DRESSES[dress](CONTENTS[kind]))
    assert not dressed.quarantine
    assert content_of(dressed) == content_of(plain)
    assert [file.accepted for file in dressed.files] == [file.accepted for file in plain.files]


def test_polls_are_read_as_they_are_written(tmp_path: Path) -> None:
    assert polls_of(read(tmp_path, "polls", POLLS)) == [
        ("1", "active", "2023-01-24 10:00:00 UTC"),
        ("1", "inactive", "2023-01-25 12:30:00.250000 UTC"),
        ("2", "active", "2023-01-25 15:04:05.123456 UTC"),
    ]


@pytest.mark.parametrize("title", ["day", "dayOfWeek", "day_of_week", "DAYOFWEEK", " dayOfWeek "])
def test_the_column_of_the_day_has_several_names(tmp_path: Path, title: str) -> None:
    loaded = read(tmp_path, "hours", HOURS.replace("day", title, 1))
    assert hours_of(loaded) == [("1", 1, 540, 1020), ("1", 2, 1080, 120), ("2", 2, 0, 1439)]


def test_ids_are_text_and_keep_their_leading_zeros(tmp_path: Path) -> None:
    ids = ["007", "7", "8419537941919820732", "18446744073709551616", "d84a4552-3668-4075-ad1d-16840294f818"]
    rows = [f"{store_id},active,2023-01-24 10:00:00 UTC" for store_id in ids]
    assert sorted(ids) == [row[0] for row in polls_of(read(tmp_path, "polls", tables.table("polls", *rows)))]


def test_quoted_ids_may_hold_the_delimiter_and_quotes(tmp_path: Path) -> None:
    content = tables.table(
        "polls",
        '"Main St, 5",active,2023-01-24 10:00:00 UTC',
        '"the ""Corner""",inactive,2023-01-24 10:00:00 UTC',
        'half"quote,active,2023-01-24 10:00:00 UTC',
    )
    loaded = read(tmp_path, "polls", content)
    assert sorted(loaded.store_ids) == ["Main St, 5", 'half"quote', 'the "Corner"']
    assert not loaded.quarantine


def test_the_delimiter_is_the_one_that_makes_sense_of_the_header(tmp_path: Path) -> None:
    content = "store_id;status;timestamp_utc\n1,5;active;2023-01-24 10:00:00 UTC\n"
    assert read(tmp_path, "polls", content).store_ids == ["1,5"]


@pytest.mark.parametrize("title", ["status", "STATUS", " Status ", "\ufeffstatus", '"status"'])
def test_one_column_twice_is_refused_in_whatever_spelling(tmp_path: Path, title: str) -> None:
    content = f"store_id,status,timestamp_utc,{title}\n1,active,2023-01-24 10:00:00 UTC,inactive\n"
    with pytest.raises(InputError, match=r"rows \(polls\) has 2 columns for status: 'status', .*; valid is one"):
        read(tmp_path, "polls", content)


@pytest.mark.parametrize("titles", ["day,dayOfWeek", "dayOfWeek,DAY", "day_of_week,dayOfWeek"])
def test_two_columns_for_the_day_are_refused_in_either_order(tmp_path: Path, titles: str) -> None:
    content = f"store_id,{titles},start_time_local,end_time_local\n1,0,1,09:00,17:00\n"
    with pytest.raises(InputError, match="has 2 columns for the day"):
        read(tmp_path, "hours", content)


def test_a_column_of_no_use_may_stand_twice(tmp_path: Path) -> None:
    content = "store_id,note,status,timestamp_utc,note\n1,a,active,2023-01-24 10:00:00 UTC,b\n"
    assert polls_of(read(tmp_path, "polls", content)) == [("1", "active", "2023-01-24 10:00:00 UTC")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ["\n", "", "\r\n", "\n\n\n"])
def test_a_header_alone_is_a_file_without_rows(tmp_path: Path, kind: Kind, ending: str) -> None:
    loaded = read(tmp_path, kind, tables.HEADERS[kind] + ending)
    assert loaded.files[0].rows_read == 0
    assert not loaded.store_ids
    assert not loaded.quarantine


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_file_is_a_mistake_that_is_named(tmp_path: Path, kind: Kind) -> None:
    with pytest.raises(InputError, match=rf"rows \({kind}\) is empty; its first line must name the columns"):
        read(tmp_path, kind, b"")


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf", b"\n\n", b"   "])
def test_a_file_of_nothing_but_blanks_is_a_mistake(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match="rows"):
        read(tmp_path, "polls", content)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_column_is_named_with_what_is_there_and_what_is_needed(tmp_path: Path, kind: Kind) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, kind, "store_id,colour\n1,red\n")
    message = str(caught.value)
    assert "rows" in message
    assert kind in message
    assert "'store_id', 'colour'" in message
    for column in tables.HEADERS[kind].split(","):
        assert column in message


def test_polls_given_as_hours_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column day; it has 'store_id', 'status', 'timestamp_utc'"):
        read(tmp_path, "hours", POLLS)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_utf_16_is_read_as_a_spreadsheet_writes_it(tmp_path: Path, encoding: str, ending: str) -> None:
    content = "\ufeff" + POLLS.replace(",", "\t").replace("\n", ending)
    assert polls_of(read(tmp_path, "polls", content.encode(encoding))) == polls_of(read(tmp_path, "polls", POLLS))
    with pytest.raises(InputError, match="UTF-16 text without a byte order mark; save it as UTF-8"):
        read(tmp_path, "polls", content[1:].encode(encoding))


def test_a_character_of_utf_16_that_is_cut_in_half_spoils_its_row_alone(tmp_path: Path) -> None:
    content = "\ufeff" + POLLS + "\ud800,active,2023-01-24 10:00:00 UTC\n"
    loaded = read(tmp_path, "polls", content.encode("utf-16-le", "surrogatepass"))
    assert only_reason(loaded) == "not UTF-8 text"
    assert len(read(tmp_path, "polls", ("\ufeff" + POLLS).encode("utf-16-le") + b"x").quarantine) == 1


def test_lines_may_end_as_on_old_macs(tmp_path: Path, small_block: int) -> None:
    content = POLLS.replace("\n", "\r")
    loaded = read(tmp_path, "polls", content + "1,open,x\r")
    assert polls_of(loaded) == polls_of(read(tmp_path, "polls", POLLS))
    assert lines_of(loaded) == [(5, b"1,open,x")]


@pytest.mark.parametrize(
    "start", ["sep=;\n", "SEP=;\r\n", '"sep=;"\n', "\n\n", ";;\n;;\n", "sep=;\n\n", "\ufeffsep=;\n"]
)
def test_lines_before_the_header_that_say_nothing_are_passed_over(tmp_path: Path, start: str, small_block: int) -> None:
    content = start + POLLS.replace(",", ";") + "1;open;x\n"
    loaded = read(tmp_path, "polls", content)
    assert polls_of(loaded) == polls_of(read(tmp_path, "polls", POLLS))
    assert lines_of(loaded) == [(content.count("\n"), b"1;open;x")]


@pytest.fixture(params=[1, 3, 16 << 20])
def small_block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(blocks, "BLOCK", request.param)
    return int(request.param)


def test_empty_fields_behind_a_row_say_nothing(tmp_path: Path) -> None:
    rows = [
        "1,active,2023-01-24 10:00:00 UTC,",
        "2,active,2023-01-24 10:00:00 UTC,, ",
        "3,active,2023-01-24 10:00:00 UTC",
    ]
    assert [row[0] for row in polls_of(read(tmp_path, "polls", tables.table("polls", *rows)))] == ["1", "2", "3"]


def test_a_field_too_many_in_each_row_rejects_each_row(tmp_path: Path) -> None:
    rows = [f"{n},1,active,2023-01-24 10:00:00 UTC" for n in range(5)]
    loaded = read(tmp_path, "polls", tables.table("polls", *rows))
    assert {row.reason for row in loaded.quarantine} == {"wrong number of fields: 4 instead of 3"}
    assert not loaded.store_ids


@pytest.mark.parametrize("length", [200_000, 20_000_000])
def test_an_endless_first_line_is_a_mistake_and_no_crash(tmp_path: Path, length: int) -> None:
    with pytest.raises(InputError, match="a line of over") as caught:
        read(tmp_path, "polls", b"x" * length + b"\n1,2,3\n")
    assert len(str(caught.value)) < 2_000


def test_a_picture_is_a_mistake_and_no_crash(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a picture; ask for the table as CSV"):
        read(tmp_path, "polls", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 50)


def test_a_quote_that_is_never_closed_spoils_its_row_alone(tmp_path: Path) -> None:
    rows = [f"{store},active,2023-01-24 10:00:00 UTC" for store in range(100, 110)]
    rows[3] = f'"{rows[3]}'
    loaded = read(tmp_path, "polls", tables.table("polls", *rows))
    assert lines_of(loaded) == [(5, rows[3].encode())]
    assert sorted(loaded.store_ids) == [row[:3] for row in rows if not row.startswith('"')]


def test_line_numbers_count_every_line_of_the_file(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbfstore_id,status,timestamp_utc\r\n\r\n1,bad,x\r\n  \r\n2,worse,y"
    loaded = read(tmp_path, "polls", content)
    assert lines_of(loaded) == [(3, b"1,bad,x"), (5, b"2,worse,y")]
    assert loaded.files[0].rows_read == 2


def test_what_follows_a_row_with_stray_quotes_does_not_change_its_meaning(tmp_path: Path) -> None:
    head = 'store_id,timezone_str,note\n1,UTC,\n1,"UTC", "a, b"\n'
    for length in range(80):  # a reader that works in pieces of 64 bytes has its own idea of some of these
        loaded = read(tmp_path, "timezones", f"{head}2,UTC,{'x' * length}\n")
        assert lines_of(loaded) == [(3, b'1,"UTC", "a, b"')], length


def test_a_file_may_be_longer_than_its_longest_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 64)
    monkeypatch.setattr(blocks, "LONGEST_LINE", 64)
    rows = [f"{n},active,2023-01-24 10:00:00 UTC" for n in range(100)]
    assert len(polls_of(read(tmp_path, "polls", tables.table("polls", *rows)))) == 100
