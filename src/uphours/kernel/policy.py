"""How the time between two observations is read.

Every surface (flags, bodies, queries, forms, settings, files) is made from the fields of `Policy`, which describe
themselves: a new choice is a field, an argument, and what the timeline does about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, Self, TypeAlias, get_args, get_type_hints

from uphours.durations import LONGEST_US, duration_us, short_duration
from uphours.errors import InputError, wrong
from uphours.wire.words import Assume as Assume
from uphours.wire.words import Interpolation as Interpolation

Kind: TypeAlias = Literal["word", "flag", "duration"]
Value: TypeAlias = str | bool | int | None


@dataclass(frozen=True)
class Choice:
    """A field of a policy: what it is called where people make it, what it can be, and what it does.

    ``words``: the valid ones, of a word. ``least_us``: the shortest valid duration; where there may be no limit
    (``or_none``), ``none`` stands for that.
    """

    kind: Kind
    help: str
    words: tuple[str, ...] = ()
    least_us: int = 0
    or_none: bool = False

    def read(self, name: str, value: str | bool | None) -> Value:
        """Return a value from the way that people write it: ``2h``, ``none``, ``true``.

        Raises
        ------
        InputError
            It makes no sense; a word is not looked at.
        """
        if self.kind == "flag":
            known = {"true": True, "false": False}.get(str(value).lower())
            if known is None:
                raise InputError(f"{name} is {value!r}; valid are true and false")
            return known
        if self.kind == "word":
            return value
        if self.or_none and value in (None, "none"):
            return None
        try:
            return duration_us(str(value))
        except InputError as error:
            raise InputError(f"{name}: {error}{', none' if self.or_none else ''}") from None

    def checked(self, name: str, value: Any) -> Value:
        """Return a value as the policy holds it.

        Raises
        ------
        InputError
            The field cannot have it.
        """
        if self.kind == "word":
            if not isinstance(value, str) or value not in self.words:
                raise wrong(name, value, ", ".join(self.words))
            return value
        if self.kind == "flag":
            # NumPy's truth values are recognised by name: it need not be imported for `--help`.
            kind = type(value)
            if kind is not bool and (kind.__module__, kind.__name__.rstrip("_")) != ("numpy", "bool"):
                raise wrong(name, value, "True and False")
            return bool(value)
        if value is None and self.or_none:
            return None
        if type(value) is not int or not -LONGEST_US <= value <= LONGEST_US:
            raise InputError(f"{name}_us is {value!r}; valid are whole microseconds, up to 230 years")
        if value < self.least_us:
            too_short = "must be longer than nothing" if self.least_us else "cannot be negative"
            raise InputError(f"{name} is {timedelta(microseconds=value)}; it {too_short}")
        return value

    def text(self, value: Value) -> str:
        """Write a value as people write it."""
        if value is None:
            return "none"
        if isinstance(value, bool):
            return str(value).lower()
        return short_duration(value) if isinstance(value, int) else value


@dataclass(frozen=True, init=False)
class Policy:
    """The choices that a report is made with; durations are kept as microseconds.

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
    only_watched
        Time that was not watched is unknown: all but the time between two neighbouring observations at most
        ``confirm_within`` apart, and the time less than that after the last one.
    assume
        Into which column of a report unknown time is booked; the timeline keeps it as unknown.

    Raises
    ------
    InputError
        A field cannot have its value.
    """

    interpolation: Annotated[
        Interpolation,
        Choice(
            "word", "Who speaks between two observations: previous, next or nearest.", words=get_args(Interpolation)
        ),
    ]
    prefer_in_session: Annotated[bool, Choice("flag", "Prefer the neighbour that was observed in the same session.")]
    max_age_us: Annotated[
        int | None,
        Choice("duration", "An observation says nothing beyond this, such as 90m.", least_us=1, or_none=True),
    ]
    confirm_within_us: Annotated[
        int,
        Choice(
            "duration",
            "Two observations at most this far apart watch the time between them, and confirm it where they agree.",
        ),
    ]
    only_watched: Annotated[bool, Choice("flag", "Time that was not watched is unknown.")]
    assume: Annotated[
        Assume, Choice("word", "Where unknown time is booked: unknown, active or inactive.", words=get_args(Assume))
    ]

    def __init__(
        self,
        *,
        interpolation: Interpolation = "previous",
        prefer_in_session: bool = True,
        max_age: timedelta | None = None,
        confirm_within: timedelta = timedelta(hours=2),
        only_watched: bool = False,
        assume: Assume = "unknown",
    ) -> None:
        self._set(
            interpolation=interpolation,
            prefer_in_session=prefer_in_session,
            max_age_us=_microseconds("max_age", max_age),
            confirm_within_us=_microseconds("confirm_within", confirm_within),
            only_watched=only_watched,
            assume=assume,
        )

    def _set(self, **values: Any) -> None:
        for name, choice in CHOICES.items():
            object.__setattr__(self, _FIELDS[name], choice.checked(name, values[_FIELDS[name]]))

    def __str__(self) -> str:
        """Say the policy in a line."""
        words: list[str] = [self.interpolation]
        words.append("in-session observations preferred" if self.prefer_in_session else "no session preferred")
        words.append(
            "no age limit" if self.max_age_us is None else f"max age {timedelta(microseconds=self.max_age_us)}"
        )
        words.append(f"confirmed within {timedelta(microseconds=self.confirm_within_us)}")
        if self.only_watched:
            words.append("time that was not watched is unknown")
        if self.assume != "unknown":
            words.append(f"unknown time booked as {self.assume}")
        return ", ".join(words)

    # --- as plain values ---

    def to_dict(self) -> dict[str, Any]:
        """Return the policy as plain values, for the record of an output and for JSON."""
        values = asdict(self)
        return {name: values[name] for name in _IN_RECORDS}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the policy that `to_dict` wrote; what is not named is as by default.

        >>> Policy.from_dict({"interpolation": "next", "max_age_us": 3_600_000_000}).max_age_us
        3600000000

        Raises
        ------
        InputError
            A name is unknown, or a value is not one that it can have.
        """
        if not isinstance(values, Mapping):
            raise InputError(f"policy is {values!r}; valid are values by name: {', '.join(_IN_RECORDS)}")
        if unknown := [name for name in values if name not in _IN_RECORDS]:
            raise InputError(f"a policy has no {', '.join(map(repr, unknown))}; valid are {', '.join(_IN_RECORDS)}")
        for name, choice in CHOICES.items():
            if choice.kind == "flag" and type(values.get(name, True)) is not bool:
                raise InputError(f"{name} is {values[name]!r}; valid are true and false")
        return cls()._with(values)

    def _with(self, values: Mapping[str, Any]) -> Self:
        policy = object.__new__(type(self))
        policy._set(**asdict(self) | dict(values))
        return policy

    # --- as text ---

    def texts(self) -> dict[str, str]:
        """Return each choice as text, by name: as `changed` and `read` take it."""
        return {name: choice.text(getattr(self, _FIELDS[name])) for name, choice in CHOICES.items()}

    def text(self) -> str:
        """Return the policy in the form that `read` reads: the interpolation, and what is not as by default.

        >>> Policy(max_age=timedelta(hours=12), prefer_in_session=False).text()
        'previous,prefer_in_session=false,max_age=12h'
        """
        usual, words = Policy().texts(), self.texts()
        return ",".join([words.pop("interpolation"), *(f"{n}={text}" for n, text in words.items() if text != usual[n])])

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the policy that a text names: choices as ``name=value``, a value alone is the interpolation.

        >>> Policy.read("next, max_age=12h, assume=active").max_age_us
        43200000000

        Raises
        ------
        InputError
            A name is unknown or comes twice, or a value makes no sense.
        """
        texts: dict[str, str] = {}
        for word in filter(None, (word.strip() for word in text.split(","))):
            name, equals, value = (part.strip() for part in word.partition("="))
            if not equals:
                name, value = "interpolation", name
            if name in texts:
                raise InputError(f"the policy {text!r} says {name} twice")
            texts[name] = value
        return cls().changed(texts)

    def changed(self, texts: Mapping[str, str | bool | None]) -> Self:
        """Return the policy with other values for some choices, given as people write them: ``2h``, ``none``, ``true``.

        Raises
        ------
        InputError
            A name is unknown, or a value makes no sense.
        """
        if unknown := [name for name in texts if name not in CHOICES]:
            raise InputError(f"a policy has no {', '.join(map(repr, unknown))}; valid are {', '.join(CHOICES)}")
        values = {name: CHOICES[name].read(name, value) for name, value in texts.items()}
        return self._with({_FIELDS[name]: value for name, value in values.items()})


def _microseconds(name: str, value: timedelta | None) -> int | None:
    """Return a duration of Python, or of a library whose durations are Python's too."""
    or_none = CHOICES[name].or_none
    if value is None and or_none:
        return None
    if not isinstance(value, timedelta):
        raise wrong(name, value, f"timedeltas such as timedelta(hours=2){', and None' if or_none else ''}")
    return duration_us(value)


_FIELDS: Final = {one.name.removesuffix("_us"): one.name for one in fields(Policy)}
#: The choices by the name that people know: that of the field, and of its argument, without the unit.
CHOICES: Final[dict[str, Choice]] = {
    name: get_type_hints(Policy, include_extras=True)[field].__metadata__[0] for name, field in _FIELDS.items()
}
#: Durations come last in records, as they always did: the same report has the same bytes.
_IN_RECORDS: Final = tuple(sorted(_FIELDS.values(), key=lambda name: name.endswith("_us")))
