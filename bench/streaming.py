"""Measure reports of files that are larger than memory against DuckDB, which groups the same files by store.

    python -m bench.streaming [--only 10,100,1000] [--folder DIR] [--keep] [--runs 1]

Ten weeks of hourly polls of 5,900, 59,000 and 590,000 stores as Parquet files, one a day, made here and removed in the
end. Ours makes a report of the last week, and one with each of the ten weeks as a window, with hours and zones; the
yardstick is a bare ``GROUP BY store_id`` over the files of polls. Each runs as a process of its own, one after the
other, on all cores. Writes ``bench/streaming.json``, with the machine and its load named.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import uphours
from bench.run import machine

KEPT = Path(__file__).with_name("streaming.json")
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
DAYS = 70
START = 1_672_531_200_000_000  # a Sunday, 2023-01-01
PER_STORE = DAYS * 24
ZONES = ["America/Chicago", "America/Denver", "America/Los_Angeles", "America/New_York"]
MOST_TIMES, MOST_MEMORY_GB = 3.0, 4.0


def make_files(folder: Path, stores: int) -> None:
    """Write polls, hours and zones; the same for the same number of stores."""
    rng = np.random.default_rng(stores)
    numbers = np.unique(rng.integers(10**15, 9 * 10**18, stores * 2))[:stores]
    ids = pl.Series("store_id", rng.permutation(numbers)).cast(pl.String)
    # The poller goes round the stores in the same order each hour, a second or so earlier or later.
    turns = np.sort(rng.integers(0, (HOUR_US - 60_000_000) // 1000, stores)) * 1000
    statuses = pl.Series(["active", "inactive"])
    (folder / "polls").mkdir()
    for day in range(DAYS):
        hours = [START + day * DAY_US + hour * HOUR_US + turns for hour in range(24)]
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
    zones = pl.Series("timezone_str", ZONES).gather(np.arange(stores) % 4)
    pl.DataFrame([ids, zones]).write_parquet(folder / "zones.parquet")


def ours(folder: Path, *, all_weeks: bool) -> list[str]:
    program = str(Path(sys.executable).with_name("uphours"))
    words = [
        program,
        "report",
        "--polls",
        str(folder / "polls" / "*.parquet"),
        "--hours",
        str(folder / "hours.parquet"),
    ]
    words += ["--timezones", str(folder / "zones.parquet"), "--temp", str(folder), "-o", str(folder / "report.csv")]
    bounds = [START + week * 7 * DAY_US for week in range(11)]
    texts = [datetime.fromtimestamp(bound // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for bound in bounds]
    windows = [f"week_{week}={texts[week]}/{texts[week + 1]}" for week in range(10)] if all_weeks else ["last_week"]
    return [*words, *(word for window in windows for word in ("--window", window))]


def yardstick(folder: Path) -> list[str]:
    script = (
        "import duckdb; duckdb.sql(\"SELECT store_id, count(*), max(timestamp_utc), sum((status = 'active')::int) "
        f"FROM read_parquet('{folder}/polls/*.parquet') GROUP BY store_id\").fetchnumpy()"
    )
    return [sys.executable, "-c", script]


def run(words: list[str]) -> dict[str, float]:
    """Run a command; return the seconds that passed, those of the processors, and its peak memory."""
    script = (
        "import json, resource, subprocess, sys, time; begin = time.perf_counter(); "
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); "
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
        "print(json.dumps({'seconds': time.perf_counter() - begin, 'processor_seconds': used.ru_utime + used.ru_stime, "
        "'peak_gb': used.ru_maxrss * 1024 / 1e9}))"
    )
    out = subprocess.run([sys.executable, "-c", script, *words], check=True, capture_output=True, text=True)
    return {name: round(value, 2) for name, value in json.loads(out.stdout).items()}


def measure(millions: int, folder: Path, runs: int) -> dict[str, Any]:
    stores = millions * 590
    begin = time.perf_counter()
    if not (folder / "zones.parquet").exists():  # it is the last one that is made
        make_files(folder, stores)
    size = sum(path.stat().st_size for path in (folder / "polls").iterdir())
    print(f"{stores * PER_STORE:,} polls, {size / 1e9:.2f} GB, made in {time.perf_counter() - begin:.0f} s", flush=True)
    commands = {
        "duckdb": yardstick(folder),
        "one_week": ours(folder, all_weeks=False),
        "ten_weeks": ours(folder, all_weeks=True),
    }
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, words in commands.items():
            made = run(words)
            taken[name].append(made)
            print(f"  {name:<10} {made}, load {os.getloadavg()[0]:.1f}", flush=True)
    medians = {
        name: {key: statistics.median(one[key] for one in some) for key in some[0]} for name, some in taken.items()
    }
    for name in ("one_week", "ten_weeks"):
        pairs = zip(taken[name], taken["duckdb"], strict=True)
        ratio = round(statistics.median(mine["seconds"] / other["seconds"] for mine, other in pairs), 2)
        peak = max(one["peak_gb"] for one in taken[name])
        medians[name] |= {"ratio": ratio, "peak_gb": peak}
        verdict = "" if ratio <= MOST_TIMES and peak <= MOST_MEMORY_GB else "  MISSED"
        print(f"  {name}: {ratio} × (at most {MOST_TIMES}), {peak} GB (at most {MOST_MEMORY_GB}){verdict}", flush=True)
    return {"rows": stores * PER_STORE, "stores": stores, "files_gb": round(size / 1e9, 2), **medians}


@contextmanager
def folder_of(millions: int, parent: Path | None, *, keep: bool) -> Iterator[Path]:
    if keep and parent:
        (parent / str(millions)).mkdir(exist_ok=True)
        yield parent / str(millions)
    else:
        with tempfile.TemporaryDirectory(prefix="uphours-bench-", dir=parent) as name:
            yield Path(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="10,100,1000", help="millions of polls: some of 10,100,1000")
    parser.add_argument("--folder", type=Path, default=None, help="where files are made; 12 GB for the largest")
    parser.add_argument(
        "--keep", action="store_true", help="keep the files of each size in the folder, and use them again"
    )
    parser.add_argument("--runs", type=int, default=1)
    arguments = parser.parse_args()
    results = {one["rows"]: one for one in json.loads(KEPT.read_text())["results"]} if KEPT.exists() else {}
    for millions in map(int, arguments.only.split(",")):
        with folder_of(millions, arguments.folder, keep=arguments.keep) as folder:
            load = round(os.getloadavg()[0], 1)
            made = measure(millions, folder, arguments.runs)
            results[made["rows"]] = made | {"load_before": load, "load_after": round(os.getloadavg()[0], 1)}
        facts = {
            "taken": datetime.now(UTC).date().isoformat(),
            "uphours": uphours.__version__,
            "machine": machine(),
            "results": [results[rows] for rows in sorted(results)],
        }
        KEPT.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        print(f"kept in {KEPT}", flush=True)


if __name__ == "__main__":
    main()
