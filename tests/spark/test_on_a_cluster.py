"""One master and two workers: the command gives the bytes of the local engine, also when a worker dies in between."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.fixtures.commands import start
from tests.fixtures.spark_clusters import Cluster
from tests.fixtures.tables import NOW
from tests.spark.conftest import MEMORY, Files
from tests.spark.test_command import contents, kinds, locally
from uphours.ingest.load import read_files
from uphours.reports.request import ReportRequest
from uphours.spark import command

pytest.importorskip("pyspark")


def test_the_command_gives_the_same_bytes_on_a_cluster(cluster: Cluster, fleet_of_14092: Files, tmp_path: Path) -> None:
    files = fleet_of_14092
    small = ("--hours", files.hours, "--timezones", files.timezones, "--detail")
    properties = [word for name, value in MEMORY.items() for word in ("--conf", f"{name}={value}")]
    local = start(tmp_path, "report", "--polls", f"{files.polls}/*.parquet", *small)
    there = ("--engine", "spark", "--master", cluster.url, *properties)
    made = start(tmp_path, "report", "--polls", files.polls, *small, *there, timeout=600, executed=True)
    assert made.returncode == 0, made.stderr.decode()
    assert made.stdout == local.stdout
    assert made.stdout.count(b"\n") > 14_000
    assert made.stderr.splitlines()[-1] == local.stderr.splitlines()[-1]


def test_a_worker_and_its_executor_die_and_the_bytes_are_the_same(cluster: Cluster, fleet_of_14092: Files) -> None:
    files = fleet_of_14092
    # Many small tasks, so that there is a time at which some are done, some run, and some are to come.
    many = {"spark.sql.shuffle.partitions": "24", "spark.sql.adaptive.coalescePartitions.enabled": "false"}
    settings = read_files(kinds(hours=files.hours, timezones=files.timezones), now=NOW)
    made: list[bytes] = []
    with command.session(cluster.url, MEMORY | many) as spark:

        def work() -> None:
            made.append(contents(command.report(spark, [files.polls], settings, ReportRequest(), now=NOW).report))

        thread = Thread(target=work)
        thread.start()
        wait_until_behind_the_shuffle(spark, thread)
        assert cluster.kill(0) == 1
        assert thread.is_alive()
        assert not made
        thread.join(timeout=300)
        assert cluster.workers[0].poll() is not None
        assert len(cluster.executors_of(1)) == 1
    assert made == [
        locally(ReportRequest(), polls=f"{files.polls}/*.parquet", hours=files.hours, timezones=files.timezones)
    ]


def wait_until_behind_the_shuffle(spark: Any, thread: Thread) -> None:
    """Wait until two tasks of the last stage are done: their executors and the shuffled rows are needed further on."""
    tracker = spark.sparkContext.statusTracker()
    until = time.monotonic() + 240
    while time.monotonic() < until and thread.is_alive():
        for number in tracker.getActiveStageIds():
            stage = tracker.getStageInfo(number)
            if stage is not None and stage.numTasks == 24 and 2 <= stage.numCompletedTasks < 20:
                return
        time.sleep(0.02)
    raise AssertionError("the job ended before anything could be killed")
