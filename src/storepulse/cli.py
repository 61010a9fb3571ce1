"""The command line: reads the clock and the environment, calls one function, prints what comes back.

Results go to standard output, messages to standard error. Exit codes: 0 good, 2 the input is wrong, 3 the store
failed, 1 a defect of ours.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from storepulse import __version__
from storepulse.errors import InputError, StoreError, StorepulseError

# The parts that do the work are imported by the command that needs them: a mistake in the options, or --help,
# shall not wait for them.
if TYPE_CHECKING:
    from storepulse.ingest import Progress
    from storepulse.ingest.sources import Kind
    from storepulse.kernel.policy import Policy
    from storepulse.reports import Report
    from storepulse.schema import Fleet
    from storepulse.store import Store
    from storepulse.store.loads import Load

_DEFECT: Final = 1
_INPUT_IS_WRONG: Final = 2
_STORE_FAILED: Final = 3

_DATABASE_URL: Final = "STOREPULSE_DATABASE_URL"
_DEFAULT_DB: Final = "sqlite:///storepulse.db"

app = typer.Typer(
    name="storepulse",
    help="How long was every store really up while it was supposed to be open?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help fits its lines; in boxes every sentence is broken up
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Db = Annotated[
    str | None,
    typer.Option(help=f"The store. Default: ${_DATABASE_URL}, else {_DEFAULT_DB}.", metavar="URL"),
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
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
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

    with _progress() as progress:
        made = ingest.load(
            _store(db), _names(polls, hours, timezones), now=_now(), version=__version__, progress=progress
        )
    if as_json:
        _print_json(made.facts())
    else:
        typer.echo("\n".join(_load_lines(made)))
    if made.quarantined:
        _say(f"{_counted(made.quarantined, 'row')} set aside; `storepulse quarantine --load {made.load}` shows why")


@app.command()
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
        Path | None,
        typer.Option("--output", "-o", help="Write to this file, whole or not at all.", metavar="FILE"),
    ] = None,
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
        policy=_policy(interpolation, max_age, prefer_in_session, assume),
        all_stores=all_stores,
    )
    names = _names(polls, hours, timezones)
    if any(names.values()) and db is not None:
        raise InputError("give either --db or files (--polls, --hours, --timezones), not both")

    with _in_the_meantime(reports.warm_up), _fleet(db, names, store) as fleet:
        made = reports.run_report(
            fleet,
            as_of=options.as_of,
            chosen=options.windows,
            policy=options.policy,
            all_stores=options.all_stores,
            version=__version__,
        )
    _write(reports.written(made, form, detail=detail), output)
    _say(f"{_counted(len(made.store_ids), 'store')}, {_made_with(made)}" + (f" → {output}" if output else ""))


@app.command()
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
    policy = _policy(interpolation, max_age, prefer_in_session, assume)
    chosen = window_of(window)
    with _store(db).snapshot([store_id]) as fleet:
        made = explanation.explain(
            fleet,
            as_of=reports.latest(fleet) if as_of is None else instant_us(as_of),
            window=chosen,
            policy=policy,
            version=__version__,
        )
    if form == "json":
        _print_json(made.facts())
    else:
        typer.echo(explanation.as_text(made))


@app.command()
def stores(db: Db = None, as_json: AsJson = False) -> None:
    """List the stores that are known."""
    from storepulse.store.loads import list_stores

    with _store(db).reading() as connection:
        rows = list_stores(connection)
    if as_json:
        _print_json(rows)
        return
    _print_table(
        ("store_id", "time zone", "rows of hours", "first observed", "last observed"),
        [
            (
                row["store_id"],
                row["timezone"] or "(default) America/Chicago",
                row["hours_rows"] or "none: open 24×7",
                _instant(row["first_observed_at"]),
                _instant(row["last_observed_at"]),
            )
            for row in rows
        ],
    )


@app.command()
def loads(db: Db = None, as_json: AsJson = False) -> None:
    """List what was loaded, the newest load first."""
    from storepulse.store.loads import list_loads

    with _store(db).reading() as connection:
        records = list_loads(connection)
    if as_json:
        _print_json([record.facts() for record in records])
    else:
        typer.echo("\n\n".join("\n".join(_load_lines(record)) for record in records) or "no loads yet")


@app.command()
def quarantine(
    db: Db = None,
    load: Annotated[int | None, typer.Option(help="Only rows of this load.", metavar="N")] = None,
    as_json: AsJson = False,
) -> None:
    """List the rows that were set aside, each with its file, line and reason."""
    from storepulse.store.loads import list_quarantine

    with _store(db).reading() as connection:
        rows = [
            {**row, "raw": row["raw"].decode(errors="backslashreplace")} for row in list_quarantine(connection, load)
        ]
    if as_json:
        _print_json(rows)
        return
    if not rows:
        typer.echo("no rows were set aside")
        return
    _print_table(
        ("load", "file", "line", "reason", "row"),
        [(row["load"], row["file"], row["line"], row["reason"], _cut(row["raw"])) for row in rows],
    )


@app.command()
def audit(
    db: Db = None,
    limit: Annotated[int, typer.Option(help="How many entries.", metavar="N")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the audit trail: who did what, the newest first."""
    from storepulse.store.audit import list_audit

    with _store(db).reading() as connection:
        entries = list_audit(connection, limit=limit)
        older = entries and list_audit(connection, before=entries[-1].entry, limit=1)
    if as_json:
        _print_json([entry.facts() for entry in entries])
    elif entries:
        _print_table(
            ("entry", "at", "actor", "action", "subject", "details"),
            [
                (e.entry, _instant(e.at), e.actor, e.action, e.subject, json.dumps(e.details, ensure_ascii=False))
                for e in entries
            ],
        )
    else:
        typer.echo("nothing is on record yet")
    if older:
        _say("there are older entries; a greater --limit shows them too")


