"""Who may do what: API keys and sessions, the scope that each route declares, and how often a key may come."""

from __future__ import annotations

import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar
from urllib.parse import quote

import structlog
from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials
from structlog.contextvars import bind_contextvars

from uphours.database import api_keys, logins
from uphours.database.database import Database
from uphours.errors import UphoursError
from uphours.service.bodies import Problem
from uphours.service.lanes import checks
from uphours.service.origins import SAFE, Way, own_path
from uphours.service.problems import AccessError, NotSignedInError, is_for_people
from uphours.where import Where, texts_of
from uphours.wire import words

log = structlog.get_logger("uphours.access")

Scope: TypeAlias = words.Scope | Literal["open"]
"""What a route asks for; ``open`` asks for nothing, not even a key."""

Sees: TypeAlias = Literal["stores", "own", "nothing", "all"]
"""What a route shows to a key that is bound to some stores: these ``stores`` alone; its ``own``, which is what it has
asked for itself; ``nothing`` of any store; or it is about the whole fleet, ``all``, and refused to such keys."""

Endpoint = TypeVar("Endpoint", bound=Callable[..., object])

#: The cookie of a browser that has signed in.
COOKIE: Final = "uphours_session"
#: Where its pages put the token of `csrf_token`: scripts into a header, forms into a field.
CSRF_HEADER: Final = "X-CSRF-Token"
CSRF_FIELD: Final = "csrf_token"

_ATTRIBUTE: Final = "uphours_scope"
_SESSIONS_ATTRIBUTE: Final = "uphours_sessions"
_SEES_ATTRIBUTE: Final = "uphours_sees"
_MOST_BUCKETS: Final = 10_000
#: What is said of a feed that cannot be had, whatever the cause: it tells neither tokens nor stores.
NO_FEED: Final = "there is no such calendar feed; its address has the token of a key with the scope feed"
#: So often may one address fail to sign in, or to name a feed: at once, and a second.
_FAILURES_AT_ONCE: Final = 10
_FAILURES_PER_SECOND: Final = 1 / 60

bearer = HTTPBearer(auto_error=False, description="An API key: `uphours keys create`.")


def needs(scope: Scope, *, sees: Sees, sessions: bool = True) -> Callable[[Endpoint], Endpoint]:
    """Declare what an endpoint asks for; one that declares nothing is refused to everybody.

    ``sees``: what it shows to keys that are bound to some stores. It sees to that itself, but for ``all``.
    ``sessions``: whether it is also for browsers that have signed in. Never if a GET changes something: a link does.
    """

    def declare(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _ATTRIBUTE, scope)
        setattr(endpoint, _SESSIONS_ATTRIBUTE, sessions)
        setattr(endpoint, _SEES_ATTRIBUTE, sees)
        return endpoint

    return declare


def scope_of(endpoint: Callable[..., object]) -> Scope:
    """Return what an endpoint asks for."""
    scope: Scope = getattr(endpoint, _ATTRIBUTE)
    return scope


def sees_of(endpoint: Callable[..., object]) -> Sees:
    """Return what an endpoint shows to keys that are bound to some stores."""
    sees: Sees = getattr(endpoint, _SEES_ATTRIBUTE)
    return sees


@dataclass(frozen=True)
class Caller:
    """Who makes a request; ``key_id`` is empty where no key is needed.

    ``only``: what its key is bound to: it sees the stores that have these values now, as though there were no others.
    """

    key_id: str
    scopes: tuple[str, ...]
    signed_in: bool = False
    only: Where = ()

    @property
    def actor(self) -> str:
        """The caller as audit lines and logs name it."""
        return f"key:{self.key_id}" if self.key_id else "no key"

    def may(self, scope: words.Scope) -> bool:
        """Say whether the caller has a scope."""
        return api_keys.allows(self.scopes, scope)


_ANYBODY: Final = Caller("", ("admin",))


