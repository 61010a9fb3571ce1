"""What every test run shares: the Hypothesis profiles and the time zone of the process."""

import os
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# A slow shared machine is no reason to fail, and large examples are wanted: no deadline, no check of sizes.
_SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile("dev", max_examples=50, deadline=None, suppress_health_check=_SLOW_IS_FINE)
settings.register_profile("ci", settings.get_profile("dev"), max_examples=200, derandomize=True, print_blob=True)
# The run under another time zone asks whether the zone matters; what the answers are, the first run has shown.
settings.register_profile("again", settings.get_profile("ci"), max_examples=40)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take minutes, so that nobody waits for them at the end."""
    items.sort(key=lambda item: "faults" not in item.path.parts)


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
