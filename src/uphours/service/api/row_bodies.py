"""What the endpoints that take rows say in the OpenAPI document: bodies, options and answers."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Header, Query
from pydantic import StringConstraints

from uphours.schema import OBSERVATION_STATUSES
from uphours.service.bodies import Problem
from uphours.wire.load_messages import Job

ROW: Final = {
    "type": "object",
    "properties": {
        "store_id": {"type": "string", "example": "8419537941919820732"},
        "status": {"enum": list(OBSERVATION_STATUSES)},
        "timestamp_utc": {"type": "string", "example": "2023-01-22T12:09:39.388884Z"},
    },
    "required": ["store_id", "status", "timestamp_utc"],
}
VALID_FROM: Final = {
    "type": "string",
    "example": "2026-12-24",
    "description": "The local date from which on this holds; left out or blank: since ever.",
}
HOURS_ROW: Final = {
    "type": "object",
    "properties": {
        "store_id": {"type": "string"},
        "day": {"type": "integer", "minimum": 0, "maximum": 6, "description": "0 is Monday."},
        "start_time_local": {"type": "string", "example": "09:00:00"},
        "end_time_local": {"type": "string", "example": "17:30"},
        "valid_from": VALID_FROM,
    },
    "required": ["store_id", "day", "start_time_local", "end_time_local"],
}
ZONE_ROW: Final = {
    "type": "object",
    "properties": {
        "store_id": {"type": "string"},
        "timezone_str": {"type": "string", "example": "America/New_York"},
        "valid_from": VALID_FROM,
    },
    "required": ["store_id", "timezone_str"],
}
SPECIAL_ROW: Final = {
    "type": "object",
    "properties": {
        "store_id": {"type": "string", "description": "`*`: every store without rows of its own on the date."},
        "date": {"type": "string", "example": "2026-12-24"},
        "start_time_local": {"type": "string", "example": "10:00", "description": "`closed`: no session begins."},
        "end_time_local": {"type": "string", "example": "16:00"},
        "name": {"type": "string", "example": "Christmas Eve"},
    },
    "required": ["store_id", "date", "start_time_local", "end_time_local"],
}
STORE_ROW: Final = {
    "type": "object",
    "properties": {
        "store_id": {"type": "string"},
        "valid_from": VALID_FROM,
        "first_day": {"type": "string", "example": "2026-12-24"},
        "last_day": {"type": "string", "example": "2027-12-24"},
        "region": {"type": "string", "example": "TX", "description": "Any other name is an attribute too."},
    },
    "required": ["store_id"],
    "additionalProperties": {"type": "string"},
}
ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": Job, "description": "It takes longer; Location says where to look."},
    400: {"model": Problem, "description": "The body cannot be read at all."},
    408: {"model": Problem, "description": "The body took too long."},
    413: {"model": Problem, "description": "The body is too large."},
    415: {"model": Problem, "description": "The body is compressed in an unknown way."},
    429: {"model": Problem, "description": "Too much is waiting; Retry-After says when to try again."},
}
PREFER: Final = "`respond-async`: answer before the rows are loaded."
Strict = Annotated[
    str | None,
    Query(max_length=32, description="Fail if more rows than this share are rejected.", examples=["0.01", "1%"]),
]
Statuses = Annotated[
    list[Annotated[str, StringConstraints(max_length=200)]] | None,
    Query(
        max_length=100,
        description="What a word of the files is as a status, beside the usual ones; may be repeated.",
        examples=[["open=active", "closed=inactive"]],
    ),
]
ValidFrom = Annotated[
    str | None,
    Query(
        max_length=32,
        description="The local date from which on rows hold that name none. Unless given: since ever.",
        examples=["2026-12-24"],
    ),
]
Prefer = Annotated[str | None, Header(max_length=100, description=PREFER)]


def body_of(row: dict[str, Any]) -> dict[str, Any]:
    """Describe a body of rows."""
    text = {"schema": {"type": "string"}}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"anyOf": [row, {"type": "array", "items": row, "minItems": 1}]}},
                "application/x-ndjson": text,
                "text/csv": text,
                "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
            },
        }
    }
