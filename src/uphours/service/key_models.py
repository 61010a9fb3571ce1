"""What of API keys goes over HTTP."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from uphours.database.api_keys import NAME_MAX_LENGTH, Scope
from uphours.service.models import Values


class KeyBody(BaseModel):
    """A key that is to be made."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=NAME_MAX_LENGTH)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=10)]
    only: Annotated[Values, Field(max_length=100, examples=[{"franchisee": ["F7"]}])] = Field(
        default={}, description="It sees the stores with these values alone, as though there were no others."
    )


class KeyModel(BaseModel):
    """A key as it may be shown."""

    key_id: str
    name: str
    scopes: list[str]
    only: dict[str, list[str]]
    created_at: str
    revoked_at: str | None


class NewKey(KeyModel):
    """A key that was just made, with its token, which cannot be had again."""

    token: str


class KeyList(BaseModel):
    """All keys, also the revoked ones, the oldest first."""

    keys: list[KeyModel]
