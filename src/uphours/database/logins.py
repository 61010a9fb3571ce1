"""Sessions: browsers that have signed in with a key. The database holds a hash of each token, a cookie the token.

A session is as good as its key: it ends with it, at the latest after a fixed time.
"""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from uphours.database import audit
from uphours.database.api_keys import SECRET_LENGTH, Key, hash_of, key_of, random_text
from uphours.database.tables import api_keys, sessions
from uphours.schema import instant_text

_TOKEN: Final = re.compile(f"[a-z2-7]{{{SECRET_LENGTH}}}")


def begin(connection: Connection, key: Key, *, now: int, lasts: int) -> str:
    """Begin a session with a key that was `keys.verified`; return its token, which cannot be had again.

    ``lasts``: microseconds after which it ends by itself.
    """
    token = random_text(SECRET_LENGTH)
    row = {"hash": hash_of(token), "key_id": key.key_id, "created_at": now, "expires_at": now + lasts}
    connection.execute(insert(sessions).values(row))
    details = {"until": instant_text(now + lasts)}
    actor = f"key:{key.key_id}"
    audit.record(connection, at=now, actor=actor, action="session.begin", subject=key.key_id, details=details)
    return token


def verified(connection: Connection, token: str, *, now: int) -> Key | None:
    """Return the key behind a token; None for any text that is not the token of a session that goes on.

    It has ended when its time is over, or its key was revoked.
    """
    if _TOKEN.fullmatch(token) is None:
        return None
    # How long the search takes may tell how much of a hash is right, but no one can choose the hash of what they send.
    query = (
        select(api_keys)
        .join(sessions, sessions.c.key_id == api_keys.c.key_id)
        .where(sessions.c.hash == hash_of(token), sessions.c.expires_at > now, api_keys.c.revoked_at.is_(None))
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else key_of(row)


def end(connection: Connection, token: str, *, now: int) -> None:
    """End a session, if it goes on."""
    key = verified(connection, token, now=now)
    if key is not None and connection.execute(delete(sessions).where(sessions.c.hash == hash_of(token))).rowcount:
        actor = f"key:{key.key_id}"
        audit.record(connection, at=now, actor=actor, action="session.end", subject=key.key_id, details={})


def expire(connection: Connection, *, now: int) -> None:
    """Forget the sessions whose time is over."""
    connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
