"""Spark for tests: one session on this machine's cores, and a cluster of one master and two workers of its own.

A process has one session at a time, so the two take turns: the tests of the cluster come last.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl
import pytest

from tests.fixtures.spark_clusters import Cluster, own_cluster
from uphours import demo
from uphours.spark import command

#: A Java process lives for a minute here: to compile its code well would take longer than that saves.
BRIEF = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
#: Every process of Spark gets little memory: what runs here must run anywhere.
MEMORY = {
    "spark.driver.memory": "768m",
    "spark.executor.memory": "640m",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "4",
    "spark.default.parallelism": "2",
    "spark.driver.extraJavaOptions": f"{BRIEF} -Dderby.stream.error.file=/dev/null",  # no log beside the tests
    "spark.executor.extraJavaOptions": BRIEF,
    "spark.ui.enabled": "false",
}


@pytest.fixture(scope="session", autouse=True)
def python_of_workers() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        for name in ("SPARK_LAUNCHER_OPTS", "SPARK_DAEMON_JAVA_OPTS"):
            patch.setenv(name, BRIEF)
        yield


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """A session with two cores of this machine."""
    with command.session("local[2]", MEMORY) as started:
        yield started


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master and two workers with a core each; whoever kills one of them must come last."""
    with own_cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


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
