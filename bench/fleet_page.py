"""The page of the fleet and the views behind it, made in process, against one report."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Final

import httpx
import structlog
from fastapi import FastAPI

from bench.fleet import NOW, Fleet, report
from bench.results import Row, Usage, compare, main, measured, side
from uphours import demo
from uphours.database.database import connect
from uphours.ingest.load import read_rows
from uphours.kernel.policy import Policy
from uphours.reports.fleet import facts, fleet_facts
from uphours.reports.store_list import selected
from uphours.schema import SECOND_US, instant_iso
from uphours.service.app import create_app
from uphours.service.views import Asked, Fleets
from uphours.settings import Settings

_ASKED: Final = Asked(None, "last_week", Policy())


def first_view(fleet: Fleet) -> list[Row]:
    """Look at the page when a load has made all that was kept outdated, and make a report after the same."""
    url = f"sqlite:///{fleet.new_database('pages')}"
    database = connect(url)
    seconds = count(1)

    # A line of the log for each request would stand between the results.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))

    def load() -> None:
        at = instant_iso(demo.AS_OF + next(seconds) * SECOND_US)
        row = {"store_id": fleet.store_ids[0], "status": "active", "timestamp_utc": at}
        database.write(read_rows([row], name="bench", now=NOW))

    app = create_app(Settings(database_url=url), needs_key=False)
    asyncio.run(look(app))  # routes are made ready when they are first asked for

    def page() -> Usage:
        load()
        # Within a minute the page may show what it was before: it looks as it does to who comes later.
        app.state.service.fleets.stop()
        app.state.service = replace(app.state.service, fleets=Fleets(app.state.service.database))
        return measured(lambda: asyncio.run(look(app)))

    def reported() -> Usage:
        load()
        return measured(lambda: report(database))

    name = f"fleet page after a new load, {fleet.stores:,} stores, first view"
    rows: list[Row] = [compare(name, "one report", page, reported, at_most=1.2, pairs=fleet.pairs(7))]
    app.state.service.fleets.stop()
    app.state.service.database.close()
    return rows


async def look(app: FastAPI) -> None:
    """Ask for the page of the fleet, without a network in between."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=60) as client:
        answer = await client.get("/", headers={"Accept": "text/html"})
    assert answer.status_code == 200, answer.text


def views(fleet: Fleet) -> list[Row]:
    """Measure the views of the whole fleet, made and kept."""
    database = connect(f"sqlite:///{fleet.path}", keep_open=True)
    kept = Fleets(database)

    def listed(fleets: Fleets) -> None:
        made = fleets.overview(_ASKED, stale_ok=0)
        fleet_facts(made)
        page = selected(made, sort="availability", limit=100)
        assert page.rows, "no store is listed"
        for row in page.rows:
            facts(made, row)

    def fresh(view: Callable[[Fleets], object]) -> None:
        fleets = Fleets(database)
        view(fleets)
        fleets.stop()

    rows: list[Row] = []
    for name, view in {
        "overview and ranked list": listed,
        "history": lambda fleets: fleets.history(_ASKED, stale_ok=0),
        "heat map": lambda fleets: fleets.heat_map(_ASKED, stale_ok=0),
    }.items():
        for kind, made in (("made", partial(fresh, view)), ("kept", partial(view, kept))):
            rows.append(
                compare(
                    f"{name}, {kind}", "one report", side(made), side(lambda: report(database)),
                    at_most=None, pairs=fleet.pairs(5),
                )
            )  # fmt: skip
    kept.stop()
    database.close()
    return rows


SECTIONS = {"fleet page": first_view, "views": views}

if __name__ == "__main__":
    main(SECTIONS, __doc__)
