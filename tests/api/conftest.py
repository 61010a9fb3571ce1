"""A service with a small fleet, for all tests that change nothing that matters to the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fixtures import known, tables
from tests.fixtures.databases import url_in
from tests.fixtures.service_threads import service_threads
from tests.fixtures.services import Service
from uphours.database.database import connect


@pytest.fixture(scope="session")
def served(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Serve the two stores of `tests.fixtures.tables`."""
    folder = tmp_path_factory.mktemp("served")
    load_small_fleet(folder)
    with service_threads(folder, workers=1) as running:
        yield running


def load_small_fleet(folder: Path) -> None:
    """Load the two stores into the store of a folder."""
    database = connect(url_in(folder))
    tables.load(database, folder, polls=tables.POLLS, hours=tables.HOURS, timezones=tables.TIMEZONES)


@pytest.fixture
def client(served: Service) -> Iterator[httpx.Client]:
    """A client of the shared service."""
    with served.client() as made:
        yield made


@pytest.fixture(scope="session")
def unattended(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Serve the fleet of `tests.fixtures.known` without a worker: what is queued waits until a test does it."""
    folder = tmp_path_factory.mktemp("unattended")
    database = connect(url_in(folder))
    tables.load(database, folder, polls=known.with_odd_ids(), hours=known.HOURS, timezones=known.TIMEZONES)
    with service_threads(folder) as running:
        yield running


@pytest.fixture(scope="session")
def waiting(unattended: Service) -> Iterator[httpx.Client]:
    """A client of the service without a worker."""
    with unattended.client() as made:
        yield made
