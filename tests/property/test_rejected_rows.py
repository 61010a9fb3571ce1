"""Whatever rows are rejected: every row is accepted or rejected, and no store's business time grows by it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.tables import NOW, table
from uphours.database.database import connect
from uphours.ingest.inputs import Kind
from uphours.ingest.load import read_files
from uphours.ingest.memory_fleet import memory_fleet
from uphours.kernel.windows import Window
from uphours.load_record import Loaded
from uphours.reports.measure import run_report
from uphours.reports.report import Report
from uphours.schema import Fleet, instant_us

Row: TypeAlias = tuple[str, bool]
"""A line, and whether it can be used."""
Rows: TypeAlias = dict[Kind, list[Row]]

WINDOW = Window("two_weeks", "2023-01-16T00:00:00Z", "2023-01-30T00:00:00Z")
STORES = st.sampled_from(["a", "b", "c"])
#: Of each kind: rows of a store that can be used, and rows that cannot; ``{}`` is the store.
GOOD: dict[Kind, list[str]] = {
    "polls": ["{},active,2023-01-20 10:00:00 UTC", "{},inactive,2023-01-21T10:00:00Z"],
    "hours": ["{},0,09:00,17:00", "{},5,18:00,02:00", "{},6,00:00,23:59:59", "{},0,12:00,20:00"],
    "timezones": ["{},UTC", "{},America/New_York", "{},Asia/Kolkata"],
}
BAD: dict[Kind, list[str]] = {
    "polls": ["{},odd,2023-01-20 10:00:00 UTC", "{},active,never", "{},active", '"{},active,x'],
    "hours": ["{},0,dawn,17:00", "{},9,09:00,17:00", "{},1,,", "{},0,09:00,17:00,x", "{},0,09:00", '{},0,"09:00,17:00'],
    "timezones": ["{},Mars/Olympus", "{},", "{},UTC,x", "{}"],
}
#: Each file has a row that can be used, of a store of its own: otherwise nothing of it would be loaded.
ANCHOR: dict[Kind, str] = {kind: rows[0].format("anchor") for kind, rows in GOOD.items()}


def rows_of(kind: Kind) -> st.SearchStrategy[list[Row]]:
    good = st.tuples(STORES, st.sampled_from(GOOD[kind])).map(lambda drawn: (drawn[1].format(drawn[0]), True))
    bad = st.tuples(STORES, st.sampled_from(BAD[kind])).map(lambda drawn: (drawn[1].format(drawn[0]), False))
    return st.lists(good | bad, max_size=8)


FILES = st.fixed_dictionaries({kind: rows_of(kind) for kind in GOOD})


def loaded(files: Rows, folder: Path) -> Loaded:
    names: dict[Kind, list[str]] = {}
    for kind, rows in files.items():
        path = folder / f"{kind}.csv"
        path.write_text(table(kind, ANCHOR[kind], *(line for line, _ in rows)))
        names[kind] = [str(path)]
    return read_files(names, now=NOW)


def business(fleet: Fleet) -> dict[str, int]:
    report: Report = run_report(fleet, as_of=instant_us("2023-01-30"), chosen=[WINDOW], all_stores=True)
    return dict(zip(report.store_ids, report.totals.business_us[:, 0].tolist(), strict=True))


def business_of(files: Rows, folder: Path) -> dict[str, int]:
    return business(memory_fleet(loaded(files, folder)))


def without(files: Rows, kind: Kind, place: int) -> Rows:
    return {**files, kind: files[kind][:place] + files[kind][place + 1 :]}


def grown(before: dict[str, int], after: dict[str, int]) -> dict[str, tuple[int, int]]:
    """Return the stores of both that have more business time before than after."""
    return {name: (us, after[name]) for name, us in before.items() if name in after and us > after[name]}


@given(FILES)
def test_every_row_is_accepted_or_rejected(files: Rows) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = loaded(files, Path(folder))
    for place, file in enumerate(found.files):
        rows = files[file.kind]  # type: ignore[index]
        assert file.rows_read == 1 + len(rows) == file.accepted + file.quarantined
        assert file.quarantined == sum(not usable for _, usable in rows)
        assert file.quarantined == sum(one.rows for one in found.rejected if one.file == place)
        assert file.quarantined == sum(row.file == place for row in found.quarantine)


@given(FILES, st.data())
def test_no_business_time_grows_because_a_row_was_rejected(files: Rows, drawn: st.DataObject) -> None:
    rejected = [(kind, place) for kind, rows in files.items() for place, row in enumerate(rows) if not row[1]]
    if not rejected:
        return
    kind, place = drawn.draw(st.sampled_from(rejected))
    line, _ = files[kind][place]
    store = next(name for name in "abc" if name in line.split(",")[0])
    good = drawn.draw(st.sampled_from(GOOD[kind])).format(store)
    with tempfile.TemporaryDirectory() as folder:
        with_it = business_of(files, Path(folder))
        absent = business_of(without(files, kind, place), Path(folder))
        mended = business_of({**files, kind: [*without(files, kind, place)[kind], (good, True)]}, Path(folder))
    # As against the same load in which nobody gave the row …
    assert not grown(with_it, absent)
    # … and, for hours, as against the same load in which it can be used. Another zone moves time into the window or out
    # of it, so there it holds only for a store that has no zone that can be used.
    has_zone = any(usable and line.startswith(f"{store},") for line, usable in files["timezones"])
    if kind != "timezones" or not has_zone:
        assert not grown(with_it, mended)


@settings(max_examples=12, deadline=None)
@given(FILES, FILES, st.data())
def test_no_business_time_grows_by_rejected_rows_of_a_later_load(
    first: Rows, later: Rows, drawn: st.DataObject
) -> None:
    rejected = [(kind, place) for kind, rows in later.items() for place, row in enumerate(rows) if not row[1]]
    if not rejected:
        return
    chosen = drawn.draw(st.sampled_from(rejected))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = connect(f"sqlite:///{folder / 'first.db'}")
        database.write(loaded(first, folder))
        shutil.copy(folder / "first.db", folder / "second.db")
        answers = []
        for path, files in (("first.db", later), ("second.db", without(later, *chosen))):
            database = connect(f"sqlite:///{folder / path}")
            made = database.write(loaded(files, folder))
            assert made.accepted + made.quarantined == made.rows_read
            with database.snapshot() as fleet:
                answers.append(business(fleet))
    assert not grown(*answers)
