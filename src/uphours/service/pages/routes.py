"""The web page: what `/v1` answers, laid out for people. Pages call the endpoints of the API, never the database."""

from __future__ import annotations

from typing import Final

from uphours.service.pages import (
    access_keys,
    adjust_form,
    adjust_many,
    data,
    entries,
    fleet,
    groups,
    hours_form,
    months,
    ranking,
    reports,
    sign_in,
    store,
    targets,
)

#: In the order in which they are tried.
ROUTERS: Final = (
    fleet.router,
    months.router,  # before the path of a store, which fits its path too
    hours_form.router,
    ranking.router,
    store.router,
    entries.router,
    adjust_form.router,
    adjust_many.router,
    groups.router,
    targets.router,
    reports.router,
    data.router,
    access_keys.router,
    sign_in.router,
)
