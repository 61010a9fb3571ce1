"""Worked cases of calendars and ledgers, through every door that gives a store's figures: exact to the microsecond."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import polars as pl
import pytest

import uphours
from tests.cli.conftest import Run, run
from tests.fixtures.databases import only_sqlite, url_in
from tests.fixtures.streams import Names, answer_of, report_of
from uphours.cli import edge
from uphours.ingest.inputs import Kind
from uphours.kernel.windows import Window
from uphours.reports.groups import Groups
from uphours.reports.request import ReportRequest
from uphours.schema import DAY_US, instant_iso, instant_us

__all__ = ["run"]  # a fixture

HERE = Path(__file__).parent / "operations"
CASES = sorted(path.parent.name for path in HERE.glob("*/case.json"))
#: Those with groups.
OF_GROUPS = [name for name in CASES if "expected_groups" in (HERE / name / "case.json").read_text(encoding="utf-8")]
#: Those with a target.
OF_TARGETS = [name for name in CASES if "expected_target" in (HERE / name / "case.json").read_text(encoding="utf-8")]
#: What the cases call it, and the answers.
TARGET_PARTS = {
    "budget_us": "budget_us", "used_us": "used_us", "remaining_us": "left_us", "elapsed_us": "elapsed_us",
    "exhausted_at": "exhausted_at",
}  # fmt: skip
#: What belongs to a whole period, after as_of too: of targets, no figure of a report.
OF_WHOLE_PERIODS = "scheduled_whole_us"
#: How polls lie in files.
AS_THEY_ARE = "as they are"
#: In Parquet they are instants, which are no text that a zone could matter to.
FORMS = [AS_THEY_ARE, *(pytest.param(form, marks=pytest.mark.anywhere) for form in ("sorted by time", "shuffled"))]
Figures = dict[tuple[str, str], dict[str, int]]


def options_of(name: str) -> dict[str, Any]:
    options: dict[str, Any] = json.loads((HERE / name / "case.json").read_text(encoding="utf-8"))["options"]
    return options


def expected_of(name: str) -> Figures:
    """Return the figures of each store and window; those of groups, targets and seals have tests of their own."""
    expected = json.loads((HERE / name / "case.json").read_text(encoding="utf-8"))["expected"]
    return {
        (store, window): {part: us for part, us in parts.items() if part != OF_WHOLE_PERIODS}
        for store, windows in expected.items()
        for window, parts in windows.items()
    }


def windows_of(name: str) -> tuple[Window, ...]:
    return tuple(Window(window, *bounds) for window, bounds in options_of(name)["windows"].items())


def groups_of(name: str) -> dict[str, Any]:
    """Return the expected figures of groups, by attribute, value and window."""
    case: dict[str, Any] = json.loads((HERE / name / "case.json").read_text(encoding="utf-8"))
    expected: dict[str, Any] = case["expected_groups"]
    return expected


def files_of(name: str) -> Names:
    return {kind: [str(path)] for kind in get_args(Kind) if (path := HERE / name / f"{kind}.csv").exists()}


def words_of(name: str, *, targets: bool = False) -> list[str]:
    """Return the options of the command that name the files of a case; a report takes no targets."""
    files = {kind: paths for kind, paths in files_of(name).items() if targets or kind != "targets"}
    return [word for kind, (path,) in files.items() for word in (f"--{kind}", path)]


def target_of(name: str) -> dict[str, Any]:
    """Return the expected figures of the one target of a case."""
    case: dict[str, Any] = json.loads((HERE / name / "case.json").read_text(encoding="utf-8"))
    return {part: case["expected_target"][called] for called, part in TARGET_PARTS.items()}


def asked_of(name: str) -> list[str]:
    """Return the options of the command that ask for the figures of a case."""
    options = options_of(name)
    windows = [f"{window}={start}/{end}" for window, (start, end) in options["windows"].items()]
    return ["--as-of", options["as_of"], *(word for window in windows for word in ("--window", window))]


def assert_worked(name: str, table: pl.DataFrame) -> None:
    said = {(row["store_id"], row["window"]): row for row in table.iter_rows(named=True)}
    expected = expected_of(name)
    assert {key: {part: said[key][part] for part in parts} for key, parts in expected.items()} == expected
    assert said.keys() == expected.keys()


def assert_worked_groups(attribute: str, expected: dict[str, Any], table: pl.DataFrame) -> None:
    """Compare the groups in a table of the library, those of one attribute, with the worked ones."""
    groups = table.filter(pl.col(attribute).is_not_null())
    said = {(row[attribute], row["window"]): row for row in groups.iter_rows(named=True)}
    assert {(value, window) for value, windows in expected.items() for window in windows} == said.keys()
    for value, windows in expected.items():
        for window, parts in windows.items():
            assert {part: said[value, window][part] for part in parts} == parts


def in_form(name: str, form: str, folder: Path) -> Names:
    """Return the files of a case, its polls in another form where it is not as they are."""
    files = dict(files_of(name))
    if form != AS_THEY_ARE:
        instants = pl.col("timestamp_utc").str.to_datetime("%Y-%m-%d %H:%M:%S UTC", time_unit="us", time_zone="UTC")
        polls = pl.read_csv(*files["polls"], infer_schema=False).with_columns(instants)
        is_sorted = form == "sorted by time"
        polls = polls.sort("timestamp_utc") if is_sorted else polls.sample(fraction=1, shuffle=True, seed=1)
        polls.write_parquet(folder / "polls.parquet", row_group_size=1)
        files["polls"] = [str(folder / "polls.parquet")]
    return files


def later(name: str) -> int:
    """Return a clock at which nothing of a case is in the future."""
    return instant_us(options_of(name)["as_of"]) + 400 * DAY_US


@only_sqlite  # it knows of no database
@pytest.mark.parametrize("name", CASES)
def test_the_library_gives_the_worked_answer(name: str) -> None:
    tables = {kind: pl.read_csv(path, infer_schema=False) for kind, (path,) in files_of(name).items()}
    report = uphours.report(
        tables["polls"], tables["hours"], tables["timezones"],
        special_hours=tables.get("special"), attributes=tables.get("stores"), adjustments=tables.get("adjustments"),
        as_of=options_of(name)["as_of"], windows=windows_of(name), all_stores=True,
    )  # fmt: skip
    assert_worked(name, report)


@only_sqlite  # nor does it
@pytest.mark.parametrize("name", CASES)
def test_the_command_gives_the_worked_answer_from_files(name: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "now", lambda: later(name))
    ran = run("report", *words_of(name), *asked_of(name), "-o", "report.parquet")
    assert ran.code == 0, ran.err
    assert_worked(name, pl.read_parquet("report.parquet"))


@pytest.mark.parametrize("name", CASES)
def test_the_command_gives_the_worked_answer_from_a_database(
    name: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "now", lambda: later(name))
    database = ["--db", url_in(tmp_path)]
    for words in (["load", *words_of(name)], ["report", *asked_of(name), "-o", "report.parquet"]):
        ran = run(*words, *database)
        assert ran.code == 0, ran.err
    assert_worked(name, pl.read_parquet("report.parquet"))


@only_sqlite  # nor does it
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("form", FORMS)
def test_files_that_do_not_fit_into_memory_give_the_worked_answer(name: str, form: str, tmp_path: Path) -> None:
    options = ReportRequest(as_of=instant_us(options_of(name)["as_of"]), windows=windows_of(name), all_stores=True)
    report = report_of(in_form(name, form, tmp_path), options, folder=tmp_path, rows=2, now=later(name))
    assert_worked(name, report.table())


@only_sqlite  # nor does it
@pytest.mark.parametrize("name", OF_GROUPS)
@pytest.mark.parametrize("form", FORMS)
def test_groups_of_files_that_do_not_fit_into_memory_have_the_worked_answer(
    name: str, form: str, tmp_path: Path
) -> None:
    for attribute, expected in groups_of(name).items():
        as_of = instant_us(options_of(name)["as_of"])
        options = ReportRequest(as_of=as_of, windows=windows_of(name), by=(attribute,), all_stores=True)
        files = in_form(name, form, tmp_path)
        made = answer_of(files, options, folder=tmp_path, rows=2, now=later(name))
        assert isinstance(made, Groups)
        assert_worked_groups(attribute, expected, made.table())


@pytest.mark.parametrize("name", OF_GROUPS)
def test_groups_have_the_worked_answer_from_files_and_from_a_database(
    name: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "now", lambda: later(name))
    database = ["--db", url_in(tmp_path)]
    assert run("load", *words_of(name), *database).code == 0
    for attribute, expected in groups_of(name).items():
        outputs = []
        for given in (words_of(name), database):
            ran = run("report", *given, *asked_of(name), "--by", attribute, "--format", "json")
            assert ran.code == 0, ran.err
            outputs.append(ran.out)
            groups = {group["values"][attribute]: group["windows"] for group in json.loads(ran.out)["groups"]}
            assert groups.keys() == expected.keys()
            for value, windows in expected.items():
                for window, parts in windows.items():
                    assert {part: groups[value][window][part] for part in parts} == parts
        assert outputs[0] == outputs[1]


@only_sqlite  # it knows of no database
@pytest.mark.parametrize("name", OF_TARGETS)
def test_the_library_gives_the_worked_target(name: str) -> None:
    tables = {kind: pl.read_csv(path, infer_schema=False) for kind, (path,) in files_of(name).items()}
    table = uphours.targets(
        tables["polls"], tables["hours"], tables["timezones"], targets=tables["targets"],
        special_hours=tables.get("special"), attributes=tables.get("stores"), adjustments=tables.get("adjustments"),
        as_of=options_of(name)["as_of"],
    )  # fmt: skip
    pooled, of_store = table.iter_rows(named=True)
    assert (pooled["store_id"], of_store["store_id"], pooled["period"]) == (None, "1", "2024-12")
    expected = target_of(name) | {"exhausted": "projected"}
    for row in (pooled, of_store):
        row["exhausted_at"] = instant_iso(instant_us(row["exhausted_at"]))
        assert {part: row[part] for part in expected} == expected


@pytest.mark.parametrize("name", OF_TARGETS)
def test_the_command_gives_the_worked_target_from_files_and_from_a_database(
    name: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "now", lambda: later(name))
    database = ["--db", url_in(tmp_path)]
    assert run("load", *words_of(name, targets=True), *database).code == 0
    as_of = ["--as-of", options_of(name)["as_of"]]
    outputs = []
    for words in (words_of(name, targets=True), database, [*database, "--period", "2024-12"]):
        ran = run("targets", *words, *as_of, "--json")
        assert ran.code == 0, ran.err
        (said,) = json.loads(ran.out)["targets"]
        assert {part: said[part] for part in TARGET_PARTS.values()} == target_of(name)
        assert said["exhausted"] == "projected"
        outputs.append(ran.out)
    assert len(set(outputs)) == 1
