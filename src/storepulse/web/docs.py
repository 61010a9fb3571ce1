"""The OpenAPI document and a page that shows it, without a request to anywhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from storepulse.web.access import Calling, needs

router = APIRouter(include_in_schema=False)

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


def static() -> StaticFiles:
    """Return the files that pages need."""
    return StaticFiles(directory=_STATIC)


@router.get("/openapi.json")
@needs("open")
def openapi(request: Request, caller: Calling) -> dict[str, Any]:
    """Return the OpenAPI document."""
    document: dict[str, Any] = request.app.openapi()
    return document


@router.get("/docs")
@needs("open")
def page(caller: Calling) -> Response:
    """Return the page."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"})
