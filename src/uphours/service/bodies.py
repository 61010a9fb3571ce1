"""Bodies of requests that a page makes, and what failures look like; `uphours.wire` has the bodies themselves."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from uphours.errors import InputError, shown

_Body = TypeVar("_Body")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


class Problem(BaseModel):
    """A failure (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = None


def checked(kind: type[_Body], values: object) -> _Body:
    """Return what a page sends as the body that the API takes, with its defaults.

    Raises
    ------
    InputError
        A value cannot be.
    """
    adapter: TypeAdapter[_Body] = _adapter(cast(Any, kind))
    try:
        return adapter.validate_python(values)
    except ValidationError as error:
        found = error.errors(include_url=False)
        field = next((str(part) for part in found[0]["loc"]), "")
        raise InputError("; ".join(map(_problem, found)), field=field) from None


def _problem(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    return f"{where}: {error['msg']}" if where else str(error["msg"])


def date_of(name: str, text: str) -> date:
    """Read a date as people write it in ISO 8601.

    Raises
    ------
    InputError
        It is no date, or not of the years 1970 to 2199.
    """
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.isoformat() != text or not 1970 <= found.year < 2200:
        raise InputError(f"{name} is {shown(text)}; valid are dates such as 2023-01-25, of the years 1970 to 2199")
    return found
