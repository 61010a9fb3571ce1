"""API keys."""

from typing import Required

from typing_extensions import TypedDict

from uphours.wire.words import Scope


class KeyOptions(TypedDict, total=False):
    """A key that is to be made; ``only``: the stores that it sees, by values of attributes."""

    name: Required[str]
    scopes: Required[list[Scope]]
    only: dict[str, list[str]]


class Key(TypedDict):
    """A key as it may be shown."""

    key_id: str
    name: str
    scopes: list[str]
    only: dict[str, list[str]]
    created_at: str
    revoked_at: str | None


class NewKey(Key):
    """A key that was just made, with its token, which cannot be had again."""

    token: str


class KeyList(TypedDict):
    """All keys, also the revoked ones, the oldest first."""

    keys: list[Key]
