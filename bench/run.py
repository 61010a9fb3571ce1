"""Measure uphours against something measured beside it, in one run, and keep the result.

    python bench/run.py [--stores 14092] [--only kernel,load,…] [--year] [--scale]

Ratios are what counts: machines are noisy, so the two sides of a ratio take turns and the medians are compared.
Writes ``bench/baseline.json``, with the machine named, when all default measurements were taken.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import adbc_driver_manager
import adbc_driver_sqlite
import duckdb
import numpy as np
import polars as pl

import uphours
from uphours import demo
from uphours.database.database import connect
from uphours.ingest.inputs import Kind
from uphours.ingest.load import load_files, read_files
from uphours.ingest.memory_fleet import memory_fleet
from uphours.kernel.observations import distinct
from uphours.kernel.policy import Policy
from uphours.kernel.windows import DEFAULT_WINDOWS, windows
from uphours.reports import fleet as overview
from uphours.reports import measure
from uphours.reports.measure import latest_instant, run_report
from uphours.reports.report import Totals
from uphours.reports.store_list import selected
from uphours.reports.writers import written
from uphours.schema import DAY_US, HOUR_US, Observations, Schedule
from uphours.service.views import Asked, Fleets

BASELINE = Path(__file__).with_name("baseline.json")
NOW = demo.AS_OF + HOUR_US
PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "cache_size = -65536")


@dataclass(frozen=True)
class Comparison:
    """Seconds of ours and of the yardstick (medians), and the median ratio of the pairs."""

    name: str
    ours: float
    yardstick: float
    ratio: float
    target: float

    def __str__(self) -> str:
        verdict = "" if self.ratio <= self.target else "  MISSED"
        return (
            f"{self.name:<58} {self.ours:8.3f} s  against {self.yardstick:8.3f} s  "
            f"= {self.ratio:5.2f}  (at most {self.target}){verdict}"
        )


def compare(
    name: str, ours: Callable[[], object], yardstick: Callable[[], object], *, target: float, pairs: int = 7
) -> Comparison:
    """Let the two take turns, after one warm-up of each."""
    ours(), yardstick()
    times: list[tuple[float, float]] = [(seconds(ours), seconds(yardstick)) for _ in range(pairs)]
    mine, other = zip(*times, strict=True)
    ratio = statistics.median(a / b for a, b in times)
    made = Comparison(name, statistics.median(mine), statistics.median(other), ratio, target)
    print(made, flush=True)
    return made


def seconds(call: Callable[[], object]) -> float:
    gc.collect()
    time.sleep(0.05)  # threads of the one that ran before shall have gone to rest
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@dataclass(frozen=True)
class Files:
    polls: Path
    hours: Path
    timezones: Path

    def names(self) -> dict[Kind, list[str]]:
        return {"polls": [str(self.polls)], "hours": [str(self.hours)], "timezones": [str(self.timezones)]}


def make_files(folder: Path, stores: int) -> Files:
    rng = np.random.default_rng(7)
    ids = pl.Series(np.unique(rng.integers(10**15, 9 * 10**18, stores * 2))[:stores]).shuffle(seed=1).cast(pl.String)
    demo.write_files(folder, ids)
    return Files(*(folder / f"{name}.csv" for name in ("polls", "hours", "timezones")))


def totals(observations: Observations, schedule: Schedule, as_of: int) -> Totals:
    """From observations in order to totals: what a report computes, without reading and writing."""
    return measure.totals(observations, schedule, windows(DEFAULT_WINDOWS, as_of, schedule), as_of, Policy())


def bench_kernel(loaded: Any) -> list[Comparison]:
    fleet = memory_fleet(loaded)
    n = len(loaded.store_ids)
    rows = pl.DataFrame({"store": loaded.stores, "t": loaded.times, "active": loaded.statuses == 1}).to_arrow()
    database = duckdb.connect()
    database.register("rows", rows)
    database.execute("CREATE TABLE observations AS SELECT * FROM rows")
    query = "SELECT store, count(*), max(t), sum(active::int) FROM observations GROUP BY store"
    as_of = int(loaded.times.max())

    def group_by() -> object:
        return database.execute(query).fetchnumpy()

    def in_order() -> object:
        return totals(fleet.all_observations, fleet.schedule, as_of)

    def sorted_first(stores: Any, times: Any, statuses: Any) -> object:
        return totals(distinct(stores, times, statuses, n).observations, fleet.schedule, as_of)

    shuffled = (loaded.stores, loaded.times, loaded.statuses)
    by_time = tuple(column[np.argsort(loaded.times)] for column in shuffled)
    return [
        compare("kernel, rows in order, against DuckDB GROUP BY store", in_order, group_by, target=3, pairs=15),
        compare(
            "kernel, rows in order of time, against the same",
            lambda: sorted_first(*by_time),
            group_by,
            target=3,
            pairs=15,
        ),
        compare(
            "kernel, rows shuffled, against the same", lambda: sorted_first(*shuffled), group_by, target=3, pairs=15
        ),
    ]


def bench_load(files: Files, loaded: Any, folder: Path) -> list[Comparison]:
    """Load the three files into a new store, against executemany of the same rows, parsed already."""
    ids = pl.Series(loaded.store_ids)
    polls = list(zip(loaded.stores.tolist(), loaded.times.tolist(), loaded.statuses.tolist(), strict=True))
    in_order = sorted(polls)
    hours = loaded.hours.tolist()
    zones = list(loaded.timezones.items())

    def ours() -> None:
        remove(folder / "load.db")
        load_files(connect(f"sqlite:///{folder / 'load.db'}"), files.names(), now=NOW)

    def executemany(rows: list[tuple[int, int, int]]) -> None:
        remove(folder / "yardstick.db")
        connection = sqlite3.connect(folder / "yardstick.db", isolation_level=None)
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        connection.executescript(
            "CREATE TABLE stores (store INTEGER PRIMARY KEY, store_id TEXT NOT NULL UNIQUE);"
            "CREATE TABLE observations (store INTEGER NOT NULL, observed_at INTEGER NOT NULL, status INTEGER NOT NULL,"
            " PRIMARY KEY (store, observed_at)) WITHOUT ROWID;"
            'CREATE TABLE business_hours (store INTEGER, day INTEGER, start INTEGER, "end" INTEGER,'
            ' PRIMARY KEY (store, day, start, "end")) WITHOUT ROWID;'
            "CREATE TABLE timezones (store INTEGER PRIMARY KEY, timezone TEXT)"
        )
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO stores VALUES (?, ?)", enumerate(ids))
        connection.executemany("INSERT OR IGNORE INTO observations VALUES (?, ?, ?)", rows)
        connection.executemany("INSERT INTO business_hours VALUES (?, ?, ?, ?)", hours)
        connection.executemany("INSERT INTO timezones VALUES (?, ?)", zones)
        connection.execute("COMMIT")
        connection.close()

    made = [
        compare("load, against executemany in file order", ours, lambda: executemany(polls), target=1.3, pairs=3),
        compare("load, against executemany in key order", ours, lambda: executemany(in_order), target=1.3, pairs=5),
    ]
    return made


def bench_report(url: str, path: Path, name: str, rows_of_week: int) -> list[Comparison]:
    """Report from the store, against reading the same rows through ADBC."""
    database = connect(url)

    def ours() -> None:
        with database.snapshot() as fleet:
            made = run_report(fleet)
        written(made, "csv")

    def read() -> None:
        with (
            adbc_driver_sqlite.connect(str(path)) as sql,
            adbc_driver_manager.AdbcConnection(sql) as connection,
        ):
            for query in (
                "SELECT store, observed_at, status FROM observations",
                "SELECT * FROM business_hours",
                "SELECT * FROM timezones",
                "SELECT * FROM stores",
            ):
                with adbc_driver_manager.AdbcStatement(connection) as statement:
                    statement.set_sql_query(query)
                    pl.DataFrame(statement.execute_query()[0])

    return [compare(f"report, against reading its {rows_of_week:,} rows through ADBC", ours, read, target=1.5)]


def bench_fleet(url: str) -> list[Comparison]:
    """The views of the whole fleet, made again and kept, against one report of the last week."""
    database = connect(url, keep_open=True)
    question = Asked(None, "last_week", Policy())
    kept = Fleets(database)

    def report() -> None:
        with database.snapshot() as fleet:
            run_report(fleet, chosen=["last_week"])

    def listed(fleets: Fleets) -> None:
        made = fleets.overview(question, stale_ok=0)
        overview.fleet_facts(made)
        page = selected(made, sort="availability", limit=100)
        assert len([overview.facts(made, row) for row in page.rows]) == 100

    def all_three(fleets: Fleets) -> None:
        listed(fleets)
        fleets.history(question, stale_ok=0)
        fleets.heat_map(question, stale_ok=0)

    views: list[tuple[str, Callable[[Fleets], object], float]] = [
        ("overview and ranked list", listed, 2),
        ("history", lambda fleets: fleets.history(question, stale_ok=0), 1.2),
        ("heat map", lambda fleets: fleets.heat_map(question, stale_ok=0), 1.2),
        ("all three", all_three, 2),
    ]
    made = []
    for name, view, target in views:
        fresh = partial(lambda view: view(Fleets(database)), view)
        made.append(compare(f"{name}, made again, against a report", fresh, report, target=target))
        made.append(compare(f"{name}, kept, against a report", partial(view, kept), report, target=0.1))
    database.close()
    return made


def make_year(path: Path, eight_days: Path, days: int = 365) -> int:
    """Put a year of history before the eight days of a store: the same polls, shifted back week by week."""
    remove(path)
    source = sqlite3.connect(eight_days)
    source.execute("VACUUM INTO ?", (str(path),))
    source.close()
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = OFF", "cache_size = -1000000"):
        connection.execute(f"PRAGMA {pragma}")
    last = connection.execute("SELECT max(observed_at) FROM observations").fetchone()[0]
    connection.execute("ALTER TABLE observations RENAME TO week")
    connection.execute(
        "CREATE TABLE observations (store INTEGER NOT NULL, observed_at BIGINT NOT NULL, status SMALLINT NOT NULL,"
        " CONSTRAINT pk_observations PRIMARY KEY (store, observed_at)) WITHOUT ROWID"
    )
    weeks = days // 7 - 1
    connection.execute("BEGIN")
    connection.execute(
        "WITH RECURSIVE back (n) AS (SELECT ? UNION ALL SELECT n - 1 FROM back WHERE n > 0)"
        " INSERT OR IGNORE INTO observations SELECT store, observed_at - n * 604800000000, status"
        " FROM stores CROSS JOIN back CROSS JOIN week USING (store) WHERE n = 0 OR observed_at > ?",
        (weeks, last - 7 * DAY_US),
    )
    connection.execute("DROP TABLE week")
    connection.execute("COMMIT")
    rows = int(connection.execute("SELECT count(*) FROM observations").fetchone()[0])
    connection.close()
    return rows


def bench_year(folder: Path, eight_days: Path) -> list[Comparison]:
    year = folder / "year.db"
    rows = make_year(year, eight_days)
    print(f"a year of history: {rows:,} rows, {year.stat().st_size / 1e9:.2f} GB")

    def report(path: Path) -> Callable[[], None]:
        database = connect(f"sqlite:///{path}")

        def call() -> None:
            with database.snapshot() as fleet:
                written(run_report(fleet), "csv")

        return call

    made = compare("report with a year of history, against eight days", report(year), report(eight_days), target=1.3)
    database = connect(f"sqlite:///{year}")
    with database.snapshot() as fleet:
        one = fleet.store_ids[len(fleet.store_ids) // 2]

    def explain() -> None:
        from uphours.reports import explain as explanation

        with database.snapshot([one]) as fleet:
            explanation.explain(fleet, as_of=latest_instant(fleet), window="last_day", policy=Policy())

    explain()
    took = statistics.median(seconds(explain) for _ in range(9))
    print(f"{'explain one store in a year of history':<58} {took * 1e3:8.1f} ms  (at most 50)")
    return [made, Comparison("explain one store in a year of history (against 50 ms)", took, 0.05, took / 0.05, 1.0)]


def bench_cold(url: str) -> list[Comparison]:
    """The whole command in a new process, against the same call in a running one: one second more at most."""
    command = [str(Path(sys.executable).with_name("uphours")), "report", "--db", url]
    database = connect(url)

    def cold() -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def warm() -> None:
        with database.snapshot() as fleet:
            written(run_report(fleet), "csv")

    cold(), warm()
    pairs = [(seconds(cold), seconds(warm)) for _ in range(7)]
    extra = statistics.median(a - b for a, b in pairs)
    print(f"{'whole command, cold, beyond the call in a process':<58} {extra:8.3f} s  (at most 1)")
    mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    return [Comparison("whole command, seconds beyond the call in a running process", mine, other, extra, 1.0)]


def bench_memory(files: Files, folder: Path) -> list[Comparison]:
    """Peak memory of the two commands, as the operating system accounts for finished processes."""
    url = f"sqlite:///{folder / 'memory.db'}"
    remove(folder / "memory.db")
    program = str(Path(sys.executable).with_name("uphours"))
    load = [program, "load", "--db", url]
    for kind, names in files.names().items():
        load += [f"--{kind}", *names]
    made = []
    for name, command in (("load", load), ("report", [program, "report", "--db", url])):
        script = (
            "import resource, subprocess, sys; "
            "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); "
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        out = subprocess.run([sys.executable, "-c", script, *command], check=True, capture_output=True, text=True)
        peak = int(out.stdout) / 1024
        print(f"{f'peak memory of {name}':<58} {peak:8.0f} MB (at most 700)")
        made.append(Comparison(f"peak memory of {name} in MB, against 700", peak, 700, peak / 700, 1.0))
    return made


def bench_scale(loaded: Any) -> list[dict[str, float]]:
    """The kernel alone at 1, 10 and 100 million observations, each in a process of its own."""
    rows = []
    for millions in (1, 10, 100):
        script = f"import bench.run as b; b.scale_once({millions})"
        out = subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=BASELINE.parent.parent
        )
        row = json.loads(out.stdout)
        rows.append(row)
        print(
            f"kernel alone, {millions:>3} M observations of {row['stores']:,} stores{'':<14} {row['seconds']:8.3f} s  "
            f"= {row['seconds'] / millions:.4f} s a million, peak {row['peak_mb']:.0f} MB "
            f"(of that {row['input_mb']:.0f} MB input)"
        )
    return rows


def scale_once(millions: int) -> None:
    """Run the kernel on so many observations; print what it took."""
    per_store = 132
    n = millions * 1_000_000 // per_store
    drawn = np.sort(np.random.default_rng(1).integers(0, 8 * DAY_US, (n, per_store)), axis=1).ravel()
    observations = Observations(
        np.arange(n + 1) * per_store, demo.AS_OF - 8 * DAY_US + drawn, (drawn % 5 > 0).astype(np.uint8)
    )
    rows = np.arange(n * 6)
    stores = (rows // 6).astype(np.int32)
    schedule = Schedule(
        stores, rows % 6, np.full(len(rows), 9 * HOUR_US), np.full(len(rows), 21 * HOUR_US),
        (np.arange(n) % 4).astype(np.int32),
        ("America/Chicago", "America/Denver", "America/Los_Angeles", "America/New_York"),
    )  # fmt: skip
    warm = slice(0, 6 * 10)
    totals(
        Observations(observations.offsets[:11], observations.times, observations.statuses),
        Schedule(
            stores[warm],
            schedule.weekdays[warm],
            schedule.opens_local[warm],
            schedule.closes_local[warm],
            schedule.zones[:10],
            schedule.zone_names,
        ),
        demo.AS_OF,
    )
    took = seconds(lambda: totals(observations, schedule, demo.AS_OF))
    size = sum(
        array.nbytes
        for array in (
            *vars(observations).values(),
            rows,
            stores,
            *(v for v in vars(schedule).values() if isinstance(v, np.ndarray)),
        )
    )
    print(
        json.dumps(
            {
                "millions": millions,
                "stores": n,
                "seconds": took,
                "peak_mb": peak_mb(),
                "input_mb": size / 1e6,
            }
        )
    )


def peak_mb() -> float:
    """Return the peak memory of this process; ru_maxrss would begin with that of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def keep(path: Path, stores: int, results: dict[str, Any]) -> None:
    """Write the results of a complete run, and what they were taken with."""
    facts = {
        "taken": datetime.now(UTC).date().isoformat(),
        "uphours": uphours.__version__,
        "machine": machine(),
        "stores": stores,
        "results": results,
    }
    path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(f"kept in {path}")


