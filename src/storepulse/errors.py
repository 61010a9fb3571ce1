"""The error tree: everything storepulse raises on purpose.

::

    StorepulseError
    ├── InputError (also ValueError)      what a person or a file said is wrong
    ├── NotFoundError (also LookupError)  what was asked for is not there
    ├── ConflictError                     the request contradicts what is there
    │   └── LeaseLostError                another worker has taken the job over, or it was cancelled
    ├── QueueFullError                    too much is waiting already
    ├── EngineError                       the cluster that should make a report failed
    └── StoreError                        the store failed
        ├── StoreUnavailableError         it cannot be reached, or it is busy or full
        └── SchemaVersionError            it was written by another version

A message says what is wrong, where, and what would be valid. How an error becomes an exit code or an
HTTP status is decided at the edge alone.
"""

from __future__ import annotations


class StorepulseError(Exception):
    """Base of every error that storepulse raises on purpose."""


class InputError(StorepulseError, ValueError):
    """What a person or a file said is wrong; the message ends in what is valid."""


class NotFoundError(StorepulseError, LookupError):
    """What was asked for is not there."""

    def __init__(self, kind: str, name: str, hint: str = "") -> None:
        self.kind = kind
        self.name = name
        super().__init__(f"there is no {kind} {name!r}" + (f"; {hint}" if hint else ""))


class ConflictError(StorepulseError):
    """The request contradicts what is there."""


class LeaseLostError(ConflictError):
    """Another worker has taken the job over, or it was cancelled: what this one has made does not count."""


class QueueFullError(StorepulseError):
    """Too much is waiting already."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting
        super().__init__(f"{waiting} jobs are waiting already; try again in some seconds")


class EngineError(StorepulseError):
    """The cluster that should make a report failed."""


class StoreError(StorepulseError):
    """The store failed."""


class StoreUnavailableError(StoreError):
    """The store cannot be reached, or it is busy or full."""


class SchemaVersionError(StoreError):
    """The store was written by another version of storepulse."""

    def __init__(self, found: str, expected: str) -> None:
        self.found = found
        self.expected = expected
        super().__init__(
            f"the store is at schema version {found}, this program knows versions up to {expected}; "
            "use the version of storepulse that wrote it, or a newer one"
        )
