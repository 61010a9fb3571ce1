"""A report on Spark against the same report in one process; every report must have the same bytes.

The polls are Parquet files in order of time, as a collector leaves them: every store once an hour for a week at 24
million rows, ten times as often at 240 million. Each measurement is a process of its own. Seconds of processors, of all
processes that take part, stand beside those of the clock.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import psutil

from bench.fleet import Fleet, store_ids
from bench.processes import peak_mb
from bench.results import ROOT, Row, Section, main
from tests.fixtures.spark_clusters import own_cluster
from uphours.ingest.inputs import Kind
from uphours.ingest.load import read_files
from uphours.ingest.memory_fleet import memory_fleet
from uphours.reports.measure import run_report
from uphours.reports.report import Report
from uphours.reports.request import ReportRequest
from uphours.reports.writers import written
from uphours.schema import DAY_US, HOUR_US

_STORES: Final = 142_857
_FILES: Final = 24
_AS_OF: Final = 19_358 * DAY_US
_MEMORY: Final = {"spark.driver.memory": "2g", "spark.executor.memory": "1g", "spark.driver.host": "127.0.0.1"}


@dataclass(frozen=True)
class Run(Row):
    """A report, or a step of one, and what it took; ``work`` says of what."""

    work: str
    seconds: float
    processor_seconds: float
    peak_mb: float | None = None

    def __str__(self) -> str:
        return f"{self.work}: {self.seconds:.1f} s, {self.processor_seconds:.1f} processor s"


def reports(millions: int, fleet: Fleet) -> list[Row]:
    """Report in one process, on one and two cores of Spark, and on a cluster of two workers."""
    rows: list[Row] = []
    checksums = set()
    with tempfile.TemporaryDirectory(dir=fleet.folder) as name:
        folder = Path(name)
        write_files(folder, fleet, millions // 24)
        for work, master in {
            "one process": "", "local[1]": "local[1]", "local[2]": "local[2]", "cluster of two workers": "spark://",
        }.items():  # fmt: skip
            own = own_cluster(folder, memory="1536m") if master == "spark://" else nullcontext(None)
            with own as cluster:
                workers = [worker.pid for worker in cluster.workers] if cluster else []
                before = sum(map(processors_s, workers))
                measure = "on_spark" if master else "one_process"
                took = in_new_process(measure, folder, cluster.url if cluster else master)
                spent = took["processor_seconds"] + sum(map(processors_s, workers)) - before
            checksums.add(took["sha256"])
            rows.append(Run(work, took["seconds"], spent, took.get("peak_mb")))
            print(rows[-1], flush=True)
    assert len(checksums) == 1, f"the reports differ: {checksums}"
    return rows


def steps(fleet: Fleet) -> list[Row]:
    """Measure more and more of a job, from reading to the kernel: the differences are what each part takes."""
    with tempfile.TemporaryDirectory(dir=fleet.folder) as name:
        write_files(Path(name), fleet, 1)
        return [Run(*row) for row in in_new_process("more_and_more", Path(name), "local[2]")["steps"]]


def write_files(folder: Path, fleet: Fleet, per_hour: int) -> None:
    """Write the polls of a week, seven hours a file, and hours and zones."""
    stores = _STORES if fleet.stores == Fleet.USUAL else fleet.stores
    chance = np.random.default_rng(7)
    ids = store_ids(stores)
    (folder / "polls").mkdir()
    rounds = 7 * per_hour
    for number in range(_FILES):
        start = _AS_OF - 7 * DAY_US + number * 7 * HOUR_US
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
    ids.to_frame().join(week, how="cross").write_csv(folder / "hours.csv")
    zones = np.array(["America/New_York", "America/Chicago", "Asia/Kolkata"])
    pl.DataFrame({"store_id": ids, "timezone_str": zones[np.arange(stores) % 3]}).write_csv(folder / "timezones.csv")


def in_new_process(measure: str, folder: Path, master: str) -> dict[str, Any]:
    """Run one of the functions below in a process of its own; return what it prints."""
    script = f"import json, sys; from bench import spark; print(json.dumps(spark.{measure}(*sys.argv[1:])))"
    environment = os.environ | {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    started = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-c", script, str(folder), master],
        env=environment, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    took: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return took | {"seconds": time.perf_counter() - started}


# --- what runs in a process of its own ------------------------------------------------------------------------


def one_process(folder: str, _master: str) -> dict[str, Any]:
    polls = sorted(map(str, Path(folder, "polls").glob("*.parquet")))
    loaded = read_files({"polls": polls, **settings(folder)}, now=None)
    return summed_up(run_report(memory_fleet(loaded), as_of=_AS_OF)) | {"peak_mb": peak_mb()}


def on_spark(folder: str, master: str) -> dict[str, Any]:
    from uphours.spark import command

    with command.session(master, _MEMORY) as spark:
        loaded = read_files(settings(folder), now=None)
        answer = command.report(spark, [f"{folder}/polls"], loaded, ReportRequest(as_of=_AS_OF), now=None)
        return summed_up(answer.report)  # while Spark still runs: its processes are counted too


def more_and_more(folder: str, master: str) -> dict[str, Any]:
    from uphours.spark import command
    from uphours.spark.job import in_order, shuffled, table_of
    from uphours.spark.results import Reports

    def do(frame: Any) -> None:
        frame.write.format("noop").mode("overwrite").save()

    def through_python(batches: Any) -> Any:
        yield from batches

    reports = Reports(ReportRequest())
    rows = []
    with command.session(master, _MEMORY) as spark:
        table = table_of("polls", "polls", spark.read.parquet(f"{folder}/polls"))
        checked = table.rows("leave out", reports.needs(_AS_OF))
        ordered = in_order(shuffled([checked], None), _AS_OF, None)
        do(spark.range(4).mapInArrow(through_python, "id long"))  # Python is running
        for name, frame in {
            "read": table.frame,
            "read, through Python": table.frame.mapInArrow(through_python, table.frame.schema),
            "read, checked": checked,
            "shuffled": shuffled([checked], None),
            "sorted": ordered,
            "sorted, through Python": ordered.mapInArrow(through_python, ordered.schema),
            "report": ordered.mapInArrow(reports.of_buckets(_AS_OF), reports.schema),
        }.items():
            started, before = time.perf_counter(), processors_s(os.getpid())
            do(frame)
            rows.append((name, time.perf_counter() - started, processors_s(os.getpid()) - before))
    return {"steps": rows}


def settings(folder: str) -> dict[Kind, list[str]]:
    return {"hours": [f"{folder}/hours.csv"], "timezones": [f"{folder}/timezones.csv"]}


def summed_up(report: Report) -> dict[str, Any]:
    content = written(report, "csv", detail=True)
    return {"processor_seconds": processors_s(os.getpid()), "sha256": hashlib.sha256(content).hexdigest()}


def processors_s(root: int) -> float:
    """Return the seconds of processors that a process and all that came of it have taken, if it still runs."""
    process = psutil.Process(root)
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return float(sum(time.user + time.system + time.children_user + time.children_system for time in times))


SECTIONS: dict[str, Section] = {
    "Spark, 24 M": partial(reports, 24),
    "Spark, 240 M": partial(reports, 240),
    "Spark, steps of 24 M": steps,
}

if __name__ == "__main__":
    main(SECTIONS, __doc__)
