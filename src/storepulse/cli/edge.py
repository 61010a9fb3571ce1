"""What the command line takes from outside: the clock, the environment, who is calling, which store."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from storepulse.store import Store

DATABASE_URL: Final = "STOREPULSE_DATABASE_URL"
DEFAULT_DATABASE_URL: Final = "sqlite:///storepulse.db"


def now() -> int:
    """Return the time, UTC microseconds."""
    return time.time_ns() // 1000


def actor() -> str:
    """Name whoever uses the command line, for the audit trail."""
    import getpass

    try:
        return f"cli:{getpass.getuser()}"
    except (ImportError, KeyError, OSError):  # nobody gave this user a name, as in many containers
        return "cli:unknown"


def store(db: str | None) -> Store:
    """Return the store that an option, the environment, a file that it names, or nobody named."""
    from storepulse.store import connect

    url = db or os.environ.get(DATABASE_URL)
    if not url and (os.environ.get(f"{DATABASE_URL}_FILE") or os.environ.get("STOREPULSE_CONFIG")):
        from storepulse.settings import settings  # takes a moment: only where it may say something

        url = settings().database_url
    return connect(url or DEFAULT_DATABASE_URL)
