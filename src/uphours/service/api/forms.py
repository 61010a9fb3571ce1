"""Sent forms with files, whole or not at all."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

NO_ROOM = "there is no room for the files that are sent, on the disk of the service; try again later"


async def whole_form(request: Request, *, files: int, fields: int) -> FormData:
    """Return a form that was sent as multipart/form-data; its files must be closed.

    Raises
    ------
    HTTPException
        It cannot be read, its last boundary is missing (the parser would leave out the last file), or there is no room.
    """
    _, options = parse_options_header(request.headers.get("content-type", ""))
    end = _End(request.stream(), options.get(b"boundary", b""))
    try:
        form = await MultiPartParser(request.headers, end.content(), max_files=files, max_fields=fields).parse()
    except MultiPartException as error:
        raise HTTPException(400, error.message) from None
    except OSError as error:
        raise HTTPException(507, NO_ROOM, {"Connection": "close"}) from error
    if not end.was_there:
        await form.close()
        raise HTTPException(400, "the form is cut short: its last boundary is missing, and nothing was loaded")
    return form


class _End:
    """Looks for the last boundary in what passes through."""

    def __init__(self, stream: AsyncIterable[bytes], boundary: bytes) -> None:
        self._stream = stream
        self._last = b"\r\n--" + boundary + b"--"
        self.was_there = False

    async def content(self) -> AsyncGenerator[bytes, None]:
        seen = b"\r\n"  # a form without any field begins with its end
        async for block in self._stream:
            seen += block
            self.was_there = self.was_there or self._last in seen
            seen = seen[-len(self._last) :]
            yield block
