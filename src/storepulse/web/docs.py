"""The OpenAPI document and a page that shows it, without a request to anywhere else."""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from storepulse.web import problems
from storepulse.web.access import Calling, needs

router = APIRouter(include_in_schema=False)

_FIRST_WORDS: Final = re.compile(r"[.,:;]")
_PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}
_STATIC: Final = Path(__file__).with_name("static")
#: The page runs only what is served beside it; Swagger UI draws its icons from data URLs and sets styles itself.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
    "; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>storepulse API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="static/swagger-ui/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="static/swagger-ui/swagger-ui-bundle.js"></script>
<script src="static/docs.js"></script>
</body>
</html>
"""


class _Static(StaticFiles):
    """Files that a browser may keep, and asks about before each use: a new version of the service has new ones."""

    def file_response(self, *args: Any, **more: Any) -> Response:
        answer = super().file_response(*args, **more)
        answer.headers["Cache-Control"] = "no-cache"
        return answer


def static() -> ASGIApp:
    """Return the files that pages need, compressed: they are text."""
    return GZipMiddleware(_Static(directory=_STATIC), minimum_size=1_000, compresslevel=6)


@router.get("/openapi.json")
@needs("open")
def openapi(request: Request, caller: Calling) -> dict[str, Any]:
    """Return the OpenAPI document."""
    return document(request.app)


def document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of the application; made once."""
    found: dict[str, Any] | None = getattr(app.state, "document", None)
    if found is None:
        found = app.state.document = _corrected(deepcopy(app.openapi()))
    return found


def _corrected(made: dict[str, Any]) -> dict[str, Any]:
    """Give failures their media type, FastAPI describes them in the one of the good answer; and better summaries."""
    for path in made["paths"].values():
        for operation in path.values():
            if description := operation.get("description"):
                operation["summary"] = _FIRST_WORDS.split(description, maxsplit=1)[0]
            for answer in operation["responses"].values():
                _correct(answer.get("content", {}))
    return made


def _correct(content: dict[str, Any]) -> None:
    for media_type, described in list(content.items()):
        if described.get("schema") == _PROBLEM:
            content[problems.MEDIA_TYPE] = content.pop(media_type)


@router.get("/docs")
@needs("open")
def page(caller: Calling) -> Response:
    """Return the page."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"})
