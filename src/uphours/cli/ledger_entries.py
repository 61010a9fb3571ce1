"""What was scheduled, and what counts differently: a store's calendar, and the entries of the ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from uphours.cli import edge
from uphours.cli.attributed import Where
from uphours.cli.options import AsJson, Db
from uphours.cli.terminal import counted, instant, print_json, print_table, say, show
from uphours.errors import InputError
from uphours.where import where_of_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uphours.database.database import Database
    from uphours.database.ledger import Entry
    from uphours.reports.adjusting import Adjustment, Moved

_FOUR_WEEKS: Final = timedelta(days=28)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_REASONS: Final = "planned closure, platform outage, collector failure, store's own fault, wrong data, other"

Reason = Annotated[str, typer.Option("--reason", help=f"Why: {_REASONS}.", metavar="REASON")]
Note = Annotated[str, typer.Option("--note", help="More about it, in your own words.", metavar="TEXT")]


def calendar(
    store_id: Annotated[str, typer.Argument(help="The store.")],
    db: Db = None,
    first: Annotated[
        str | None, typer.Option("--from", help="The first local date. Default: today at the store.", metavar="DATE")
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", help="The local date before which it ends. Default: four weeks later.", metavar="DATE"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show when a store is scheduled, day by day, and where the hours of each day come from."""
    from uphours.kernel.local_time import local_date
    from uphours.reports.store_calendar import calendar as days_of

    since = None if first is None else _date("--from", first)
    until = None if end is None else _date("--to", end)
    with edge.database(db).snapshot([store_id]) as fleet:
        schedule = fleet.schedule
    if since is None:
        today = local_date(schedule.zone_names[schedule.zones[0]], edge.now())
        since = today if until is None else min(today, until - _FOUR_WEEKS)
    days = days_of(schedule, 0, since, since + _FOUR_WEEKS if until is None else until)
    if as_json:
        print_json([day.facts() for day in days])
        return
    print_table(
        ("date", "hours", "from", "time zone"),
        [(f"{day.day:%a %Y-%m-%d}", day.hours(), day.says(), day.timezone or "–") for day in days],
    )


def _date(option: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option} is {text!r}; valid is a date such as 2026-12-24") from None


