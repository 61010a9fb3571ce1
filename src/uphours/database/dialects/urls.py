"""URLs of databases as people write them: where one could be read in two ways it is refused, and no password is shown.

In a password that is not escaped, ``@``, ``/``, ``?`` and ``#`` end it too early. Whatever reads such a URL takes the
rest of the password for the host, a port or the database, all of which are shown.
"""

from __future__ import annotations

import re
from typing import Final

from uphours.errors import InputError

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+]{0,30}", re.IGNORECASE)
_FILE_NAME: Final = re.compile(r"[\w./\\ -]{1,200}")


def check(url: str) -> None:
    """Refuse a URL of which it is in doubt where its password ends.

    Raises
    ------
    InputError
        It is.
    """
    rest = url.partition("://")[2]
    before, at, _ = rest.rpartition("@")
    if at and re.search(r"[@/?#]", before):
        raise InputError(
            f"in {shown(url)} it is in doubt where the password ends; written in a URL, @ is %40, / is %2F, ? is %3F, "
            "# is %23 and % is %25, wherever they are no part of the URL's own form"
        )


def shown(url: str) -> str:
    """Return what may be shown of a URL that no one could read: never more than how it begins.

    >>> shown("postgrsql://me:secret@host/fleet"), shown("fleet.db")
    ('postgrsql://…', 'fleet.db')
    """
    scheme, of_url, rest = url.partition("://")
    if of_url and _SCHEME.fullmatch(scheme):
        return url if scheme == "sqlite" and _FILE_NAME.fullmatch(rest) else f"{scheme}://…"
    return url if _FILE_NAME.fullmatch(url) else "…"


def without_password(url: str) -> str:
    """Return a URL that can be pasted, its password replaced by ``***``.

    >>> without_password("postgresql://me:secret@host/fleet"), without_password("sqlite:///fleet.db")
    ('postgresql://me:***@host/fleet', 'sqlite:///fleet.db')
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return shown(url)
    return url if parsed.password is None else parsed.render_as_string(hide_password=True)