keys = typer.Typer(
    help="Make, list and revoke the keys of the service.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(keys, name="keys")


@keys.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="Who or what it is for, in your own words.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What it is for: read, ingest, or admin, which includes the others; may be repeated.", metavar="SCOPE"
        ),
    ] = None,
    db: Db = None,
) -> None:
    """Make a key. Its token goes to standard output, this once: the store does not keep it."""
    from storepulse.store.keys import check, create

    scopes = check(name, scope or [])  # a mistake shall not make a store
    with _store(db).writing() as connection:
        key, token = create(connection, name=name, scopes=scopes, now=_now(), actor=_actor())
    typer.echo(token)
    _say(
        f"key {key.key_id} ({key.name}), scopes: {', '.join(key.scopes)}\n"
        "The token is shown once; keep it where you keep passwords. Requests carry it in a header:\n"
        "  Authorization: Bearer TOKEN\n"
        f"`storepulse keys revoke {key.key_id}` ends it."
    )


@keys.command("list")
def keys_list(db: Db = None, as_json: AsJson = False) -> None:
    """List all keys, also the revoked ones, the oldest first. Tokens are not shown: the store does not have them."""
    from storepulse.store.keys import list_keys

    with _store(db).reading() as connection:
        found = list_keys(connection)
    if as_json:
        _print_json([key.facts() for key in found])
        return
    if not found:
        typer.echo("no keys yet")
        return
    _print_table(
        ("key_id", "name", "scopes", "created", "revoked"),
        [
            (key.key_id, key.name, ", ".join(key.scopes), _instant(key.created_at), _instant(key.revoked_at))
            for key in found
        ],
    )


