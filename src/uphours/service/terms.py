"""What the service and its workers have in common; apart from the application, which a worker does not need."""

from __future__ import annotations

import time

from uphours.errors import InputError
from uphours.ingest.sources.resolve import described
from uphours.service.worker import Watched
from uphours.settings import Settings


def now_us() -> int:
    """Return the time, UTC microseconds."""
    return time.time_ns() // 1000


def watched(settings: Settings) -> list[Watched]:
    """Return the places that the settings tell to watch.

    Raises
    ------
    InputError
        Two of them have the same name, under which the store would take them for one.
    """
    found = [
        Watched(source.name or described(source.place)[:200], source.place, source.every) for source in settings.sources
    ]
    names = [one.name for one in found]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"two sources are called {repeated[0]!r}; the setting sources can name each")
    return found
