"""``/v1/demo``: a made-up fleet for those who want to look around before there is one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from fastapi import APIRouter, Response
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from uphours import demo
from uphours.database import loads as load_table
from uphours.database import queue
from uphours.errors import ConflictError
from uphours.ingest.inputs import Kind
from uphours.service import intake
from uphours.service.api.loads import accepted
from uphours.service.auth import Calling, KeyedRoute, needs
from uphours.service.bodies import Problem
from uphours.service.deps import Serving
from uphours.service.intake import Sending
from uphours.wire.load_messages import Job

router = APIRouter(prefix="/v1/demo", tags=["loads"], route_class=KeyedRoute)

_SHARE: Final = "demo"
_KINDS: Final[tuple[Kind, ...]] = ("polls", "hours", "timezones")


@router.post(
    "",
    status_code=202,
    response_model=Job,
    responses={
        202: {"headers": {"Location": {"schema": {"type": "string"}, "description": "Where to ask how far it is."}}},
        409: {"model": Problem, "description": "The store is not empty."},
        429: {"model": Problem, "description": "Too many jobs are waiting; Retry-After says when to try again."},
    },
)
@needs("ingest", sees="all")
async def load_demo(serving: Serving, caller: Calling) -> Response:
    """Load a made-up fleet whose last poll was now, into a database that holds no observations."""
    now = serving.now()
    with TemporaryDirectory(prefix="uphours-demo-") as folder:
        job = await intake.receive(
            serving.database,
            [Sending(kind, f"demo-{kind}.csv", _content(Path(folder), kind, now)) for kind in _KINDS],
            actor=caller.actor,
            limit=serving.settings.queue_limit,
            now=serving.now,
            share=_SHARE,
            check=partial(_check_empty, now=now),
        )
    found = await serving.endings.ended(job, seconds=0, stopping=serving.stopping)
    return await accepted(serving, found)


async def _content(folder: Path, kind: Kind, as_of: int) -> AsyncIterator[bytes]:
    file = folder / f"{kind}.csv"
    if not file.exists():  # the first is asked for when the job has been made: nothing is drawn for one that is refused
        await run_in_threadpool(demo.make_files, folder, as_of=as_of)
    yield await run_in_threadpool(file.read_bytes)


def _check_empty(connection: Connection, *, now: int) -> None:
    if load_table.any_observation(connection):
        raise ConflictError("the database holds observations already; the demo is for one that is empty")
    if queue.active(connection, _SHARE) is not None or queue.receiving(connection, _SHARE, now=now):
        raise ConflictError("the demo is being loaded already")
