"""Many small requests written together leave what each would have left as a load of its own, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.databases import given_back, url_in
from tests.fixtures.tables import NOW
from uphours.database.database import Database, connect
from uphours.database.loads import write, write_each
from uphours.database.rejected_rows import list_quarantine
from uphours.ingest.load import read_rows
from uphours.load_record import Load, Loaded
from uphours.schema import HOUR_US, OBSERVATION_STATUSES, instant_text

pytestmark = pytest.mark.anywhere

#: A row of a request: store, status, instant; few of each, so that many meet.
Row = tuple[str, str, int]
Request = list[Row]

_ROWS = st.tuples(st.sampled_from("ab"), st.sampled_from(OBSERVATION_STATUSES), st.integers(1, 3))
_REQUESTS = st.lists(st.lists(_ROWS, max_size=6), min_size=1, max_size=6)


def value(row: Row) -> dict[str, str]:
    store, status, hour = row
    return {"store_id": store, "status": status, "timestamp_utc": instant_text(NOW - hour * HOUR_US)}


def read(rows: Sequence[object]) -> Loaded:
    return read_rows(rows, name="rows", now=NOW)


def write_together(
    database: Database, requests: Sequence[Sequence[object]]
) -> tuple[Load, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Write requests as the service does."""
    rows = [row for request in requests for row in request]
    loaded = read(rows)
    bad = {row.line for row in loaded.quarantine}
    of = np.repeat(np.arange(len(requests), dtype=np.int32), [len(request) for request in requests])
    good = np.array([line not in bad for line in range(1, len(rows) + 1)], dtype=np.bool_)
    with database.writing() as connection:
        return write_each(connection, loaded, of[good], len(requests))


def statuses(database: Database) -> list[tuple[Any, ...]]:
    query = "SELECT store_id, observed_at, status FROM observations JOIN stores USING (store) ORDER BY 1, 2"
    with database.reading() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def write_alone(database: Database, request: Sequence[object]) -> Load:
    with database.writing() as connection:
        return write(connection, read(request))


def test_requests_together_leave_what_they_leave_one_after_the_other(engine: str) -> None:
    examples = settings().max_examples // (1 if engine == "sqlite" else 5)  # a server takes long to empty a store
    settings(max_examples=examples)(given(before=st.lists(_ROWS, max_size=4), requests=_REQUESTS)(check_together))()


def check_together(before: Request, requests: list[Request]) -> None:
    with TemporaryDirectory() as folder, given_back(Path(folder)):
        together, alone = (connect(url_in(Path(folder), name), keep_open=True) for name in ("t", "a"))
        for store in (together, alone):
            write_alone(store, [value(row) for row in before])
        record, repeated, conflicting = write_together(together, [[value(row) for row in one] for one in requests])
        loads = [write_alone(alone, [value(row) for row in one]) for one in requests]
        assert statuses(together) == statuses(alone)
        assert (record.accepted, record.quarantined) == (sum(len(one) for one in requests), 0)
        assert (record.repeated, record.conflicting) == (repeated.sum(), conflicting.sum())
        for place, (one, load) in enumerate(zip(requests, loads, strict=True)):
            said_again = int(repeated[place] + conflicting[place])
            assert 0 <= said_again <= load.accepted
            if len({(store, hour) for store, _, hour in one}) == len(one):
                # Where no row of a request meets another of the same one, both count alike.
                assert (repeated[place], conflicting[place]) == (load.repeated, load.conflicting)
        for store in (together, alone):
            store.close()


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return connect(url_in(tmp_path, "store.db"))


def test_a_later_request_replaces_what_an_earlier_one_said(database: Database) -> None:
    requests = [[value(("a", "inactive", 1))], [value(("a", "active", 1))], [value(("a", "active", 1))]]
    record, repeated, conflicting = write_together(database, requests)
    assert [row[2] for row in statuses(database)] == [1]
    assert (repeated.tolist(), conflicting.tolist()) == ([0, 0, 1], [0, 1, 0])
    assert (record.load, record.accepted, record.repeated, record.conflicting) == (1, 3, 1, 1)


def test_inside_one_request_the_smallest_status_wins_whatever_was_known(database: Database) -> None:
    orders = [*permutations(OBSERVATION_STATUSES, 2), *permutations(OBSERVATION_STATUSES)]
    cases = {
        f"{known} {' '.join(order)}": (known, order)
        for known in ("nothing", "active", "inactive", "unknown")
        for order in orders
    }
    before = [value((store, known, 1)) for store, (known, _) in cases.items() if known != "nothing"]
    write_alone(database, before)
    for store, (_, order) in cases.items():
        write_together(database, [[value((store, status, 1)) for status in order]])
    assert {store: status for store, _, status in statuses(database)} == {
        store: min(map(OBSERVATION_STATUSES.index, order)) for store, (_, order) in cases.items()
    }


def test_bad_rows_of_one_request_are_set_aside_and_the_others_count_for_their_own(database: Database) -> None:
    good, bad = value(("a", "active", 1)), value(("a", "activ", 1))
    requests: list[list[object]] = [[bad, good, bad], [bad], [good, "no row", good]]
    record, repeated, conflicting = write_together(database, requests)
    assert (record.rows_read, record.accepted, record.quarantined) == (7, 3, 4)
    assert (repeated.tolist(), conflicting.tolist()) == ([0, 0, 2], [0, 0, 0])
    with database.reading() as connection:
        assert [row["line"] for row in list_quarantine(connection, record.load)] == [1, 3, 4, 6]


def test_a_request_without_a_row_is_nothing_among_others(database: Database) -> None:
    record, repeated, conflicting = write_together(database, [[], [value(("a", "active", 1))], []])
    assert (record.accepted, repeated.tolist(), conflicting.tolist()) == (1, [0, 0, 0], [0, 0, 0])
    assert len(statuses(database)) == 1


def test_requests_of_bad_rows_alone_leave_their_record(database: Database) -> None:
    record, repeated, _ = write_together(database, [["x"], ["y"]])
    assert (record.rows_read, record.accepted, record.quarantined, repeated.tolist()) == (2, 0, 2, [0, 0])
    assert (record.first_observed_at, record.last_observed_at) == (None, None)
    assert statuses(database) == []


def test_more_observations_than_one_statement_takes_are_found_again(database: Database) -> None:
    rows = [value((f"s{number % 40}", "active", number // 40 + 1)) for number in range(1_300)]
    write_alone(database, rows)
    changed = [row | {"status": "inactive"} for row in rows[::2]]
    record, repeated, conflicting = write_together(database, [rows[:700], changed, rows[700:]])
    assert (repeated.tolist(), conflicting.tolist()) == ([700, 0, 300], [0, 650, 300])
    assert (record.repeated, record.conflicting) == (1_000, 950)
    down = {(row["store_id"], row["timestamp_utc"]) for row in changed} - {
        (row["store_id"], row["timestamp_utc"]) for row in rows[700:]
    }
    assert sum(status == 0 for _, _, status in statuses(database)) == len(down) == 350
