"""The native API, ``/v1``: resources as JSON, failures as problems."""

from __future__ import annotations

from fastapi import APIRouter

from storepulse.web.api import demo, fleet, loads, reports, service, stores

router = APIRouter()
for part in (reports.router, loads.router, stores.router, fleet.router, demo.router, service.router):
    router.include_router(part)
