"""What the endpoints of one service share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Final

from fastapi import Depends, Request

from uphours.database import reports as report_table
from uphours.database.database import Database, Snapshot
from uphours.database.reports import Requested
from uphours.reports.answers import bounded
from uphours.service.auth import Access, Caller
from uphours.service.endings import Endings
from uphours.service.intake import GroupCommit
from uphours.service.lanes import Lanes, Turns
from uphours.service.metrics import Metrics
from uphours.service.result_files import Results
from uphours.service.shared_reads import SharedReads
from uphours.service.views import Fleets
from uphours.service.worker import Watched
from uphours.settings import Settings

#: Forms with files that may come in at once: a hundred files each, the first 64 KiB of each in memory.
MOST_FORMS: Final = 16


@dataclass(frozen=True)
class Service:
    """One service; ``now`` gives UTC microseconds, ``stopping`` is set when it must end."""

    settings: Settings
    database: Database
    made_with: str
    now: Callable[[], int]
    access: Access
    metrics: Metrics
    commits: GroupCommit
    results: Results
    fleets: Fleets
    endings: Endings
    watched: Sequence[Watched]
    lanes: Lanes = field(default_factory=Lanes)
    forms: Turns = field(default_factory=lambda: Turns("forms", MOST_FORMS))
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @cached_property
    def reports(self) -> SharedReads[str, Requested]:
        """The reports that were asked for, by name."""

        def read(names: set[str]) -> dict[str, Requested]:
            with self.database.reading() as connection:
                return report_table.find_some(connection, names)

        return SharedReads(read)

    @contextmanager
    def snapshot(self, caller: Caller, store_ids: Sequence[str] | None = None) -> Iterator[Snapshot]:
        """Read the stores that a caller sees, or the named ones of them, as they are at this moment.

        Raises
        ------
        NotFoundError
            There is no such store, as far as the caller can see.
        """
        with self.database.snapshot(None if caller.only else store_ids) as fleet:
            yield bounded(fleet, caller.only, self.now()).of(store_ids) if caller.only else fleet

    def seen(self, caller: Caller) -> list[str] | None:
        """Return the stores that a caller sees; None: all."""
        if not caller.only:
            return None
        with self.snapshot(caller) as fleet:
            return list(fleet.store_ids)


async def _service(request: Request) -> Service:  # async: otherwise each call waits for a thread
    service: Service = request.app.state.service
    return service


Serving = Annotated[Service, Depends(_service)]
