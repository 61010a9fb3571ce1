"""What must hold for the package as a whole: what it offers, what it imports, and when."""

import json
import pkgutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from subprocess import run
from sys import executable
from typing import Any

import numpy as np
import pytest

import uphours
from tests.unit.tables import polls
from uphours import demo, errors, library
from uphours.kernel.availability import availability
from uphours.reports import measure
from uphours.schema import Spans

pytestmark = pytest.mark.anywhere

#: What takes a second to load, and what a program that only wants one part does not need.
HEAVY = {
    "adbc_driver_manager",
    "alembic",
    "numba",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "rich.progress",
    "sqlalchemy",
}
SOURCE = Path(uphours.__file__).parent
#: Alembic runs these itself.
RUN_BY_ALEMBIC = "uphours.database.migrations.env"


def modules_after(program: str, environment: dict[str, str] | None = None) -> set[str]:
    """Return what a new interpreter has imported after a program."""
    program += "\nimport json, sys; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    result = run([executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return set(json.loads(result.stderr.splitlines()[-1]))


@pytest.mark.parametrize("module", [uphours, library])
def test_what_is_offered_is_sorted_and_there(module: Any) -> None:
    assert module.__all__ == sorted(module.__all__)
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is getattr(library, name)
        assert getattr(module, name).__doc__
    assert set(uphours.__all__) <= set(dir(uphours))


def test_the_library_offers_what_the_package_offers() -> None:
    assert library.__all__ == uphours.__all__


def test_a_name_that_is_not_offered_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'uphours' has no attribute 'uptime'"):
        _ = uphours.uptime


def test_the_name_of_a_module_stands_once_but_where_routes_and_pages_mirror_a_table() -> None:
    mirrors = {SOURCE / "service" / "api", SOURCE / "service" / "pages"}
    paths = [path for path in SOURCE.rglob("*.py") if path.stem != "__init__" and path.parent not in mirrors]
    names = [path.stem for path in paths]
    assert len(names) > 200
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert modules_after("import uphours") & HEAVY == set()


def test_a_small_report_from_files_loads_no_database_layer_and_no_compiler(tmp_path: Path) -> None:
    demo.make_files(tmp_path)
    words = ["report", *(f"--{kind}={tmp_path / kind}.csv" for kind in demo.KINDS), "-o", str(tmp_path / "report.csv")]
    program = f"""
import sys
from uphours.cli.command_line import main
sys.argv = ["uphours", *{words!r}]
try:
    main()
except SystemExit as leaving:
    assert not leaving.code, leaving.code
"""
    loaded = modules_after(program)
    assert (tmp_path / "report.csv").exists()
    forbidden = (
        "sqlalchemy",
        "alembic",
        "sqlite3",
        "uphours.database",
        "numba",
        "pydantic",
        "fastapi",
        "rich.progress",
    )
    assert {name for name in loaded if name.startswith(forbidden)} == set()


def test_help_loads_nothing_heavy() -> None:
    lines = [["--help"], ["--version"], ["report", "--help"], ["load", "-h"]]
    program = f"""
import sys
from uphours.cli.command_line import main
for words in {lines!r}:
    sys.argv = ["uphours", *words]
    try:
        main()
    except SystemExit as leaving:
        assert not leaving.code, leaving.code
"""
    assert modules_after(program) & HEAVY == set()


def test_a_worker_process_loads_nothing_of_the_web() -> None:
    assert modules_after("import uphours.service.supervisor") & {"fastapi", "httpx", "starlette", "uvicorn"} == set()


#: The modules of what goes over HTTP.
WIRE = {
    "uphours.wire",
    *(f"uphours.wire.{path.stem}" for path in (SOURCE / "wire").glob("*.py") if path.stem != "__init__"),
}


def test_a_client_loads_neither_the_kernel_nor_a_database() -> None:
    loaded = modules_after("import uphours.client")
    assert loaded & (HEAVY - {"rich.progress"} | {"fastapi", "pydantic"}) == set()  # httpx brings a command of its own
    ours = {name for name in loaded if name.startswith("uphours.") and not name.startswith("uphours.client.")}
    assert ours == {"uphours.client", "uphours.errors", "uphours.version"} | WIRE


def test_a_report_on_tables_loads_no_other_frame_library_and_no_command_line() -> None:
    program = """
import polars, uphours
polls = {"store_id": ["a"], "status": ["active"], "timestamp_utc": ["2023-01-25 10:00 UTC"]}
assert uphours.report(polars.DataFrame(polls)).height == 3
"""
    assert modules_after(program) & {"alembic", "pandas", "pyarrow", "rich", "typer"} == set()


def test_every_module_can_be_imported_with_an_empty_environment() -> None:
    found = pkgutil.walk_packages(uphours.__path__, "uphours.")
    names = sorted(module.name for module in found if module.name != RUN_BY_ALEMBIC)
    assert "uphours.kernel.timeline" in names
    program = f"import importlib\nfor name in {names!r}:\n    importlib.import_module(name)"
    assert set(names) <= modules_after(program, environment={})


def test_every_error_is_in_the_tree_and_in_its_drawing() -> None:
    own = [error for error in vars(errors).values() if isinstance(error, type) and error.__module__ == errors.__name__]
    assert len(own) > 5
    for error in own:
        assert issubclass(error, errors.UphoursError)
        assert error.__name__ in (errors.__doc__ or "")
    assert issubclass(errors.InputError, ValueError)
    assert issubclass(errors.NotFoundError, LookupError)


def test_a_report_holds_its_parts_against_its_business_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timeline that loses a microsecond must never become a report."""

    def losing_a_microsecond(spans: Spans, *rest: Any) -> Any:
        return availability(replace(spans, ends=spans.ends - np.int64(1)), *rest)

    observations = polls(("a", "active", "2023-01-25 09:00 UTC"), ("a", "inactive", "2023-01-25 09:30 UTC"))
    uphours.report(observations)
    monkeypatch.setattr(measure, "availability", losing_a_microsecond)
    with pytest.raises(ArithmeticError, match=r"is not the scheduled time in window last_hour"):
        uphours.report(observations)


def test_a_module_name_stands_once() -> None:
    """Endpoints, what they answer with, and pages may be called after the table or the report that they show."""
    names = [
        path.stem
        for path in SOURCE.rglob("*.py")
        if path.stem != "__init__" and not {"api", "pages", "versions", "wire"} & {*path.relative_to(SOURCE).parts}
    ]
    assert sorted(name for name, count in Counter(names).items() if count > 1) == []
