"""What a load says of the fleet is true, however it was counted: all of it, or what changed since the load before."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.databases import given_back, url_in
from tests.fixtures.tables import NOW, table, write
from uphours.database import store_counts
from uphours.database.database import Database, connect
from uphours.database.loads import write_each
from uphours.ingest.inputs import Kind
from uphours.ingest.load import counts_of, load_files, read_files, read_rows
from uphours.load_record import StoreCounts

pytestmark = pytest.mark.anywhere

_STORES = st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=4)
#: Loads of files, with good rows and bad ones, and small requests of the service.
_STEPS = st.lists(
    st.tuples(st.sampled_from(["polls", "hours", "timezones", "bad hours", "bad timezones", "requests"]), _STORES),
    min_size=1,
    max_size=8,
)
_ROWS: dict[Kind, tuple[str, str]] = {
    "polls": (",active,2023-01-30 10:00:00 UTC", ""),
    "hours": (",0,09:00,17:00", ",0,dawn,17:00"),
    "timezones": (",UTC", ",Mars/Olympus"),
}


def counted_anew(database: Database) -> StoreCounts:
    with database.reading() as connection:
        return store_counts._count(connection)


def take(database: Database, folder: Path, step: str, stores: list[str]) -> StoreCounts | None:
    """Do a step; return what the record of its load says of the stores."""
    if step == "requests":
        values = [{"store_id": store, "status": "up", "timestamp_utc": "2023-01-30T12:00Z"} for store in stores]
        loaded = read_rows(values, name="rows", now=NOW)
        with database.writing() as connection:
            write_each(connection, loaded, np.zeros(len(stores), dtype=np.int32), 1)
        return None
    kind: Kind = step.removeprefix("bad ")  # type: ignore[assignment]
    rows = [store + _ROWS[kind][step.startswith("bad ")] for store in stores]
    # One good row, so that the file can be used.
    rows += ["a" + _ROWS[kind][0]] if step.startswith("bad ") else []
    made = load_files(database, {kind: [write(folder / "rows.csv", table(kind, *rows))]}, now=NOW)
    assert made.summary is not None
    return made.summary.stores


@settings(max_examples=settings().max_examples // 2)
@given(steps=_STEPS, most=st.sampled_from([0, 1, 1_000]))
def test_counts_are_those_of_the_whole_fleet(steps: list[tuple[str, list[str]]], most: int) -> None:
    with TemporaryDirectory() as folder, given_back(Path(folder)), pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_counts, "_MOST_UNPOLLED", most)
        database = connect(url_in(Path(folder)))
        for step, stores in steps:
            said = take(database, Path(folder), step, stores)
            assert said in (None, counted_anew(database)), (step, stores)


def test_a_load_of_polls_alone_does_not_count_the_fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = connect(f"sqlite:///{tmp_path / 'store.db'}")
    for step in ("hours", "polls"):
        take(database, tmp_path, step, ["a", "b", "c"])
    expected = counted_anew(database)
    with monkeypatch.context() as patch:
        patch.setattr(store_counts, "_count", None)
        assert take(database, tmp_path, "polls", ["b", "a"]) == expected
    assert take(database, tmp_path, "polls", ["b", "new"]) == counted_anew(database)


def test_a_store_whose_zone_is_unusable_is_not_counted_as_always_open(tmp_path: Path) -> None:
    database = connect(url_in(tmp_path))
    made = take(database, tmp_path, "bad timezones", ["b"])
    assert made is not None
    # The store "a" has a zone and no hours; of "b" nothing is known.
    assert (made.stores, made.always_open, made.in_default_timezone, made.hours_unknown) == (2, 1, 0, 1)
    names = {"timezones": [str(tmp_path / "rows.csv")]}
    loaded = read_files(names, now=NOW)  # type: ignore[arg-type]
    assert counts_of(loaded) == made
