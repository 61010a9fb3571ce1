"""What a page was asked for, as its address has it: shown in its form, kept in its links, read as the API reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Depends, Request
from pydantic import ValidationError

from storepulse.errors import InputError
from storepulse.web.api.stores import Question

#: The windows that a page offers; one of somebody's own is shown if it is asked for.
WINDOWS: Final = {
    "last_hour": "last hour",
    "last_day": "last 24 hours",
    "last_week": "last 7 days",
    "today": "today",
    "yesterday": "yesterday",
    "this_week": "this week",
    "previous_week": "previous week",
    "this_month": "this month",
    "previous_month": "previous month",
}
#: A page is looked at for long and made anew all the time: it may show what was so a little while ago.
_STALE_OK_S: Final = 60.0
#: The parameters of a question, and what each is when nobody says.
_DEFAULTS: Final = {
    "as_of": "",
    "window": "last_week",
    "interpolation": "previous",
    "prefer_in_session": "true",
    "max_age": "",
    "confirm_within": "2h",
    "assume": "unknown",
}


@dataclass(frozen=True)
class Asked:
    """The parameters of a question as text; an empty field of a form says nothing."""

    values: Mapping[str, str]

    @staticmethod
    def usual() -> Asked:
        """Return what is asked when nobody says."""
        return Asked(_DEFAULTS)

    @property
    def changed(self) -> dict[str, str]:
        """The parameters that are not as they are when nobody says."""
        return {name: value for name, value in self.values.items() if value != _DEFAULTS[name]}

    @property
    def query(self) -> str:
        """The question as the end of an address: nothing, or ``?…``."""
        return f"?{urlencode(self.changed)}" if self.changed else ""

    @property
    def windows(self) -> dict[str, str]:
        """The windows to choose from, with the words for each."""
        chosen = self.values["window"]
        return WINDOWS if chosen in WINDOWS else WINDOWS | {chosen: chosen.partition("=")[0]}

    def question(self, **changes: str) -> Question:
        """Return what the API is asked, with other values for some parameters.

        Raises
        ------
        InputError
            A value makes no sense.
        """
        given: dict[str, Any] = {name: value for name, value in {**self.values, **changes}.items() if value}
        given["prefer_in_session"] = given["prefer_in_session"] != "false"
        with problems_told():
            made = Question(**given)
        made.stale_ok = _STALE_OK_S
        return made


@contextmanager
def problems_told() -> Iterator[None]:
    """Turn values that a model refuses into the mistake of whoever gave them."""
    try:
        yield
    except ValidationError as error:
        raise InputError("; ".join(_problem(one) for one in error.errors(include_url=False))) from None


def _problem(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    return f"{where}: {error['msg']}" if where else str(error["msg"])


def _asked(request: Request) -> Asked:
    given = {name: request.query_params.get(name, "").strip() for name in _DEFAULTS}
    return Asked({name: given[name] or default for name, default in _DEFAULTS.items()})


Asking = Annotated[Asked, Depends(_asked)]