def machine() -> dict[str, Any]:
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "duckdb": duckdb.__version__,
        "polars": pl.__version__,
        "numpy": np.__version__,
    }


ALL = ("kernel", "load", "report", "fleet", "cold", "memory", "year", "scale")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", type=int, default=14_092)
    parser.add_argument("--only", default=",".join(ALL), help=f"some of {','.join(ALL)}")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="uphours-bench-") as name:
        folder = Path(name)
        files = make_files(folder, arguments.stores)
        loaded = read_files(files.names(), now=NOW)
        print(f"{len(loaded.store_ids):,} stores, {len(loaded.times):,} polls, {len(loaded.hours):,} rows of hours")
        path = folder / "report.db"
        url = f"sqlite:///{path}"
        connect(url).write(loaded)
        sections: dict[str, Callable[[], Any]] = {
            "kernel": lambda: bench_kernel(loaded),
            "load": lambda: bench_load(files, loaded, folder),
            "report": lambda: bench_report(url, path, "report", len(loaded.times)),
            "fleet": lambda: bench_fleet(url),
            "cold": lambda: bench_cold(url),
            "memory": lambda: bench_memory(files, folder),
            "year": lambda: bench_year(folder, path),
            "scale": lambda: bench_scale(loaded),
        }
        for section in chosen:
            made = sections[section]()
            results[section] = [vars(one) if isinstance(one, Comparison) else one for one in made]
    if set(chosen) == set(ALL):
        keep(BASELINE, arguments.stores, results)


if __name__ == "__main__":
    main()
