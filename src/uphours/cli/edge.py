"""What the command line takes from outside: the clock, the environment, who is calling, which database."""

from __future__ import annotations

import os
import re
import shlex
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from uphours.database.database import Database

DATABASE_URL: Final = "UPHOURS_DATABASE_URL"
DEFAULT_DATABASE_URL: Final = "sqlite:///uphours.db"


#: A command in a message, and those that have no --db.
_COMMAND: Final = re.compile(r"`(uphours (?!copy|demo)[^`]*)`")
#: The database that this run was given with --db.
_named: dict[str, str | None] = {"db": None}


def begin() -> None:
    """Begin a run: no database is named yet."""
    _named["db"] = None


def pasteable(message: str) -> str:
    """Return a message whose commands name the database that was named, so that they can be pasted as they are.

    The password in a URL is left out.
    """
    if _named["db"] is None or "`uphours " not in message:
        return message
    from uphours.database.dialects.urls import without_password

    db = shlex.quote(without_password(_named["db"]))
    return _COMMAND.sub(lambda found: f"`{found[1]} --db {db}`", message)


def now() -> int:
    """Return the time, UTC microseconds."""
    return time.time_ns() // 1000


def actor() -> str:
    """Name the user of the command line, for the audit trail."""
    import getpass

    try:
        return f"cli:{getpass.getuser()}"
    except (ImportError, KeyError, OSError):  # no one gave this user a name, as in many containers
        return "cli:unknown"


def database(db: str | None) -> Database:
    """Return the database that an option, the environment, a file that it names, or none of them named."""
    from uphours.database.database import connect

    _named["db"] = db
    url = db or os.environ.get(DATABASE_URL)
    if not url and (os.environ.get(f"{DATABASE_URL}_FILE") or os.environ.get("UPHOURS_CONFIG")):
        from uphours.settings import settings  # takes a moment: only where it may say something

        url = settings().database_url
    return connect(url or DEFAULT_DATABASE_URL)
