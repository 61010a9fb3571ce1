"""What attributes cost: a report of groups, with columns, and of some stores, each against the plain report.

    python -m bench.groups [--stores 14092]

Ten attributes a store. Processor seconds of the whole answer from a database, as the sides take turns in one process.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

from bench.run import NOW, make_files
from uphours.database.database import Database, connect
from uphours.ingest.load import load_files
from uphours.reports.answers import answer
from uphours.reports.request import ReportRequest
from uphours.where import where_of

TURNS = 9
SIDES = {
    "by one attribute": ReportRequest(by=("region",)),
    "by three attributes": ReportRequest(by=("region", "brand", "tier")),
    "with names as a column": ReportRequest(columns=("name",)),
    "of one region in twelve": ReportRequest(where=where_of({"region": ["R1"]})),
}
#: How many values each attribute has; a name is one of its own.
VALUES = {"region": 12, "brand": 5, "franchisee": 200, "city": 500, "owner": 100, "form": 1, "tier": 3, "manager": 300}


def write_attributes(folder: Path, store_ids: list[str]) -> str:
    chance = random.Random(1)
    path = folder / "stores.csv"
    with path.open("w") as file:
        print("store_id", "name", "country", *VALUES, sep=",", file=file)
        for number, store_id in enumerate(store_ids):
            values = (f"{name[0].upper()}{chance.randrange(most)}" for name, most in VALUES.items())
            print(store_id, f"Shop {number}", "US", *values, sep=",", file=file)
    return str(path)


def seconds(database: Database, request: ReportRequest) -> float:
    began = time.process_time()
    with database.snapshot() as fleet:
        answer(fleet, request, now=NOW)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", type=int, default=14_092)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = connect(f"sqlite:///{folder / 'bench.db'}")
        load_files(database, make_files(folder, arguments.stores).names(), now=NOW)
        with database.snapshot() as fleet:
            store_ids = list(fleet.store_ids)
        load_files(database, {"stores": [write_attributes(folder, store_ids)]}, now=NOW)
        sides = {"plain": ReportRequest(), **SIDES}
        for request in sides.values():
            seconds(database, request)
        taken: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(TURNS):
            for name, request in sides.items():
                taken[name].append(seconds(database, request))
    plain = statistics.median(taken["plain"])
    for name, found in taken.items():
        print(f"{name:24} {statistics.median(found):6.3f} s  {statistics.median(found) / plain:5.2f} of plain")


if __name__ == "__main__":
    main()
