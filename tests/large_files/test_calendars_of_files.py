"""Files larger than memory are measured with the calendar and the ledger, as all others are."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.fixtures.tables import table, write
from uphours.errors import InputError
from uphours.ingest.inputs import Kind
from uphours.ingest.load import read_files
from uphours.ingest.memory_fleet import memory_fleet
from uphours.kernel.windows import Window
from uphours.large_files.incremental import BYTES_PER_ROW, SMALLEST_MEMORY_BYTES, report_from_files
from uphours.reports.measure import run_request
from uphours.reports.report import Report
from uphours.reports.request import ReportRequest
from uphours.schema import instant_us

CASES = sorted((Path(__file__).parents[1] / "golden" / "operations").iterdir())
KINDS: tuple[Kind, ...] = ("polls", "hours", "timezones", "special", "stores", "adjustments")
NOW = instant_us("2026-12-31 00:00:00 UTC")


def figures(report: Report) -> dict[str, list[object]]:
    totals = report.totals
    return {field.name: getattr(totals, field.name).tolist() for field in fields(totals)} | {"ids": [*report.store_ids]}


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden_cases_are_measured_from_files(case: Path, raw: bool, tmp_path: Path) -> None:
    said = json.loads((case / "case.json").read_text())
    names: dict[Kind, list[str]] = {
        kind: [str(case / f"{kind}.csv")] for kind in KINDS if (case / f"{kind}.csv").exists()
    }
    windows = {name: bounds for name, bounds in said["options"].get("windows", {}).items() if isinstance(bounds, list)}
    request = ReportRequest(
        as_of=instant_us(said["options"]["as_of"]),
        windows=(*(Window(name, *bounds) for name, bounds in windows.items()), "last_week", "previous_month"),
        all_stores=True,
        raw=raw,
    )
    wanted = run_request(memory_fleet(read_files(names, now=NOW)), request)
    made = report_from_files(names, request, now=NOW, folder=tmp_path).report
    assert figures(made) == figures(wanted)
    assert made.raw == raw


@pytest.mark.parametrize("rows", [20, 10_000])
def test_random_polls_are_measured_in_parts(rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    start = instant_us("2026-03-01 00:00:00 UTC")
    polls = pl.DataFrame({
        "store_id": [f"s{number}" for number in rng.integers(0, 9, 600)],
        "status": np.where(rng.random(600) < 0.7, "active", "inactive"),
        "timestamp_utc": pl.Series(start + rng.integers(0, 21 * 86_400_000_000, 600)).cast(pl.Datetime("us")),
    })  # fmt: skip
    polls.write_parquet(tmp_path / "polls.parquet")
    files: dict[Kind, str] = {
        "hours": "store_id,day,start_time_local,end_time_local,valid_from\n"
        + "".join(f"s{n},{day},0{n}:00,20:00,{since}\n" for n in range(4) for day in range(7)
                  for since in ("", "2026-03-10") if day != n or not since),
        "timezones": "store_id,timezone_str,valid_from\ns1,Europe/Paris,\ns1,Pacific/Auckland,2026-03-12\ns5,UTC,\n",
        "special": table("special", "*,2026-03-15,,,Day off", "s2,2026-03-15,10:00,12:00,", "s7,2026-03-08,,,"),
        "stores": "store_id,first_day,last_day\ns3,2026-03-05,\ns8,,2026-03-18\nnever,2026-03-01,\n",
        "adjustments": table(
            "adjustments", "s1,2026-03-14,2026-03-16,,,excluded,other,,1,", "s6,,,2026-03-10,2026-03-20,up,other,,2,",
            "s6,2026-03-12,2026-03-13,,,excluded,other,,3,", "s1,,,,,withdrawal,other,,4,3",
        ),
    }  # fmt: skip
    names: dict[Kind, list[str]] = {kind: [write(tmp_path / f"{kind}.csv", text)] for kind, text in files.items()}
    names["polls"] = [str(tmp_path / "polls.parquet")]
    wanted_fleet = memory_fleet(read_files(names, now=NOW))
    for as_of in (None, instant_us("2026-03-21 00:00:00 UTC")):
        request = ReportRequest(as_of=as_of, windows=("last_week", "this_month", "today"), all_stores=True)
        made = report_from_files(names, request, now=NOW, folder=tmp_path, memory_bytes=rows * BYTES_PER_ROW)
        assert figures(made.report) == figures(run_request(wanted_fleet, request))
    assert made.summary.brought is not None
    assert made.summary.brought.entries == 4
    assert "never" in made.report.store_ids


def test_a_withdrawal_of_what_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    names: dict[Kind, list[str]] = {
        "polls": [write(tmp_path / "p.csv", table("polls", "1,active,2023-01-24 10:00:00 UTC"))],
        "adjustments": [write(tmp_path / "a.csv", table("adjustments", "1,,,,,withdrawal,other,,2,1"))],
    }
    with pytest.raises(InputError, match="withdraws"):
        report_from_files(names, ReportRequest(), now=NOW, folder=tmp_path, memory_bytes=SMALLEST_MEMORY_BYTES)
