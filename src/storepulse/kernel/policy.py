"""How the time between two observations is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final, Literal, Self, get_args

from storepulse.errors import InputError
from storepulse.schema import LAST_INSTANT, duration_us

Interpolation = Literal["previous", "next", "nearest"]
Assume = Literal["unknown", "active", "inactive"]

_FACTS: Final = ("interpolation", "prefer_in_session", "assume", "max_age_us", "confirm_within_us")


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

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Return the policy of which these are the facts; what is not named is as by default.

        >>> Policy.of({"interpolation": "next", "max_age_us": 3_600_000_000}).max_age
        datetime.timedelta(seconds=3600)

        Raises
        ------
        InputError
            A name is unknown, or a value is none that it can have.
        """
        if not isinstance(facts, Mapping):
            raise InputError(f"policy is {facts!r}; valid are values by name: {', '.join(_FACTS)}")
        if unknown := [name for name in facts if name not in _FACTS]:
            raise InputError(f"a policy has no {', '.join(map(repr, unknown))}; valid are {', '.join(_FACTS)}")
        given = dict(facts)
        for name in ("max_age", "confirm_within"):
            if f"{name}_us" in given:
                given[name] = _duration(f"{name}_us", given.pop(f"{name}_us"))
        if type(given.get("prefer_in_session", True)) is not bool:
            raise InputError(f"prefer_in_session is {given['prefer_in_session']!r}; valid are true and false")
        return cls(**given)


def _duration(name: str, us: object) -> timedelta | None:
    if us is None and name == "max_age_us":
        return None
    if type(us) is not int or not 0 <= us <= LAST_INSTANT:
        raise InputError(f"{name} is {us!r}; valid are whole microseconds, up to 230 years")
    return timedelta(microseconds=us)