@keys.command("revoke")
def keys_revoke(
    key_id: Annotated[str, typer.Argument(help="The id of the key, not its token.")],
    db: Db = None,
) -> None:
    """Refuse a key from now on. This cannot be undone."""
    from storepulse.store.keys import find, revoke

    store = _store(db)
    with store.reading() as connection:  # which, unlike writing, makes no store where there is none
        find(connection, key_id)
    with store.writing() as connection:
        key = revoke(connection, key_id, now=_now(), actor=_actor())
    typer.echo(f"key {key.key_id} ({key.name}) is revoked since {_instant(key.revoked_at)}")


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where the made-up files and the store go.", metavar="FOLDER")] = Path(
        "storepulse-demo"
    ),
) -> None:
    """Go through the main job on made-up data: files, load, report, explanation."""
    from storepulse import demo as tour

    tour.make_files(folder)
    program = "storepulse" if shutil.which("storepulse") else os.path.relpath(sys.argv[0])
    database = folder / "storepulse.db"
    for leftover in folder.glob("storepulse.db*"):
        leftover.unlink()
    url = f"sqlite:///{database}"
    polls, hours, timezones = (f"{folder / name}.csv" for name in ("polls", "hours", "timezones"))
    for words in (
        ["load", "--db", url, "--polls", polls, "--hours", hours, "--timezones", timezones],
        ["quarantine", "--db", url],
        ["report", "--db", url, *(word for store_id in tour.SHOWN for word in ("--store", store_id))],
        ["explain", tour.SHOWN[0], "--db", url, "--window", "last_day"],
    ):
        typer.secho(f"\n$ {program} {' '.join(words)}", bold=True)
        app(words, standalone_mode=False)
    typer.secho("\nWhat to try next", bold=True)
    for words, meaning in (
        (
            ["report", "--db", url, "--detail", "-o", "report.csv"],
            "every store, with bounds, coverage and outages",
        ),
        (
            ["report", "--db", url, "--window", "yesterday", "--max-age", "2h"],
            "yesterday in each store's own zone",
        ),
        (["explain", tour.SHOWN[1], "--db", url, "--window", "last_week"], "another store, a whole week"),
        (["load", "--polls", "YOUR.csv", "--hours", "YOUR.csv", "--timezones", "YOUR.csv"], "your own fleet"),
    ):
        typer.echo(f"  {program} {' '.join(words)}\n      {meaning}")


@app.command()
def serve(
    db: Db = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on. Default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="The port; 0 takes a free one. Default: 8000.")] = None,
    watch: Annotated[
        list[str] | None,
        typer.Option(help="Read new files here again and again: folder, glob, URL, bucket; may be repeated."),
    ] = None,
    every: Annotated[str, typer.Option(help="How often, such as 15m.", metavar="DURATION")] = "1h",
    workers: Annotated[int | None, typer.Option(help="Worker processes. Default: 2.", metavar="N")] = None,
    data_folder: Annotated[
        str | None, typer.Option(help="The folder that /store_csv_data loads.", metavar="FOLDER")
    ] = None,
    insecure: Annotated[
        bool | None, typer.Option("--insecure", help="Serve an address that others can reach without any API key.")
    ] = None,
) -> None:
    """Serve reports over HTTP: trigger, poll, fetch; with workers, and nothing else to install.

    $STOREPULSE_CONFIG names a TOML file with more settings.
    """
    from storepulse.settings import settings

    chosen = settings(
        database_url=db, host=host, port=port, workers=workers, data_folder=data_folder, insecure=insecure
    )
    if watch:
        added = [{"place": place, "every": every} for place in watch]
        chosen = settings(**dict(chosen) | {"sources": (*chosen.sources, *added)})
    from storepulse import processes  # once the settings make sense

    processes.serve(chosen)


@app.command()
def worker(
    db: Db = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="Only jobs of this kind: report, load or source; may be repeated.")
    ] = None,
    supervised: Annotated[bool, typer.Option("--supervised", hidden=True)] = False,
) -> None:
    """Do the jobs of a service, as one more process beside those that `serve` starts."""
    from storepulse import processes
    from storepulse.settings import settings
    from storepulse.store.jobs import KINDS

    if unknown := set(kind or []) - set(KINDS):
        raise InputError(f"there is no kind of job {min(unknown)!r}; valid are {', '.join(KINDS)}")
    processes.work(settings(database_url=db), kind or KINDS, supervised=supervised)  # type: ignore[arg-type]


def _now() -> int:
    return time.time_ns() // 1000


def _actor() -> str:
    """Name whoever uses the command line, for the audit trail."""
    import getpass

    try:
        return f"cli:{getpass.getuser()}"
    except (ImportError, KeyError, OSError):  # nobody gave this user a name, as in many containers
        return "cli:unknown"


def _store(db: str | None) -> Store:
    from storepulse.store import connect

    return connect(db or os.environ.get(_DATABASE_URL) or _DEFAULT_DB)


def _names(
    polls: list[str] | None, hours: list[str] | None, timezones: list[str] | None
) -> Mapping[Kind, Sequence[str]]:
    return {"polls": polls or [], "hours": hours or [], "timezones": timezones or []}


