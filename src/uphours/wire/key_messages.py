"""API keys."""

from typing import Annotated, Final, Required

from typing_extensions import TypedDict

from uphours.wire.fields import Default, Doc, Length, body
from uphours.wire.values import Values
from uphours.wire.words import Scope

NAME_MAX_LENGTH: Final = 100


@body
class KeyBody(TypedDict, total=False):
    """A key that is to be made."""

    name: Required[Annotated[str, Length(1, NAME_MAX_LENGTH)]]
    scopes: Required[Annotated[list[Scope], Length(1, 10)]]
    only: Annotated[
        Values,
        Length(0, 100),
        Default({}),
        Doc(
            "It sees the stores with these values alone, as though there were no others.",
            examples=({"franchisee": ["F7"]},),
        ),
    ]


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
