"""API keys: who may use the service, and for what. The database holds a hash of each; the token itself is nowhere."""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, Final, get_args

from sqlalchemy import Connection, insert, select, update

from uphours.database import audit
from uphours.database.tables import api_keys
from uphours.errors import InputError, NotFoundError
from uphours.where import Where, plain, texts_of, where_of
from uphours.wire.key_messages import NAME_MAX_LENGTH
from uphours.wire.words import Scope

#: What a key may be for.
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

#: What a key is for whose token stands in the address of a calendar feed. Addresses end up in logs and histories of
#: others, so that such a key is for nothing else, and no other key is for this.
FEED: Final = "feed"

#: What a key may be for that is bound to some stores. A program that loads data can make a store belong to anyone.
_BOUND: Final[tuple[Scope, ...]] = ("read", "adjust", "feed")

#: Characters of a text that cannot be guessed: 260 bits.
SECRET_LENGTH: Final = 52

# No underscore in it, as that divides the parts of a token. Each character is 5 bits of chance.
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_ID_LENGTH: Final = 12
_KEY_ID: Final = re.compile(f"[a-z2-7]{{{_ID_LENGTH}}}")
_TOKEN: Final = re.compile(f"sp_({_KEY_ID.pattern})_[a-z2-7]{{{SECRET_LENGTH}}}")

_IN_TEXT: Final = re.compile(f"sp_({_KEY_ID.pattern})_[a-z2-7_]+", re.IGNORECASE)

#: Stands for the hash of a key that is not there.
_NO_HASH: Final = "0" * 64


@dataclass(frozen=True)
class Key:
    """A key as it may be shown; ``revoked_at`` is null as long as it is good.

    ``only``: the stores that it is bound to: those with such values of attributes.
    """

    key_id: str
    name: str
    scopes: tuple[str, ...]
    created_at: int
    revoked_at: int | None
    only: Where = ()

    def facts(self) -> dict[str, Any]:
        """Return the key as plain values."""
        return asdict(self) | {"only": plain(self.only)}


def allows(scopes: Collection[str], needed: Scope) -> bool:
    """Say whether these scopes are enough; ``admin`` includes all but `FEED`, which do not include each other."""
    return needed in scopes or ("admin" in scopes and needed != FEED)


def check(name: str, scopes: Collection[str], only: Where = ()) -> tuple[Scope, ...]:
    """Return the scopes of a key that is to be made, each once, in the order of `SCOPES`.

    Raises
    ------
    InputError
        The name is empty, too long or not printable, a scope is missing or unknown, `FEED` is not the only one, or a
        key that is bound to some stores would be for more than these.
    """
    if not 1 <= len(name) <= NAME_MAX_LENGTH or not name.isprintable() or name.isspace():
        shown = name if len(name) <= NAME_MAX_LENGTH else f"{name[:NAME_MAX_LENGTH]}…"
        raise InputError(
            f"a key cannot be called {shown!r}; valid are 1 to {NAME_MAX_LENGTH} printable characters, not only spaces"
        )
    valid = f"valid are {', '.join(SCOPES)}"
    if not scopes:
        raise InputError(f"a key needs a scope; {valid}")
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise InputError(f"there is no scope {unknown[0]!r}; {valid}")
    if FEED in scopes and len(set(scopes)) > 1:
        raise InputError(
            f"the scope {FEED} cannot be joined with others, as its token stands in the address of a calendar feed; "
            "valid is a key of its own for each"
        )
    if only and (wider := [scope for scope in SCOPES if scope in scopes and scope not in _BOUND]):
        raise InputError(
            f"the scope {wider[0]} is for all stores, and this key is for those with {', '.join(texts_of(only))}; "
            f"valid with it are {', '.join(_BOUND)}"
        )
    return tuple(scope for scope in SCOPES if scope in scopes)


