"""Reports of files that are larger than memory, against DuckDB, which groups the same files by store.

Ten weeks of hourly polls of 5,900, 59,000 and 590,000 stores as Parquet files, one a day, made here and removed in the
end. Ours makes a report of the last week, and one with each of the ten weeks as a window, with hours and zones; the
yardstick is a bare ``GROUP BY store_id`` over the files of polls. Both are whole commands, on all cores.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from bench.fleet import Fleet
from bench.processes import PROGRAM, run
from bench.results import Figure, Row, Section, compared, main
from uphours.schema import DAY_US, HOUR_US

_DAYS: Final = 70
_START: Final = 1_672_531_200_000_000  # a Sunday, 2023-01-01
_ZONES: Final = ["America/Chicago", "America/Denver", "America/Los_Angeles", "America/New_York"]
#: Millions of polls: pairs, and the most that a week and ten weeks may take: times of DuckDB, and MB of memory.
TARGETS: Final[dict[int, tuple[int, tuple[float, float], tuple[float | None, float | None]]]] = {
    10: (5, (3, 4), (None, None)),
    99: (3, (1.8, 3), (None, None)),
    991: (1, (1.2, 2.2), (2500, 3000)),
}


def large_files(millions: int, fleet: Fleet) -> list[Row]:
    """Compare the two reports with DuckDB, each a process of its own, one after the other."""
    pairs, times, memory = TARGETS[millions]
    stores = 5_900 * round(millions / 9.9) if fleet.stores == Fleet.USUAL else fleet.stores
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=fleet.folder) as name:
        folder = Path(name)
        write_files(folder, stores)
        commands = {"week": report(folder, weeks=1), "ten weeks": report(folder, weeks=10), "": group_by(folder)}
        taken = [{name: run(words) for name, words in commands.items()} for _ in range(fleet.pairs(pairs))]
        size = sum(path.stat().st_size for path in (folder / "polls").iterdir())
    for place, period in enumerate(("week", "ten weeks")):
        sides = [(usages[period], usages[""]) for usages in taken]
        work = f"files, {millions} M, {period}"
        comparison = compared(work, "DuckDB GROUP BY", sides, at_most=times[place])
        rows.append(comparison)
        if memory[place] is not None:
            rows.append(Figure(f"{work}, memory", comparison.peak_mb or 0, "MB", memory[place]))
    return [*rows, Figure(f"files, {millions} M, size", size / 1e6, "MB")]


def write_files(folder: Path, stores: int) -> None:
    """Write polls, hours and zones; the same for the same number of stores."""
    rng = np.random.default_rng(stores)
    numbers = np.unique(rng.integers(10**15, 9 * 10**18, stores * 2))[:stores]
    ids = pl.Series("store_id", rng.permutation(numbers)).cast(pl.String)
    # The poller goes round the stores in the same order each hour, a second or so earlier or later.
    turns = np.sort(rng.integers(0, (HOUR_US - 60_000_000) // 1000, stores)) * 1000
    statuses = pl.Series(["active", "inactive"])
    (folder / "polls").mkdir()
    for day in range(_DAYS):
        hours = [_START + day * DAY_US + hour * HOUR_US + turns for hour in range(24)]
        times = np.concatenate([hour + rng.integers(0, 2_000, stores) * 1000 for hour in hours])
        down = (rng.random(len(times)) < 0.03).astype(np.uint32)
        polls = [
            pl.concat([ids] * 24),
            pl.Series("timestamp_utc", times).cast(pl.Datetime("us", "UTC")),
            statuses.gather(down).alias("status"),
        ]
        pl.DataFrame(polls).write_parquet(
            folder / "polls" / f"{day:03}.parquet", compression="zstd", compression_level=3, row_group_size=1_000_000
        )
    rows = np.arange(6 * stores)
    pl.DataFrame([ids.gather(rows // 6), pl.Series("day", rows % 6)]).with_columns(
        start_time_local=pl.lit("09:00"), end_time_local=pl.lit("21:00")
    ).write_parquet(folder / "hours.parquet")
    zones = pl.Series("timezone_str", _ZONES).gather(np.arange(stores) % 4)
    pl.DataFrame([ids, zones]).write_parquet(folder / "zones.parquet")


def report(folder: Path, *, weeks: int) -> list[str | Path]:
    """Return the command that reports the last week, or each of the ten weeks."""
    bounds = [_START + week * 7 * DAY_US for week in range(11)]
    texts = [datetime.fromtimestamp(bound // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for bound in bounds]
    windows = ["last_week"] if weeks == 1 else [f"week_{n}={texts[n]}/{texts[n + 1]}" for n in range(weeks)]
    return [
        PROGRAM, "report", "--polls", folder / "polls" / "*.parquet", "--hours", folder / "hours.parquet",
        "--timezones", folder / "zones.parquet", "--temp", folder, "-o", folder / "report.csv",
        *(word for window in windows for word in ("--window", window)),
    ]  # fmt: skip


def group_by(folder: Path) -> list[str | Path]:
    script = (
        "import duckdb; duckdb.sql(\"SELECT store_id, count(*), max(timestamp_utc), sum((status = 'active')::int) "
        f"FROM read_parquet('{folder}/polls/*.parquet') GROUP BY store_id\").fetchnumpy()"
    )
    return [sys.executable, "-c", script]


SECTIONS: dict[str, Section] = {f"files, {millions} M": partial(large_files, millions) for millions in TARGETS}

if __name__ == "__main__":
    main(SECTIONS, __doc__)
