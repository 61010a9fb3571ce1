"""Files as answers: downloads with a name, an entity tag, and parts on request."""

from __future__ import annotations

import re
from typing import Final

from fastapi import Request, Response

from storepulse.web.problems import problem
from storepulse.web.results import File

_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def sent(request: Request, file: File, **more: str) -> Response:
    """Answer with a file, a part of it, or that it has not changed.

    One range is served; several at once are answered with the whole, as RFC 9110 allows. ``more``: further headers,
    with ``_`` for ``-``.
    """
    headers = {
        "ETag": file.etag,
        "Cache-Control": "private, no-cache",
        "Accept-Ranges": "bytes",
        "Vary": "Accept, Authorization",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    if _names(request.headers.get("if-none-match", ""), file.etag):
        return Response(status_code=304, headers=headers)
    headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
    part = _part(request, file)
    if part is None:
        return Response(file.content, headers=headers, media_type=file.media_type)
    start, stop = part
    size = len(file.content)
    if start >= stop:
        detail = f"the file has {size} bytes; valid is a part that begins before its end"
        return problem(416, detail, headers={"Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Response(file.content[start:stop], 206, headers, file.media_type)


def _names(etags: str, etag: str) -> bool:
    return etags.strip() == "*" or etag in [one.strip().removeprefix("W/") for one in etags.split(",")]


def _part(request: Request, file: File) -> tuple[int, int] | None:
    """Return where the part that is asked for begins and ends; None for the whole."""
    match = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if match is None or match.groups() == ("", ""):
        return None
    if request.headers.get("if-range", file.etag) != file.etag:
        return None
    first, last = match.groups()
    size = len(file.content)
    if not first:
        return max(size - int(last), 0) if int(last) else size, size
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size) if last else size
