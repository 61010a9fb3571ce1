"""Signing in with an API key, and out again: the page that asks for the key, and what it leads to."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData

from uphours.schema import HOUR_US, SECOND_US
from uphours.service.auth import COOKIE, Calling, KeyedRoute, check_own_page, needs
from uphours.service.deps import Service, Serving
from uphours.service.origins import own_path
from uphours.service.pages.rendering import page
from uphours.service.problems import AccessError

router = APIRouter(route_class=KeyedRoute, include_in_schema=False)

#: What the page says of a key that was refused, by the ``refused`` in its query.
REFUSALS: Final = {
    "401": "This API key is not valid.",
    "403": "This API key may not read; signing in needs the scope read.",
    "429": "Too many attempts. Wait a minute, then try again.",
}


@router.get("/sign-in")
@needs("open", sees="nothing")
def show(request: Request, serving: Serving, caller: Calling) -> Response:
    """Ask for an API key; where the service needs none, lead on."""
    wanted = own_path(request.query_params.get("next", "/"))
    if not serving.access.needs_key:
        return RedirectResponse(wanted, 303)
    refused = REFUSALS.get(request.query_params.get("refused", ""), "")
    return page(request, "sign_in", wanted=wanted, refused=refused)


@router.post("/sign-in")
@needs("open", sees="nothing")
async def sign_in(request: Request, serving: Serving, caller: Calling) -> Response:
    """Take an API key in a form, and give a session for it; people go on to the page that they wanted."""
    async with request.form(max_files=0, max_fields=10) as form:
        token, wanted = _text(form, "key").strip(), own_path(_text(form, "next"))
    if serving.access.way.is_foreign(request.scope):  # also those that may use the API: they have keys of their own
        raise AccessError(403, "pages of other sites may not sign anybody in")
    if not serving.access.needs_key:
        return RedirectResponse(wanted, 303)
    client = serving.access.way.client(request.scope)
    try:
        session = await serving.access.sign_in(token, client, instead_of=request.cookies.get(COOKIE))
    except AccessError as error:
        if "text/html" not in request.headers.get("accept", ""):
            raise
        return RedirectResponse(f"/sign-in?{urlencode({'refused': error.status, 'next': wanted})}", 303)
    answer = RedirectResponse(wanted, 303)
    _set(answer, session, request, serving, int(serving.settings.session_hours * HOUR_US / SECOND_US))
    return answer


@router.post("/sign-out")
@needs("open", sees="nothing")
async def sign_out(request: Request, serving: Serving, caller: Calling) -> Response:
    """End the session of a browser."""
    session = request.cookies.get(COOKIE)
    answer = RedirectResponse("/sign-in", 303)
    if session is not None:
        await check_own_page(request, session)
        await serving.access.sign_out(session)
        _set(answer, "", request, serving, 0)
    return answer


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""


def _set(answer: Response, session: str, request: Request, serving: Service, seconds: int) -> None:
    # A browser that names an origin with https has come over https, whatever stands between.
    over_https = serving.access.way.is_https(request.scope) or request.headers.get("origin", "").startswith("https:")
    answer.set_cookie(COOKIE, session, max_age=seconds, path="/", secure=over_https, httponly=True, samesite="strict")
