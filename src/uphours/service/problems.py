"""Errors → HTTP: one table of statuses, one body for every failure (RFC 9457 problem details)."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException
from structlog.contextvars import get_contextvars

from uphours.errors import (
    BusyError,
    ConflictError,
    DatabaseError,
    DatabaseUnavailableError,
    InputError,
    NotFoundError,
    QueueFullError,
    SchemaVersionError,
    UphoursError,
)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 5

#: The first that fits.
STATUSES: Final[dict[type[UphoursError], int]] = {
    InputError: 422,
    NotFoundError: 404,
    ConflictError: 409,
    QueueFullError: 429,
    BusyError: 503,
    DatabaseUnavailableError: 503,
    SchemaVersionError: 503,
    DatabaseError: 500,
}


class AccessError(UphoursError):
    """Someone may not do what they asked for."""

    def __init__(self, status: int, detail: str, *, retry_after: int | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(detail)


class NotSignedInError(AccessError):
    """Someone follows a link to a page that is for those who have signed in; ``wanted`` is its path and query."""

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted
        super().__init__(401, "this page is for those who have signed in")


def problem(status: int, detail: str, *, headers: dict[str, str] | None = None, **more: object) -> JSONResponse:
    """Return a problem as a response."""
    phrase = HTTPStatus(status).phrase
    body: dict[str, Any] = {
        "type": f"urn:uphours:problem:{phrase.lower().replace(' ', '-')}",
        "title": phrase,
        "status": status,
        "detail": detail,
        **more,
    }
    if request_id := get_contextvars().get("request_id"):
        body["request_id"] = request_id
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def status_of(error: Exception) -> int:
    """Return the status of an answer that tells of an error."""
    return next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 500)


def _of_ours(_request: Request, error: Exception) -> JSONResponse:
    status = status_of(error)
    retry = {"Retry-After": str(RETRY_AFTER_S)} if status in (429, 503) else None
    return problem(status, str(error), headers=retry)


def _of_access(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AccessError)
    headers = {"WWW-Authenticate": 'Bearer realm="uphours"'} if error.status == 401 else {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return problem(error.status, str(error), headers=headers)


def _of_not_signed_in(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotSignedInError)
    if request.headers.get("sec-fetch-site") == "cross-site":
        # The browser keeps the cookie to itself as a link elsewhere led here. It sends it when we lead here.
        return Response(media_type="text/html", headers={"Refresh": f"0; url={error.wanted}"})
    return RedirectResponse(f"/sign-in?{urlencode({'next': error.wanted})}", 303)


def _of_validation(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = [{"where": ".".join(map(str, one["loc"])), "what": one["msg"]} for one in error.errors()]
    detail = "; ".join(f"{one['where']}: {one['what']}" for one in found[:5])
    return problem(422, detail, errors=found)


def _of_http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), headers=dict(error.headers or {}))


#: The first that fits.
_ANSWERS: Final[dict[type[Exception], Callable[[Request, Exception], Response]]] = {
    NotSignedInError: _of_not_signed_in,
    AccessError: _of_access,
    UphoursError: _of_ours,
    RequestValidationError: _of_validation,
    HTTPException: _of_http,
}


def _answer_to(request: Request, error: Exception) -> Response:
    """Return a failure as a problem, or as the way to sign in."""
    answer = next(answer for kind, answer in _ANSWERS.items() if isinstance(error, kind))
    return answer(request, error)


def is_for_people(request: Request) -> bool:
    """Say whether someone has gone to an address in a browser, who is answered with a page."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1/")


def install(app: FastAPI, presented: Callable[[Request, Response], Response]) -> None:
    """Make every failure of the application a problem, or what ``presented`` makes of one; defects are `guards`'."""

    def answer(request: Request, error: Exception) -> Response:
        return presented(request, _answer_to(request, error))

    for kind in _ANSWERS:
        app.add_exception_handler(kind, answer)
