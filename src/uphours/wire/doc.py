"""Sentences about fields, for readers here and for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Doc:
    """What a field is: ``Annotated[int, Doc("…")]``; ``title``: where that of the name is no good one."""

    text: str
    title: str = ""

    def __get_pydantic_json_schema__(self, schema: Any, described: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Return the JSON schema of a field with its description; Pydantic calls this, and need not be installed."""
        return described(schema) | {"description": self.text} | ({"title": self.title} if self.title else {})
