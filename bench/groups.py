"""Reports by attributes of stores, ten a store: groups, columns, and some stores; against the plain report."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

from bench.fleet import NOW, Fleet
from bench.results import Row, compare, main, side
from uphours.database.database import Database, connect
from uphours.ingest.load import load_files
from uphours.reports.answers import answer
from uphours.reports.request import ReportRequest
from uphours.where import where_of

_REQUESTS: Final = {
    "grouped by one attribute": (ReportRequest(by=("region",)), None),
    "grouped by three attributes": (ReportRequest(by=("region", "brand", "tier")), 1.1),
    "with names as a column": (ReportRequest(columns=("name",)), None),
    "of one region in twelve": (ReportRequest(where=where_of({"region": ["R1"]})), None),
}
#: How many values each attribute has; a name is one of its own.
_VALUES: Final = {
    "region": 12, "brand": 5, "franchisee": 200, "city": 500, "owner": 100, "form": 1, "tier": 3, "manager": 300,
}  # fmt: skip


def groups(fleet: Fleet) -> list[Row]:
    database = connect(f"sqlite:///{fleet.new_database('groups')}")
    load_files(database, {"stores": [write_attributes(fleet.folder, fleet.store_ids)]}, now=NOW)
    plain = side(lambda: answered(database, ReportRequest()))
    return [
        compare(
            name, "plain", side(lambda request=request: answered(database, request)), plain,  # type: ignore[misc]
            at_most=at_most, pairs=fleet.pairs(9),
        )
        for name, (request, at_most) in _REQUESTS.items()
    ]  # fmt: skip


def answered(database: Database, request: ReportRequest) -> None:
    with database.snapshot() as fleet:
        answer(fleet, request, now=NOW)


def write_attributes(folder: Path, store_ids: list[str]) -> str:
    chance = random.Random(1)
    path = folder / "stores.csv"
    with path.open("w", encoding="utf-8") as file:
        print("store_id", "name", "country", *_VALUES, sep=",", file=file)
        for number, store_id in enumerate(store_ids):
            values = (f"{name[0].upper()}{chance.randrange(most)}" for name, most in _VALUES.items())
            print(store_id, f"Shop {number}", "US", *values, sep=",", file=file)
    return str(path)


SECTIONS = {"groups": groups}

if __name__ == "__main__":
    main(SECTIONS, __doc__)
