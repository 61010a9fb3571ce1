"""JSON arrays: each element is a row, its position is its line; what is no array is no load."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.fixtures import tables
from tests.fixtures.tables import content_of, lines_of, only_reason, polls_of, read
from uphours.errors import InputError
from uphours.ingest.readers import json_rows

TIME = "2023-01-24 10:00:00 UTC"
GOOD = '{"store_id": 8419537941919820732, "status": "active", "timestamp_utc": "2023-01-24 10:00:00 UTC"}'
POLL = ("8419537941919820732", "active", TIME)


@pytest.mark.parametrize("indent", [None, 0, 2])
def test_an_array_and_csv_of_the_same_rows_say_the_same(tmp_path: Path, indent: int | None) -> None:
    for kind, content in tables.CONTENTS.items():
        header, *rows = (line.split(",") for line in content.splitlines())
        array = json.dumps([dict(zip(header, row, strict=True)) for row in rows], indent=indent)
        loaded = read(tmp_path, kind, array)
        assert content_of(loaded) == content_of(read(tmp_path, kind, content))
        assert loaded.files[0].rows_read == len(rows)
        assert loaded.files[0].header is None


@pytest.mark.parametrize("content", ["[]", " [ ] ", "\n[\r\n]\t"])
def test_an_array_without_elements_is_no_mistake(tmp_path: Path, content: str) -> None:
    loaded = read(tmp_path, "polls", content)
    assert (loaded.files[0].rows_read, loaded.store_ids) == (0, [])


def test_long_numbers_as_ids_keep_every_digit(tmp_path: Path) -> None:
    assert polls_of(read(tmp_path, "polls", f"[{GOOD}]")) == [POLL]
    number = "9" * 5000  # more digits than Python turns into a number
    assert f"has {len(number)} characters" in only_reason(
        read(tmp_path, "polls", f'[{GOOD}, {{"store_id": {number}, "status": "active", "timestamp_utc": "{TIME}"}}]')
    )


def test_a_byte_order_mark_and_compression_do_not_matter(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf " + f"[{GOOD}]".encode()
    assert polls_of(read(tmp_path, "polls", gzip.compress(content))) == [POLL]


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        (b"17", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b"[1, 2,\n 3]", "not a JSON object"),
        (b"{}", "missing store_id"),
        (b'{"store_id": 1.50, "status": "active", "timestamp_utc": "x"}', "valid are text and whole numbers"),
        (b'{"store_id": "caf\xe9", "status": "active", "timestamp_utc": "x"}', "not UTF-8 text"),
        ('{"store_id": "café", "status":  "open"}'.encode(), "missing timestamp_utc"),
        (b'{"store_id":' + b"[" * 500 + b"]" * 500 + b"}", "valid are text and whole numbers"),
    ],
)
def test_an_element_that_is_no_row_is_set_aside_alone_and_as_it_was(
    tmp_path: Path, element: bytes, reason: str
) -> None:
    loaded = read(tmp_path, "polls", b"[%s,\n %s\n, %s]" % (GOOD.encode(), element, GOOD.encode()))
    assert lines_of(loaded) == [(2, element)]
    assert reason in only_reason(loaded)
    assert polls_of(loaded) == [POLL, POLL]


@pytest.mark.parametrize(
    "content",
    [
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1]]",
        "[1] x",
        f"[{GOOD}]\n[{GOOD}]",
        f"[{GOOD}",
        "[" * 100_000,
        '[{"a": }]',
        '["\t"]',
        "[\x00]",
        "\x0b[]",
    ],
)
def test_what_is_no_array_is_a_mistake_that_names_the_file(tmp_path: Path, content: str) -> None:
    with pytest.raises(
        InputError, match=r"rows \(polls\) is no JSON array: .*valid are one object a line, an array of objects"
    ):
        read(tmp_path, "polls", content)


def test_many_elements_are_read_in_parts_with_the_right_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_rows, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(json_rows, "BLOCK", 16)
    loaded = read(tmp_path, "polls", "[" + ",".join("0" if n % 10 == 3 else GOOD for n in range(50)) + "]")
    assert [row.line for row in loaded.quarantine] == [4, 14, 24, 34, 44]
    assert loaded.files[0].accepted == 45


def test_an_array_that_is_too_large_is_refused_before_it_is_all_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_rows, "BLOCK", 64)
    monkeypatch.setattr(json_rows, "LONGEST_DOCUMENT", 1 << 20)
    with pytest.raises(InputError, match="JSON array of over 1 MiB; give JSON Lines, one object a line"):
        read(tmp_path, "polls", "[" + " " * (2 << 20) + "]")
