"""What to expect: whole commands that load and report fleets of some sizes, with seconds, memory and disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.fleet import Fleet, files
from bench.processes import PROGRAM, file_options, run
from bench.results import Row, Usage, main
from uphours.database.database import connect

#: Stores of the smaller fleets; the largest one is that of the run.
STORES: Final = (40, 1_000)
_WEEK_DAYS: Final = 8


@dataclass(frozen=True)
class Size(Row):
    """A fleet in a SQLite database, and what its load and its report take as whole commands."""

    stores: int
    polls: int
    days: int
    report_s: float
    report_mb: float
    disk_mb: float
    load_s: float | None = None
    load_mb: float | None = None

    def __str__(self) -> str:
        load = "" if self.load_s is None else f"load {self.load_s:.2f} s, {self.load_mb:.0f} MB; "
        report = f"report {self.report_s:.2f} s, {self.report_mb:.0f} MB"
        return f"{self.stores:,} stores, {self.polls:,} polls: {load}{report}; {self.disk_mb:,.1f} MB of disk"


def sizes(fleet: Fleet) -> list[Row]:
    """Load each fleet and report it; the largest one with a year of history too."""
    rows: list[Row] = []
    for stores in (*(stores for stores in STORES if stores < fleet.stores), fleet.stores):
        path = fleet.folder / f"sizes-{stores}.db"
        given = fleet.files if stores == fleet.stores else files(fleet.folder / f"files-{stores}", stores)
        load = run([PROGRAM, "load", "--db", f"sqlite:///{path}", *file_options(given)])
        rows.append(size(fleet, path, stores, days=_WEEK_DAYS, load=load))
    return [*rows, size(fleet, fleet.year, fleet.stores, days=365)]


def size(fleet: Fleet, path: Path, stores: int, *, days: int, load: Usage | None = None) -> Size:
    words: list[str | Path] = [PROGRAM, "report", "--db", f"sqlite:///{path}", "-o", fleet.folder / "sizes.csv"]
    reports = [run(words) for _ in range(fleet.pairs(3))]
    quickest = min(reports, key=lambda usage: usage.seconds)
    with connect(f"sqlite:///{path}").reading() as connection:
        polls = connection.exec_driver_sql("SELECT count(*) FROM observations").scalar_one()
    return Size(
        stores, polls, days, quickest.seconds, quickest.peak_mb or 0, path.stat().st_size / 1e6,
        *((load.seconds, load.peak_mb) if load else ()),
    )  # fmt: skip


SECTIONS = {"sizes": sizes}

if __name__ == "__main__":
    main(SECTIONS, __doc__)
