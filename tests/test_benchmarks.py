"""The benchmarks run, at a size at which their figures mean nothing, and keep what they measure."""

from __future__ import annotations

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
from bench.results import Comparison, Row, Section
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


def test_the_sections_in_process_run(fleet: Fleet) -> None:
    for section in (
        *load.SECTIONS.values(), *report.SECTIONS.values(), *groups.SECTIONS.values(), *schedules.SECTIONS.values(),
        *fleet_page.SECTIONS.values(), kernel.kernel, databases.SECTIONS["load and report on sqlite"],
        databases.SECTIONS["year on sqlite"],
    ):  # fmt: skip
        measured(section, fleet)


@pytest.mark.slow
def test_the_sections_of_whole_commands_run(fleet: Fleet) -> None:
    for section in (sizes.sizes, large_files.SECTIONS["files, 10 M"], kernel.scale):
        measured(section, fleet)


@pytest.mark.slow
def test_the_sections_of_the_service_run(fleet: Fleet) -> None:
    for section in (memory.memory, *service.SECTIONS.values()):
        measured(section, fleet)


@pytest.mark.slow
def test_a_program_is_compared_with_itself(fleet: Fleet) -> None:
    this, other = (against.program(results.ROOT, fleet.folder / name) for name in ("this", "other"))
    rows = measured(lambda fleet: against.compared("itself", this, other, fleet), fleet)
    assert {row.at_most for row in rows if isinstance(row, Comparison)} == {1.05}
