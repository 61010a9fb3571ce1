"""Spark for tests: one session on this machine's cores, and a cluster of one master and two workers of its own.

A process has one session at a time, so the two take turns: the tests of the cluster come last.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import polars as pl
import psutil
import pytest

from storepulse import demo
from storepulse.spark import command

#: Every process of Spark gets little memory: what runs here must run anywhere.
MEMORY = {
    "spark.driver.memory": "768m",
    "spark.executor.memory": "640m",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "4",
    "spark.default.parallelism": "2",
}


@pytest.fixture(scope="session", autouse=True)
def python_of_workers() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        yield


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """A session with two cores of this machine."""
    with command.session("local[2]", MEMORY) as started:
        yield started


# --- a cluster ---------------------------------------------------------------------------------------------


@dataclass
class Cluster:
    url: str
    workers: list[subprocess.Popen[bytes]]

    def executors_of(self, worker: int) -> list[psutil.Process]:
        """Return the executors that a worker has started."""
        try:
            children = psutil.Process(self.workers[worker].pid).children(recursive=True)
            return [child for child in children if "CoarseGrainedExecutorBackend" in " ".join(child.cmdline())]
        except psutil.NoSuchProcess:
            return []

    def kill(self, worker: int) -> int:
        """Kill a worker and its executors, and what those have started; return how many executors there were."""
        executors = self.executors_of(worker)
        children = [child for one in executors for child in one.children(recursive=True)]
        for process in [psutil.Process(self.workers[worker].pid), *executors, *children]:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self.workers[worker].wait()
        return len(executors)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A master and two workers with a core each, on 127.0.0.1, from PySpark's own folder."""
    started: list[subprocess.Popen[bytes]] = []
    with (tmp_path / "cluster.log").open("wb") as log:
        try:
            started.append(start(log, "master.Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0"))
            url = found(tmp_path / "cluster.log", r"(spark://127\.0\.0\.1:\d+)", 1)
            for name in ("one", "two"):
                folder = str(tmp_path / name)
                options = ("--host", "127.0.0.1", "--webui-port", "0", "--cores", "1", "--memory", "1g", "-d", folder)
                started.append(start(log, "worker.Worker", *options, url))
            found(tmp_path / "cluster.log", "Successfully registered with master", 2)
            yield Cluster(url, started[1:])
        finally:
            for process in reversed(started):
                process.terminate()
            for process in started:
                process.wait(timeout=60)


def start(log: IO[bytes], name: str, *words: str) -> subprocess.Popen[bytes]:
    import pyspark

    home = Path(pyspark.__file__).parent
    environment = os.environ | {"SPARK_HOME": str(home), "SPARK_DAEMON_MEMORY": "256m", "SPARK_LOCAL_IP": "127.0.0.1"}
    # The script becomes the Java process by exec, so this is the process to be ended.
    words = (str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", *words)
    return subprocess.Popen(words, env=environment, stdout=log, stderr=log)


def found(log: Path, pattern: str, times: int) -> str:
    """Wait until a line stands in a log so many times, and return it."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        lines: list[str] = re.findall(pattern, log.read_text(encoding="utf-8", errors="replace"))
        if len(lines) >= times:
            return lines[0]
        time.sleep(0.2)
    raise AssertionError(f"no {pattern!r} in\n{log.read_text(encoding='utf-8', errors='replace')[-3000:]}")


# --- a fleet of full size -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Files:
    polls: str
    hours: str
    timezones: str


@pytest.fixture(scope="session")
def fleet_of_14092(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The made-up fleet of full size: polls as a folder of eight Parquet files, the small tables as CSV."""
    folder = tmp_path_factory.mktemp("fleet")
    demo.write_files(folder, pl.Series([f"{store * 640_000_000_000_007:019}" for store in range(14_092)]))
    polls = pl.read_csv(folder / "polls.csv", infer_schema=False)
    (folder / "polls").mkdir()
    size = polls.height // 8 + 1
    for place in range(8):
        part = polls[place * size : (place + 1) * size]
        part.write_parquet(folder / "polls" / f"part-{place}.parquet", row_group_size=50_000)
    return Files(str(folder / "polls"), str(folder / "hours.csv"), str(folder / "timezones.csv"))
