"""`create_app(settings)`: the service as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from uphours import __version__
from uphours.database.database import connect
from uphours.kernel.local_time import tzdata_version
from uphours.schema import HOUR_US
from uphours.service import api_docs, legacy, problems
from uphours.service.api import routes as api_routes
from uphours.service.auth import Access
from uphours.service.deps import Service
from uphours.service.endings import Endings
from uphours.service.intake import GroupCommit
from uphours.service.metrics import Metrics
from uphours.service.middleware import Guards
from uphours.service.origins import Way
from uphours.service.pages import routes as page_routes
from uphours.service.pages.rendering import presented
from uphours.service.result_files import Results
from uphours.service.static_files import static
from uphours.service.terms import now_us, watched
from uphours.service.views import Fleets
from uphours.settings import Settings

_DESCRIPTION: Final = """How long was every store really up while it was supposed to be open?

Instants are ISO 8601 where a name ends in `_at` or is `as_of`, and microseconds since the epoch, UTC, where it ends
in `_us`. Failures are problem details (RFC 9457). An API key goes into `Authorization: Bearer …`."""


def create_app(settings: Settings, *, needs_key: bool | None = None) -> FastAPI:
    """Make the application; its store must be there.

    ``needs_key``: whether to ask for an API key; unless given, where the address is not this machine's own.
    """
    service = _service(settings, settings.require_key if needs_key is None else needs_key)
    app = FastAPI(
        title="uphours",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_lifespan,
    )
    app.state.service = service
    app.state.access = service.access
    # Not by `include_router`, which prepares each route a second time.
    for router in (*api_routes.ROUTERS, legacy.router, api_docs.router, *page_routes.ROUTERS):
        app.router.routes.extend(router.routes)
    app.mount("/static", static, name="static")
    problems.install(app, presented)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
            expose_headers=["Location", "ETag", "Retry-After", "X-Request-ID", "X-Report-Status"],
        )
    app.add_middleware(Guards, settings=settings, metrics=service.metrics, needs_key=service.access.needs_key)
    return app


def _service(settings: Settings, needs_key: bool) -> Service:
    database = connect(settings.database_url, keep_open=True)
    sources = watched(settings)
    metrics = Metrics(database, [source.name for source in sources], now_us)
    return Service(
        settings=settings,
        database=database,
        made_with=f"uphours {__version__} tzdata {tzdata_version()}",
        now=now_us,
        access=Access(
            database,
            needs_key=needs_key,
            rate_per_second=settings.rate_per_second,
            rate_burst=settings.rate_burst,
            way=Way(settings.trusted_proxies),
            session_us=int(settings.session_hours * HOUR_US),
            now=now_us,
        ),
        metrics=metrics,
        commits=GroupCommit(database, now=now_us, committed=metrics.commit),
        results=Results(database),
        fleets=Fleets(database),
        endings=Endings(database),
        watched=sources,
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    service.commits.start()
    yield
    service.commits.stop()
    service.fleets.stop()
    service.database.close()
