"""What views of stores are asked for, and what their answers speak for."""

from typing import Annotated, Any

from typing_extensions import TypedDict

from uphours.wire.fields import Doc
from uphours.wire.values import Duration
from uphours.wire.words import Assume, Interpolation


class PolicyOptions(TypedDict, total=False):
    """How the time between two observations is read; what is left out is as the service's policy has it."""

    interpolation: Interpolation
    prefer_in_session: bool
    max_age: Duration | None
    confirm_within: Duration
    only_watched: bool
    assume: Assume


class View(PolicyOptions, total=False):
    """What a view of stores is asked for: an instant, one window (a name or ``NAME=START/END``), and a policy.

    ``raw``: without the ledger.
    """

    as_of: str
    window: str
    raw: bool


class FleetSelection(View, total=False):
    """What a view of the fleet is asked for; ``where``: only stores with these attributes, as ``NAME=VALUE``."""

    where: list[str]


class Interval(TypedDict):
    """Half-open, microseconds."""

    start_us: int
    end_us: int


class Window(TypedDict):
    """A window; its bounds are null where each store has its own."""

    name: str
    start_us: int | None
    end_us: int | None


class Ahead(TypedDict):
    """The latest observation lies after the clock: by how much, and at which stores; the others are counted."""

    by_us: int
    stores: list[str]
    more: int


class Answer(TypedDict):
    """What an answer about stores speaks for: an instant, one window and a policy."""

    as_of: str
    as_of_us: int
    ahead: Annotated[Ahead | None, Doc("Where the latest observation, as_of, is ahead of the clock.")]
    policy: dict[str, Any]
    raw: Annotated[bool, Doc("Whether the ledger was ignored.")]
    window: Window


class Compared(TypedDict, total=False):
    """The window before the one that an answer speaks for."""

    window_before: Annotated[Window | None, Doc("The part of it that counts; only if it was asked for.")]


class Seen(TypedDict):
    """The last load and entry of the ledger that were taken into account."""

    loads_seen: int | None
    entries_seen: int | None


class FleetView(Answer, Seen):
    """A view of the fleet, and what of the database it took into account."""
