"""Files as answers: downloads with a name and an entity tag."""

from __future__ import annotations

from hashlib import sha256

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from uphours.service.result_files import File


def sent(request: Request, file: File, **more: str) -> Response:
    """Answer with a file, or that it has not changed.

    ``more``: further headers, with ``_`` for ``-``.
    """
    headers = _headers(file.etag) | {name.replace("_", "-"): value for name, value in more.items()}
    if _is_known(request, file.etag):
        return Response(status_code=304, headers=headers)
    headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
    headers["Content-Length"] = str(file.size)
    return StreamingResponse(file.blocks(), 200, headers, file.media_type)


def sent_text(request: Request, content: bytes, media_type: str) -> Response:
    """Answer with a text that is made for this request, UTF-8, or that it has not changed."""
    etag = f'"{sha256(content).hexdigest()[:32]}"'
    if _is_known(request, etag):
        return Response(status_code=304, headers=_headers(etag))
    return Response(content, 200, _headers(etag), f"{media_type}; charset=utf-8")


def _headers(etag: str) -> dict[str, str]:
    return {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Accept, Authorization"}


def _is_known(request: Request, etag: str) -> bool:
    return _names(request.headers.get("if-none-match", ""), etag)


def _names(etags: str, etag: str) -> bool:
    return etags.strip() == "*" or etag in [one.strip().removeprefix("W/") for one in etags.split(",")]
