"""What the endpoints of one service share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from storepulse.jobs import Watched
from storepulse.settings import Settings
from storepulse.store import Store
from storepulse.web.access import Access
from storepulse.web.fleets import Fleets
from storepulse.web.intake import GroupCommit
from storepulse.web.metrics import Metrics
from storepulse.web.results import Results


@dataclass(frozen=True)
class Service:
    """One service; ``now`` gives UTC microseconds, ``stopping`` is set when it shall end."""

    settings: Settings
    store: Store
    version: str
    made_with: str
    now: Callable[[], int]
    access: Access
    metrics: Metrics
    commits: GroupCommit
    results: Results
    fleets: Fleets
    watched: Sequence[Watched]
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


async def _service(request: Request) -> Service:  # async: otherwise each call waits for a thread
    service: Service = request.app.state.service
    return service


Serving = Annotated[Service, Depends(_service)]