class Access:
    """Decides about requests to one service.

    ``session_us``: how long a session lasts; ``now`` gives UTC microseconds.
    """

    def __init__(
        self,
        database: Database,
        *,
        needs_key: bool,
        rate_per_second: float,
        rate_burst: int,
        way: Way,
        session_us: int,
        now: Callable[[], int],
    ) -> None:
        self.needs_key = needs_key
        self.way = way
        self._database = database
        self._session_us = session_us
        self._now = now
        self._buckets = Buckets(rate_per_second, rate_burst)
        self._failures = Buckets(_FAILURES_PER_SECOND, _FAILURES_AT_ONCE)
        # Apart from those: calendar programs go on asking for feeds that have ended, and keep no one from signing in.
        self._feed_failures = Buckets(_FAILURES_PER_SECOND, _FAILURES_AT_ONCE)
        self.checks = checks()

    async def caller(self, token: str | None, scope: Scope, *, session: str | None = None) -> Caller:
        """Return who calls, by the token of a key, or else of a session.

        Raises
        ------
        AccessError
            The key is missing, wrong or revoked, lacks the scope, or comes too often.
        """
        if scope == "open" or (token is None and not self.needs_key):
            return _ANYBODY
        if token is None:
            key = None if session is None else await self.checks.run(self._signed_in, session)
            if key is None:
                raise AccessError(401, "this needs an API key; send it as `Authorization: Bearer …`")
        else:
            key = await self._by_token(token)
        self._take_turn(key)
        caller = Caller(key.key_id, key.scopes, signed_in=token is None, only=key.only)
        if not caller.may(scope):
            raise AccessError(403, f"this API key has the scopes {', '.join(key.scopes)}; this needs {scope}")
        return caller

    async def sign_in(self, token: str, client: str, *, instead_of: str | None) -> str:
        """Begin a session with the token of a key, and end the one that the browser had; return its token.

        ``client``: the address of the client.

        Raises
        ------
        AccessError
            The key is wrong or revoked, cannot read, or comes too often; or others from that address were wrong often.
        """
        wait = self._failures.take(client, time.monotonic())
        if wait:
            log.warning("sign-in refused", client=client, reason="too many failures")
            raise AccessError(429, "too many wrong API keys from this address", retry_after=math.ceil(wait))
        try:
            key = await self._by_token(token)
        except AccessError:
            log.warning("sign-in refused", client=client, reason="no valid key")
            raise
        except UphoursError:  # the store's failure is not theirs
            self._failures.give_back(client)
            raise
        self._failures.give_back(client)
        self._take_turn(key)
        if not api_keys.allows(key.scopes, "read"):
            raise AccessError(403, f"this API key has the scopes {', '.join(key.scopes)}; signing in needs read")
        made = await self.checks.run(self._begun, token, instead_of)
        log.info("signed in", actor=f"key:{key.key_id}", client=client)
        return made

    async def reader_of_feed(self, token: str, client: str) -> Caller:
        """Return who asks for a calendar feed, by the token in its address.

        ``client``: the address of the client.

        Raises
        ------
        AccessError
            The token is not that of a good key with the scope `FEED`, whose requests are not too many; or others from
            that address were wrong often.
        """
        wait = self._feed_failures.take(client, time.monotonic())
        if wait:
            log.warning("calendar feed refused", client=client, reason="too many failures")
            raise AccessError(429, "too many wrong tokens from this address", retry_after=math.ceil(wait))
        try:
            key = await self.checks.run(self._verified, token)
        except UphoursError:  # the database's failure is not theirs
            self._feed_failures.give_back(client)
            raise
        if key is None or not api_keys.allows(key.scopes, api_keys.FEED):
            log.warning("calendar feed refused", client=client, reason="no valid token")
            raise AccessError(404, NO_FEED)
        self._feed_failures.give_back(client)
        self._take_turn(key)
        return Caller(key.key_id, key.scopes, only=key.only)

    async def sign_out(self, session: str) -> None:
        """End a session, if it goes on."""
        await self.checks.run(self._ended, session)

    async def _by_token(self, token: str) -> api_keys.Key:
        key = await self.checks.run(self._verified, token)
        if key is None:
            raise _wrong_key()
        return key

    def _take_turn(self, key: api_keys.Key) -> None:
        wait = self._buckets.take(key.key_id, time.monotonic())
        if wait:
            raise AccessError(429, "this API key makes too many requests", retry_after=math.ceil(wait))

    def _verified(self, token: str) -> api_keys.Key | None:
        with self._database.reading() as connection:
            return api_keys.verified(connection, token)

    def _signed_in(self, session: str) -> api_keys.Key | None:
        with self._database.reading() as connection:
            return logins.verified(connection, session, now=self._now())

    def _begun(self, token: str, instead_of: str | None) -> str:
        with self._database.writing() as connection:
            key = api_keys.verified(connection, token)
            if key is None:  # revoked a moment ago
                raise _wrong_key()
            if instead_of is not None:
                logins.end(connection, instead_of, now=self._now())
            return logins.begin(connection, key, now=self._now(), lasts=self._session_us)

    def _ended(self, session: str) -> None:
        with self._database.writing() as connection:
            logins.end(connection, session, now=self._now())


def _wrong_key() -> AccessError:
    return AccessError(401, "this API key is not valid; `uphours keys list` shows the ones that are")


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

    def give_back(self, caller: str) -> None:
        """Give back the one that was taken last."""
        if caller in self._left:
            left, since = self._left[caller]
            self._left[caller] = (left + 1, since)


