"""Options that several commands have."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from uphours.cli.edge import DATABASE_URL, DEFAULT_DATABASE_URL
from uphours.errors import InputError
from uphours.kernel.policy import CHOICES, Choice, Policy

if TYPE_CHECKING:
    from uphours.ingest.inputs import Kind

_KEYWORD: Final = inspect.Parameter.POSITIONAL_OR_KEYWORD
_WHOLE_POLICY: Final = Annotated[
    str | None,
    typer.Option(
        "--policy",
        help="All of the policy in one, such as next,max_age=12h; the options below come on top.",
        metavar="POLICY",
    ),
]
#: What stands for the value in `--help`.
_METAVARS: Final = {"interpolation": "NAME", "assume": "STATUS"}


Db = Annotated[
    str | None,
    typer.Option(help=f"The database. Default: ${DATABASE_URL}, else {DEFAULT_DATABASE_URL}.", metavar="URL"),
]


Polls = Annotated[list[str] | None, typer.Option(help="Polls: store_id, status, timestamp_utc.", metavar="F")]


Hours = Annotated[
    list[str] | None,
    typer.Option(help="Business hours: store_id, day, start_time_local, end_time_local.", metavar="F"),
]


Timezones = Annotated[list[str] | None, typer.Option(help="Time zones: store_id, timezone_str.", metavar="F")]


Special = Annotated[
    list[str] | None,
    typer.Option(
        help="Special hours: store_id (* is every store), date, start_time_local, end_time_local; perhaps name.",
        metavar="F",
    ),
]


StoresFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--stores",
        help="Attributes: store_id, perhaps valid_from, first_day, last_day, and any others, such as region.",
        metavar="F",
    ),
]


Adjustments = Annotated[
    list[str] | None,
    typer.Option(
        help="The ledger: store_id, counts_as, reason, and start_utc and end_utc or start_local and end_local.",
        metavar="F",
    ),
]


TargetsFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--targets",
        help="Targets: name, target (percent), period (week, month, quarter), perhaps where and valid_from.",
        metavar="F",
    ),
]


ValidFrom = Annotated[
    str | None,
    typer.Option(
        "--valid-from",
        help="Of files: the date from which on hours and zones hold that have no valid_from of their own. Default: "
        "since ever.",
        metavar="DATE",
    ),
]


Statuses = Annotated[
    list[str] | None,
    typer.Option(
        "--status", help="What a word for a status means, such as open=active; may be repeated.", metavar="WORD=STATUS"
    ),
]


AsOf = Annotated[
    str | None,
    typer.Option(
        help="The instant that the numbers are for; nothing after it is used. A date, or a date and a time, such as "
        "2023-01-25T18:13:22Z or 2023-01-25T19:13+01:00; UTC unless it names an offset. Default: the latest "
        "observation.",
        metavar="T",
    ),
]


_A_WINDOW: Final = (
    "A period by name: last_hour, last_day and last_week end at the instant of --as-of; today, yesterday, this_week, "
    "previous_week, this_month, previous_month, this_quarter and previous_quarter follow the store's own calendar. Or "
    "one of your own: a name, a start and an end that is not included. Dates without a time of day mean local "
    "midnights, as in jan=2023-01-01/2023-02-01; with one they are instants, as in "
    "night=2023-01-01T20:00Z/2023-01-02T06:00Z."
)
Windows = Annotated[
    list[str] | None,
    typer.Option(
        "--window",
        help=f"{_A_WINDOW} May be repeated. Default: last_hour, last_day, last_week.",
        metavar="NAME=START/END",
    ),
]


OneWindow = Annotated[str, typer.Option("--window", help=_A_WINDOW, metavar="NAME=START/END")]


Engine = Annotated[str, typer.Option(help="What makes the report: local or spark.", metavar="NAME")]


Master = Annotated[
    str | None, typer.Option(help="Spark's master, with --engine spark. Default: local[*].", metavar="URL")
]


Conf = Annotated[
    list[str] | None,
    typer.Option(help="A property of Spark, with --engine spark; may be repeated.", metavar="NAME=VALUE"),
]


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True)
class GivenFiles:
    """The files that a command was given, by kind, and what holds for the rows of all of them."""

    names: Mapping[Kind, Sequence[str]]
    status: list[str] | None = None
    valid_from: str | None = None

    def __bool__(self) -> bool:
        return any(self.names.values())

    @property
    def statuses(self) -> dict[str, str]:
        """What words for statuses mean."""
        from uphours.ingest.statuses import read_mapping

        return read_mapping(self.status or ())

    @property
    def valid_from_day(self) -> int:
        """The date of ``--valid-from``, in days since the epoch."""
        from uphours.ingest.local_dates import VALID_DATES, day_of_date
        from uphours.schema import SINCE_EVER

        if self.valid_from is None:
            return SINCE_EVER
        day = day_of_date(self.valid_from)
        if day is None:
            raise InputError(f"cannot read the date {self.valid_from!r} of --valid-from; {VALID_DATES}")
        return day


#: In place of the options that `with_files` adds.
NO_FILES: Final = GivenFiles({})
_FILES: Final[Mapping[Kind, Any]] = {
    "polls": Polls, "hours": Hours, "timezones": Timezones, "special": Special, "stores": StoresFiles,
    "adjustments": Adjustments, "targets": TargetsFiles,
}  # fmt: skip


def with_files(*, targets: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command that takes ``files`` an option for each kind of files, and those that are about their rows."""
    options: dict[str, Any] = {kind: option for kind, option in _FILES.items() if targets or kind != "targets"}
    options |= {"valid_from": ValidFrom, "status": Statuses}

    def files(given: dict[str, Any]) -> GivenFiles:
        names = {kind: given.get(kind) or [] for kind in _FILES}
        return GivenFiles(names, given["status"], given["valid_from"])

    return lambda command: _with(command, "files", options, files)


def with_policy(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes a ``policy`` an option for the whole of it and one for each of its choices."""
    usual = Policy().texts()
    options = {name: _option(name, choice, usual[name]) for name, choice in CHOICES.items()}

    def policy(given: dict[str, Any]) -> Policy:
        chosen = {name: value for name in CHOICES if (value := given[name]) is not None}
        return Policy.read(given["policy"] or "").changed(chosen)

    return _with(command, "policy", {"policy": _WHOLE_POLICY} | options, policy)


def _with(
    command: Callable[..., None], name: str, options: Mapping[str, Any], made: Callable[[dict[str, Any]], object]
) -> Callable[..., None]:
    """Give a command some options in place of a parameter, whose value is made of theirs."""
    signature = inspect.signature(command, eval_str=True)
    of_options = [inspect.Parameter(one, _KEYWORD, default=None, annotation=kind) for one, kind in options.items()]
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        parameters += of_options if parameter.name == name else [parameter]

    @wraps(command)
    def run(**given: Any) -> None:
        values = {one: given.pop(one) for one in options}
        command(**given, **{name: made(values)})

    del run.__wrapped__  # its signature is another one
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": None}
    return run


def _option(name: str, choice: Choice, usual: str) -> Any:
    """Return the type of the option that makes a choice, with what `--help` says of it."""
    says = f"{choice.help} Default: { {'true': 'yes', 'false': 'no'}.get(usual, usual) }."
    if choice.kind == "flag":
        flag = name.replace("_", "-")
        return Annotated[bool | None, typer.Option(f"--{flag}/--no-{flag}", help=says)]
    return Annotated[str | None, typer.Option(help=says, metavar=_METAVARS.get(name, choice.kind.upper()))]
