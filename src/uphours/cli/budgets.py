"""What is left of the downtime that targets allow, and which stores are below their target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final, Unpack

import typer

from uphours.cli import edge
from uphours.cli.attributed import fleet_of_files
from uphours.cli.files import FILE_OPTIONS, Memory, QuarantineFile, Reading, Strict, check_no_files
from uphours.cli.options import NO_FILES, AsJson, AsOf, Db, GivenFiles, with_files, with_policy
from uphours.cli.terminal import counted, print_json, print_table, say, say_wrapped
from uphours.errors import InputError
from uphours.kernel.policy import Policy

if TYPE_CHECKING:
    from uphours.ingest.inputs import Kind
    from uphours.reports.downtime_budgets import Budget
    from uphours.reports.targets import Outcome, TargetedFleet, Targets

Period = Annotated[
    str | None,
    typer.Option(
        help="A month (2026-12), a quarter (2026-Q4) or a week (2026-W48). Default: of each target the period that "
        "has not ended yet in the zone of every store.",
        metavar="PERIOD",
    ),
]

#: In place of the options that `with_policy` adds.
_USUAL: Final = Policy()
#: Stores below a target that a table names.
_SHOWN: Final = 10
_NO_TARGETS: Final = (
    "there are no targets; write targets.csv with the line name,where,target,period and below it, for example, "
    "`norm,,99.5,month`, and load it with `uphours load --targets targets.csv`"
)


@with_policy
@with_files(targets=True)
def targets(
    db: Db = None,
    files: GivenFiles = NO_FILES,
    period: Period = None,
    as_of: AsOf = None,
    policy: Policy = _USUAL,
    all_stores: Annotated[
        bool, typer.Option("--all-stores", help="Also count stores that were never observed.")
    ] = False,
    as_json: AsJson = False,
    quarantine: QuarantineFile = None,
    strict: Strict = None,
    memory: Memory = None,
) -> None:
    """Show how much of the downtime that targets allow is left, and the stores that are below their target.

    Targets come from the database or, beside --polls, from files.
    """
    from uphours.kernel.periods import period_of
    from uphours.reports.targets import targets as target_figures
    from uphours.schema import instant_text, instant_us

    asked = None if period is None else period_of(period)
    instant = None if as_of is None else instant_us(as_of)
    if files:
        if db is not None:
            raise InputError(f"give either --db or files ({FILE_OPTIONS}, --targets), not both")
        opened = _files(
            files.names, quarantine=quarantine, strict=strict, memory=memory, statuses=files.statuses,
            valid_from=files.valid_from_day,
        )  # fmt: skip
    else:
        check_no_files(quarantine, strict, memory, None, files.status, files.valid_from)
        opened = _database(db)
    with opened as (fleet, entries_seen):
        if not fleet.targets():
            raise InputError(_NO_TARGETS)
        found = target_figures(
            fleet, period=asked, as_of=instant, policy=policy, all_stores=all_stores, entries_seen=entries_seen,
            now=edge.now(),
        )  # fmt: skip
    if as_json:
        print_json(found.facts())
    else:
        _show(found)
    ledger = f", ledger up to entry {found.entries_seen}" if found.entries_seen else ""
    say_wrapped(f"{counted(len(found.outcomes), 'target')}, as of {instant_text(found.as_of)}, {found.policy}{ledger}")
    if found.ahead is not None:
        say(f"{found.ahead}; --as-of names another instant")


@contextmanager
def _database(db: str | None) -> Iterator[tuple[TargetedFleet, int | None]]:
    with edge.database(db).snapshot() as fleet:
        yield fleet, fleet.latest_entry()


@contextmanager
def _files(
    names: Mapping[Kind, Sequence[str]], **reading: Unpack[Reading]
) -> Iterator[tuple[TargetedFleet, int | None]]:
    yield fleet_of_files(names, **reading), None


def _show(found: Targets) -> None:
    """Print a table of targets, and below it what else there is to say of each."""
    if not found.outcomes:
        typer.echo("no target is in force on the first day of that period")
    else:
        titles = ("target", "where", "expected", "period", "availability", "budget", "used", "left", "met", "stores")
        print_table(titles, [_row(outcome) for outcome in found.outcomes])
    for outcome in found.outcomes:
        if said := _exhausted(outcome.pooled):
            typer.echo(f"\n{_called(outcome)}: {said}")
        if below := outcome.is_met.count(False):
            typer.echo(f"\n{_called(outcome)}: {counted(below, 'store')} below the target, the worst first")
            print_table(
                ("store_id", "availability", "budget", "used", "left"),
                [(store_id, *_figures(budget)) for store_id, budget in outcome.below(_SHOWN)],
            )
            if below > _SHOWN:
                typer.echo(f"and {below - _SHOWN:,} more; --json lists all")
        if outcome.not_observed:
            are = "store of it was" if outcome.not_observed == 1 else "stores of it were"
            typer.echo(
                f"\n{_called(outcome)}: {outcome.not_observed:,} {are} never observed and counts for nothing; "
                "--all-stores counts them too"
            )
    in_question = {outcome.target.name for outcome in found.outcomes}
    if others := sorted({target.name for target in found.defined} - in_question):
        say(f"not in force on the first day of the period, or of another kind of period: {', '.join(others)}")


def _called(outcome: Outcome) -> str:
    from uphours.printable import printable

    return f"{printable(outcome.target.name)} {outcome.period.name}"


def _row(outcome: Outcome) -> tuple[str, ...]:
    from uphours.reports.targets import definition

    is_met = {True: "yes", False: "no", None: "–"}[outcome.pooled.is_met]
    said = definition(outcome.target)
    return (
        outcome.target.name, said["where"] or "every store", f"{said['target']:.7g} %", outcome.period.name,
        *_figures(outcome.pooled), is_met, f"{len(outcome.store_ids):,}",
    )  # fmt: skip


def _figures(budget: Budget) -> tuple[str, str, str, str]:
    from uphours.reports.columns import percentage

    share = percentage(budget.uptime_us, budget.uptime_us + budget.used_us)
    return (
        "–" if share is None else f"{share} %",
        duration(budget.budget_us),
        duration(budget.used_us),
        duration(budget.left_us),
    )


def _exhausted(budget: Budget) -> str | None:
    from uphours.schema import instant_text

    if budget.exhausted_at is None:
        return None
    at = instant_text(budget.exhausted_at)
    if budget.exhausted == "past":
        return f"the budget ran out at {at}"
    return f"at the present rate the budget runs out at {at}"


def duration(us: int) -> str:
    """Write a duration in hours and minutes, rounded to the nearer minute, below one in seconds.

    >>> [duration(us) for us in (5_112_000_000, -90_000_000, 1_512_000_000, 12_000_000, 0)]
    ['1 h 25 min', '-2 min', '25 min', '12 s', '0 min']
    """
    from uphours.schema import MINUTE_US, SECOND_US

    sign, size = "-" if us < 0 else "", abs(us)
    if 0 < size < MINUTE_US:
        return f"{sign}{size // SECOND_US} s" if size >= SECOND_US else f"{sign}under 1 s"
    hours, minutes = divmod((2 * size + MINUTE_US) // (2 * MINUTE_US), 60)
    return f"{sign}{hours:,} h {minutes:02} min" if hours else f"{sign}{minutes} min"
