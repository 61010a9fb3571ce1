"""Requests to the service, made again where they fail for the moment."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx

from uphours.client.refusals import FOR_THE_MOMENT, TimedOutError, refusal
from uphours.errors import DatabaseUnavailableError, InputError, UphoursError
from uphours.wire.load_messages import Job
from uphours.wire.report_messages import ReportState

#: Seconds after which a request that fails for the moment is tried again; doubled each time, up to the longest.
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 10.0
#: How often a report or a job is looked at that is not finished.
_FIRST_LOOK_S: Final = 0.05
_LONGEST_LOOK_S: Final = 1.0

_Work = TypeVar("_Work", ReportState, Job)
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Call:
    """A request that can be made again: ``files`` opens what it sends."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    content: bytes | None = None
    files: Callable[[ExitStack], list[Any]] | None = None


class Requests:
    """Makes requests to one service, and tries each again for ``patience`` seconds in all where that makes sense."""

    def __init__(
        self, url: str, key: str | None, *, timeout: float, patience: float, transport: httpx.BaseTransport | None
    ) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, transport=transport)
        self._patience = patience

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def json(self, call: Call) -> _Answer:  # type: ignore[type-var]
        """Make a request, and return the JSON of the answer, of the type that the caller returns."""
        answer: _Answer = self.answer(call).json()
        return answer

    def answer(self, call: Call) -> httpx.Response:
        """Make a request, again and again where it fails for the moment."""
        deadline = time.monotonic() + self._patience
        pause = _FIRST_PAUSE_S
        while True:
            failure = self._tried(call)
            if isinstance(failure, httpx.Response):
                return failure
            wait = max(getattr(failure, "retry_after", None) or 0.0, pause * random.uniform(0.5, 1.0))
            if time.monotonic() + wait > deadline:
                raise failure
            time.sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _tried(self, call: Call) -> httpx.Response | UphoursError:
        """Return the answer, or a failure after which it makes sense to try again."""
        query = {name: value for name, value in call.query.items() if value is not None}
        with ExitStack() as stack:
            files = None if call.files is None else call.files(stack)
            try:
                answer = self._http.request(
                    call.method,
                    call.path,
                    params=query,
                    headers=dict(call.headers),
                    json=call.body,
                    content=call.content,
                    files=files,
                )
            except httpx.TransportError as error:
                what = str(error) or type(error).__name__
                return DatabaseUnavailableError(f"the service at {self._http.base_url} cannot be reached: {what}")
            except httpx.InvalidURL as error:
                raise InputError(f"cannot use the URL {self._http.base_url}: {error}") from None
        if answer.is_success:
            return answer
        refused = refusal(answer)
        if answer.status_code in FOR_THE_MOMENT:
            return refused
        raise refused


def finished(look: Callable[[], _Work], what: str, timeout: float) -> _Work:
    """Look at a report or a job until it has ended.

    Raises
    ------
    TimedOutError
        It has not after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    pause = _FIRST_LOOK_S
    while (work := look())["finished_at"] is None:
        if time.monotonic() + pause > deadline:
            raise TimedOutError(f"the {what} {work['id']} is still {work['state']} after {timeout:g} s")
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_LOOK_S)
    return work


def path(*parts: str | int) -> str:
    """Return the path of a resource, each part of it quoted."""
    return "/v1/" + "/".join(map(_quoted, parts))


def _quoted(part: str | int) -> str:
    if part in (".", ".."):  # in a URL these are steps, but a store may be called so
        return str(part).replace(".", "%2E")
    return quote(str(part), safe="")