def create(
    connection: Connection, *, name: str, scopes: Collection[str], now: int, actor: str, only: Where = ()
) -> tuple[Key, str]:
    """Make a key; return it and its token, ``sp_<key_id>_<secret>``, which cannot be had again.

    Names are for people: several keys may have the same one.

    Raises
    ------
    InputError
        As with `check`.
    """
    key = Key(random_text(_ID_LENGTH), name, check(name, scopes, only), created_at=now, revoked_at=None, only=only)
    token = f"sp_{key.key_id}_{random_text(SECRET_LENGTH)}"
    kept = json.dumps(plain(only), ensure_ascii=False) if only else None
    row = key.facts() | {"scopes": " ".join(key.scopes), "only": kept, "hash": hash_of(token)}
    connection.execute(insert(api_keys).values(row))
    details = {"name": key.name, "scopes": key.scopes, **({"only": plain(only)} if only else {})}
    audit.record(connection, at=now, actor=actor, action="key.create", subject=key.key_id, details=details)
    return key, token


def list_keys(connection: Connection) -> list[Key]:
    """Return every key, also the revoked ones, the oldest first."""
    rows = connection.execute(select(api_keys).order_by(api_keys.c.created_at, api_keys.c.key_id)).mappings()
    return [key_of(row) for row in rows]


def find(connection: Connection, key_id: str) -> Key:
    """Return the key of this id.

    Raises
    ------
    NotFoundError
        There is no such key.
    InputError
        It is a token, which belongs into no message.
    """
    if token := _TOKEN.fullmatch(key_id):
        raise InputError(f"this is the token of a key; valid is its id, {token[1]}")
    row = _row(connection, key_id) if _KEY_ID.fullmatch(key_id) else None  # not all text can be sent to a database
    if row is None:
        raise NotFoundError("key", key_id, "`uphours keys list` shows the ids of all keys")
    return key_of(row)


def revoke(connection: Connection, key_id: str, *, now: int, actor: str) -> Key:
    """Refuse a key from now on, for good; return it as it is then.

    A key that was revoked before stays as it is, with the instant at which it really ended: who revokes a key
    twice wants it to be refused, and it is.

    Raises
    ------
    NotFoundError, InputError
        As with `find`.
    """
    key = find(connection, key_id)
    good = (api_keys.c.key_id == key_id) & api_keys.c.revoked_at.is_(None)
    if connection.execute(update(api_keys).where(good).values(revoked_at=now)).rowcount:
        details = {"name": key.name}
        audit.record(connection, at=now, actor=actor, action="key.revoke", subject=key_id, details=details)
    return find(connection, key_id)


def verified(connection: Connection, token: str) -> Key | None:
    """Return the key that this token belongs to; None for any text that is not the token of a good key."""
    well_formed = _TOKEN.fullmatch(token)
    if well_formed is None:
        return None
    row = _row(connection, well_formed[1])
    # Also without such a key: how long it takes must not tell whether there is one, or how much of a guess fits.
    same = hmac.compare_digest(hash_of(token), _NO_HASH if row is None else row["hash"])
    return key_of(row) if row is not None and same and row["revoked_at"] is None else None


def masked(text: str) -> str:
    """Return text with ids in the place of tokens.

    >>> masked("/x/sp_k3v5nqxw2aht_abc234.ics")
    '/x/sp_k3v5nqxw2aht_….ics'
    """
    return _IN_TEXT.sub(r"sp_\1_…", text)


def _row(connection: Connection, key_id: str) -> Mapping[Any, Any] | None:
    return connection.execute(select(api_keys).where(api_keys.c.key_id == key_id)).mappings().first()


def hash_of(token: str) -> str:
    """Return what is kept of a token."""
    # A slow hash makes guessing passwords expensive, as people choose them from few. No one can go through
    # 2^260 secrets however fast the hash, and a service that has to compute a slow one for each request is
    # easily kept busy.
    return sha256(token.encode()).hexdigest()


def random_text(length: int) -> str:
    """Return text that cannot be guessed, 5 bits a character."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def key_of(row: Mapping[Any, Any]) -> Key:
    """Make a key of its row, without the hash."""
    only = where_of(json.loads(row["only"])) if row["only"] else ()
    return Key(row["key_id"], row["name"], tuple(row["scopes"].split()), row["created_at"], row["revoked_at"], only)
