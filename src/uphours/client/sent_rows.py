"""Rows as they are sent, some in each request, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from uphours.errors import InputError
from uphours.wire.load_messages import LoadOutcome, Reason

#: What goes into one request at most: the service commits bodies up to 1 MiB together with those of others.
_ROWS_OF_A_PART: Final = 5_000
_BYTES_OF_A_PART: Final = 900_000


@dataclass(frozen=True)
class Outcome:
    """What became of the rows that were sent, all parts together.

    ``reasons``: of quarantined rows, with their place among all that were sent, from 1. The service tells the first
    hundred of each part; ``reasons_left_out`` counts the others, which are in the quarantine of their load.
    """

    loads: tuple[int, ...] = ()
    rows_read: int = 0
    accepted: int = 0
    repeated: int = 0
    conflicting: int = 0
    quarantined: int = 0
    reasons: tuple[Reason, ...] = ()
    reasons_left_out: int = 0

    def plus(self, part: LoadOutcome) -> Outcome:
        """Return the outcome with one part more."""
        reasons = tuple(Reason(file=None, line=self.rows_read + r["line"], reason=r["reason"]) for r in part["reasons"])
        return Outcome(
            loads=(*self.loads, part["load"]),
            rows_read=self.rows_read + part["rows_read"],
            accepted=self.accepted + part["accepted"],
            repeated=self.repeated + part["repeated"],
            conflicting=self.conflicting + part["conflicting"],
            quarantined=self.quarantined + part["quarantined"],
            reasons=self.reasons + reasons,
            reasons_left_out=self.reasons_left_out + part["reasons_left_out"],
        )


def parts(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Write rows as JSON arrays, each small enough for one request."""
    part: list[bytes] = []
    size = 0
    for row in rows:
        written = _written(row)
        if part and (len(part) == _ROWS_OF_A_PART or size + len(written) > _BYTES_OF_A_PART):
            yield b"[" + b",".join(part) + b"]"
            part, size = [], 0
        part.append(written)
        size += len(written) + 1
    if part:
        yield b"[" + b",".join(part) + b"]"


def array(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Write rows as one JSON array."""
    return b"[" + b",".join(map(_written, rows)) + b"]"


def _written(row: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(dict(row), ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise InputError(f"cannot send the row {row!r}: {error}; valid are text and numbers by name") from None
