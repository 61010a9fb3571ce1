"""A client of the service in Python: ask for reports, send rows, look at stores."""

from uphours.client.refusals import (
    BadRequestError,
    ContradictionError,
    MissingError,
    RefusedError,
    TimedOutError,
    TooMuchError,
    UnavailableError,
)
from uphours.client.sent_rows import Outcome
from uphours.client.service_client import Client

__all__ = [
    "BadRequestError",
    "Client",
    "ContradictionError",
    "MissingError",
    "Outcome",
    "RefusedError",
    "TimedOutError",
    "TooMuchError",
    "UnavailableError",
]
