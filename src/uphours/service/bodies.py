"""What bodies of requests are made of, that of a new key, and failures; `uphours.wire` has what is answered."""

from __future__ import annotations

from datetime import date
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from uphours.database.api_keys import NAME_MAX_LENGTH
from uphours.errors import InputError, shown
from uphours.schema import STORE_ID_MAX_LENGTH
from uphours.wire.words import Scope

StoreId = Annotated[str, Field(min_length=1, max_length=STORE_ID_MAX_LENGTH)]
LocalDate = Annotated[str, Field(max_length=10, examples=["2026-12-24"])]
AttributeText = Annotated[str, Field(max_length=STORE_ID_MAX_LENGTH)]
Values: TypeAlias = dict[AttributeText, Annotated[list[AttributeText], Field(min_length=1, max_length=1_000)]]
"""Values by name of attribute."""
Instant = Annotated[str, Field(max_length=64, examples=["2023-01-25T18:13:22Z"])]


class Problem(BaseModel):
    """A failure (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = None


class KeyBody(BaseModel):
    """A key that is to be made."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=NAME_MAX_LENGTH)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=10)]
    only: Annotated[Values, Field(max_length=100, examples=[{"franchisee": ["F7"]}])] = Field(
        default={}, description="It sees the stores with these values alone, as though there were no others."
    )


def date_of(name: str, text: str) -> date:
    """Read a date as people write it in ISO 8601.

    Raises
    ------
    InputError
        It is no date, or not of the years 1970 to 2199.
    """
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.isoformat() != text or not 1970 <= found.year < 2200:
        raise InputError(f"{name} is {shown(text)}; valid are dates such as 2023-01-25, of the years 1970 to 2199")
    return found