@contextmanager
def _fleet(db: str | None, names: Mapping[Kind, Sequence[str]], store_ids: list[str] | None) -> Iterator[Fleet]:
    """Open the fleet in the store, or read the one in the files that are named."""
    if not any(names.values()):
        with _store(db).snapshot(store_ids) as snapshot:
            yield snapshot
        return
    from storepulse import ingest

    with _progress() as progress:
        loaded = ingest.read(names, now=_now(), version=__version__, progress=progress)
    for row in loaded.quarantine[:_SHOWN_REASONS]:
        _say(f"set aside: {loaded.files[row.file].name} line {row.line}: {row.reason}")
    if (more := len(loaded.quarantine) - _SHOWN_REASONS) > 0:
        _say(f"set aside: {_counted(more, 'more row')}; `storepulse load` keeps them all, with reasons")
    yield ingest.memory_fleet(loaded).of(store_ids)


_SHOWN_REASONS: Final = 5


@contextmanager
def _in_the_meantime(call: Callable[[], None]) -> Iterator[None]:
    """Run something in another thread, and wait for its end on the way out, also after a mistake."""
    thread = Thread(target=call)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _policy(interpolation: str, max_age: str | None, prefer_in_session: bool, assume: str) -> Policy:
    from datetime import timedelta

    from storepulse.kernel.policy import Policy
    from storepulse.schema import duration_us

    return Policy(
        interpolation=interpolation,  # type: ignore[arg-type]  # it says what is valid
        max_age=None if max_age is None else timedelta(microseconds=duration_us(max_age)),
        prefer_in_session=prefer_in_session,
        assume=assume,  # type: ignore[arg-type]
    )


def _write(content: bytes, output: Path | None) -> None:
    """Print, or put into a file that is complete or not there at all."""
    if output is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        with tempfile.NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False) as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).chmod(0o666 & ~_umask())  # as if it had been opened by name
                Path(file.name).replace(output)
            except BaseException:
                Path(file.name).unlink()
                raise
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """Show bars on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done)

        yield progress


def _made_with(made: Report) -> str:
    from storepulse.schema import instant_text

    return f"as of {instant_text(made.as_of)}, {made.policy}, tzdata {made.tzdata}"


def _load_lines(record: Load) -> list[str]:
    """Say what a load brought, a line each."""
    return [
        f"load {record.load} of {_instant(record.started_at)}",
        *(
            f"  {file.kind:<10} {file.name}: {_counted(file.rows_read, 'row')}, {file.accepted:,} accepted, "
            f"{file.quarantined:,} quarantined"
            for file in record.files
        ),
        f"  {record.accepted:,} of {record.rows_read:,} rows accepted ({record.repeated:,} repeated, "
        f"{record.conflicting:,} conflicting), {record.quarantined:,} quarantined",
        *(
            [f"  observations from {_instant(record.first_observed_at)} to {_instant(record.last_observed_at)}"]
            if record.first_observed_at is not None
            else []
        ),
    ]


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _instant(us: int | None) -> str:
    from storepulse.schema import instant_text

    return "–" if us is None else instant_text(us)


def _cut(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:120]}… ({len(text):,} characters)"


def _print_json(value: object) -> None:
    typer.echo(json.dumps(_with_instants(value), ensure_ascii=False, indent=2))


def _with_instants(value: Any) -> Any:
    """Write instants out, as the service does: what ends in ``_at``; what ends in ``_us`` stays a number."""
    from storepulse.schema import instant_iso

    if isinstance(value, Mapping):
        return {
            name: instant_iso(one) if f"_{name}".endswith("_at") and isinstance(one, int) else _with_instants(one)
            for name, one in value.items()
        }
    return [_with_instants(one) for one in value] if isinstance(value, list | tuple) else value


def _print_table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    from storepulse.explanation import as_table

    typer.echo("\n".join(as_table([titles, *rows])))


def _say(message: str) -> None:
    typer.echo(message, err=True)


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    try:
        app()
    except StoreError as error:
        _leave(error, _STORE_FAILED)
    except StorepulseError as error:
        _leave(error, _INPUT_IS_WRONG)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        traceback.print_exc()
        _leave("this is a defect of storepulse; please report it with the lines above", _DEFECT)
    sys.exit(0)


def _leave(message: object, code: int) -> NoReturn:
    _say(f"storepulse: {message}")
    sys.exit(code)
