"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from storepulse.cli.edge import DATABASE_URL, DEFAULT_DATABASE_URL

if TYPE_CHECKING:
    from storepulse.ingest.sources import Kind
    from storepulse.kernel.policy import Policy


Db = Annotated[
    str | None,
    typer.Option(help=f"The store. Default: ${DATABASE_URL}, else {DEFAULT_DATABASE_URL}.", metavar="URL"),
]


Polls = Annotated[list[str] | None, typer.Option(help="Polls: store_id, status, timestamp_utc.", metavar="F")]


Hours = Annotated[
    list[str] | None,
    typer.Option(help="Business hours: store_id, day, start_time_local, end_time_local.", metavar="F"),
]


Timezones = Annotated[list[str] | None, typer.Option(help="Time zones: store_id, timezone_str.", metavar="F")]


AsOf = Annotated[
    str | None, typer.Option(help="The instant it speaks for. Default: the latest observation.", metavar="T")
]


Interpolation = Annotated[
    str, typer.Option(help="Who speaks between two observations: previous, next or nearest.", metavar="NAME")
]


MaxAge = Annotated[
    str | None, typer.Option(help="An observation says nothing beyond this, such as 90m.", metavar="DURATION")
]


PreferInSession = Annotated[
    bool,
    typer.Option(
        "--prefer-in-session/--no-prefer-in-session",
        help="Prefer the neighbour that was observed in the same session.",
    ),
]


Assume = Annotated[
    str, typer.Option(help="Where unknown time is booked: unknown, active or inactive.", metavar="STATUS")
]


Engine = Annotated[str, typer.Option(help="What makes the report: local or spark.", metavar="NAME")]


Master = Annotated[
    str | None, typer.Option(help="Spark's master, with --engine spark. Default: local[*].", metavar="URL")
]


Conf = Annotated[
    list[str] | None,
    typer.Option(help="A property of Spark, with --engine spark; may be repeated.", metavar="NAME=VALUE"),
]


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def names_of(
    polls: list[str] | None, hours: list[str] | None, timezones: list[str] | None
) -> Mapping[Kind, Sequence[str]]:
    """Return the files that were named, by kind."""
    return {"polls": polls or [], "hours": hours or [], "timezones": timezones or []}


def policy_of(interpolation: str, max_age: str | None, prefer_in_session: bool, assume: str) -> Policy:
    """Return the policy that options chose."""
    from datetime import timedelta

    from storepulse.kernel.policy import Policy
    from storepulse.schema import duration_us

    return Policy(
        interpolation=interpolation,  # type: ignore[arg-type]  # it says what is valid
        max_age=None if max_age is None else timedelta(microseconds=duration_us(max_age)),
        prefer_in_session=prefer_in_session,
        assume=assume,  # type: ignore[arg-type]
    )
