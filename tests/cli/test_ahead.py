"""A poll from a clock that is ahead moves as_of; all that speaks for it says how far, and at which store."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from tests.cli.conftest import Run
from tests.fixtures.tables import NOW
from uphours.database.database import connect
from uphours.reports.answers import stores_of
from uphours.reports.archive import packed, unpacked
from uphours.reports.measure import run_report
from uphours.reports.request import ReportRequest
from uphours.schema import HOUR_US, MINUTE_US, instant_text

AHEAD = 20 * HOUR_US + 3 * MINUTE_US
POLLS = "".join(
    f"{store},{status},{instant_text(NOW + at)}\n"
    for store, status, at in (
        ("1", "active", -HOUR_US), ("2", "inactive", -2 * HOUR_US), ("fast", "active", AHEAD),
        ("faster", "active", AHEAD - MINUTE_US), ("late", "active", -90 * 24 * HOUR_US),
    )
)  # fmt: skip
SAYS = (
    "the latest observation is 20 h 3 min ahead of this machine's clock, at fast, faster; --as-of names another instant"
)


@pytest.fixture
def ahead(run: Run, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(f"store_id,status,timestamp_utc\n{POLLS}")
    assert run("load", "--polls", "p.csv").code == 0


@pytest.mark.usefixtures("ahead")
@pytest.mark.parametrize("source", [[], ["--polls", "p.csv"], ["--polls", "p.parquet"]])
def test_a_report_says_how_far_the_latest_observation_is_ahead_and_where(
    run: Run, tmp_path: Path, source: list[str]
) -> None:
    pl.read_csv(tmp_path / "p.csv", infer_schema=False).write_parquet(tmp_path / "p.parquet")
    ran = run("report", *source, "--format", "json")
    assert ran.err.splitlines()[-1] == SAYS
    document = json.loads(ran.out)
    assert document["as_of_us"] == NOW + AHEAD  # by default it stays the latest observation
    assert document["ahead"] == {"by_us": AHEAD, "stores": ["fast", "faster"], "more": 0}
    early = run("report", *source, "--format", "json", "--window", "early=2022-11-01/2022-11-03")
    assert json.loads(early.out)["ahead"] == document["ahead"]


@pytest.mark.usefixtures("ahead")
@pytest.mark.parametrize("source", [[], ["--polls", "p.csv"]])
def test_a_report_for_an_instant_that_is_named_says_nothing_of_it(run: Run, source: list[str]) -> None:
    ran = run("report", *source, "--format", "json", "--as-of", instant_text(NOW + AHEAD))
    assert SAYS not in ran.err
    assert "ahead" not in json.loads(ran.out)
    # What was read is told all the same: a poll with a wrong clock is worth a look.
    assert ("the latest observation" in ran.err) == bool(source)
    assert SAYS not in run("report", *source, "--as-of", instant_text(NOW)).err


@pytest.mark.usefixtures("ahead")
def test_an_explanation_says_it_too_also_of_another_store(run: Run) -> None:
    assert run("explain", "fast").err.strip() == SAYS.replace(", faster", "")
    other = run("explain", "1", "--format", "json")
    assert other.err.strip() == SAYS.replace(", at fast, faster", "")
    assert json.loads(other.out)["ahead"] == {"by_us": AHEAD, "stores": [], "more": 0}


@pytest.mark.usefixtures("ahead")
def test_a_report_that_is_kept_keeps_it_and_others_stay_the_same_bytes(tmp_path: Path) -> None:
    options = ReportRequest()
    with connect(f"sqlite:///{tmp_path / 'uphours.db'}").snapshot() as fleet:
        made = run_report(fleet, chosen=options.windows, now=NOW)
        caught_up = run_report(fleet, chosen=options.windows, now=NOW + AHEAD)
        unasked = run_report(fleet, chosen=options.windows)
    assert made.ahead is not None
    assert stores_of(unpacked(packed(made))).ahead == made.ahead
    assert packed(caught_up) == packed(unasked)


def test_of_many_stores_some_are_named_and_the_others_counted(run: Run, tmp_path: Path) -> None:
    rows = "".join(f"s{n},active,{instant_text(NOW + 90_000_000)}\n" for n in range(1200))
    (tmp_path / "p.csv").write_text(f"store_id,status,timestamp_utc\n{rows}")
    said = run("report", "--polls", "p.csv").err.splitlines()[-1]
    assert "is 1 min 30 s ahead of this machine's clock, at s0, s1, s10, s100, s1000 and 1,195 more" in said
