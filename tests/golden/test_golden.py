"""Worked cases with exact answers: both the oracle and the library must give them, to the microsecond."""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import uphours
from tests import oracle
from tests.fixtures.databases import given_back, only_sqlite, url_in
from tests.fixtures.streams import report_of
from uphours.database.database import Database, connect
from uphours.ingest.inputs import Kind
from uphours.ingest.load import load_files
from uphours.kernel.policy import Policy
from uphours.reports.measure import run_report
from uphours.reports.request import ReportRequest
from uphours.schema import DAY_US

#: Instants, which are no text that a zone could matter to.
IN_PARQUET = [pytest.param(form, marks=pytest.mark.anywhere) for form in ("sorted by time", "shuffled")]
HERE = Path(__file__).parent
CASES = sorted(path.parent.name for path in HERE.glob("*/case.json"))
WINDOW_HOURS = {"last_hour": 1, "last_day": 24, "last_week": 168}


def case_of(name: str) -> dict[str, Any]:
    """Return the parsed ``case.json`` of one folder."""
    case: dict[str, Any] = json.loads((HERE / name / "case.json").read_text(encoding="utf-8"))
    return case


def rows_of(name: str, file: str) -> Iterator[dict[str, str]]:
    """Yield the rows of one CSV file as text."""
    with (HERE / name / file).open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def instant_us(text: str) -> int:
    """Read a timestamp; without any zone it is UTC."""
    instant = datetime.fromisoformat(text.removesuffix(" UTC"))
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return (instant - oracle.EPOCH) // timedelta(microseconds=1)


def table(name: str, file: str) -> pl.DataFrame:
    """Read one CSV file with every column as text."""
    return pl.read_csv(HERE / name / file, infer_schema=False)


def flat(expected: dict[str, dict[str, dict[str, int]]]) -> dict[tuple[str, str], dict[str, int]]:
    """Return the expected answers keyed by store and window."""
    return {(store, window): sums for store, windows in expected.items() for window, sums in windows.items()}


def sums_of(report: pl.DataFrame) -> dict[tuple[str, str], dict[str, int]]:
    """Return what a report says of each store and window."""
    return {
        (row["store_id"], row["window"]): {
            "uptime_us": row["uptime_us"],
            "downtime_us": row["downtime_us"],
            "unknown_us": row["unknown_us"],
            "confirmed_uptime_us": row["uptime_min_us"],
            "confirmed_downtime_us": row["business_us"] - row["uptime_max_us"],
        }
        for row in report.iter_rows(named=True)
    }


@only_sqlite  # it knows of no store
@pytest.mark.parametrize("name", CASES)
def test_the_oracle_gives_the_worked_answer(name: str) -> None:
    case = case_of(name)
    options, as_of_us, expected = case["options"], case["as_of_us"], flat(case["expected"])
    assert instant_us(options["as_of"]) == as_of_us
    max_age = options.get("max_age_minutes")
    answers = oracle.answers(
        [(row["store_id"], instant_us(row["timestamp_utc"]), row["status"]) for row in rows_of(name, "polls.csv")],
        [
            (row["store_id"], int(row["day"]), row["start_time_local"], row["end_time_local"])
            for row in rows_of(name, "hours.csv")
        ],
        {row["store_id"]: row["timezone_str"] for row in rows_of(name, "timezones.csv")},
        as_of_us=as_of_us,
        windows=[(window, as_of_us - hours * oracle.HOUR_US, as_of_us) for window, hours in WINDOW_HOURS.items()],
        rules=oracle.Rules(
            interpolation=options.get("interpolation", "previous"),
            prefer_in_session=options.get("prefer_in_session", True),
            max_age_us=None if max_age is None else max_age * oracle.MINUTE_US,
        ),
    )
    assert {key: {part: getattr(answers[key], part) for part in parts} for key, parts in expected.items()} == expected


