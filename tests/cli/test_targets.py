"""Targets on the command line: what is left, who is below, and what to do where there are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Ran, Run
from tests.fixtures import tables
from uphours.cli import edge

AS_OF = ("--as-of", "2023-01-25T18:00Z")
FILES = [word for kind in ("polls", "hours", "timezones", "stores") for word in (f"--{kind}", f"{kind}.csv")]
#: Store 1 is down for one hour of its Tuesday, and then not seen for the rest of it.
POLLS = tables.table(
    "polls", "1,active,2023-01-24 10:00:00 UTC", "1,inactive,2023-01-24 15:00:00 UTC",
    "1,active,2023-01-24 16:00:00 UTC", "2,active,2023-01-25 15:04:05.123456 UTC",
)  # fmt: skip
TARGETS = tables.table("targets", "norm,,99.5,month,", "north,region=North,90,week,", "later,,99,month,2023-02-01")


@pytest.fixture
def folder(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(edge, "now", lambda: tables.NOW)
    for kind in ("polls", "hours", "timezones", "stores"):
        (tmp_path / f"{kind}.csv").write_text(POLLS if kind == "polls" else tables.CONTENTS[kind])
    (tmp_path / "targets.csv").write_text(TARGETS)
    return tmp_path


def said(ran: Ran) -> str:
    assert ran.code == 0, ran.err
    return ran.out.decode()


def test_a_table_says_what_is_left_and_names_the_stores_below(run: Run, folder: Path) -> None:
    assert run("load", *FILES, "--targets", "targets.csv").code == 0
    ran = run("targets", *AS_OF)
    text = said(ran)
    assert said(run("targets", *FILES, "--targets", "targets.csv", *AS_OF)) == text
    titles, norm, north, *_ = text.splitlines()
    assert titles.split() == [
        "target", "where", "expected", "period", "availability", "budget", "used", "left", "met", "stores",
    ]  # fmt: skip
    assert norm.split()[:7] == ["norm", "every", "store", "99.5", "%", "2023-01", "98.68"]
    assert north.split()[:5] == ["north", "region=North", "90", "%", "2023-W04"]
    assert "norm 2023-01: the budget ran out at 2023-01-24 14:50:24 UTC" in text
    assert "norm 2023-01: 1 store below the target, the worst first\n  store_id" in text
    assert "not in force on the first day of the period, or of another kind of period: later" in ran.err
    assert "2 targets, as of 2023-01-25 18:00:00 UTC" in ran.err


def test_a_period_that_is_named_has_the_targets_of_its_kind(run: Run, folder: Path) -> None:
    assert run("load", *FILES, "--targets", "targets.csv").code == 0
    names = {
        period: [one["name"] for one in json.loads(said(run("targets", "--period", period, "--json")))["targets"]]
        for period in ("2023-01", "2023-02", "2023-W04", "2023-Q1")
    }
    assert names == {"2023-01": ["norm"], "2023-02": ["later", "norm"], "2023-W04": ["north"], "2023-Q1": []}
    assert said(run("targets", "--period", "2023-Q1")) == "no target is in force on the first day of that period\n"
    future = json.loads(said(run("targets", "--period", "2023-02", "--json")))["targets"][0]
    assert (future["met"], future["used_us"], future["exhausted"], future["stores_unknown"]) == (None, 0, None, 2)
    assert future["left_us"] == future["budget_us"] > 0


def test_without_targets_the_command_says_how_to_make_one(run: Run, folder: Path) -> None:
    assert run("load", *FILES).code == 0
    for words in ([], FILES):
        ran = run("targets", *words)
        assert (ran.code, ran.out) == (2, b"")
        assert "there are no targets; write targets.csv with the line name,where,target,period" in ran.err
        assert "uphours load --targets targets.csv" in ran.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--period", "2023-13"], "there is no period '2023-13'; valid are months such as 2026-12"),
        (["--period", "2023-W53"], "there is no period '2023-W53'"),
        (["--period", "next"], "cannot read the period 'next'; valid are months such as 2026-12, quarters"),
        (["--db", "sqlite:///x.db", "--polls", "polls.csv"], "give either --db or files"),
        (["--strict", "1%"], "--strict is for reports from files"),
        (["--targets", "missing.csv"], "there is no file missing.csv (targets)"),
        ([*FILES, "--targets", "targets.csv", "--memory", "1KB"], "--memory 1KB is too little"),
    ],
)
def test_mistakes_are_one_sentence(run: Run, folder: Path, words: list[str], message: str) -> None:
    ran = run("targets", *words)
    assert ran.code == 2
    assert message in ran.err
    assert "Traceback" not in ran.err


def test_unknown_time_that_counts_as_down_uses_the_budget(run: Run, folder: Path) -> None:
    words = ["targets", *FILES, "--targets", "targets.csv", *AS_OF, "--max-age", "1h", "--json"]
    as_it_is, as_down, as_up = (
        json.loads(said(run(*words, "--assume", status)))["targets"][0] for status in ("unknown", "inactive", "active")
    )
    assert as_it_is["unknown_us"] > 0
    assert as_down["used_us"] == as_it_is["used_us"] + as_it_is["unknown_us"]
    assert as_up["used_us"] == as_it_is["used_us"]
    assert (as_down["unknown_us"], as_up["unknown_us"]) == (0, 0)
    assert as_down["exhausted"] == "past"
    assert as_down["exhausted_at"] < as_it_is["exhausted_at"]
