"""The web page: what `/v1` answers, laid out for people. Each page calls the endpoints of the API, never the store."""

from __future__ import annotations

from fastapi import APIRouter

from storepulse.web.pages import data, fleet, reports, store

router = APIRouter(include_in_schema=False)
for part in (fleet.router, store.router, reports.router, data.router):
    router.include_router(part)
