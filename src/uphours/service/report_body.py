"""What a report is asked for with over HTTP."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from uphours.errors import InputError, shown
from uphours.kernel.policy import CHOICES, Policy
from uphours.kernel.windows import DEFAULT_WINDOWS, Window
from uphours.reports.request import ReportRequest
from uphours.schema import checked_instant, instant_iso, instant_us
from uphours.service.bodies import AttributeText, Instant, LocalDate, StoreId, Values, date_of
from uphours.service.policy_parameters import body_with_choices
from uphours.where import where_of


class WindowBody(BaseModel):
    """A window of one's own, half-open; a date means its midnight on each store's own clock."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=64)]
    start: Instant
    end: Instant


class WindowFacts(BaseModel):
    """A window of one's own, as the options of a report have it: of each bound the instant or the local date."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=64)]
    start_us: int | None = None
    end_us: int | None = None
    start_date: LocalDate | None = None
    end_date: LocalDate | None = None

    def window(self) -> Window:
        """Return the window.

        Raises
        ------
        InputError
            A bound is missing or given twice, or makes no sense.
        """
        return Window(self.name, *(self._bound(side) for side in ("start", "end")))

    def _bound(self, side: str) -> str | date:
        us, day = getattr(self, f"{side}_us"), getattr(self, f"{side}_date")
        if (us is None) == (day is None):
            says = "is missing" if us is None else "is given twice"
            raise InputError(f"the {side} of window {shown(self.name)} {says}; valid is {side}_us or {side}_date")
        # As text: numbers of callers from before the year 2000 are taken for another unit.
        return date_of(f"{side}_date", day) if us is None else instant_iso(checked_instant(us, f"{side}_us"))


class _PolicyBody(BaseModel):
    """How the time between two observations is read; what is left out is as the service's policy has it."""

    model_config = ConfigDict(extra="forbid")

    def chosen(self) -> dict[str, Any]:
        """Return the choices that were made, by name."""
        return {name: getattr(self, name) for name in CHOICES if name in self.model_fields_set}


if TYPE_CHECKING:
    PolicyBody = _PolicyBody
else:
    PolicyBody = body_with_choices("PolicyBody", _PolicyBody)


class ReportBody(PolicyBody):
    """What is asked of a report; everything may be left out. It takes back the options of a report as they are."""

    as_of: Instant | None = None
    as_of_us: int | None = Field(default=None, description="`as_of` in microseconds.")
    windows: Annotated[
        list[Annotated[str, Field(max_length=64)] | WindowBody | WindowFacts],
        Field(min_length=1, max_length=100),
    ] = Field(default=list(DEFAULT_WINDOWS))
    policy: dict[str, Any] | None = Field(default=None, description="The whole policy, as an answer names it.")
    stores: Annotated[list[StoreId], Field(min_length=1, max_length=10_000)] | None = None
    where: Annotated[Values, Field(max_length=100, examples=[{"region": ["TX", "OK"]}])] = Field(
        default={}, description="Only stores with one of these values of each attribute, at as_of."
    )
    by: Annotated[list[AttributeText], Field(max_length=20)] = Field(
        default=[], description="Names of attributes: groups of stores with the same values, instead of stores."
    )
    columns: Annotated[list[AttributeText], Field(max_length=100)] = Field(
        default=[], description="Names of attributes that stand beside the ids."
    )
    all_stores: bool = False
    detail: bool = Field(default=False, description="More columns in CSV and XLSX.")
    raw: bool = Field(default=False, description="Without the ledger.")
    compare: bool = Field(default=False, description="Also the windows before, and the changes from there.")
    outages: bool = Field(default=False, description="Also a list of the outages, a sheet of the workbook.")
    only: Annotated[Values, Field(max_length=100)] = Field(
        default={}, description="As though there were only the stores with these values now; as of a bound key."
    )

    def request(self, default: Policy) -> ReportRequest:
        """Return what a job remembers.

        Raises
        ------
        InputError
            A value makes no sense, or something is said twice.
        """
        if self.as_of is not None and self.as_of_us is not None:
            raise InputError("as_of and as_of_us are both given; give one of them")
        chosen = self.chosen()
        if self.policy is not None and chosen:
            raise InputError(f"policy and {', '.join(chosen)} are both given; give the policy or its parts")
        return ReportRequest(
            as_of=self.as_of_us if self.as_of is None else instant_us(self.as_of),
            windows=tuple(map(_window, self.windows)),
            policy=default.changed(chosen) if self.policy is None else Policy.from_dict(self.policy),
            stores=None if self.stores is None else tuple(self.stores),
            where=where_of(self.where),
            by=tuple(self.by),
            columns=tuple(self.columns),
            all_stores=self.all_stores,
            detail=self.detail,
            raw=self.raw,
            compare=self.compare,
            outages=self.outages,
            only=where_of(self.only),
        )


def _window(one: str | WindowBody | WindowFacts) -> str | Window:
    match one:
        case WindowBody():
            return Window(one.name, one.start, one.end)
        case WindowFacts():
            return one.window()
    return one
