"""The choices of a policy as HTTP has them, made from the fields of `Policy`: in bodies, queries and forms."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import Parameter, Signature
from typing import Annotated, Any, Final, Literal, TypeAlias

from fastapi import Depends, Form, Query
from pydantic import BaseModel, Field, create_model

from uphours.kernel.policy import CHOICES, Choice

Chosen: TypeAlias = dict[str, str | bool | None]
"""Choices by name, as `Policy.changed` takes them; those that were not made are not there."""

_Duration: Final = Annotated[str, Field(max_length=32, examples=["90m", "1.5h"])]
_UNSAID: Final = "Unless given: as the service's policy has it."
#: What a field of a form may hold.
_LONGEST_TEXT: Final = 32


def _type_of(choice: Choice) -> Any:
    if choice.kind == "flag":
        return bool
    return _Duration if choice.kind == "duration" else Literal[choice.words]


def _without_default(schema: dict[str, Any]) -> None:
    del schema["default"]


def body_with_choices(name: str, base: type[BaseModel]) -> Any:
    """Return a model that can also hold every choice of a policy; what is left out says nothing."""
    unsaid: Any = Field(default=None, json_schema_extra=_without_default)  # the document names no default
    types = {name: _type_of(choice) for name, choice in CHOICES.items()}
    choices: dict[str, Any] = {
        name: (one | None if CHOICES[name].or_none else one, unsaid) for name, one in types.items()
    }
    return create_model(name, __base__=base, __module__=base.__module__, __doc__=base.__doc__, **choices)


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
