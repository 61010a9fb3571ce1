"""What every test run shares: Hypothesis profiles, the seed, the time zone of the process, and the database engines."""

import gc
import os
import random
import re
import time
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.testing
from hypothesis import HealthCheck, settings

from tests.fixtures import databases, forked
from uphours.kernel.jit import compile_always

# A slow shared machine is no reason to fail, and large examples are wanted: no deadline, no check of sizes.
_SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large]

# Each run draws new examples, so that many runs find what many examples would; `make soak` makes a thousand each.
settings.register_profile("dev", max_examples=15, deadline=None, suppress_health_check=_SLOW_IS_FINE)
settings.register_profile("ci", settings.get_profile("dev"), max_examples=50, print_blob=True)
settings.register_profile("soak", settings.get_profile("ci"), max_examples=1_000)
# The run under another time zone asks whether the zone matters; what the answers are, the first run has shown.
settings.register_profile("again", settings.get_profile("ci"), max_examples=10)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))

# --- the seed --------------------------------------------------------------------------------------------

_SEED = pytest.StashKey[int]()


@pytest.hookimpl(tryfirst=True)  # Hypothesis reads its option in the same hook
def pytest_configure(config: pytest.Config) -> None:
    """Draw a new seed for each run, unless one is given: what random tests can find must be found one day."""
    # What runs for large fleets is tested on small ones too; `tests/property/test_plain_loops.py` has the other way.
    compile_always()
    if hasattr(config, "workerinput"):  # one of several processes: all have the seed of the first
        seed = int(config.workerinput["seed"])
    else:
        config.add_cleanup(forked.listen())
        given = [value for name in ("seed", "hypothesis_seed") if (value := config.getoption(name)) is not None]
        if len(set(map(str, given))) > 1:
            raise pytest.UsageError("--seed and --hypothesis-seed are the same; give one of them")
        if any(not str(value).isdecimal() for value in given):
            raise pytest.UsageError(f"--seed: {given[0]!r} is no whole number")
        seed = int(given[0]) if given else random.SystemRandom().getrandbits(32)
    config.stash[_SEED] = seed
    config.option.hypothesis_seed = str(seed)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the seed to a process that runs some of the tests."""
    node.workerinput["seed"] = node.config.stash[_SEED]


def pytest_report_header(config: pytest.Config) -> str:
    return f"random seed: {config.stash[_SEED]}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how to get the same again; the header is not shown with -q."""
    if terminalreporter.stats.get("failed") or terminalreporter.stats.get("error"):
        terminalreporter.write_line(
            f"random seed: {config.stash[_SEED]}; the same again with --seed {config.stash[_SEED]}"
        )


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    """What a test is random with."""
    return request.config.stash[_SEED]


# --- the time zone ---------------------------------------------------------------------------------------


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

#: The tests in these folders run on these engines, unless they are marked with the ones that they are about.
_FOLDERS = {
    **dict.fromkeys(("database", "golden", "faults"), databases.ENGINES),
    "api": ("sqlite",),  # on the servers one journey through all of it gives the same answers
    "attacks": ("sqlite", "postgresql"),
}


_LONGEST = (
    *("test_kept_locks", "test_same_bytes", "test_killed", "test_lost_connections", "test_service_killed"),
    *("test_at_every_size", "test_states_at_every_size"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engines", default=",".join(databases.ENGINES), help="run tests of databases on these engines: %(default)s"
    )
    parser.addoption("--seed", help="the seed of random tests; each run draws a new one, and names it")


def _chosen(config: pytest.Config) -> set[str]:
    chosen = set(config.getoption("engines").split(","))
    if unknown := sorted(chosen - set(databases.ENGINES)):
        raise pytest.UsageError(f"--engines: there is no {unknown[0]!r}; valid are {', '.join(databases.ENGINES)}")
    return chosen


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    folder = metafunc.definition.path.relative_to(Path(__file__).parent).parts[0]
    if folder in _FOLDERS:
        marker = metafunc.definition.get_closest_marker("engines")
        names = _FOLDERS[folder] if marker is None else marker.args
        wanted = [name for name in names if name in _chosen(metafunc.config)]
        # One that is about other engines alone is left out below, where that is counted.
        metafunc.parametrize("engine", wanted or names[:1], indirect=True, scope="session")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even read a file in which a run of quick tests, or of slow ones, has nothing to run."""
    if not collection_path.match("test_*.py"):
        return None
    marks: str = config.getoption("markexpr")
    text = collection_path.read_text(encoding="utf-8")
    if marks == "slow":
        return "mark.slow" not in text or None
    if re.fullmatch(r"not \w+( and not \w+)*", marks):
        unwanted = "|".join(re.findall(r"not (\w+)", marks))
        # How a file says it of all of its tests.
        return bool(re.search(rf"^pytestmark = .*\bpytest\.mark\.({unwanted})\b", text, re.MULTILINE)) or None
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen = _chosen(config)
    parameters = [item.callspec.params if hasattr(item, "callspec") else {} for item in items]
    left_out = [
        item for item, given in zip(items, parameters, strict=True) if given.get("engine", "") not in {"", *chosen}
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]
    # The files that take minutes first, the longest of all at the head: the end of the run waits for none of them.
    items.sort(key=lambda item: (item.path.stem not in _LONGEST, "faults" not in item.path.parts))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from going through modules and tests, now and later: they live to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True, scope="session")
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """The engine that the stores of this test are on; fixtures that live longer than a test must ask for it."""
    name: str = getattr(request, "param", "sqlite")
    databases.use(name)
    yield name
    databases.use("sqlite")


@pytest.fixture(autouse=True, scope="session")
def tables_at_once() -> Iterator[None]:
    """Make the tables of new SQLite files quickly."""
    with databases.tables_at_once():
        yield


@pytest.fixture(autouse=True, scope="session")
def commands_built_once() -> Iterator[None]:
    """Keep `CliRunner` from building all commands for each call, which takes longer than most of the calls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", cache(typer.main.get_command))
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Let go of the databases of a test after all that used them has ended."""
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    yield
    if folder is not None:
        databases.give_back_under(folder)


def pytest_sessionfinish() -> None:
    databases.drop_all()
