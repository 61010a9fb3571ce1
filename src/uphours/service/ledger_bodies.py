"""What is to be entered into the ledger, as a body of a request says it."""

from __future__ import annotations

from typing import Final

from uphours.errors import InputError
from uphours.ingest.local_dates import VALID_LOCAL_INSTANTS, wall_clock_us
from uphours.reports.adjusting import Adjustment
from uphours.schema import instant_us
from uphours.wire.ledger_messages import AdjustmentBody

_VALID_BOUNDS: Final = "valid are start and end as instants, or start_local and end_local on each store's own clock"


def adjustment_of(body: AdjustmentBody) -> Adjustment:
    """Return what is to be entered, of all stores if ``where`` says which they are.

    Raises
    ------
    InputError
        A value makes no sense, or something is said twice or not at all.
    """
    stores = body["stores"]
    given = [stores is not None, bool(body["where"]), body["all"]].count(True)
    if given != 1:
        says = "which stores is said in several ways" if given else "which stores is not said"
        raise InputError(f"{says}; valid is a list of ids in stores, or values of attributes in where, or all: true")
    utc = {"start": body["start"], "end": body["end"]}
    local = {"start_local": body["start_local"], "end_local": body["end_local"]}
    is_utc, is_local = (any(text is not None for text in bounds.values()) for bounds in (utc, local))
    if is_utc == is_local:
        says = "start and end are given twice" if is_utc else "start and end are missing"
        raise InputError(f"{says}; {_VALID_BOUNDS}")
    start, end = (_instant_us(name, text, is_local=is_local) for name, text in (local if is_local else utc).items())
    return Adjustment(
        counts_as=body["counts_as"],
        reason=body["reason"],
        note=body["note"],
        start=start,
        end=end,
        is_local=is_local,
        stores=None if stores is None else tuple(sorted(set(stores))),
        gaps=body["gaps"],
    )


def _instant_us(name: str, text: str | None, *, is_local: bool) -> int:
    if text is None:
        raise InputError(f"{name} is missing; {_VALID_BOUNDS}")
    if not is_local:
        return instant_us(text, name)
    found = wall_clock_us(text)
    if found is None:
        raise InputError(f"cannot read {name} {text!r}; {VALID_LOCAL_INSTANTS}, without an offset")
    return found
