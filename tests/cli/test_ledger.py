"""The ledger and the calendar on the command line: entered, listed, taken back, shown, and mistakes said clearly."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Ran, Run, load_once
from uphours.cli import edge
from uphours.schema import instant_us

CASE = Path(__file__).parents[1] / "golden" / "operations" / "07_closure_over_correction_over_poll"
AS_OF = ("--as-of", "2024-06-04", "--window", "day=2024-06-03/2024-06-04")
DAY = ("--from", "2024-06-03T00:00Z", "--to", "2024-06-04T00:00Z")
CLOSURE = ("--as", "excluded", "--reason", "planned closure")


@pytest.fixture
def loaded(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Load a worked case but for its ledger: one store, open from 9 to 5, in UTC."""
    monkeypatch.setattr(edge, "now", lambda: instant_us("2024-06-05"))
    for name in ("polls", "hours", "timezones"):
        shutil.copy(CASE / f"{name}.csv", tmp_path)
    load_once(
        run,
        "the worked case but for its ledger",
        "--polls",
        "polls.csv",
        "--hours",
        "hours.csv",
        "--timezones",
        "timezones.csv",
    )
    return tmp_path


def detail(run: Run, *more: str) -> dict[str, int]:
    ran = run("report", *AS_OF, "--format", "json", *more)
    assert ran.code == 0, ran.err
    figures: dict[str, int] = json.loads(ran.out)["stores"][0]["windows"]["day"]
    return figures


def said(ran: Ran) -> str:
    assert ran.code == 0, ran.err
    return ran.out.decode()


def test_the_worked_case_is_entered_listed_and_explained(run: Run, loaded: Path) -> None:
    entries = (
        ("up", "2024-06-03T11:00Z", "2024-06-03T12:00Z", "false alarm"),
        ("excluded", "2024-06-03T12:30Z", "2024-06-03T13:30Z", "fire drill"),
        ("down", "2024-06-03T11:30Z", "2024-06-03T14:00Z", "till was broken"),
    )
    for counts_as, start, end, note in entries:
        words = ("--as", counts_as, "--store", "1", "--from", start, "--to", end, "--reason", "other", "--note", note)
        said(run("adjust", *words))
    expected = json.loads((CASE / "case.json").read_text())["expected"]["1"]["day"]
    figures = detail(run)
    assert {name: figures[name] for name in expected} == expected
    raw = detail(run, "--raw")
    assert (raw["uptime_us"], raw["downtime_us"]) == (expected["raw_uptime_us"], expected["raw_downtime_us"])
    listed = said(run("adjustments"))
    assert [line.split()[0] for line in listed.splitlines()] == ["entry", "3", "2", "1"]
    assert "fire drill" in listed
    text = said(run("explain", "1", "--as-of", "2024-06-04", "--window", "day=2024-06-03/2024-06-04"))
    assert "entry 2: excluded, other (fire drill), by cli:" in text
    assert "1 h excluded" in text.splitlines()[-2] + text.splitlines()[-1]
    exact = said(run("explain", "1", *AS_OF, "--exact"))
    assert "entry 3 of the ledger" in exact


def test_a_dry_run_says_what_it_would_move_and_enters_nothing(run: Run, loaded: Path) -> None:
    before = detail(run)
    text = said(run("adjust", *CLOSURE, "--all", *DAY, "--dry-run"))
    assert "would be entered: 24 h of 1 store as excluded" in text
    assert "uptime: 4 h → 0 min" in text
    assert "excluded: 0 min → 6 h" in text  # up to the latest poll, at 15:00
    assert said(run("adjustments")) == "the ledger has no entries\n"
    assert detail(run) == before


def test_an_entry_that_is_withdrawn_is_as_if_it_had_never_been(run: Run, loaded: Path) -> None:
    before = detail(run)
    made = run("adjust", *CLOSURE, "--all", *DAY, "--json")
    assert json.loads(said(made))["entry"] == 1
    assert "`uphours withdraw 1 --reason other` takes it back" in made.err
    assert detail(run)["excluded_us"] == before["scheduled_us"]
    assert said(run("withdraw", "1", "--reason", "wrong data")) == "entry 2: withdraws entry 1\n"
    assert detail(run) == before
    listed = json.loads(said(run("adjustments", "--store", "1", "--json")))
    assert [(one["entry"], one["withdraws"], one["withdrawn_by"]) for one in listed] == [(2, 1, None), (1, None, 2)]
    said(run("withdraw", "2", "--reason", "other"))
    assert detail(run)["excluded_us"] == before["scheduled_us"]


