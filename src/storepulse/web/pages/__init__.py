"""The web page: what `/v1` answers, laid out for people. Each page calls the endpoints of the API, never the store."""

from __future__ import annotations

from fastapi import APIRouter

from storepulse.web.pages import data, fleet, reports, signing, store
from storepulse.web.pages.rendering import presented

__all__ = ["presented", "router"]

router = APIRouter(include_in_schema=False)
for part in (fleet.router, store.router, reports.router, data.router, signing.router):
    router.include_router(part)