@only_sqlite  # nor does it
@pytest.mark.parametrize("name", CASES)
def test_the_library_gives_the_worked_answer(name: str) -> None:
    case = case_of(name)
    options, expected = case["options"], flat(case["expected"])
    max_age = options.get("max_age_minutes")
    report = uphours.report(
        table(name, "polls.csv"),
        table(name, "hours.csv"),
        table(name, "timezones.csv"),
        as_of=options["as_of"],
        policy=uphours.Policy(
            interpolation=options.get("interpolation", "previous"),
            prefer_in_session=options.get("prefer_in_session", True),
            max_age=None if max_age is None else timedelta(minutes=max_age),
        ),
        all_stores=options.get("all_stores", False),
    )
    assert sums_of(report) == expected


@pytest.fixture(scope="module")
def database(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Return a database with the stores of all cases, whose names begin with those of their cases."""
    folder = tmp_path_factory.mktemp("cases")
    files: dict[Kind, list[str]] = {"polls": [], "hours": [], "timezones": []}
    for name, kind in product(CASES, files):
        rows = table(name, f"{kind}.csv").with_columns(pl.concat_str(pl.lit(f"{name}/"), "store_id").alias("store_id"))
        rows.write_csv(folder / f"{name}-{kind}.csv")
        files[kind].append(str(folder / f"{name}-{kind}.csv"))
    now = max(case_of(name)["as_of_us"] for name in CASES) + 400 * DAY_US
    with given_back(folder):
        made = connect(url_in(folder))
        load_files(made, files, now=now)
        yield made


@pytest.mark.parametrize("name", CASES)
def test_a_database_gives_the_worked_answer(name: str, database: Database) -> None:
    case = case_of(name)
    options = case["options"]
    max_age = options.get("max_age_minutes")
    with database.snapshot() as fleet:
        report = run_report(
            fleet,
            as_of=case["as_of_us"],
            policy=Policy(
                interpolation=options.get("interpolation", "previous"),
                prefer_in_session=options.get("prefer_in_session", True),
                max_age=None if max_age is None else timedelta(minutes=max_age),
            ),
            all_stores=options.get("all_stores", False),
        )
    expected = {(f"{name}/{store}", window): sums for (store, window), sums in flat(case["expected"]).items()}
    assert {key: sums for key, sums in sums_of(report.table()).items() if key[0].startswith(f"{name}/")} == expected


@only_sqlite  # nor does it
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("form", ["as they are", *IN_PARQUET])
def test_files_without_a_store_give_the_worked_answer(name: str, form: str, tmp_path: Path) -> None:
    case = case_of(name)
    options, expected = case["options"], flat(case["expected"])
    max_age = options.get("max_age_minutes")
    polls = HERE / name / "polls.csv"
    if form != "as they are":
        table = validated_polls(name)
        table = (
            table.sort("timestamp_utc") if form == "sorted by time" else table.sample(fraction=1, shuffle=True, seed=1)
        )
        polls = tmp_path / "polls.parquet"
        table.write_parquet(polls, row_group_size=table.height // 20 + 1)
    report = report_of(
        {
            "polls": [str(polls)],
            "hours": [str(HERE / name / "hours.csv")],
            "timezones": [str(HERE / name / "timezones.csv")],
        },
        ReportRequest(
            as_of=case["as_of_us"],
            policy=Policy(
                interpolation=options.get("interpolation", "previous"),
                prefer_in_session=options.get("prefer_in_session", True),
                max_age=None if max_age is None else timedelta(minutes=max_age),
            ),
            all_stores=options.get("all_stores", False),
        ),
        folder=tmp_path, rows=2, now=case["as_of_us"] + 400 * DAY_US,
    )  # fmt: skip
    assert sums_of(report.table()) == expected


def validated_polls(name: str) -> pl.DataFrame:
    """Return the polls of a case with instants as instants."""
    rows = [(row["store_id"], row["status"], instant_us(row["timestamp_utc"])) for row in rows_of(name, "polls.csv")]
    table = pl.DataFrame(
        rows, schema={"store_id": pl.String, "status": pl.String, "timestamp_utc": pl.Int64}, orient="row"
    )
    return table.with_columns(pl.col("timestamp_utc").cast(pl.Datetime("us", "UTC")))
