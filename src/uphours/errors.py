"""The error tree: everything uphours raises on purpose.

::

    UphoursError
    ├── InputError (also ValueError)      what a person or a file said is wrong
    │   ├── RejectedError                 no row of a file can be used, or too many rows are rejected
    │   └── NothingObservedError          there is no observation that a report could speak for
    ├── NotFoundError (also LookupError)  what was asked for is not there
    ├── ConflictError                     the request contradicts what is there
    │   └── LeaseLostError                another worker has taken the job over, or it was cancelled
    ├── QueueFullError                    too much is waiting already
    ├── BusyError                         too many are asking at once
    ├── EngineError                       the cluster that should make a report failed
    └── DatabaseError                        the database failed
        ├── DatabaseUnavailableError         it cannot be reached, or it is busy or full
        └── SchemaVersionError            it was written by another version

A message says what is wrong, where, and what would be valid. How an error becomes an exit code or an
HTTP status is decided at the edge alone.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

_SHOWN_CHARACTERS: Final = 60
_SHOWN_BITS: Final = 128


class UphoursError(Exception):
    """Base of every error that uphours raises on purpose; ``field``: the name of what it is about, where it has one."""

    def __init__(self, message: str = "", *, field: str = "") -> None:
        self.field = field
        super().__init__(message)


class InputError(UphoursError, ValueError):
    """What a person or a file said is wrong; the message ends in what is valid."""


class RejectedError(InputError):
    """No row of a file can be used, or too many rows are rejected; nothing was changed."""


class NothingObservedError(InputError):
    """There is no observation that a report could speak for."""

    def __init__(self) -> None:
        super().__init__("there are no observations yet; load polls first, or name an instant (as_of, --as-of)")


class NotFoundError(UphoursError, LookupError):
    """What was asked for is not there."""

    def __init__(self, kind: str, name: str, hint: str = "") -> None:
        self.kind = kind
        self.name = name
        super().__init__(f"there is no {kind} {name!r}" + (f"; {hint}" if hint else ""), field=f"{kind}s")


def no_store(store_id: str) -> NotFoundError:
    """Return the error that there is no such store."""
    return NotFoundError("store", store_id, "`uphours stores` lists the ones that are known")


class ConflictError(UphoursError):
    """The request contradicts what is there."""


class LeaseLostError(ConflictError):
    """Another worker has taken the job over, or it was cancelled: what this one has made does not count."""


class QueueFullError(UphoursError):
    """Too much is waiting already."""

    def __init__(self, waiting: int, what: str = "jobs") -> None:
        self.waiting = waiting
        super().__init__(f"{waiting:,} {what} are waiting already; try again in some seconds")


class BusyError(UphoursError):
    """Too many are asking for the same kind of work at once."""

    def __init__(self, kind: str, waiting: int) -> None:
        self.kind = kind
        self.waiting = waiting
        super().__init__(f"{waiting} requests of this kind ({kind}) are waiting already; try again in some seconds")


class EngineError(UphoursError):
    """The cluster that should make a report failed."""


class DatabaseError(UphoursError):
    """The database failed; ``about`` is what a check-up calls it."""

    def __init__(self, message: str, *, about: str = "store") -> None:
        self.about = about
        super().__init__(message)


class DatabaseUnavailableError(DatabaseError):
    """The store cannot be reached, or it is busy or full."""


class SchemaVersionError(DatabaseError):
    """The database was written by another version of uphours."""

    def __init__(self, found: str, expected: str) -> None:
        self.found = found
        self.expected = expected
        super().__init__(
            f"the database is at schema version {found}, this program knows versions up to {expected}; "
            "use the version of uphours that wrote it, or a newer one"
        )


def wrong(name: str, value: object, valid: str) -> InputError:
    """Return the error of an argument: its name, what was given for it, and what is valid."""
    return InputError(f"{name} is {shown(value)}; valid are {valid}")


def shown(value: object) -> str:
    """Write any value for a message: small ones as Python does, others by their type."""
    if isinstance(value, str | bytes):
        return repr(value) if len(value) <= _SHOWN_CHARACTERS else f"{value[:_SHOWN_CHARACTERS]!r}…"
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS:  # Python refuses to write very long ones
        return f"a number of {value.bit_length()} bits"
    if value is None or isinstance(value, int | float | complex):
        return repr(value)
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    name = kind.__name__ if package == "builtins" else f"{package}.{kind.__name__}"
    return f"{value} (of type {name})" if isinstance(value, date | timedelta) else f"of type {name}"
