"""``/v1/keys``: who may use the service, and for what. A token is shown once, in the answer that makes its key."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path

from uphours.database import api_keys
from uphours.schema import instant_iso, iso_or_none
from uphours.service.auth import Calling, KeyedRoute, needs
from uphours.service.bodies import Problem
from uphours.service.deps import Serving
from uphours.where import plain, where_of
from uphours.wire.key_messages import Key, KeyBody, KeyList, NewKey

router = APIRouter(prefix="/v1/keys", tags=["service"], route_class=KeyedRoute)

KeyId = Annotated[str, Path(max_length=64)]
_NO_KEY: Final[dict[int | str, dict[str, Any]]] = {404: {"model": Problem, "description": "There is no such key."}}


@router.get("")
@needs("admin", sees="all")
def list_keys(serving: Serving, caller: Calling) -> KeyList:
    """List all keys, also the revoked ones, the oldest first."""
    with serving.database.reading() as connection:
        found = api_keys.list_keys(connection)
    return {"keys": [_key(key) for key in found]}


@router.post(
    "",
    status_code=201,
    responses={400: {"model": Problem, "description": "The body cannot be read at all."}},
)
@needs("admin", sees="all")
def create_key(serving: Serving, caller: Calling, body: KeyBody) -> NewKey:
    """Make a key; its token is in the answer, this once."""
    with serving.database.writing() as connection:
        key, token = api_keys.create(
            connection,
            name=body["name"],
            scopes=body["scopes"],
            only=where_of(body["only"]),
            now=serving.now(),
            actor=caller.actor,
        )
    return {**_key(key), "token": token}


@router.post("/{key_id}/revocation", responses=_NO_KEY)
@needs("admin", sees="all")
def revoke_key(serving: Serving, caller: Calling, key_id: KeyId) -> Key:
    """Refuse a key from now on, for good; to do it again changes nothing."""
    with serving.database.writing() as connection:
        key = api_keys.revoke(connection, key_id, now=serving.now(), actor=caller.actor)
    return _key(key)


def _key(key: api_keys.Key) -> Key:
    return {
        "key_id": key.key_id,
        "name": key.name,
        "scopes": list(key.scopes),
        "only": plain(key.only),
        "created_at": instant_iso(key.created_at),
        "revoked_at": iso_or_none(key.revoked_at),
    }
