"""The files that pages need, from memory: read and compressed once, so that no request holds a copy of its own."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from collections.abc import MutableMapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from uphours.service.middleware import Message, Receive, Send

_FOLDER: Final = Path(__file__).with_name("static")
#: What is sent at a time; the server waits between two blocks until the client reads.
_BLOCK: Final = 32 << 10
_METHODS: Final = ("GET", "HEAD")
#: Smaller files are not worth compressing.
_SMALL: Final = 1_000


@dataclass(frozen=True)
class _Body:
    """The bytes of a file as they are sent, in blocks that all requests share."""

    blocks: tuple[bytes, ...]
    etag: str
    encoding: str | None = None

    @property
    def size(self) -> int:
        return sum(map(len, self.blocks))


@dataclass(frozen=True)
class _File:
    media_type: str
    plain: _Body
    compressed: _Body | None

    async def send(self, headers: Headers, send: Send) -> None:
        """Answer with the file, or that it is the one that the client has."""
        takes_gzip = "gzip" in headers.get("accept-encoding", "")
        body = self.compressed if takes_gzip and self.compressed is not None else self.plain
        # A browser may keep the file, but asks before each use: a new version of the service has new ones.
        answer = {"etag": body.etag, "cache-control": "no-cache", "vary": "Accept-Encoding"}
        known = [etag.strip().removeprefix("W/") for etag in headers.get("if-none-match", "").split(",")]
        if body.etag in known or known == ["*"]:
            await send(_start(304, answer))
            await send({"type": "http.response.body"})
            return
        if body.encoding is not None:
            answer["content-encoding"] = body.encoding
        await send(_start(200, answer | {"content-length": str(body.size), "content-type": self.media_type}))
        for block in body.blocks:
            await send({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body"})


async def static(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """Serve the files that pages need, as an ASGI application to be mounted.

    Raises
    ------
    HTTPException
        There is no such file, or the method is neither GET nor HEAD.
    """
    if scope["method"] not in _METHODS:
        raise HTTPException(405, headers={"Allow": ", ".join(_METHODS)})
    file = _files().get(scope["path"])
    if file is None:
        raise HTTPException(404)
    await file.send(Headers(scope=scope), send)


def _start(status: int, headers: dict[str, str]) -> Message:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": raw}


@cache
def _files() -> dict[str, _File]:
    paths = [path for path in _FOLDER.rglob("*") if path.is_file()]
    return {f"/static/{path.relative_to(_FOLDER).as_posix()}": _file(path) for path in paths}


def _file(path: Path) -> _File:
    content = path.read_bytes()
    compressed = gzip.compress(content, 6, mtime=0) if len(content) >= _SMALL else None
    return _File(
        mimetypes.guess_type(path.name)[0] or "text/plain",
        _body(content),
        None if compressed is None else _body(compressed, "gzip"),
    )


def _body(content: bytes, encoding: str | None = None) -> _Body:
    blocks = tuple(content[start : start + _BLOCK] for start in range(0, len(content), _BLOCK))
    return _Body(blocks, f'"{hashlib.sha256(content).hexdigest()[:32]}"', encoding)
