"""What every test run shares: Hypothesis profiles, the time zone of the process, and the database engines."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.fixtures import databases

# A slow shared machine is no reason to fail, and large examples are wanted: no deadline, no check of sizes.
_SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile("dev", max_examples=50, deadline=None, suppress_health_check=_SLOW_IS_FINE)
settings.register_profile("ci", settings.get_profile("dev"), max_examples=200, derandomize=True, print_blob=True)
# The run under another time zone asks whether the zone matters; what the answers are, the first run has shown.
settings.register_profile("again", settings.get_profile("ci"), max_examples=40)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(autouse=True, scope="session")
def process_time_zone() -> Iterator[None]:
    """Run under UTC, unless the caller chose a zone: no answer may depend on it, and CI tries another one."""
    if "TZ" in os.environ:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


# --- engines ---------------------------------------------------------------------------------------------

#: The tests in these folders run on every engine, unless they are marked with the ones that they are about.
_FOLDERS = ("store", "api", "golden", "faults")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engines", default=",".join(databases.ENGINES), help="run tests of stores on these engines: %(default)s"
    )


def _chosen(config: pytest.Config) -> set[str]:
    chosen = set(config.getoption("engines").split(","))
    if unknown := sorted(chosen - set(databases.ENGINES)):
        raise pytest.UsageError(f"--engines: there is no {unknown[0]!r}; valid are {', '.join(databases.ENGINES)}")
    return chosen


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    folder = metafunc.definition.path.relative_to(Path(__file__).parent).parts[0]
    if folder in _FOLDERS:
        marker = metafunc.definition.get_closest_marker("engines")
        names = databases.ENGINES if marker is None else marker.args
        metafunc.parametrize("engine", names, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen = _chosen(config)
    parameters = [item.callspec.params if hasattr(item, "callspec") else {} for item in items]
    left_out = [
        item for item, given in zip(items, parameters, strict=True) if given.get("engine", "") not in {"", *chosen}
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]
    # The tests that take minutes first, so that nobody waits for them at the end.
    items.sort(key=lambda item: "faults" not in item.path.parts)


@pytest.fixture(autouse=True, scope="session")
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """The engine that the stores of this test are on; fixtures that live longer than a test must ask for it."""
    name: str = getattr(request, "param", "sqlite")
    databases.use(name)
    yield name
    databases.use("sqlite")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Let go of the databases of a test after all that used them has ended."""
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    yield
    if folder is not None:
        databases.give_back_under(folder)


def pytest_sessionfinish() -> None:
    databases.drop_all()
