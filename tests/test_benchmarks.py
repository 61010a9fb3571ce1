"""The benchmarks run, at a size at which their figures mean nothing, and keep what they measure."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import pytest

from bench import (
    against,
    databases,
    fleet_page,
    groups,
    kernel,
    large_files,
    load,
    memory,
    report,
    results,
    schedules,
    service,
    sizes,
)
from bench.fleet import Fleet
from bench.processes import Service
from bench.results import Comparison, Figure, Row, Section, Usage, compare
from tests.fixtures.databases import only_sqlite

pytestmark = [pytest.mark.anywhere, only_sqlite]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return Fleet(tmp_path_factory.mktemp("bench"), stores=20, most_pairs=1)


def measured(section: Section, fleet: Fleet) -> list[Row]:
    rows = section(fleet)
    assert rows
    for row in rows:
        assert str(row)
        for name, value in results.plain(row).items():
            assert name == "at_most" or not isinstance(value, float) or value >= 0, f"{row}: {name}"
    return rows


@pytest.mark.slow
def test_the_sections_in_process_run(fleet: Fleet) -> None:
    for section in (
        *load.SECTIONS.values(), *report.SECTIONS.values(), *groups.SECTIONS.values(), *schedules.SECTIONS.values(),
        *fleet_page.SECTIONS.values(), kernel.kernel, databases.SECTIONS["load and report on sqlite"],
        databases.SECTIONS["year on sqlite"],
    ):  # fmt: skip
        measured(section, fleet)


@pytest.mark.slow
def test_the_sections_of_whole_commands_run(fleet: Fleet) -> None:
    measured(sizes.sizes, fleet)
    measured(large_files.SECTIONS["files, 10 M"], fleet)


@pytest.mark.slow
def test_the_sections_of_the_service_run(fleet: Fleet) -> None:
    def all_of_them(fleet: Fleet, running: Service) -> list[Row]:
        measures = (service.polling, service.report_over_http, service.posts, service.pages, memory.of_service)
        return [row for measure in measures for row in measure(fleet, running)]

    measured(lambda fleet: service.served(all_of_them, fleet), fleet)


@pytest.mark.slow
def test_a_program_is_compared_with_itself(fleet: Fleet) -> None:
    this, other = (against.program(results.ROOT, fleet.folder / name) for name in ("this", "other"))
    chosen = against.works(fleet)[:2]
    rows = measured(lambda fleet: against.compared("itself", this, other, chosen, fleet), fleet)
    assert {row.at_most for row in rows if isinstance(row, Comparison)} == {1.05}


def test_reports_that_differ_are_refused(tmp_path: Path) -> None:
    ours, others = tmp_path / "ours.csv", tmp_path / "others.csv"
    ours.write_text("store_id,uptime,new\n1,2.5,3\n", encoding="utf-8")
    others.write_text("store_id,uptime,old\n1,2.5,4\n", encoding="utf-8")
    against.check_same(ours, others)
    others.write_text("store_id,uptime,old\n1,2.50,4\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="differ in uptime"):
        against.check_same(ours, others)


def test_the_command_of_a_tree_is_found_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project.scripts]\nearlier = "earlier.cli:main"\n', encoding="utf-8")
    assert against.program(tmp_path, tmp_path / "earlier").command == tmp_path / ".venv" / "bin" / "earlier"


def test_the_sides_take_turns_after_a_warm_up_of_each() -> None:
    took: list[str] = []

    def used(name: str, seconds: float) -> Usage:
        took.append(name)
        return Usage(seconds, 2 * seconds, peak_mb=seconds)

    compared = compare("a", "b", lambda: used("a", 3), lambda: used("b", 2), at_most=1, pairs=3)
    assert "".join(took) == "ab" + "ab" + "ba" + "ab"
    assert (compared.ours, compared.yardstick, compared.ratio, compared.peak_mb) == (3, 2, 1.5, 3)
    assert str(compared).endswith("at most 1  MISSED")


def constant(value: float) -> Section:
    """Return a section that has measured this."""
    return lambda _fleet: [Figure("x", value, "s")]


def options(path: Path, *, busy: bool, stores: int = 20, given: bool = True) -> argparse.Namespace:
    results_path = path / "results.json" if given else None
    return argparse.Namespace(stores=stores, pairs=1, folder=None, busy=busy, results=results_path)


def test_a_busy_machine_is_refused_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is measured then; and what is measured on one is kept with its load."""
    monkeypatch.setattr(os, "getloadavg", lambda: (0.51, 0.0, 0.0))
    sections: dict[str, Section] = {"one": lambda fleet: [Figure("stores", float(fleet.stores), "stores")]}
    with pytest.raises(SystemExit, match=r"0\.51.*--busy"):
        results.take(sections, options(tmp_path, busy=False))
    assert not list(tmp_path.iterdir())
    results.take(sections, options(tmp_path, busy=True))
    kept = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert kept["one"]["load"] == 0.51
    assert kept["one"]["rows"] == [{"work": "stores", "value": 20.0, "unit": "stores"}]
    assert {"taken", "commit", "machine", "stores"} < set(kept["one"])


def test_a_section_takes_the_place_of_what_it_said_before_and_of_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (0.5, 0.0, 0.0))
    for name, value in (("one", 1.0), ("two", 2.0), ("one", 3.0)):
        results.take({name: constant(value)}, options(tmp_path, busy=False))
    kept = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert {name: section["rows"][0]["value"] for name, section in kept.items()} == {"one": 3.0, "two": 2.0}


def test_figures_of_another_size_are_kept_only_where_a_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results.json")
    results.take({"one": constant(1.0)}, options(tmp_path, busy=True, given=False))
    assert not list(tmp_path.iterdir())
