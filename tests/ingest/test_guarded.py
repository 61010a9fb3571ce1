"""Cells that a spreadsheet would run: never as they are in what was set aside, and read back as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures import tables
from uphours.ingest import quarantine
from uphours.ingest.guarded import guarded, unguarded

pytestmark = pytest.mark.anywhere


@given(st.lists(st.sampled_from([*"=+-@'\",;\t\n ", "x", "\r"])).map("".join), st.sampled_from([",", ";", "\t", "|"]))
def test_what_is_guarded_is_read_back_as_it_was(text: str, delimiter: str) -> None:
    assert unguarded(guarded(text.encode(), delimiter), delimiter) == text.encode()


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_no_cell_begins_as_a_formula_and_the_file_loads_again(tmp_path: Path, start: str) -> None:
    polls = tables.table("polls", f"{start},asleep,2023-01-24 10:00:00 UTC", f'"{start}",asleep,{start}', "1,'=x,y")
    loaded = tables.read(tmp_path, "polls", polls)
    rows = [{"reason": row.reason, "raw": row.raw} for row in loaded.quarantine]
    assert len(rows) == 3
    content = quarantine.as_csv(rows, kind="polls", header=tables.HEADERS["polls"])
    for cell in content.decode().replace("\n", ",").replace('"', "").split(","):
        assert not cell.startswith(("=", "+", "-", "@", "\t")), content
    again = tables.read(tmp_path, "polls", content, name="again")
    assert [row.raw.endswith(b"," + was.raw) for row, was in zip(again.quarantine, loaded.quarantine, strict=True)] == [
        True
    ] * 3
    fixed = tables.read(tmp_path, "polls", content.replace(b"asleep", b"active").replace(b"=x", b"up"), name="fixed")
    if start.strip() == "=1":  # how a program keeps a spreadsheet from reading an id as a number
        assert fixed.store_ids == []
        assert "is a formula of a spreadsheet" in fixed.quarantine[0].reason
    else:
        assert fixed.store_ids == [start]
