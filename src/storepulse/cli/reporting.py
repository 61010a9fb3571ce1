"""The main job: load files, report, explain."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Annotated

import typer

from storepulse import __version__
from storepulse.cli import edge, engines
from storepulse.cli.files import Memory, Quarantine, Temp, check_no_files, report_of_files
from storepulse.cli.options import (
    AsJson,
    AsOf,
    Assume,
    Conf,
    Db,
    Engine,
    Hours,
    Interpolation,
    Master,
    MaxAge,
    Polls,
    PreferInSession,
    Timezones,
    names_of,
    policy_of,
)
from storepulse.cli.records import load_lines
from storepulse.cli.terminal import counted, print_json, progress_bars, say, write
from storepulse.errors import InputError

if TYPE_CHECKING:
    from storepulse.reports import Report, ReportOptions


def load(
    db: Db = None,
    polls: Polls = None,
    hours: Hours = None,
    timezones: Timezones = None,
    as_json: AsJson = False,
) -> None:
    """Load files into the store: CSV, JSON Lines or Parquet, also .gz and .zst, globs, or - for standard input.

    All of a load is kept, or nothing. Rows that make no sense are set aside with the reason.
    """
    from storepulse import ingest

    with progress_bars() as progress:
        made = ingest.load(
            edge.store(db), names_of(polls, hours, timezones), now=edge.now(), version=__version__, progress=progress
        )
    if as_json:
        print_json(made.facts())
    else:
        typer.echo("\n".join(load_lines(made)))
    if made.quarantined:
        say(f"{counted(made.quarantined, 'row')} set aside; `storepulse quarantine --load {made.load}` shows why")


def report(
    db: Db = None,
    polls: Polls = None,
    hours: Hours = None,
    timezones: Timezones = None,
    as_of: AsOf = None,
    interpolation: Interpolation = "previous",
    max_age: MaxAge = None,
    prefer_in_session: PreferInSession = True,
    assume: Assume = "unknown",
    store: Annotated[list[str] | None, typer.Option(help="Only this store; may be repeated.", metavar="ID")] = None,
    all_stores: Annotated[bool, typer.Option("--all-stores", help="Also stores that were never observed.")] = False,
    window: Annotated[
        list[str] | None,
        typer.Option(
            help="A window by name, or NAME=START/END; may be repeated. Default: last_hour, last_day, last_week.",
            metavar="NAME=START/END",
        ),
    ] = None,
    detail: Annotated[bool, typer.Option("--detail", help="More columns in CSV and XLSX.")] = False,
    form: Annotated[str, typer.Option("--format", help="csv, json, parquet or xlsx.", metavar="FORMAT")] = "csv",
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="Write to this file or s3:// URL, whole or not at all.", metavar="FILE"),
    ] = None,
    quarantine: Quarantine = None,
    memory: Memory = None,
    temp: Temp = None,
    engine: Engine = "local",
    master: Master = None,
    conf: Conf = None,
) -> None:
    """Report uptime and downtime of every store, from the store or straight from files."""
    from storepulse import reports
    from storepulse.kernel.windows import DEFAULT_WINDOWS, window_of
    from storepulse.schema import instant_us

    if form not in reports.FORMATS:
        raise InputError(f"there is no format {form!r}; valid are {', '.join(reports.FORMATS)}")
    if form in ("parquet", "xlsx") and output is None and sys.stdout.isatty():
        raise InputError(f"{form} is not for a terminal; name a file with -o")
    options = reports.ReportOptions(
        as_of=None if as_of is None else instant_us(as_of),
        windows=tuple(window_of(text) for text in window) if window else DEFAULT_WINDOWS,
        policy=policy_of(interpolation, max_age, prefer_in_session, assume),
        stores=None if store is None else tuple(store),
        all_stores=all_stores,
    )
    engines.check(engine, master, conf)
    names = names_of(polls, hours, timezones)
    if any(names.values()) and db is not None:
        raise InputError("give either --db or files (--polls, --hours, --timezones), not both")
    if not any(names.values()):
        check_no_files(quarantine, memory, temp)

    if engine == "spark":
        check_no_files(quarantine, memory, temp, why="with --engine spark the executors read them")
        made = engines.on_spark(names, options, master=master, conf=conf)
    else:
        with _in_the_meantime(reports.warm_up):
            if any(names.values()):
                made = report_of_files(names, options, quarantine=quarantine, memory=memory, temp=temp)
            else:
                made = _report_of_store(db, options)
    write(reports.written(made, form, detail=detail), output)
    say(f"{counted(len(made.store_ids), 'store')}, {_made_with(made)}" + (f" → {output}" if output else ""))


def explain(
    store_id: Annotated[str, typer.Argument(help="The store.")],
    db: Db = None,
    window: Annotated[
        str, typer.Option(help="A window by name, or NAME=START/END.", metavar="NAME=START/END")
    ] = "last_day",
    as_of: AsOf = None,
    interpolation: Interpolation = "previous",
    max_age: MaxAge = None,
    prefer_in_session: PreferInSession = True,
    assume: Assume = "unknown",
    form: Annotated[str, typer.Option("--format", help="text or json.", metavar="FORMAT")] = "text",
) -> None:
    """Show how one store's numbers come about: sessions, observations, spans, and a running sum."""
    from storepulse import explanation, reports
    from storepulse.kernel.windows import window_of
    from storepulse.schema import instant_us

    if form not in ("text", "json"):
        raise InputError(f"there is no format {form!r}; valid are text, json")
    policy = policy_of(interpolation, max_age, prefer_in_session, assume)
    chosen = window_of(window)
    with edge.store(db).snapshot([store_id]) as fleet:
        made = explanation.explain(
            fleet,
            as_of=reports.latest(fleet) if as_of is None else instant_us(as_of),
            window=chosen,
            policy=policy,
            version=__version__,
        )
    if form == "json":
        print_json(made.facts())
    else:
        typer.echo(explanation.as_text(made))


def _report_of_store(db: str | None, options: ReportOptions) -> Report:
    from storepulse import reports

    with edge.store(db).snapshot(options.stores) as fleet:
        return reports.run_report(
            fleet,
            as_of=options.as_of,
            chosen=options.windows,
            policy=options.policy,
            all_stores=options.all_stores,
            version=__version__,
        )


@contextmanager
def _in_the_meantime(call: Callable[[], None]) -> Iterator[None]:
    """Run something in another thread, and wait for its end on the way out, also after a mistake."""
    thread = Thread(target=call)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _made_with(made: Report) -> str:
    from storepulse.schema import instant_text

    return f"as of {instant_text(made.as_of)}, {made.policy}, tzdata {made.tzdata}"
