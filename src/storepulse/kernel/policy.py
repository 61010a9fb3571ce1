"""How the time between two observations is read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Literal, get_args

from storepulse.errors import InputError
from storepulse.schema import duration_us

Interpolation = Literal["previous", "next", "nearest"]
Assume = Literal["unknown", "active", "inactive"]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The choices that a report is made with.

    Parameters
    ----------
    interpolation
        Which of two neighbouring observations speaks for an instant between them: the ``previous`` one, the
        ``next`` one, or the ``nearest``.
    prefer_in_session
        Where just one of the two was made in the instant's own session, let that one speak.
    max_age
        An observation further than this from an instant says nothing about it. ``None``: no limit.
    confirm_within
        Two neighbouring observations that agree and are at most this far apart confirm the time between them.
    assume
        Into which column of a report unknown time is booked; the timeline keeps it as unknown.
    """

    interpolation: Interpolation = "previous"
    prefer_in_session: bool = True
    max_age: timedelta | None = None
    confirm_within: timedelta = timedelta(hours=2)
    assume: Assume = "unknown"

    def __post_init__(self) -> None:
        for name, choices in (("interpolation", get_args(Interpolation)), ("assume", get_args(Assume))):
            if getattr(self, name) not in choices:
                raise InputError(f"{name} is {getattr(self, name)!r}; valid are {', '.join(choices)}")
        if self.max_age is not None and self.max_age <= timedelta(0):
            raise InputError(f"max_age is {self.max_age}; it must be longer than nothing")
        for duration in filter(None, (self.max_age, self.confirm_within)):
            duration_us(duration)  # raises where it is too long
        if self.confirm_within < timedelta(0):
            raise InputError(f"confirm_within is {self.confirm_within}; it cannot be negative")

    def __str__(self) -> str:
        """Say the policy in a line."""
        words: list[str] = [self.interpolation]
        words.append("in-session observations preferred" if self.prefer_in_session else "no session preferred")
        words.append("no age limit" if self.max_age is None else f"max age {self.max_age}")
        words.append(f"confirmed within {self.confirm_within}")
        if self.assume != "unknown":
            words.append(f"unknown time booked as {self.assume}")
        return ", ".join(words)

    def facts(self) -> dict[str, Any]:
        """Return the policy as plain values, durations in microseconds, for the record of an output."""
        facts = asdict(self)
        facts["max_age_us"] = None if (age := facts.pop("max_age")) is None else duration_us(age)
        facts["confirm_within_us"] = duration_us(facts.pop("confirm_within"))
        return facts
