"""The native API, ``/v1``: resources as JSON, failures as problems."""

from __future__ import annotations

from typing import Final

from uphours.service.api import (
    adjustments,
    calendar_feed,
    calendars,
    demo,
    fleet,
    groups,
    health,
    keys,
    loads,
    quarantine,
    reports,
    saved_reports,
    store_rows,
    stores,
    targets,
)

#: In the order in which they are tried.
ROUTERS: Final = (
    loads.observations_router,  # first: it is asked for most
    reports.router,
    saved_reports.router,
    loads.router,
    store_rows.router,
    quarantine.router,
    adjustments.planned_router,
    adjustments.router,
    calendar_feed.router,
    stores.fleet_router,
    calendars.router,  # before the path of a store, which fits its path too
    stores.router,
    fleet.router,
    targets.view_router,
    targets.router,
    groups.router,
    demo.router,
    health.router,
    keys.router,
)