async def authorize(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> Caller:
    """Let a request through to an endpoint, or not: a dependency of every route."""
    known: Caller | None = getattr(request.state, "caller", None)
    if known is not None:
        return known
    access: Access = request.app.state.access
    endpoint = request.scope["endpoint"]
    token = credentials.credentials if credentials else None
    session = request.cookies.get(COOKIE) if getattr(endpoint, _SESSIONS_ATTRIBUTE) else None
    try:
        caller = await access.caller(token, scope_of(endpoint), session=session)
    except AccessError as error:
        if error.status == 401 and token is None and _can_be_led(request):
            raise NotSignedInError(_wanted(request)) from None
        raise
    if caller.only and sees_of(endpoint) == "all":
        bound = ", ".join(texts_of(caller.only))
        raise AccessError(403, f"this API key sees the stores with {bound} alone, and this is about all stores")
    if caller.signed_in and session is not None:
        await check_own_page(request, session)
        request.state.session = session
    bind_contextvars(actor=caller.actor)
    request.state.caller = caller
    return caller


#: How every route may fail.
_FAILURES: Final[dict[int | str, dict[str, Any]]] = {
    401: {"model": Problem, "description": "The API key is missing or not valid."},
    403: {"model": Problem, "description": "The API key lacks the scope, or the request comes from a foreign page."},
    413: {"model": Problem, "description": "The body is too large."},
    421: {"model": Problem, "description": "The service does not answer to this host name."},
    422: {"model": Problem, "description": "Something in the request makes no sense; `detail` says what is valid."},
    429: {"model": Problem, "description": "Too much is asked for; Retry-After says when to try again."},
    503: {"model": Problem, "description": "The store cannot be used now."},
}


class CheckedRoute(APIRoute):
    """A route that `authorize` lets a request through to, and that says how it may fail, as every route does."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **more: Any) -> None:
        more["dependencies"] = [Depends(authorize), *(more.get("dependencies") or ())]
        super().__init__(path, endpoint, **more)
        # Prepared once for all routes, which would take a sixth of the start.
        self.responses = _FAILURES | self.responses
        self.response_fields = _failure_fields() | self.response_fields


@cache
def _failure_fields() -> dict[int | str, Any]:
    return APIRoute("/", lambda: None, responses=_FAILURES).response_fields


class KeyedRoute(CheckedRoute):
    """A route that knows who calls before it reads what they send: FastAPI reads a body before any dependency."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        answer = super().get_route_handler()

        async def answer_to_caller(request: Request) -> Response:
            await authorize(request, await bearer(request))
            return await answer(request)

        return answer_to_caller


def _can_be_led(request: Request) -> bool:
    """Say whether someone has gone to the address of a page, who can be led to where to sign in."""
    is_page = getattr(request.scope["endpoint"], _SESSIONS_ATTRIBUTE)
    return request.method in ("GET", "HEAD") and is_page and is_for_people(request)


def _wanted(request: Request) -> str:
    path = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    query = request.scope.get("query_string") or b""
    return own_path(b"?".join(part for part in (path, query) if part).decode("latin-1"))


async def check_own_page(request: Request, session: str) -> None:
    """Refuse what changes something in the name of a session, unless a page of ours asks for it.

    Raises
    ------
    AccessError
        It lacks the token of `csrf_token`, or comes from a page of another origin.
    """
    if request.method in SAFE:
        return
    access: Access = request.app.state.access
    if access.way.is_foreign(request.scope):
        raise AccessError(403, "pages of other sites may not use a session; an API key may be sent as `Authorization`")
    sent = request.headers.get(CSRF_HEADER) or await _field(request)
    if not hmac.compare_digest(sent.encode(errors="replace"), _csrf_token(session).encode()):
        raise AccessError(403, f"the page is out of date: {CSRF_HEADER} is not that of the session; load it again")


async def _field(request: Request) -> str:
    """Return the token that a form brings; none from ``/v1``, where no one but the endpoints may read what is sent."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded" or request.url.path.startswith("/v1/"):
        return ""
    value = (await request.form()).get(CSRF_FIELD)
    return value if isinstance(value, str) else ""


def csrf_token(request: Request) -> str:
    """Return what the page that is made has to send with whatever changes something; "" without a session."""
    session: str | None = getattr(request.state, "session", None)
    return "" if session is None else _csrf_token(session)


def _csrf_token(session: str) -> str:
    # Made of the token of the session, which pages of other sites cannot read: there is nothing to keep.
    return hmac.digest(session.encode(errors="replace"), b"csrf", "sha256").hex()


Calling = Annotated[Caller, Depends(authorize)]
