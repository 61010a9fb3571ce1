"""Who may do what: API keys, the scope that each route declares, and how often a key may come."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias, TypeVar

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials
from starlette.concurrency import run_in_threadpool
from structlog.contextvars import bind_contextvars

from storepulse.store import Store, keys
from storepulse.web.problems import AccessError

Scope: TypeAlias = keys.Scope | Literal["open"]
"""What a route asks for; ``open`` asks for nothing, not even a key."""

Endpoint = TypeVar("Endpoint", bound=Callable[..., object])

_ATTRIBUTE: Final = "storepulse_scope"
_MOST_BUCKETS: Final = 10_000

bearer = HTTPBearer(auto_error=False, description="An API key: `storepulse keys create`.")


def needs(scope: Scope) -> Callable[[Endpoint], Endpoint]:
    """Declare what an endpoint asks for; one that declares nothing is refused to everybody."""

    def declare(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _ATTRIBUTE, scope)
        return endpoint

    return declare


def scope_of(endpoint: Callable[..., object]) -> Scope:
    """Return what an endpoint asks for."""
    scope: Scope = getattr(endpoint, _ATTRIBUTE)
    return scope


@dataclass(frozen=True)
class Caller:
    """Who makes a request; ``key_id`` is empty for whoever needs no key."""

    key_id: str
    scopes: tuple[str, ...]

    @property
    def actor(self) -> str:
        """The caller as audit lines and logs name it."""
        return f"key:{self.key_id}" if self.key_id else "no key"

    def may(self, scope: keys.Scope) -> bool:
        """Say whether the caller has a scope."""
        return keys.allows(self.scopes, scope)


_ANYBODY: Final = Caller("", ("admin",))


class Access:
    """Decides about requests to one service."""

    def __init__(self, store: Store, *, needs_key: bool, rate_per_second: float, rate_burst: int) -> None:
        self._store = store
        self._needs_key = needs_key
        self._buckets = Buckets(rate_per_second, rate_burst)

    async def caller(self, token: str | None, scope: Scope) -> Caller:
        """Return who calls.

        Raises
        ------
        AccessError
            The key is missing, wrong or revoked, lacks the scope, or comes too often.
        """
        if scope == "open" or (token is None and not self._needs_key):
            return _ANYBODY
        if token is None:
            raise AccessError(401, "this needs an API key; send it as `Authorization: Bearer …`")
        key = await run_in_threadpool(self._verified, token)
        if key is None:
            raise AccessError(401, "this API key is not valid; `storepulse keys list` shows the ones that are")
        wait = self._buckets.take(key.key_id, time.monotonic())
        if wait:
            raise AccessError(429, "this API key makes too many requests", retry_after=math.ceil(wait))
        caller = Caller(key.key_id, key.scopes)
        if not caller.may(scope):
            raise AccessError(403, f"this API key has the scopes {', '.join(key.scopes)}; this needs {scope}")
        return caller

    def _verified(self, token: str) -> keys.Key | None:
        with self._store.reading() as connection:
            return keys.verified(connection, token)


class Buckets:
    """How many requests each caller has left: a token bucket each, those of the least recent forgotten first."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second, self._burst = per_second, burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, now: float) -> float:
        """Take one; return 0, or for how many seconds there is none. ``now``: seconds, never going back."""
        left, since = self._left.pop(caller, (float(self._burst), now))
        left = min(self._burst, left + (now - since) * self._per_second)
        wait = max(0.0, (1 - left) / self._per_second)
        self._left[caller] = (left if wait else left - 1, now)
        if len(self._left) > _MOST_BUCKETS:
            self._left.popitem(last=False)
        return wait


async def authorize(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> Caller:
    """Let a request through to an endpoint, or not: a dependency of every route."""
    access: Access = request.app.state.access
    token = credentials.credentials if credentials else None
    caller = await access.caller(token, scope_of(request.scope["endpoint"]))
    bind_contextvars(actor=caller.actor)
    return caller


Calling = Annotated[Caller, Depends(authorize)]