def adjust(
    counts_as: Annotated[
        str,
        typer.Option("--as", help="What the time counts as: excluded, up, down or unknown.", metavar="STATUS"),
    ],
    reason: Reason,
    db: Db = None,
    store: Annotated[list[str] | None, typer.Option(help="This store; may be repeated.", metavar="ID")] = None,
    where: Where = None,
    every: Annotated[bool, typer.Option("--all", help="All stores.")] = False,
    gaps: Annotated[
        bool, typer.Option("--gaps", help="Only the collector gaps in that time: as unknown or excluded.")
    ] = False,
    start: Annotated[
        str | None, typer.Option("--from", help="An instant, such as 2026-12-24T13:00Z.", metavar="T")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="The instant at which it ends.", metavar="T")] = None,
    start_local: Annotated[
        str | None,
        typer.Option(
            "--from-local", help="Instead: the time on the clock of each store, such as 2026-12-24T13:00.", metavar="T"
        ),
    ] = None,
    end_local: Annotated[
        str | None, typer.Option("--to-local", help="The time on the same clock at which it ends.", metavar="T")
    ] = None,
    note: Note = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Enter nothing; say what it would move.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let time of stores count differently: an entry in the ledger.

    Polls and hours stay as they are, and so do raw figures. An entry is never changed; `uphours withdraw` takes it
    back.
    """
    from uphours.database import ledger
    from uphours.kernel.policy import Policy
    from uphours.reports.adjusting import moved, plan, stores_meant

    if [store is not None, bool(where), every].count(True) != 1:
        raise InputError("which stores? Valid are --store ID or --where NAME=VALUE, which may be repeated, or --all")
    values = where_of_texts(where or (), "--where")
    wanted = _adjustment(counts_as, reason, note, store, gaps, (start, end), (start_local, end_local))
    database = edge.database(db)
    with database.snapshot(wanted.stores) as fleet:
        if values:
            wanted = replace(wanted, stores=stores_meant(fleet, values, wanted))
            fleet = fleet.of(wanted.stores)
        planned = plan(fleet, wanted)
        said = moved(fleet, wanted, planned, policy=Policy())
        store_ids = [fleet.store_ids[place] for place in planned.stores.tolist()]
    entry = None
    if not dry_run:
        with database.writing() as connection:
            entry = ledger.enter(
                connection, store_ids, planned.starts, planned.ends, counts_as=wanted.counts_as,
                reason=wanted.reason, note=wanted.note, actor=edge.actor(), now=edge.now(),
            )  # fmt: skip
    if as_json:
        print_json({"entry": entry, **said.facts()})
    else:
        show("\n".join(_moved_lines(said, entry)))
    if entry is not None:
        say(f"`uphours withdraw {entry} --reason other` takes it back")


def _adjustment(
    counts_as: str,
    reason: str,
    note: str,
    stores: Sequence[str] | None,
    gaps: bool,
    instants: tuple[str | None, str | None],
    local: tuple[str | None, str | None],
) -> Adjustment:
    from uphours.reports.adjusting import Adjustment
    from uphours.schema import instant_us

    if all(instants) and not any(local):
        start, end = (instant_us(text or "", option) for text, option in zip(instants, ("--from", "--to"), strict=True))
    elif all(local) and not any(instants):
        options = ("--from-local", "--to-local")
        start, end = (_local_us(option, text or "") for text, option in zip(local, options, strict=True))
    else:
        raise InputError("when? Valid are --from and --to, which are instants, or --from-local and --to-local")
    return Adjustment(
        counts_as=counts_as, reason=reason, note=note, start=start, end=end, is_local=all(local), gaps=gaps,
        stores=None if stores is None else tuple(stores),
    )  # fmt: skip


def _local_us(option: str, text: str) -> int:
    """Read a time on the clock of a store, as microseconds since 1970-01-01 00:00 on that clock."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is not None:
        raise InputError(
            f"{option} is {text!r}; valid is a time on the clock of the store, such as 2026-12-24T13:00, or a date"
        )
    return (moment.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


def _moved_lines(said: Moved, entry: int | None) -> list[str]:
    from uphours.reports.explanation_text import minutes_text

    begins = "would be entered" if entry is None else f"entry {entry}"
    lines = [
        f"{begins}: {minutes_text(said.entered_us)} of {counted(said.stores, 'store')} as {said.counts_as}, "
        f"from {instant(said.start_us)} to {instant(said.end_us)}"
    ]
    for name, before in said.before.items():
        after = said.after[name]
        if before != after:
            lines.append(f"  {name.removesuffix('_us')}: {minutes_text(before)} → {minutes_text(after)}")
    if len(lines) == 1:
        lines.append("  no figure up to the latest poll moves")
    return lines


def adjustments(
    db: Db = None,
    store: Annotated[str | None, typer.Option(help="Only entries about this store.", metavar="ID")] = None,
    as_json: AsJson = False,
) -> None:
    """List the entries of the ledger, the newest first."""
    from uphours.database.ledger import list_entries

    with edge.database(db).reading() as connection:
        entries = list_entries(connection, store_id=store)
    if as_json:
        print_json([_facts(entry) for entry in entries])
    elif entries:
        print_table(
            ("entry", "counts as", "stores", "from", "to", "reason", "note", "who", "when"),
            [
                (
                    entry.entry, _counts_as(entry), entry.stores, instant(entry.start), instant(entry.end),
                    entry.reason, entry.note or "–", entry.actor, instant(entry.at),
                )
                for entry in entries
            ],
        )  # fmt: skip
    else:
        typer.echo("the ledger has no entries")


def _counts_as(entry: Entry) -> str:
    said = entry.counts_as if entry.withdraws is None else f"withdraws {entry.withdraws}"
    return said if entry.withdrawn_by is None else f"{said} (withdrawn by {entry.withdrawn_by})"


def said_of(database: Database, entries: Sequence[int]) -> list[str]:
    """Say what some entries are, who entered them and why, a line each."""
    from uphours.database.ledger import find_entry

    if not entries:
        return []
    with database.reading() as connection:
        found = [find_entry(connection, entry) for entry in entries]
    return [
        f"entry {one.entry}: {one.counts_as}, {one.reason}{f' ({one.note})' if one.note else ''}, "
        f"by {one.actor} at {instant(one.at)}"
        for one in found
    ]


def _facts(entry: Entry) -> dict[str, Any]:
    facts = entry.facts()
    facts |= {"start_us": facts.pop("start"), "end_us": facts.pop("end")}
    if facts["intervals"] is None:
        del facts["intervals"]
    else:
        facts["intervals"] = [{"start_us": start, "end_us": end} for start, end in facts["intervals"]]
    return facts


def withdraw(
    entry: Annotated[int, typer.Argument(help="The number of the entry.", metavar="ENTRY")],
    reason: Reason,
    db: Db = None,
    note: Note = "",
) -> None:
    """Take an entry of the ledger back: figures are as if it had never been entered.

    Both entries stay in the list; withdrawing the withdrawal brings the first one back.
    """
    from uphours.database import ledger

    with edge.database(db).writing() as connection:
        made = ledger.withdraw(connection, entry, reason=reason, note=note, actor=edge.actor(), now=edge.now())
    show(f"entry {made}: withdraws entry {entry}")
