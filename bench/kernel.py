"""The kernel alone, from observations to totals, against DuckDB's ``GROUP BY`` of the same rows; no timeline there."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Final

import duckdb
import numpy as np
import polars as pl

from bench.fleet import Fleet
from bench.processes import peak_mb
from bench.results import ROOT, Figure, Row, compare, main, measured, side
from uphours import demo
from uphours.ingest.memory_fleet import memory_fleet
from uphours.kernel.adjustments import nothing_adjusted
from uphours.kernel.jit import compile_always
from uphours.kernel.observations import distinct
from uphours.kernel.policy import Policy
from uphours.kernel.windows import DEFAULT_WINDOWS, windows
from uphours.reports import measure
from uphours.reports.report import Totals
from uphours.schema import DAY_US, HOUR_US, Adjustments, Observations, Schedule

MILLIONS: Final = (1, 10, 100)
_PER_STORE: Final = 132


def totals(observations: Observations, schedule: Schedule, adjustments: Adjustments, as_of: int) -> Totals:
    laid = windows(DEFAULT_WINDOWS, as_of, schedule)
    return measure.totals(observations, schedule, adjustments, laid, as_of, Policy())


def kernel(fleet: Fleet) -> list[Row]:
    loaded = fleet.loaded
    memory = memory_fleet(loaded)
    as_of = int(loaded.times.max())
    rows = pl.DataFrame({"store": loaded.stores, "t": loaded.times, "active": loaded.statuses == 1}).to_arrow()
    database = duckdb.connect()
    database.register("rows", rows)
    database.execute("CREATE TABLE observations AS SELECT * FROM rows")

    def group_by() -> object:
        query = "SELECT store, count(*), max(t), sum(active::int) FROM observations GROUP BY store"
        return database.execute(query).fetchnumpy()

    def in_order() -> Totals:
        return totals(memory.all_observations, memory.schedule, memory.adjustments, as_of)

    def sorted_first(columns: tuple[Any, ...]) -> Totals:
        observations = distinct(columns[0], columns[1], columns[2], len(loaded.store_ids)).observations
        return totals(observations, memory.schedule, memory.adjustments, as_of)

    shuffled = (loaded.stores, loaded.times, loaded.statuses)
    by_time = tuple(column[np.argsort(loaded.times)] for column in shuffled)
    yardstick, pairs = side(group_by), fleet.pairs(15)
    return [
        compare("kernel, sorted", "DuckDB GROUP BY", side(in_order), yardstick, at_most=1.6, pairs=pairs),
        compare(
            "kernel, in order of time", "DuckDB GROUP BY", side(lambda: sorted_first(by_time)), yardstick,
            at_most=2.5, pairs=pairs,
        ),
        compare(
            "kernel, shuffled", "DuckDB GROUP BY", side(lambda: sorted_first(shuffled)), yardstick,
            at_most=3, pairs=pairs,
        ),
    ]  # fmt: skip


def scale(fleet: Fleet) -> list[Row]:
    """Measure the kernel with more and more observations, each in a process of its own."""
    rows: list[Row] = []
    for millions in MILLIONS if fleet.stores >= Fleet.USUAL else MILLIONS[:1]:
        script = f"from bench.kernel import at_scale; at_scale({millions})"
        out = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT)
        seconds, peak = json.loads(out.stdout)
        rows.append(Figure(f"kernel, {millions} M observations", seconds, "s"))
        rows.append(Figure(f"kernel, {millions} M observations, peak memory", peak, "MB"))
    return rows


def at_scale(millions: int) -> None:
    """Run the kernel on some million observations; print the seconds, and the peak memory of this process."""
    n = millions * 1_000_000 // _PER_STORE
    drawn = np.sort(np.random.default_rng(1).integers(0, 8 * DAY_US, (n, _PER_STORE)), axis=1).ravel()
    observations = Observations(
        np.arange(n + 1) * _PER_STORE, demo.AS_OF - 8 * DAY_US + drawn, (drawn % 5 > 0).astype(np.uint8)
    )
    rows = np.arange(n * 6)
    schedule = Schedule(
        (rows // 6).astype(np.int32), rows % 6, np.full(len(rows), 9 * HOUR_US), np.full(len(rows), 21 * HOUR_US),
        (np.arange(n) % 4).astype(np.int32),
        ("America/Chicago", "America/Denver", "America/Los_Angeles", "America/New_York"),
    )  # fmt: skip

    def first(stores: int) -> Totals:
        return totals(observations.of(0, stores), schedule.of(0, stores), nothing_adjusted(stores), demo.AS_OF)

    compile_always()
    first(1000)
    usage = measured(lambda: first(n))
    print(json.dumps([usage.seconds, peak_mb()]))


SECTIONS = {"kernel": kernel, "kernel at scale": scale}

if __name__ == "__main__":
    main(SECTIONS, __doc__)
