"""What the service refuses, as errors: `RefusedError`s, and of the kinds of `uphours.errors` where one fits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import httpx

from uphours.errors import ConflictError, DatabaseUnavailableError, InputError, NotFoundError, UphoursError


class RefusedError(UphoursError):
    """The service refused a request, for the reason that the message gives.

    Parameters
    ----------
    status
        Of HTTP.
    retry_after
        In how many seconds it makes sense to ask again, where the service says so.
    request_id
        The name of the request in the log of the service.
    """

    def __init__(
        self, message: str, *, status: int, retry_after: float | None = None, request_id: str | None = None
    ) -> None:
        self.status = status
        self.retry_after = retry_after
        self.request_id = request_id
        super(UphoursError, self).__init__(message)  # the classes below have messages of their own making


class BadRequestError(RefusedError, InputError):
    """What was asked for or sent makes no sense to the service."""


class MissingError(RefusedError, NotFoundError):
    """What was asked for is not there; ``name`` is where it was looked for."""

    def __init__(self, message: str, *, name: str, **facts: Any) -> None:
        RefusedError.__init__(self, message, **facts)
        self.kind = "resource"
        self.name = name


class ContradictionError(RefusedError, ConflictError):
    """The request contradicts what is there, such as the result of a report that has failed."""


class TooMuchError(RefusedError):
    """Too much is waiting already, or this key asks too often; ``retry_after`` says when to try again."""


class UnavailableError(RefusedError, DatabaseUnavailableError):
    """The service cannot use its store now."""


class TimedOutError(UphoursError, TimeoutError):
    """What was waited for took longer than the caller wanted to wait."""


_REFUSALS: Final[Mapping[int, type[RefusedError]]] = {
    400: BadRequestError,
    409: ContradictionError,
    413: BadRequestError,
    415: BadRequestError,
    422: BadRequestError,
    429: TooMuchError,
    503: UnavailableError,
}
#: Statuses after which the same request may succeed.
FOR_THE_MOMENT: Final = frozenset({429, 503})


def refusal(answer: httpx.Response) -> RefusedError:
    """Return the error of an answer that is no success."""
    problem = _problem(answer)
    retry_after = answer.headers.get("Retry-After", "")
    message = str(problem.get("detail") or f"the service answered with status {answer.status_code}")
    facts: dict[str, Any] = {
        "status": answer.status_code,
        "retry_after": float(retry_after) if re.fullmatch(r"\d{1,9}", retry_after) else None,
        "request_id": answer.headers.get("X-Request-ID"),
    }
    if answer.status_code == 404:
        return MissingError(message, name=answer.request.url.path, **facts)
    return _REFUSALS.get(answer.status_code, RefusedError)(message, **facts)


def _problem(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        found = answer.json()
    except ValueError:  # something between this client and the service has answered
        return {}
    return found if isinstance(found, dict) else {}
