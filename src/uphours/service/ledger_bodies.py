"""What is to be entered into the ledger, as bodies of requests say it."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from uphours.errors import InputError
from uphours.ingest.local_dates import VALID_LOCAL_INSTANTS, wall_clock_us
from uphours.reports.adjusting import Adjustment
from uphours.schema import instant_us
from uphours.service.bodies import Instant, StoreId, Values
from uphours.wire.words import AdjustmentReason, CountsAs

Note = Annotated[str, Field(max_length=4000, description="Anything else there is to say.")]
LocalInstant = Annotated[str, Field(max_length=64, examples=["2026-12-24T09:30"])]


class AdjustmentBody(BaseModel):
    """What is to count differently: at which stores, when, as what, and why."""

    model_config = ConfigDict(extra="forbid")

    counts_as: CountsAs = Field(description="`excluded` counts for nothing, the others as what they say.")
    reason: AdjustmentReason
    note: Note = ""
    stores: Annotated[list[StoreId], Field(min_length=1, max_length=10_000)] | None = None
    where: Annotated[Values, Field(max_length=100, examples=[{"region": ["TX", "OK"]}])] = Field(
        default={},
        description="Instead of `stores`: those with one of these values of each attribute when the time begins.",
    )
    all: bool = Field(default=False, description="All stores there are now, instead of `stores`.")
    start: Instant | None = None
    end: Instant | None = Field(default=None, description="Not included.")
    start_local: LocalInstant | None = Field(default=None, description="On each store's own clock, without an offset.")
    end_local: LocalInstant | None = None
    gaps: bool = Field(default=False, description="Not the whole interval, but the collector gaps in it.")

    def adjustment(self) -> Adjustment:
        """Return what is to be entered, of all stores if ``where`` says which they are.

        Raises
        ------
        InputError
            A value makes no sense, or something is said twice or not at all.
        """
        given = [self.stores is not None, bool(self.where), self.all].count(True)
        if given != 1:
            says = "which stores is said in several ways" if given else "which stores is not said"
            raise InputError(
                f"{says}; valid is a list of ids in stores, or values of attributes in where, or all: true"
            )
        utc, local = (self.start, self.end), (self.start_local, self.end_local)
        if (utc == (None, None)) == (local == (None, None)):
            says = "start and end are given twice" if utc != (None, None) else "start and end are missing"
            raise InputError(f"{says}; {_VALID_BOUNDS}")
        is_local = utc == (None, None)
        bounds = []
        for name, text in zip(("start", "end"), local if is_local else utc, strict=True):
            field = f"{name}_local" if is_local else name
            if text is None:
                raise InputError(f"{field} is missing; {_VALID_BOUNDS}")
            bounds.append(_local_us(field, text) if is_local else instant_us(text, field))
        return Adjustment(
            counts_as=self.counts_as,
            reason=self.reason,
            note=self.note,
            start=bounds[0],
            end=bounds[1],
            is_local=is_local,
            stores=None if self.stores is None else tuple(sorted(set(self.stores))),
            gaps=self.gaps,
        )


_VALID_BOUNDS: Final = "valid are start and end as instants, or start_local and end_local on each store's own clock"


def _local_us(name: str, text: str) -> int:
    found = wall_clock_us(text)
    if found is None:
        raise InputError(f"cannot read {name} {text!r}; {VALID_LOCAL_INSTANTS}, without an offset")
    return found


class WithdrawalBody(BaseModel):
    """Why an entry is withdrawn."""

    model_config = ConfigDict(extra="forbid")

    reason: AdjustmentReason
    note: Note = ""
