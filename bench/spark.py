"""Measure a report on Spark against the same report in one process, in one run.

    python bench/spark.py [--stores 142857] [--rows 24,240] [--only one,local,cluster,steps]

The polls are Parquet files in order of time, as a collector leaves them: every store once an hour for a week at 24
million rows, ten times as often at 240 million. Each measurement is a process of its own. Seconds of processors, of all
processes that take part, stand beside those of the clock: where others use the machine too, they alone say something.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
from run import keep, peak_mb

from uphours.ingest.inputs import Kind
from uphours.ingest.load import read_files
from uphours.ingest.memory_fleet import memory_fleet
from uphours.reports.measure import run_report
from uphours.reports.report import Report
from uphours.reports.request import ReportRequest
from uphours.reports.writers import written
from uphours.schema import DAY_US, HOUR_US

BASELINE = Path(__file__).with_name("spark.json")
FILES = 24
AS_OF = 19_358 * DAY_US
MEMORY = {"spark.driver.memory": "2g", "spark.executor.memory": "1g", "spark.driver.host": "127.0.0.1"}


def make_files(folder: Path, stores: int, per_hour: int) -> None:
    """Write the polls of a week, seven hours a file, and hours and zones."""
    chance = np.random.default_rng(7)
    ids = pl.Series(np.unique(chance.integers(10**15, 9 * 10**18, stores * 2))[:stores]).shuffle(seed=1).cast(pl.String)
    (folder / "polls").mkdir(parents=True)
    rounds = 7 * per_hour
    for number in range(FILES):
        start = AS_OF - 7 * DAY_US + number * 7 * HOUR_US
        at = np.repeat(np.arange(rounds) * (HOUR_US // per_hour), stores) + start
        at += chance.integers(0, HOUR_US // per_hour // 2, len(at))
        pl.DataFrame(
            {
                "store_id": ids.gather(np.tile(np.arange(stores), rounds)),
                "status": pl.Series(chance.random(len(at)) < 0.93).replace_strict(
                    {True: "active", False: "inactive"}, return_dtype=pl.String
                ),
                "timestamp_utc": pl.Series(at).cast(pl.Datetime("us", "UTC")),
            }
        ).write_parquet(folder / "polls" / f"{number:02}.parquet", row_group_size=1_000_000)
    week = pl.DataFrame({"day": range(7), "start_time_local": "09:00:00", "end_time_local": "21:00:00"})
    ids.to_frame("store_id").join(week, how="cross").write_csv(folder / "hours.csv")
    zones = np.array(["America/New_York", "America/Chicago", "Asia/Kolkata"])
    pl.DataFrame({"store_id": ids, "timezone_str": zones[np.arange(stores) % 3]}).write_csv(folder / "timezones.csv")


# --- what is measured, each in a process of its own -----------------------------------------------------------


def one_process(folder: Path, _master: str) -> dict[str, Any]:
    started = time.perf_counter()
    polls = sorted(map(str, (folder / "polls").glob("*.parquet")))
    names: dict[Kind, list[str]] = {
        "polls": polls,
        "hours": [str(folder / "hours.csv")],
        "timezones": [str(folder / "timezones.csv")],
    }
    loaded = read_files(names, now=None)
    read = time.perf_counter()
    made = run_report(memory_fleet(loaded), as_of=AS_OF)
    done = time.perf_counter()
    return {"read_s": read - started, "report_s": done - read, "peak_mb": peak_mb()} | told(made)


def cpu_s(root: int) -> float:
    """Return the seconds of processors that a process and all that came of it have taken, if it still runs."""
    process = psutil.Process(root)
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return float(sum(time.user + time.system + time.children_user + time.children_system for time in times))


def told(made: Report) -> dict[str, Any]:
    content = written(made, "csv", detail=True)
    return {"cpu_s": cpu_s(os.getpid()), "sha256": hashlib.sha256(content).hexdigest()}


def on_spark(folder: Path, master: str) -> dict[str, Any]:
    from uphours.spark import command

    started = time.perf_counter()
    with command.session(master, MEMORY) as spark:
        ready = time.perf_counter()
        settings = read_files(
            {"hours": [str(folder / "hours.csv")], "timezones": [str(folder / "timezones.csv")]},
            now=None,
        )
        read = time.perf_counter()
        answer = command.report(spark, [str(folder / "polls")], settings, ReportRequest(as_of=AS_OF), now=None)
        done = time.perf_counter()
        end = told(answer.report)
    return {"start_s": ready - started, "settings_s": read - ready, "job_s": done - read} | end


def steps(folder: Path, master: str) -> dict[str, Any]:
    """Do more and more of a job, from reading to the kernel: the differences are what each part takes."""
    from uphours.kernel.policy import Policy
    from uphours.kernel.windows import DEFAULT_WINDOWS
    from uphours.spark import command
    from uphours.spark.job import in_order, shuffled, table_of
    from uphours.spark.results import Reports

    def nothing(made: Any) -> None:
        made.write.format("noop").mode("overwrite").save()

    def through_python(batches: Any) -> Any:
        yield from batches

    made = Reports(DEFAULT_WINDOWS, Policy())
    taken = {}
    with command.session(master, MEMORY) as spark:
        polls = spark.read.parquet(str(folder / "polls"))
        table = table_of("polls", "polls", polls)
        rows = table.rows("leave out", made.needs(AS_OF))
        ordered = in_order(shuffled([rows], None), AS_OF, None)
        nothing(spark.range(4).mapInArrow(through_python, "id long"))  # Python is running
        for name, frame in {
            "read": table.frame,
            "read, through Python": table.frame.mapInArrow(through_python, table.frame.schema),
            "read, checked": rows,
            "shuffled": shuffled([rows], None),
            "sorted": ordered,
            "sorted, through Python": ordered.mapInArrow(through_python, ordered.schema),
            "report": ordered.mapInArrow(made.of_buckets(AS_OF), made.schema),
        }.items():
            started, before = time.perf_counter(), cpu_s(os.getpid())
            nothing(frame)
            taken[name] = {"s": time.perf_counter() - started, "cpu_s": cpu_s(os.getpid()) - before}
            print(f"  {name:<24} {taken[name]}", file=sys.stderr, flush=True)
    return taken


SECTIONS: dict[str, Callable[[Path, str], dict[str, Any]]] = {
    "one": one_process,
    "local": on_spark,
    "cluster": on_spark,
    "steps": steps,
}


def measured(name: str, folder: Path, master: str) -> dict[str, Any]:
    """Run one section in a new process."""
    words = [sys.executable, __file__, "--section", name, "--folder", str(folder), "--master", master]
    environment = os.environ | {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    started = time.perf_counter()
    ran = subprocess.run(words, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found | {"whole_s": time.perf_counter() - started}


def measure(folder: Path, chosen: list[str], *, with_steps: bool) -> dict[str, Any]:
    # The cluster is the one of the tests.
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.fixtures.spark_clusters import own_cluster

    masters = {"one": ["-"], "local": ["local[2]", "local[1]"], "cluster": ["spark://"], "steps": ["local[2]"]}
    results = {}
    for section in chosen:
        if section == "steps" and not with_steps:
            continue
        for master in masters[section]:
            own = own_cluster(folder.parent, memory="1536m") if section == "cluster" else nullcontext(None)
            with own as cluster:
                name = f"{section} {master}".strip(" -/:")
                workers = [worker.pid for worker in cluster.workers] if cluster else []
                before = sum(map(cpu_s, workers))
                results[name] = measured(section, folder, cluster.url if cluster else master)
                results[name]["cpu_s"] = results[name].get("cpu_s", 0.0) + sum(map(cpu_s, workers)) - before
            print(name, json.dumps(results[name]), flush=True)
    assert len({found["sha256"] for found in results.values() if "sha256" in found}) == 1, results
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", type=int, default=142_857)
    parser.add_argument("--rows", default="24,240", help="millions of rows, multiples of 24")
    parser.add_argument("--only", default="one,local,cluster,steps", help="some of one,local,cluster,steps")
    parser.add_argument("--section", choices=SECTIONS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--master", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.section:
        print(json.dumps(SECTIONS[arguments.section](arguments.folder, arguments.master)))
        return
    chosen, results = arguments.only.split(","), {}
    for millions in map(int, arguments.rows.split(",")):
        with tempfile.TemporaryDirectory(prefix="uphours-bench-") as name:
            folder = Path(name) / "files"
            make_files(folder, arguments.stores, millions // 24)
            size = sum(path.stat().st_size for path in (folder / "polls").iterdir())
            print(f"{millions} million rows, {size / 1e6:.0f} MB of Parquet", flush=True)
            results[str(millions)] = measure(folder, chosen, with_steps=millions == 24)
    if set(chosen) == set(SECTIONS):
        keep(BASELINE, arguments.stores, results)


if __name__ == "__main__":
    main()
