"""A service with a small fleet, for all tests that change nothing that matters to the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from storepulse.store import connect
from tests.fixtures import tables
from tests.fixtures.services import Service, service


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Serve the two stores of `tests.fixtures.tables`."""
    folder = tmp_path_factory.mktemp("served")
    load_small_fleet(folder)
    with service(folder) as running:
        yield running


def load_small_fleet(folder: Path) -> None:
    """Load the two stores into the store of a folder."""
    store = connect(f"sqlite:///{folder / 'storepulse.db'}")
    tables.load(store, folder, polls=tables.POLLS, hours=tables.HOURS, timezones=tables.TIMEZONES)


@pytest.fixture
def client(served: Service) -> Iterator[httpx.Client]:
    """A client of the shared service."""
    with served.client() as made:
        yield made
