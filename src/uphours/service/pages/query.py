"""What a page was asked for, as its address has it: shown in its form, kept in its links, read as the API reads it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import Depends, Request

from uphours.errors import InputError, UphoursError, shown
from uphours.kernel.policy import CHOICES, Policy
from uphours.service.api.stores import DefaultPolicy, Question
from uphours.service.policy_parameters import Chosen
from uphours.where import where_of_texts

#: The windows that a page offers; one of someone's own is shown if it is asked for.
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
    "this_quarter": "this quarter",
    "previous_quarter": "previous quarter",
}
#: Those that have a button of their own.
PERIODS: Final = {
    "today": "Today",
    "yesterday": "Yesterday",
    "last_week": "7 days",
    "this_month": "This month",
    "this_quarter": "This quarter",
}
#: What a window between the two dates of a form is called, and a window of someone's own between two dates.
_OWN_DATES: Final = "dates"
_BETWEEN_DATES: Final = re.compile(r"\w+=([0-9]{4}-[0-9]{2}-[0-9]{2})/([0-9]{4}-[0-9]{2}-[0-9]{2})", re.ASCII)
#: A page is looked at for long and made again all the time: it may show what was so a little while ago.
_STALE_OK_S: Final = 60.0
#: What is asked besides the policy, and what each is by default.
_DEFAULTS: Final = {"as_of": "", "window": "last_week", "raw": "false", "where": ""}


@dataclass(frozen=True)
class Asked:
    """The parameters of a question as text; an empty field of a form says nothing.

    ``default``: the service's policy.
    """

    values: Mapping[str, str]
    default: Policy

    @staticmethod
    def usual(default: Policy) -> Asked:
        """Return what is asked by default."""
        return Asked(_DEFAULTS | default.texts(), default)

    @property
    def changed(self) -> dict[str, str]:
        """The parameters that are not as they are by default."""
        usual = Asked.usual(self.default).values
        return {name: value for name, value in self.values.items() if value != usual[name]}

    @property
    def where(self) -> list[str]:
        """The values of attributes that stores must have, as texts NAME=VALUE."""
        return self.values["where"].splitlines()

    @property
    def anywhere(self) -> Asked:
        """The same question about all stores."""
        return Asked({**self.values, "where": ""}, self.default)

    @property
    def query(self) -> str:
        """The question as the end of an address: nothing, or ``?…``."""
        return f"?{urlencode(self.pairs)}" if self.pairs else ""

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The parameters that are not as they are by default, as an address or a form has them."""
        rest = [(name, value) for name, value in self.changed.items() if name != "where"]
        return rest + [("where", text) for text in self.where]

    @property
    def windows(self) -> dict[str, str]:
        """The windows to choose from, with the words for each."""
        chosen = self.values["window"]
        if chosen in WINDOWS:
            return WINDOWS
        name = chosen.partition("=")[0]
        words = "from {} until {}".format(*self.dates) if name == _OWN_DATES and any(self.dates) else name
        return WINDOWS | {chosen: words}

    @property
    def dates(self) -> tuple[str, str]:
        """The two dates that the window lies between; blank where it is no such window."""
        match = _BETWEEN_DATES.fullmatch(self.values["window"])
        return ("", "") if match is None else (match[1], match[2])

    @property
    def raw(self) -> bool:
        """Whether the ledger is ignored."""
        return self.values["raw"] == "true"

    def words_for(self, name: str) -> str:
        """Return what a window is called on a page, by the name that an answer has for it."""
        chosen = self.values["window"]
        return self.windows[chosen if chosen.partition("=")[0] == name else name]

    def question(self, **changes: str) -> Question:
        """Return what the API is asked, with other values for some parameters.

        Raises
        ------
        InputError
            A value makes no sense.
        """
        given = {name: value for name, value in {**self.values, **changes}.items() if value}
        chosen: Chosen = {name: given.pop(name) for name in CHOICES}
        where = given.pop("where", "").splitlines()
        raw = given.pop("raw")
        if raw not in ("true", "false"):
            raise InputError(f"raw is {shown(raw)}; valid are true, which ignores the ledger, and false")
        made = Question(self.default, chosen, given.get("as_of"), given["window"], raw=raw == "true")
        made.where = where_of_texts(where)
        made.stale_ok = _STALE_OK_S
        return made


def mistake_in(error: UphoursError, places: Collection[str]) -> dict[str, str]:
    """Return what is wrong by the name of its field, or by "" where a form has no place for that."""
    return {error.field if error.field in places else "": str(error)}


def asked_of(request: Request, default: DefaultPolicy) -> Asked:
    """Read the parameters of a request; two dates take the place of the window.

    Raises
    ------
    InputError
        One of the dates is missing.
    """
    usual = Asked.usual(default).values
    given = {name: request.query_params.get(name, "").strip() for name in usual}
    given["where"] = "\n".join(filter(None, map(str.strip, request.query_params.getlist("where"))))
    first, end = (request.query_params.get(name, "").strip() for name in ("from_date", "to_date"))
    if bool(first) != bool(end):
        raise InputError(
            f"from_date is {shown(first)} and to_date is {shown(end)}; valid are two dates such as 2026-11-01 and "
            "2026-12-01, the second one not included, or none of them"
        )
    if first:
        given["window"] = f"{_OWN_DATES}={first}/{end}"
    return Asked({name: given[name] or value for name, value in usual.items()}, default)


Asking = Annotated[Asked, Depends(asked_of)]
