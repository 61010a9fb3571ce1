"""What fields say beside their type: ``Annotated[int, Default(0), Doc("…")]``; Pydantic asks, and need not be here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

_Body = TypeVar("_Body", bound=type)
_Schema = dict[str, Any]


@dataclass(frozen=True)
class Doc:
    """A sentence about a field, and examples; ``title``: where that of the name is no good one."""

    text: str = ""
    title: str = ""
    examples: tuple[Any, ...] = ()

    def __get_pydantic_json_schema__(self, schema: Any, described: Callable[[Any], _Schema]) -> _Schema:
        """Return the JSON schema of a field with what is said of it."""
        said = {"description": self.text, "title": self.title, "examples": list(self.examples)}
        return described(schema) | {name: value for name, value in said.items() if value}


@dataclass(frozen=True)
class Length:
    """How many characters a text has, how many items a list, or how many names a dictionary; both are included."""

    least: int
    most: int

    def __get_pydantic_core_schema__(self, kind: Any, checked: Callable[[Any], Any]) -> Any:
        """Return the schema by which a field is checked, with the bounds."""
        least = {"min_length": self.least} if self.least else {}
        return checked(kind) | least | {"max_length": self.most}


@dataclass(frozen=True)
class Default:
    """What the service takes for a field that was not sent."""

    value: Any

    def __get_pydantic_core_schema__(self, kind: Any, checked: Callable[[Any], Any]) -> Any:
        """Return the schema by which a field is checked, with the default."""
        return {"type": "default", "schema": checked(kind), "default": self.value, "copy_default": True}


def body(kind: _Body) -> _Body:
    """Make a dictionary the body of a request: fields that it does not name are refused."""
    kind.__pydantic_config__ = {"extra": "forbid"}  # type: ignore[attr-defined]
    return kind
