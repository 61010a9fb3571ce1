"""The main job: load files, report, explain."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from uphours.cli import edge, engines
from uphours.cli.attributed import By, Columns, Where, answer_in_memory, groups_table, names_in
from uphours.cli.files import (
    FILE_OPTIONS,
    Memory,
    QuarantineFile,
    Reading,
    Strict,
    Temp,
    answer_of_files,
    check_no_files,
    quarantine_file,
)
from uphours.cli.ledger_entries import said_of
from uphours.cli.options import (
    NO_FILES,
    AsJson,
    AsOf,
    Conf,
    Db,
    Engine,
    GivenFiles,
    Master,
    OneWindow,
    Windows,
    with_files,
    with_policy,
)
from uphours.cli.outputs import STANDARD_OUTPUT, format_of
from uphours.cli.records import load_lines
from uphours.cli.terminal import counted, print_json, progress_bars, say, say_wrapped, show, write
from uphours.cli.workbooks import Outages, Workbook, check_outages, workbook
from uphours.errors import InputError
from uphours.kernel.policy import Policy
from uphours.where import where_of_texts

if TYPE_CHECKING:
    from uphours.reports.answers import Answer
    from uphours.reports.report import Report
    from uphours.reports.request import ReportRequest


#: In place of the options that `with_policy` adds.
_USUAL: Final = Policy()


@with_files(targets=True)
def load(
    db: Db = None,
    files: GivenFiles = NO_FILES,
    quarantine: QuarantineFile = None,
    strict: Strict = None,
    as_json: AsJson = False,
) -> None:
    """Load files into the database: CSV, JSON Lines or Parquet.

    They may be compressed (.gz, .zst); a glob names several, and - is standard input. All rows of a load are kept, or
    nothing. Rows that make no sense are rejected with the reason; a file of which no row can be used is an error, and
    nothing is changed.
    """
    from uphours.ingest.load import load_files
    from uphours.ingest.quarantine import share

    most = None if strict is None else share(strict)
    database = edge.database(db)
    with quarantine_file(quarantine) as rejected, progress_bars() as progress:
        made = load_files(
            database, files.names, now=edge.now(), actor=edge.actor(), progress=progress, statuses=files.statuses,
            quarantine=rejected, strict=most, valid_from=files.valid_from_day,
        )  # fmt: skip
    if as_json:
        print_json(made.facts())
    else:
        show("\n".join(load_lines(made)))
    if made.quarantined:
        say(f"`uphours quarantine --load {made.load} --rows` lists the rejected rows")


@with_policy
@with_files(targets=False)
def report(
    db: Db = None,
    files: GivenFiles = NO_FILES,
    as_of: AsOf = None,
    policy: Policy = _USUAL,
    store: Annotated[list[str] | None, typer.Option(help="Only this store; may be repeated.", metavar="ID")] = None,
    where: Where = None,
    all_stores: Annotated[bool, typer.Option("--all-stores", help="Also stores that were never observed.")] = False,
    by: By = None,
    columns: Columns = None,
    window: Windows = None,
    raw: Annotated[bool, typer.Option("--raw", help="Ignore the ledger.")] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Also the changes from the window before, of which as much has elapsed.")
    ] = False,
    detail: Annotated[bool, typer.Option("--detail", help="More columns in CSV and XLSX.")] = False,
    outages: Outages = False,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="csv, json, parquet or xlsx. Default: as the output is called; on a terminal, a table.",
            metavar="FORMAT",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="Write to this file or s3:// URL; what its name ends in is the format.",
            metavar="FILE",
        ),
    ] = None,
    quarantine: QuarantineFile = None,
    strict: Strict = None,
    memory: Memory = None,
    temp: Temp = None,
    engine: Engine = "local",
    master: Master = None,
    conf: Conf = None,
) -> None:
    """Report uptime and downtime of every store, from the database or straight from files."""
    from uphours.kernel.windows import DEFAULT_WINDOWS, window_of
    from uphours.reports.request import ReportRequest
    from uphours.reports.writers import FORMATS
    from uphours.schema import instant_us

    is_table = output is None and form is None and sys.stdout.isatty()
    form = format_of(output, form, FORMATS)
    if outages:
        check_outages(form, engine)
    if form in ("parquet", "xlsx") and output in (None, STANDARD_OUTPUT) and sys.stdout.isatty():
        raise InputError(f"{form} is not for a terminal; name a file with -o")
    request = ReportRequest(
        as_of=None if as_of is None else instant_us(as_of),
        windows=tuple(window_of(text) for text in window) if window else DEFAULT_WINDOWS,
        policy=policy,
        stores=None if store is None else tuple(store),
        where=where_of_texts(where or (), "--where"),
        by=names_in("--by", by),
        columns=names_in("--columns", columns),
        all_stores=all_stores,
        detail=detail,
        raw=raw,
        compare=compare,
        outages=outages,
    )
    engines.check(engine, master, conf)
    if request.by and engine == "spark" and form == "xlsx":
        raise InputError("workbooks with --by are not for --engine spark; valid is --engine local, or another format")
    needs_attributes = bool(request.where or request.by or request.columns)
    if compare and engine == "spark":
        raise InputError("--compare is not for --engine spark; valid is --engine local")
    names = files.names
    _check_not_ids(names["stores"])
    if files and db is not None:
        raise InputError(f"give either --db or files ({FILE_OPTIONS}), not both")
    if not files:
        check_no_files(quarantine, strict, memory, temp, files.status, files.valid_from)

    made: Answer | Workbook
    if engine == "spark":
        check_no_files(quarantine, strict, memory, temp, None, None, why="with --engine spark the executors read them")
        made = engines.on_spark(
            names, request, master=master, conf=conf, statuses=files.statuses, valid_from=files.valid_from_day,
            with_names=form == "xlsx" and bool(request.where) and not request.columns,
        )  # fmt: skip
    else:
        if not files and form != "xlsx":
            made = _answer_of_database(db, request)
        else:
            reading: Reading = {
                "quarantine": quarantine, "strict": strict, "memory": memory, "statuses": files.statuses,
                "valid_from": files.valid_from_day,
            }  # fmt: skip
            if form == "xlsx" and (needs_attributes or compare or outages or not files):
                made = workbook(request, db, names, **reading)
            elif compare:
                made = answer_in_memory(request, names, **reading)
            else:
                made = answer_of_files(names, request, temp=temp, **reading)
    of_stores = _written(made, None if is_table else form, output, detail=detail)
    if unknown := int((~of_stores.hours_known).sum()):
        says = "has unknown hours, so it has" if unknown == 1 else "have unknown hours, so they have"
        say(f"{counted(unknown, 'store')} of this report {says} no business time")
    stores_said = counted(len(of_stores.store_ids), "store")
    say_wrapped(f"{stores_said}, {_made_with(of_stores)}" + (f" → {output}" if output else ""))
    _say_ahead(of_stores)


@with_policy
def explain(
    store_id: Annotated[str, typer.Argument(help="The store.")],
    db: Db = None,
    window: OneWindow = "last_day",
    as_of: AsOf = None,
    policy: Policy = _USUAL,
    exact: Annotated[bool, typer.Option("--exact", help="Every span and poll, to the microsecond.")] = False,
    form: Annotated[str, typer.Option("--format", help="text or json.", metavar="FORMAT")] = "text",
) -> None:
    """Show how one store's numbers come about.

    Lists its open time, its polls, what counts and why, and sums it up in one sentence.
    """
    from uphours.kernel.windows import window_of
    from uphours.reports.explain import explain as explain_store
    from uphours.reports.explanation_text import as_text
    from uphours.schema import instant_us

    if form not in ("text", "json"):
        raise InputError(f"there is no format {form!r}; valid are text, json")
    chosen = window_of(window)
    database = edge.database(db)
    with database.snapshot([store_id]) as fleet:
        made = explain_store(
            fleet,
            as_of=None if as_of is None else instant_us(as_of),
            window=chosen,
            policy=policy,
            now=edge.now(),
        )
    if form == "json":
        print_json(made.facts())
    else:
        show(as_text(made, exact=exact, ledger=said_of(database, made.entries)))
    _say_ahead(made.report)


def _written(made: Answer | Workbook, form: str | None, output: str | None, *, detail: bool) -> Report:
    """Write a report, as a table for a terminal if no format is given; return that of the stores."""
    from uphours.reports.report import Report

    if isinstance(made, Workbook):
        write(lambda file: made.write(file, detail=detail), output)
        return made.report
    if not isinstance(made, Report):
        from uphours.reports.group_files import write_groups

        if form is None:
            typer.echo(groups_table(made, detail=detail))
        else:
            write(lambda file: write_groups(made, form, file, detail=detail), output)
        return made.report
    from uphours.cli.report_table import report_table
    from uphours.reports.writers import write_report

    if form is None:
        typer.echo(report_table(made, detail=detail))
    else:
        write(lambda file: write_report(made, form, file, detail=detail), output)
    return made


def _answer_of_database(db: str | None, request: ReportRequest) -> Answer:
    from uphours.reports.answers import answer

    with edge.database(db).snapshot() as fleet:
        return answer(fleet, request, entries_seen=fleet.latest_entry(), now=edge.now())


def _check_not_ids(names: Sequence[str]) -> None:
    """Refuse what looks like the id of a store where a file is named."""
    for name in names:
        if re.fullmatch(r"[\w-]*\w", name) and not Path(name).exists():
            raise InputError(
                f"there is no file {name}; --stores names files of attributes, --store {name} reports that store alone"
            )


def _say_ahead(made: Report) -> None:
    if made.ahead is not None:
        say(f"{made.ahead}; --as-of names another instant")


def _made_with(made: Report) -> str:
    from uphours.schema import instant_text

    ledger = (
        ", without the ledger" if made.raw else f", ledger up to entry {seen}" if (seen := made.entries_seen) else ""
    )
    return f"as of {instant_text(made.as_of)}, {made.policy}, tzdata {made.tzdata}{ledger}"