def test_gaps_of_the_collector_are_declared_in_one_entry(run: Run, loaded: Path) -> None:
    rows = [f"1,active,2024-06-03 {hour:02}:00:00 UTC\n" for hour in (9, 10, 11, 15, 16, 17)]
    (loaded / "more.csv").write_text("store_id,status,timestamp_utc\n" + "".join(rows))
    said(run("load", "--polls", "more.csv"))
    gaps = ("--as", "unknown", "--reason", "collector failure", "--all", "--gaps")
    ran = run("adjust", *gaps, *DAY)
    assert "entry 1: 4 h of 1 store as unknown, from 2024-06-03 11:00:00 UTC" in said(ran)
    assert "there is no collector gap between" in run("adjust", *gaps, *DAY[:3], "2024-06-03T10:00Z").err


def test_a_calendar_shows_each_day_and_where_its_hours_come_from(run: Run, loaded: Path) -> None:
    (loaded / "special.csv").write_text(
        "store_id,date,start_time_local,end_time_local,name\n1,2024-06-10,,,Whit Monday\n*,2024-06-12,10:00,12:00,\n"
    )
    (loaded / "stores.csv").write_text("store_id,last_day\n1,2024-06-17\n")
    (loaded / "new.csv").write_text("store_id,day,start_time_local,end_time_local\n1,0,10:00,18:00\n")
    said(run("load", "--special", "special.csv", "--stores", "stores.csv"))
    said(run("load", "--hours", "new.csv", "--valid-from", "2024-06-16"))
    lines = said(run("calendar", "1", "--from", "2024-06-03", "--to", "2024-06-19")).splitlines()
    found = {line.split()[1]: line.split(maxsplit=2)[2].rpartition("  ")[0].split() for line in lines[1:]}
    assert len(found) == 16
    assert found["2024-06-03"] == ["09:00–17:00", "week"]
    assert " ".join(found["2024-06-10"]) == "closed special hours: Whit Monday"
    assert " ".join(found["2024-06-12"]) == "10:00–12:00 special hours of every store"
    assert " ".join(found["2024-06-17"]) == "10:00–18:00 week from 2024-06-16"
    assert " ".join(found["2024-06-18"]) == "closed outside first and last day"
    (one,) = json.loads(said(run("calendar", "1", "--from", "2024-06-12", "--to", "2024-06-13", "--json")))
    assert one == {
        "date": "2024-06-12", "origin": "special hours of every store", "hours": [{"start": "10:00", "end": "12:00"}],
        "valid_from": None, "name": "", "timezone": "Etc/UTC",
    }  # fmt: skip
    assert len(said(run("calendar", "1")).splitlines()) == 29


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["adjust", *CLOSURE, *DAY],
            "which stores? Valid are --store ID or --where NAME=VALUE, which may be",
        ),
        (["adjust", *CLOSURE, *DAY, "--all", "--store", "1"], "which stores?"),
        (["adjust", *CLOSURE, "--all"], "when? Valid are --from and --to"),
        (["adjust", *CLOSURE, "--all", *DAY, "--from-local", "2024-06-03"], "when? Valid are --from and --to"),
        (["adjust", "--as", "closed", "--reason", "other", "--all", *DAY], "valid are excluded, up, down, unknown"),
        (["adjust", "--as", "up", "--reason", "rain", "--all", *DAY], "there is no reason 'rain'; valid are"),
        (["adjust", *CLOSURE, "--all", "--from", "tomorrow", "--to", "x"], "cannot read --from 'tomorrow'"),
        (
            ["adjust", *CLOSURE, "--all", "--from-local", "2024-06-03T10:00Z", "--to-local", "2024-06-04"],
            "--from-local is '2024-06-03T10:00Z'; valid is a time on the clock of the store",
        ),
        (["adjust", *CLOSURE, "--store", "9", *DAY], "there is no store '9'"),
        (["withdraw", "7", "--reason", "other"], "there is no entry '7'; `uphours adjustments` lists them"),
        (["withdraw", "7", "--reason", "mood"], "there is no reason 'mood'"),
        (["calendar", "9"], "there is no store '9'"),
        (["calendar", "1", "--from", "today"], "--from is 'today'; valid is a date such as 2026-12-24"),
        (["calendar", "1", "--from", "2024-06-03", "--to", "2024-06-03"], "has 0 days; valid are 1 to 11,000"),
        (["adjustments", "--store", "9"], "there is no store '9'"),
    ],
)
def test_a_mistake_is_said_with_what_is_valid(run: Run, loaded: Path, words: list[str], says: str) -> None:
    ran = run(*words)
    assert (ran.code, ran.out) == (2, b"")
    assert says in ran.err
    assert "Traceback" not in ran.err
