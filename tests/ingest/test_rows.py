"""Polls that are JSON values already: each is accepted or set aside, and the caller can tell which is which."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.tables import NOW, content_of, read
from uphours.ingest import load
from uphours.load_record import Loaded
from uphours.schema import instant_text

GOOD = {"store_id": "1", "status": "active", "timestamp_utc": "2023-01-24T10:00:00Z"}


def read_rows(rows: list[Any]) -> Loaded:
    return load.read_rows(rows, name="posted", now=NOW)


def accepted_by_line(loaded: Loaded, count: int) -> dict[int, tuple[str, str]]:
    """Return the accepted observations by the line they came from, as the docstring of `read_rows` says."""
    bad = {row.line for row in loaded.quarantine}
    lines = [line for line in range(1, count + 1) if line not in bad]
    found = zip(lines, loaded.stores.tolist(), loaded.times.tolist(), strict=True)
    return {line: (loaded.store_ids[store], instant_text(time)) for line, store, time in found}


@pytest.mark.parametrize("count", [1, 7, 200, 2_500])
def test_the_line_of_each_accepted_observation_can_be_told(count: int) -> None:
    rows: list[Any] = [
        GOOD | {"store_id": str(count - n), "timestamp_utc": f"2023-01-24 10:{n % 60:02}:{n // 60 % 60:02} UTC"}
        for n in range(count)
    ]
    expected = {n + 1: (row["store_id"], row["timestamp_utc"]) for n, row in enumerate(rows) if n % 3 != 1}
    for n in range(1, count, 3):
        rows[n] = (None, 7, "x", [], {}, rows[n] | {"status": "open"}, rows[n] | {"timestamp_utc": "soon"})[n % 7]
    loaded = read_rows(rows)
    assert accepted_by_line(loaded, count) == expected
    assert [row.line for row in loaded.quarantine] == list(range(2, count + 1, 3))


def test_the_record_names_the_rows_and_counts_them() -> None:
    loaded = read_rows([GOOD, {}, GOOD])
    (file,) = loaded.files
    assert (file.kind, file.name, file.rows_read, file.accepted, file.quarantined) == ("polls", "posted", 3, 2, 1)
    assert file.header is None
    assert loaded.started_at == NOW


def test_no_rows_are_no_mistake() -> None:
    loaded = read_rows([])
    assert (loaded.files[0].rows_read, loaded.store_ids, len(loaded.times)) == (0, [], 0)


def test_rows_say_the_same_as_an_array_of_them(tmp_path: Path) -> None:
    text = '[{"store_id": 12345678901234567890, "status": "active", "timestamp_utc": "2023-01-24T10:00:00+01:00"}, 1]'
    from_file, from_rows = read(tmp_path, "polls", text), read_rows(json.loads(text, parse_int=str))
    assert content_of(from_file) == content_of(from_rows)
    assert [row.reason for row in from_file.quarantine] == [row.reason for row in from_rows.quarantine]


def test_a_row_that_is_set_aside_is_kept_as_json() -> None:
    bad = GOOD | {"status": "é\ud800\x00", "more": [1.5, None]}
    (row,) = read_rows([bad]).quarantine
    assert json.loads(row.raw) == bad


@pytest.mark.parametrize("depth", range(900, 1001, 2))
def test_deeply_nested_values_never_end_in_a_crash(depth: int) -> None:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    loaded = read_rows([GOOD | {"store_id": value}, value, GOOD])
    assert [row.line for row in loaded.quarantine] == [1, 2]
    assert all(row.raw for row in loaded.quarantine)


def test_polls_from_the_future_are_set_aside_and_without_a_clock_none_is() -> None:
    late = GOOD | {"timestamp_utc": "2023-02-02 00:00:00.000001 UTC"}
    (row,) = read_rows([late]).quarantine
    assert "more than 24 h in the future" in row.reason
    assert not load.read_rows([late], name="posted", now=None).quarantine
