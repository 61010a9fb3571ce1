"""``/v1/adjustments``: what the ledger says; enter something, see before what that would move, and withdraw it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Annotated, Any, Final, cast

from fastapi import APIRouter, Header, Path, Query, Response
from fastapi.responses import JSONResponse

from uphours.database import ledger, queue
from uphours.database.ledger import Once
from uphours.errors import InputError, NotFoundError
from uphours.reports.adjusting import Adjustment, Plan, moved, plan, stores_meant
from uphours.schema import instant_iso
from uphours.service.api.paging import After, Limit, cursor, key
from uphours.service.auth import Caller, Calling, KeyedRoute, needs
from uphours.service.bodies import Problem
from uphours.service.deps import Service, Serving
from uphours.service.lane_routes import StoreRoute
from uphours.service.ledger_bodies import adjustment_of
from uphours.service.problems import AccessError
from uphours.where import where_of
from uphours.wire.ledger_messages import AdjustmentBody, Entry, EntryList, Moved, WithdrawalBody
from uphours.wire.values import StoreId
from uphours.wire.view_messages import Interval
from uphours.wire.words import AdjustmentReason, EntryCountsAs

router = APIRouter(prefix="/v1/adjustments", tags=["ledger"], route_class=KeyedRoute)
#: To plan an entry may take as long as a view of the fleet, and as much memory.
planned_router = APIRouter(prefix="/v1/adjustments", tags=["ledger"], route_class=StoreRoute)

EntryNumber = Annotated[int, Path(ge=1, le=2**31 - 1)]
IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=255, description="Asking again with the same key gives the same entry."),
]
#: Intervals that one entry may have.
_MOST_INTERVALS: Final = 1_000_000
_NO_ENTRY: Final[dict[int | str, dict[str, Any]]] = {404: {"model": Problem, "description": "There is no such entry."}}
_ENTERED: Final[dict[int | str, dict[str, Any]]] = {
    201: {"headers": {"Location": {"schema": {"type": "string"}, "description": "Where the entry is."}}},
    400: {"model": Problem, "description": "The body cannot be read at all."},
}


@planned_router.post(
    "",
    status_code=201,
    response_model=Entry,
    responses=_ENTERED
    | {
        200: {"model": Moved, "description": "With `dry_run`: what it would move."},
        409: {"model": Problem, "description": "The Idempotency-Key was used for another request."},
    },
)
@needs("adjust", sees="stores")
def adjust(
    serving: Serving,
    caller: Calling,
    response: Response,
    body: AdjustmentBody,
    dry_run: Annotated[bool, Query(description="Say what it would move, and enter nothing.")] = False,
    idempotency_key: IdempotencyKey = None,
) -> Entry | Response:
    """Enter what is to count differently; nothing of what was observed is changed, and it can be withdrawn."""
    adjustment = adjustment_of(body)
    # A request without where is the one of clients that do not know it.
    asked = {name: value for name, value in body.items() if name != "where" or value}
    once = _once(idempotency_key, "adjustment", asked)
    if not dry_run and (before := _entered_before(serving, caller, once)) is not None:
        return _created(serving, caller, response, before)
    try:
        with serving.snapshot(caller, adjustment.stores) as fleet:
            if body["where"]:
                adjustment = replace(adjustment, stores=stores_meant(fleet, where_of(body["where"]), adjustment))
                fleet = fleet.of(adjustment.stores)
            planned = plan(fleet, adjustment)
            _check_size(planned)
            if dry_run:
                return JSONResponse(moved(fleet, adjustment, planned, policy=serving.settings.policy).facts())
            store_ids = [fleet.store_ids[store] for store in planned.stores.tolist()]
    except NotFoundError as error:  # what is asked for is here, a store that it names is not
        raise InputError(str(error), field=error.field) from error
    return _created(serving, caller, response, _entered(serving, caller, adjustment, store_ids, planned, once))


def _check_size(planned: Plan) -> None:
    if len(planned.stores) > _MOST_INTERVALS:
        raise InputError(
            f"the adjustment has {len(planned.stores):,} intervals at its stores; valid are up to {_MOST_INTERVALS:,} "
            "of one entry: name fewer stores, or a shorter time"
        )


def _entered(
    serving: Service, caller: Caller, adjustment: Adjustment, store_ids: list[str], planned: Plan, once: Once | None
) -> int:
    with serving.database.writing() as connection:
        return ledger.enter(
            connection,
            store_ids,
            planned.starts,
            planned.ends,
            counts_as=adjustment.counts_as,
            reason=adjustment.reason,
            note=adjustment.note,
            actor=caller.actor,
            now=serving.now(),
            once=once,
        )


def _once(idempotency_key: str | None, what: str, asked: dict[str, Any]) -> Once | None:
    """Return what makes a repeated request one; the same request is the same JSON."""
    if idempotency_key is None:
        return None
    return Once(idempotency_key, hashlib.sha256(f"{what} {queue.canonical(asked)}".encode()).hexdigest())


def _entered_before(serving: Service, caller: Caller, once: Once | None) -> int | None:
    if once is None:
        return None
    with serving.database.reading() as connection:
        return ledger.entered_before(connection, caller.actor, once)


def _created(serving: Service, caller: Caller, response: Response, entry: int) -> Entry:
    response.headers["Location"] = f"/v1/adjustments/{entry}"
    return _entry(_find(serving, caller, entry))


def _find(serving: Service, caller: Caller, entry: int) -> ledger.Entry:
    seen = serving.seen(caller)
    with serving.database.reading() as connection:
        return ledger.find_entry(connection, entry, seen=seen)


def _entry(entry: ledger.Entry) -> Entry:
    intervals = None if entry.intervals is None else [{"start_us": a, "end_us": b} for a, b in entry.intervals]
    return {
        "entry": entry.entry,
        "counts_as": cast(EntryCountsAs, entry.counts_as),
        "withdraws": entry.withdraws,
        "withdrawn_by": entry.withdrawn_by,
        "reason": cast(AdjustmentReason, entry.reason),
        "note": entry.note,
        "actor": entry.actor,
        "at": instant_iso(entry.at),
        "load": entry.load,
        "stores": entry.stores,
        "start_us": entry.start,
        "end_us": entry.end,
        "intervals": cast(list[Interval] | None, intervals),
    }


@router.get("", responses={404: {"model": Problem, "description": "There is no such store."}})
@needs("read", sees="stores")
def list_adjustments(
    serving: Serving,
    caller: Calling,
    store_id: Annotated[StoreId | None, Query(description="Only what is about this store.")] = None,
    cursor_: After = None,
    limit: Limit = 50,
) -> EntryList:
    """List the entries of the ledger, the newest first, also those that are withdrawn."""
    before, seen = key(cursor_, ("int32",)), serving.seen(caller)
    with serving.database.reading() as connection:
        found = ledger.list_entries(
            connection, store_id=store_id, before=None if before is None else int(before[0]), limit=limit + 1, seen=seen
        )
    more = cursor(found[limit - 1].entry) if len(found) > limit else None
    return {"adjustments": [_entry(one) for one in found[:limit]], "next_cursor": more}


@router.get("/{entry}", responses=_NO_ENTRY)
@needs("read", sees="stores")
def show_adjustment(serving: Serving, caller: Calling, entry: EntryNumber) -> Entry:
    """Show an entry of the ledger."""
    return _entry(_find(serving, caller, entry))


@router.post(
    "/{entry}/withdrawal",
    status_code=201,
    responses=_ENTERED
    | _NO_ENTRY
    | {409: {"model": Problem, "description": "It is withdrawn already, or the Idempotency-Key was used before."}},
)
@needs("adjust", sees="stores")
def withdraw(
    serving: Serving,
    caller: Calling,
    response: Response,
    entry: EntryNumber,
    body: WithdrawalBody,
    idempotency_key: IdempotencyKey = None,
) -> Entry:
    """Withdraw an entry: from then on it is as if it had never been. The withdrawal is an entry too."""
    once = _once(idempotency_key, f"withdrawal {entry}", dict(body))
    _find(serving, caller, entry)
    seen = serving.seen(caller)
    with serving.database.writing() as connection:
        if seen is not None and ledger.is_about_others(connection, entry, seen):
            raise AccessError(403, f"entry {entry} was not made for the stores of this API key alone")
        made = ledger.withdraw(
            connection,
            entry,
            reason=body["reason"],
            note=body["note"],
            actor=caller.actor,
            now=serving.now(),
            once=once,
        )
    return _created(serving, caller, response, made)
