"""The choices of a policy as HTTP has them, made from the fields of `Policy`: in bodies, queries and forms."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import Parameter, Signature
from typing import Annotated, Any, Final, Literal, TypeAlias

from fastapi import Depends, Form, Query

from uphours.kernel.policy import CHOICES, Choice
from uphours.wire.values import Duration

Chosen: TypeAlias = dict[str, str | bool | None]
"""Choices by name, as `Policy.changed` takes them; those that were not made are not there."""

_UNSAID: Final = "Unless given: as the service's policy has it."
#: What a field of a form may hold.
_LONGEST_TEXT: Final = 32


def _type_of(choice: Choice) -> Any:
    if choice.kind == "flag":
        return bool
    return Duration if choice.kind == "duration" else Literal[choice.words]


def _dependency(kind: Callable[[Choice], Any], default: object) -> Callable[..., Awaitable[Chosen]]:
    async def chosen(**given: Any) -> Chosen:  # async: otherwise each call waits for a thread
        return {name: value for name, value in given.items() if value != default}

    parameters = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=kind(choice))
        for name, choice in CHOICES.items()
    ]
    chosen.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return chosen


def _query(choice: Choice) -> Any:
    no_limit = " `none`: no limit." if choice.or_none else ""
    return Annotated[_type_of(choice) | None, Query(description=f"{choice.help}{no_limit} {_UNSAID}")]


def _field_of_form(_choice: Choice) -> Any:
    return Annotated[str, Form(max_length=_LONGEST_TEXT)]


InQuery = Annotated[Chosen, Depends(_dependency(_query, None))]
InForm = Annotated[Chosen, Depends(_dependency(_field_of_form, ""))]
