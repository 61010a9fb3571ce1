"""Who may use the service: the keys there are, a form that makes one, and what revokes one."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Form, Request, Response
from starlette.responses import RedirectResponse

from uphours.database.api_keys import SCOPES
from uphours.errors import InputError
from uphours.service.api import keys
from uphours.service.api.keys import KeyId
from uphours.service.auth import Caller, Calling, KeyedRoute, needs
from uphours.service.bodies import checked
from uphours.service.deps import Service, Serving
from uphours.service.pages.rendering import page
from uphours.where import plain, where_of_texts
from uphours.wire.key_messages import KeyBody, NewKey

router = APIRouter(prefix="/keys", route_class=KeyedRoute, include_in_schema=False)

_LONGEST_FIELD: Final = 4_000
_LONGEST_NAME: Final = 200


@router.get("")
@needs("admin", sees="all")
def show(request: Request, serving: Serving, caller: Calling) -> Response:
    """Show all keys, and the form that makes one."""
    return _page(request, serving, caller)


@router.post("")
@needs("admin", sees="all")
def create(
    request: Request,
    serving: Serving,
    caller: Calling,
    name: Annotated[str, Form(max_length=_LONGEST_NAME)] = "",
    scope: Annotated[list[str] | None, Form(max_length=len(SCOPES))] = None,
    only: Annotated[str, Form(max_length=_LONGEST_FIELD)] = "",
) -> Response:
    """Make a key, and show its token this once."""
    try:
        where = where_of_texts([line.strip() for line in only.splitlines() if line.strip()], "the stores")
        body = checked(KeyBody, {"name": name.strip(), "scopes": scope or [], "only": plain(where)})
        made = keys.create_key(serving, caller, body)
    except InputError as error:
        return _page(request, serving, caller, status=422, name=name, scopes=scope or [], only=only, error=str(error))
    return _page(request, serving, caller, made=made, status=201)


@router.post("/{key_id}/revocation")
@needs("admin", sees="all")
def revoke(serving: Serving, caller: Calling, key_id: KeyId) -> Response:
    """Revoke a key, and lead back to the list."""
    keys.revoke_key(serving, caller, key_id)
    return RedirectResponse("/keys", 303)


def _page(
    request: Request,
    serving: Service,
    caller: Caller,
    *,
    status: int = 200,
    made: NewKey | None = None,
    name: str = "",
    scopes: list[str] | None = None,
    only: str = "",
    error: str = "",
) -> Response:
    return page(
        request,
        "keys",
        status=status,
        keys=keys.list_keys(serving, caller)["keys"][::-1],
        made=made,
        name=name,
        scopes=["read"] if scopes is None else scopes,
        only=only,
        error=error,
        all_scopes=SCOPES,
    )
