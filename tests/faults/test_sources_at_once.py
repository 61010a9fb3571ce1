"""Two services watch the same folder on the same store, and their workers are killed: each file is loaded once."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fixtures import tables
from tests.fixtures.databases import check_whole, opened, url_in
from tests.fixtures.services import ServiceProcess, begin_service, finished
from tests.fixtures.tables import NOW
from uphours.database.database import Database, connect
from uphours.schema import HOUR_US, instant_text

pytestmark = pytest.mark.slow

FILES = 12
ROWS = 200
PATIENCE_S = 180.0


def polls(name: str, *, later: int = 0) -> bytes:
    rows = (f"{name},active,{instant_text(NOW - (row + later * ROWS + 1) * HOUR_US)}" for row in range(ROWS))
    return tables.table("polls", *rows).encode()


def write_in_pieces(path: Path, content: bytes) -> None:
    """Write as a slow program does, which may be looked at while it writes."""
    with path.open("wb") as file:
        for start in range(0, len(content), len(content) // 4 + 1):
            file.write(content[start : start + len(content) // 4 + 1])
            file.flush()
            time.sleep(0.2)


def rename_into_place(path: Path, content: bytes) -> None:
    hidden = path.with_name(f".{path.name}")
    hidden.write_bytes(content)
    hidden.rename(path)


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def source(client: httpx.Client) -> dict[str, Any]:
    (found,) = client.get("/v1/sources").raise_for_status().json()["sources"]
    made: dict[str, Any] = found
    return made


def metric(client: httpx.Client, name: str) -> float:
    (line,) = [line for line in client.get("/metrics").text.splitlines() if line.startswith(f"{name}{{")]
    return float(line.rpartition(" ")[2])


def loaded(database: Database) -> list[tuple[str, str]]:
    """Return name and checksum of each file of a load."""
    with opened(database) as connection:
        return [(Path(name).name, digest) for name, digest in connection.execute("SELECT name, sha256 FROM load_files")]


class Disturbed:
    """What goes on while files come in: how many workers were killed, how many reports were made."""

    def __init__(self) -> None:
        self.ends = threading.Event()
        self.kills = self.reports = 0

    def had(self, number: int) -> bool:
        """Say whether there were so many of both."""
        return min(self.kills, self.reports) >= number

    def kill_workers(self, services: list[ServiceProcess], chance: random.Random) -> None:
        while not self.ends.wait(chance.uniform(1, 4)):
            workers = chance.choice(services).workers()
            if workers:
                chance.choice(workers).kill()
                self.kills += 1

    def report_on(self, service: ServiceProcess) -> None:
        """Ask for one report after the other; each must succeed."""
        with service.client() as client:
            while not self.ends.is_set():
                asked = client.post("/v1/reports", json={"as_of": instant_text(NOW - self.reports * 1_000_000)})
                state = finished(client, asked.raise_for_status().json()["id"], PATIENCE_S)
                assert state["state"] == "complete", state
                self.reports += 1


def test_each_version_of_a_file_is_loaded_once_and_a_bad_one_keeps_no_other_back(tmp_path: Path, seed: int) -> None:
    folder = tmp_path / "incoming"
    folder.mkdir()
    database = connect(url_in(tmp_path))
    tables.load(database, tmp_path, polls=tables.POLLS)
    expected: Counter[str] = Counter({"polls.csv": 1})
    services = [begin_service(tmp_path, "--watch", str(folder), "--every", "1s") for _ in range(2)]
    disturbed = Disturbed()
    try:
        with ThreadPoolExecutor(2) as threads, services[0].client() as client:
            killing = threads.submit(disturbed.kill_workers, services, random.Random(seed))
            reporting = threads.submit(disturbed.report_on, services[1])
            try:
                (folder / "0-bad.csv").write_bytes(b"what,is,this\n1,2,3\n")
                for number in range(FILES):
                    write = rename_into_place if number % 3 else write_in_pieces
                    write(folder / f"{number}.csv", polls(f"s{number}"))
                    expected[f"{number}.csv"] += 1
                    # However fast the files are loaded, workers are killed and reports are made in between.
                    due = (number + 1) // 3
                    until(partial(disturbed.had, due), "no worker is killed or no report is made")
                until(lambda: len(loaded(database)) == sum(expected.values()), "not every file is loaded")
                rename_into_place(folder / "5.csv", polls("s5", later=1))
                expected["5.csv"] += 1
                until(lambda: len(loaded(database)) == sum(expected.values()), "the newer content is not loaded")
            finally:
                disturbed.ends.set()
            killing.result(PATIENCE_S)
            reporting.result(PATIENCE_S)
            assert disturbed.kills > 3
            assert disturbed.reports > 3
            until(lambda: bool(source(client)["failing_files"]), "the bad file is not named")
            assert source(client)["state"] == "ok", "one bad file is not the whole source"
            assert source(client)["failing_files"][0]["name"].endswith("0-bad.csv")
            assert "0-bad.csv" in source(client)["error"]
            assert source(client)["files_read"] == FILES + 1
            assert metric(client, "uphours_source_failing_files") == 1
            assert metric(client, "uphours_source_files") == FILES + 1

            rename_into_place(folder / "0-bad.csv", polls("mended"))
            expected["0-bad.csv"] += 1
            until(lambda: len(loaded(database)) == sum(expected.values()), "the mended file is not loaded")
            until(lambda: not source(client)["failing_files"], "the source does not recover")
            assert (source(client)["error"], source(client)["failures"]) == (None, 0)
            assert metric(client, "uphours_source_failing_files") == 0
            checked = source(client)["checked_at"]
            until(lambda: source(client)["checked_at"] > checked, "the source is not visited any more")
    finally:
        codes = [service.stop() for service in services]
    assert codes == [0, 0]
    assert Counter(name for name, _ in loaded(database)) == expected
    assert len(set(loaded(database))) == sum(expected.values())
    with opened(database) as connection:
        ((observations,),) = connection.execute("SELECT count(*) FROM observations")
        ((files, loads),) = connection.execute("SELECT count(*), count(DISTINCT source_files.load) FROM source_files")
    assert observations == 3 + (FILES + 2) * ROWS
    assert files == loads == FILES + 2
    check_whole(database)
    for service in services:
        assert "Traceback" not in service.log.read_text()
        assert '"level": "error"' not in service.log.read_text()
