"""The ledger: entries are added and withdrawn, never changed; a file is entered once, however often it is loaded."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fixtures.databases import dump, opened, url_in
from tests.fixtures.loads_by_hand import by_hand
from tests.fixtures.tables import NOW
from uphours.database import ledger, loads
from uphours.database.audit import list_audit
from uphours.database.database import Database, connect
from uphours.database.rejected_rows import list_quarantine
from uphours.errors import ConflictError, InputError, NotFoundError, RejectedError
from uphours.load_record import Load
from uphours.schema import HOUR_US, SPAN_STATUSES, Adjustments, instant_us

NOON = instant_us("2023-01-25 12:00")
POLLS = [("1", "2023-01-25 10:00", 1), ("2", "2023-01-25 11:00", 0)]


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = connect(url_in(tmp_path))
    made.write(by_hand(polls=POLLS, zones={("1", ""): "America/New_York", ("2", ""): "UTC"}))
    return made


def enter(database: Database, *stores: str, counts_as: str = "excluded", start: int = NOON, hours: int = 1) -> int:
    starts = np.full(len(stores), start, dtype=np.int64)
    with database.writing() as connection:
        return ledger.enter(
            connection, stores, starts, starts + hours * HOUR_US, counts_as=counts_as, reason="other", actor="me",
            now=NOW,
        )  # fmt: skip


def withdraw(database: Database, entry: int) -> int:
    with database.writing() as connection:
        return ledger.withdraw(connection, entry, reason="wrong data", note="n", actor="me", now=NOW)


def counting(database: Database, stores: Sequence[str] | None = None) -> list[tuple[str, int, int, str, int]]:
    """Return what counts at stores: the store, from which to which hour after noon, as what, and by which entry."""
    with database.snapshot(stores) as fleet:
        made: Adjustments = fleet.adjustments
        owners = np.repeat(fleet.store_ids, np.diff(made.offsets)).tolist()
    columns = ((made.starts - NOON) // HOUR_US, (made.ends - NOON) // HOUR_US)
    names = [SPAN_STATUSES[code] for code in made.counts_as.tolist()]
    return list(zip(owners, *(column.tolist() for column in columns), names, made.entries.tolist(), strict=True))


def listed(database: Database, **chosen: Any) -> list[ledger.Entry]:
    with database.reading() as connection:
        return ledger.list_entries(connection, **chosen)


def write(database: Database, *rows: dict[str, Any]) -> Load:
    return database.write(by_hand(adjustments=rows), actor="me")


def test_an_entry_counts_at_its_stores_alone(database: Database) -> None:
    assert counting(database) == []
    assert enter(database, "1", "2") == 1
    assert enter(database, "2", counts_as="up", start=NOON + HOUR_US) == 2
    assert counting(database) == [("1", 0, 1, "excluded", 1), ("2", 0, 1, "excluded", 1), ("2", 1, 2, "up", 2)]
    assert counting(database, ["2"]) == [("2", 0, 1, "excluded", 1), ("2", 1, 2, "up", 2)]
    assert counting(database, []) == []


def test_a_withdrawal_can_be_withdrawn(database: Database) -> None:
    assert (enter(database, "1"), withdraw(database, 1)) == (1, 2)
    assert counting(database) == []
    assert withdraw(database, 2) == 3
    assert counting(database) == [("1", 0, 1, "excluded", 1)]
    assert withdraw(database, 1) == 4
    assert counting(database) == []
    facts = [(entry.entry, entry.counts_as, entry.withdraws, entry.withdrawn_by) for entry in listed(database)]
    withdrawals = [(4, "withdrawal", 1, None), (3, "withdrawal", 2, None), (2, "withdrawal", 1, 3)]
    assert facts == [*withdrawals, (1, "excluded", None, 4)]


def test_what_cannot_be_withdrawn_is_said(database: Database) -> None:
    enter(database, "1")
    with pytest.raises(NotFoundError, match="there is no entry '2'; `uphours adjustments` lists them"):
        withdraw(database, 2)
    withdraw(database, 1)
    with pytest.raises(ConflictError, match="entry 1 is withdrawn already, by entry 2; valid is to withdraw that one"):
        withdraw(database, 1)
    assert len(listed(database)) == 2


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"counts_as": "closed"}, InputError, "cannot count as 'closed'; valid are down, up, unknown, excluded"),
        ({"counts_as": "withdrawal"}, InputError, "cannot count as 'withdrawal'"),
        ({"reason": "because"}, InputError, "there is no reason 'because'; valid are 'planned closure', "),
        ({"store_ids": ["1", "9"]}, NotFoundError, "there is no store '9'"),
        ({"store_ids": []}, InputError, "an entry needs an interval"),
        (
            {"ends": NOON},
            InputError,
            "from 2023-01-25 12:00:00 UTC to 2023-01-25 12:00:00 UTC is empty; valid is an end",
        ),
        ({"starts": -1}, InputError, "out of range; valid are the years 1970 to 2199"),
    ],
)
def test_what_cannot_be_entered_is_said_and_changes_nothing(
    database: Database, change: dict[str, Any], error: type[Exception], words: str
) -> None:
    given: dict[str, Any] = {
        "store_ids": ["1"],
        "starts": NOON,
        "ends": NOON + 1,
        "counts_as": "up",
        "reason": "other",
    } | change
    n = len(given["store_ids"])
    starts, ends = (np.full(n, given.pop(name), dtype=np.int64) for name in ("starts", "ends"))
    before = dump(database)
    with pytest.raises(error, match=words), database.writing() as connection:
        ledger.enter(connection, given.pop("store_ids"), starts, ends, **given, actor="me", now=NOW)
    assert dump(database) == before


def test_entries_are_listed_the_newest_first_with_their_extent(database: Database) -> None:
    enter(database, "1", "2", "1", start=NOON)
    enter(database, "2", counts_as="up", start=NOON + 5 * HOUR_US)
    withdraw(database, 1)
    with database.reading() as connection:
        assert ledger.last_entry(connection) == 3
        first = ledger.find_entry(connection, 1)
        with pytest.raises(NotFoundError):
            ledger.find_entry(connection, 9)
        with pytest.raises(NotFoundError):
            ledger.list_entries(connection, store_id="9")
    assert (first.stores, first.start, first.end, first.withdrawn_by) == (2, NOON, NOON + HOUR_US, 3)
    assert (first.actor, first.at, first.reason, first.load, first.intervals) == ("me", NOW, "other", None, None)
    assert [entry.entry for entry in listed(database, limit=2)] == [3, 2]
    assert [entry.entry for entry in listed(database, before=3, limit=1)] == [2]
    of_store = listed(database, store_id="1")
    assert [(entry.entry, entry.intervals) for entry in of_store] == [(3, ()), (1, [(NOON, NOON + HOUR_US)])]
    assert (of_store[0].start, of_store[0].stores, of_store[0].note) == (None, 0, "n")


def test_entries_are_on_the_audit_trail(database: Database) -> None:
    enter(database, "1", "2")
    withdraw(database, 1)
    with database.reading() as connection:
        trail = [(line.actor, line.action, line.subject, line.details) for line in list_audit(connection, limit=9)]
    assert trail[0] == ("me", "withdraw", "2", {"withdraws": 1, "reason": "wrong data"})
    assert trail[1][:3] == ("me", "adjust", "1")
    assert trail[1][3]["stores"] == 2


def test_a_snapshot_and_its_content_follow_loads_and_entries(database: Database) -> None:
    before = database.content()
    with database.snapshot() as fleet:
        enter(database, "1")
        assert fleet.content() == before
        assert fleet.adjustments.offsets.tolist() == [0, 0, 0]
        assert fleet.latest_entry() == 0
    after = database.content()
    assert (after.load, after.entry) == (before.load, 1)
    with database.snapshot() as fleet:
        assert (fleet.content(), fleet.latest_entry()) == (after, 1)


def test_an_entry_over_all_stores_takes_a_second_at_most(tmp_path: Path) -> None:
    database = connect(url_in(tmp_path))
    stores = [str(10**18 + number) for number in range(14_092)]
    database.write(by_hand(zones={(store, ""): "UTC" for store in stores}))
    began = time.perf_counter()
    enter(database, *stores)
    assert time.perf_counter() - began < 4  # one, on a machine with nothing else to do
    with database.snapshot() as fleet:
        assert len(fleet.adjustments.starts) == 14_092


def test_writers_at_the_same_time_get_numbers_one_after_the_other(database: Database) -> None:
    def enter_some() -> None:
        for _ in range(5):
            enter(database, "1", "2")

    writers = [threading.Thread(target=enter_some) for _ in range(3)]
    for writer in writers:
        writer.start()
    for number in range(5):
        write(database, {"note": str(number)})
    for writer in writers:
        writer.join()
    assert sorted(entry.entry for entry in listed(database)) == list(range(1, 21))


def test_an_entry_that_breaks_off_leaves_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    before = dump(database)
    monkeypatch.setattr(type(database.engine), "insert_rows", killed)  # its words are written then
    with pytest.raises(KeyboardInterrupt):
        enter(database, "1")
    monkeypatch.undo()
    assert dump(database) == before
    assert enter(database, "1") == 1


# --- entries of files --------------------------------------------------------------------------------------

CLOSURE = {"entry": "a", "note": "Käse"}
WITHDRAWAL = {"entry": "b", "counts_as": "withdrawal", "withdraws": "a"}


def test_rows_of_the_same_entry_are_one(database: Database) -> None:
    load = write(
        database, CLOSURE, CLOSURE | {"store": "2"}, {"store": "2", "counts_as": "up", "end": "2023-01-25 14:00"}
    )
    assert counting(database) == [("1", 0, 1, "excluded", 1), ("2", 0, 1, "excluded", 1), ("2", 1, 2, "up", 2)]
    entry = listed(database)[1]
    assert (entry.stores, entry.note, entry.actor, entry.at, entry.load) == (2, "Käse", "me", NOW, load.load)
    assert load.summary is not None
    assert {"entries 1 to 2 of the ledger are new", "2 entries for the ledger"} <= {*load.summary.sentences()}


def test_the_same_file_is_entered_once(database: Database) -> None:
    again = {"entry": "c", "counts_as": "withdrawal", "withdraws": "b"}
    files: list[list[dict[str, Any]]] = [
        [CLOSURE, {"store": "2"}, {"counts_as": "up"}],
        [CLOSURE, {"store": "2"}, {"counts_as": "up"}, WITHDRAWAL],
        [CLOSURE | {"note": "x"}, WITHDRAWAL, again],
        [CLOSURE | {"note": "y"}, WITHDRAWAL, {"note": "y"}],
    ]
    for rows in files:
        write(database, *rows)
        before, entries = counting(database), listed(database)
        load = write(database, *rows)
        assert load.repeated == len(rows)
        assert counting(database) == before
        assert listed(database) == entries


def test_what_was_withdrawn_by_hand_is_entered_again_when_it_is_loaded_again(database: Database) -> None:
    write(database, CLOSURE)
    withdraw(database, 1)
    write(database, CLOSURE)
    assert counting(database) == [("1", 0, 1, "excluded", 3)]


def test_an_entry_of_the_ledger_is_withdrawn_by_its_number(database: Database) -> None:
    enter(database, "1")
    row = {"counts_as": "withdrawal", "withdraws": "1"}
    write(database, row)
    assert counting(database) == []
    assert write(database, row).repeated == 1
    assert len(listed(database)) == 2


def test_local_times_count_in_the_zone_of_the_store_on_their_date(database: Database) -> None:
    """A zone of the same load counts already."""
    rows = [
        {"start": "2023-01-25 07:00", "end": "2023-01-25 08:00", "is_local": True, "entry": "a"},
        {"start": "2023-01-25 07:00", "end": "2023-01-25 08:00", "is_local": True, "entry": "a", "store": "3"},
        {"start": "2023-01-25 12:00", "end": "2023-01-25 13:00", "is_local": True, "entry": "a", "store": "2"},
    ]
    zones = {("3", ""): "UTC", ("3", "2023-01-25"): "America/Chicago", ("3", "2023-01-26"): "Asia/Tokyo"}
    database.write(by_hand(adjustments=rows, zones=zones))
    assert [row[:3] for row in counting(database)] == [("1", 0, 1), ("2", 0, 1), ("3", 1, 2)]


def test_rows_that_cannot_be_entered_are_set_aside(database: Database) -> None:
    gap = {"start": "2023-03-12 02:00", "end": "2023-03-12 03:00", "is_local": True, "note": 'a "gap", no time'}
    load = write(
        database,
        CLOSURE,
        gap,  # 02:00 was skipped and is read as 03:00, which is the end
        CLOSURE | {"counts_as": "up"},
        {"counts_as": "withdrawal", "withdraws": "z"},
        {"counts_as": "withdrawal", "withdraws": "a"},
        {"counts_as": "withdrawal", "withdraws": "a", "note": "again"},
    )
    assert (load.accepted, load.quarantined) == (2, 4)
    assert (load.files[0].accepted, load.files[0].quarantined) == (2, 4)
    with database.reading() as connection:
        rows = list_quarantine(connection)
    assert [(row["line"], row["raw"].decode()) for row in rows] == [
        (3, ",1,,,excluded,other"), (4, "a,1,2023-01-25T12:00:00Z,2023-01-25T13:00:00Z,up,other"),
        (5, ",1,,,withdrawal,other"), (7, ",1,,,withdrawal,other"),
    ]  # fmt: skip
    words = [
        "the interval is empty: it is from 2023-03-12 07:00:00 UTC to 2023-03-12 07:00:00 UTC; valid is an end",
        "line 2, of the same entry 'a', says something else; valid are the same counts_as",
        "there is no entry 'z' to withdraw; valid are entries that stand above it in the file, the ledger has none yet",
        "entry 1 is withdrawn already, by entry 2; valid is to withdraw that one",
    ]
    assert all(row["reason"].startswith(said) for row, said in zip(rows, words, strict=True))
    assert load.summary is not None
    assert sum(one.rows for one in load.summary.rejected) == 4


def test_a_file_of_which_no_row_can_be_entered_changes_nothing(database: Database) -> None:
    before = dump(database)
    with pytest.raises(
        RejectedError, match=r"no row of adjustments\.csv \(adjustments\) can be used: 1 × .*nothing was"
    ):
        write(database, {"counts_as": "withdrawal", "withdraws": "7"})
    assert dump(database) == before


def test_polls_sent_one_by_one_leave_the_ledger_alone(database: Database) -> None:
    enter(database, "1")
    loaded = by_hand(polls=[("1", "2023-01-25 15:00", 1)])
    with database.writing() as connection:
        loads.write_each(connection, loaded, np.zeros(1, dtype=np.int32), 1)
    assert database.content().entry == 1
    with opened(database) as connection:
        assert connection.execute("SELECT count(*) FROM adjustments") == [(1,)]


def test_a_request_that_is_repeated_enters_nothing(database: Database) -> None:
    first = ledger.Once("key one", "a" * 64)
    with database.writing() as connection:
        made = [
            ledger.enter(
                connection, ["1"], np.array([NOON]), np.array([NOON + HOUR_US]),
                counts_as="excluded", reason="planned closure", actor=actor, now=1, once=first,
            )
            for actor in ("key:a", "key:a", "key:b")
        ]  # fmt: skip
        assert made == [1, 1, 2]
        again = ledger.Once("key two", "b" * 64)
        taken = [ledger.withdraw(connection, 1, reason="wrong data", actor="key:a", now=2, once=again) for _ in "12"]
        assert taken == [3, 3]
        for once in (ledger.Once("key one", "b" * 64), ledger.Once("key two", "a" * 64)):
            with pytest.raises(ConflictError, match="this Idempotency-Key was used for another request; use a new one"):
                ledger.withdraw(connection, 2, reason="wrong data", actor="key:a", now=3, once=once)
        assert ledger.entered_before(connection, "key:c", first) is None
        assert ledger.last_entry(connection) == 3
