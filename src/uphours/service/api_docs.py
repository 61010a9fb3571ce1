"""The OpenAPI document and a page that shows it, without a request to anywhere else."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from uphours.service import problems
from uphours.service.auth import Calling, KeyedRoute, needs

router = APIRouter(include_in_schema=False, route_class=KeyedRoute)

_FIRST_WORDS: Final = re.compile(r"[.,:;]")
_PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}
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
<title>uphours API</title>
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


@router.get("/openapi.json")
@needs("open", sees="nothing")
async def openapi(request: Request, caller: Calling) -> Response:
    """Return the OpenAPI document, the same bytes for all."""
    state = request.app.state
    if not hasattr(state, "document_bytes"):
        state.document_bytes = JSONResponse(document(request.app)).body
    return Response(state.document_bytes, media_type="application/json")


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
@needs("open", sees="nothing")
def page(caller: Calling) -> Response:
    """Return the page."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"})
