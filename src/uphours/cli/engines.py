"""Reports that another engine makes: what `report --engine spark` reads here, prints and sets."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from uphours.cli import edge
from uphours.cli.files import file_lines
from uphours.cli.terminal import progress_bars, say
from uphours.cli.workbooks import NAME
from uphours.errors import InputError

if TYPE_CHECKING:
    from uphours.ingest.inputs import Kind
    from uphours.load_record import Loaded
    from uphours.reports.answers import Answer
    from uphours.reports.report import Report
    from uphours.reports.request import ReportRequest

_ENGINES: Final = ("local", "spark")


def check(engine: str, master: str | None, conf: Sequence[str] | None) -> None:
    """Check the options that choose an engine.

    Raises
    ------
    InputError
        There is no such engine, or Spark's options are given without it.
    """
    if engine not in _ENGINES:
        raise InputError(f"there is no engine {engine!r}; valid are {', '.join(_ENGINES)}")
    if engine != "spark" and (master is not None or conf):
        raise InputError("--master and --conf are for --engine spark")


def on_spark(
    names: Mapping[Kind, Sequence[str]],
    options: ReportRequest,
    *,
    master: str | None,
    conf: Sequence[str] | None,
    statuses: Mapping[str, str],
    valid_from: int,
    with_names: bool,
) -> Answer:
    """Make what is asked for on Spark; all but polls is read here, polls by the executors.

    ``with_names``: a report of stores has their names as a column, if they have such an attribute.

    Raises
    ------
    InputError
        No polls are named, an option is wrong, no store has such an attribute or value, or a source cannot be read.
    EngineError
        The cluster failed.
    """
    from uphours.ingest.load import read_files, read_sources
    from uphours.ingest.memory_fleet import memory_fleet
    from uphours.load_record import Summary
    from uphours.reports.ahead import Ahead
    from uphours.reports.groups import Groups
    from uphours.reports.memberships import with_columns
    from uphours.spark import command

    if not names["polls"]:
        raise InputError("--engine spark reports from files or tables; name some with --polls")
    master = master or "local[*]"
    now = edge.now()
    settings: Mapping[Kind, Sequence[str]] = {kind: some for kind, some in names.items() if kind != "polls"}
    with progress_bars() as progress:
        if any(settings.values()):
            loaded = read_files(settings, now=now, progress=progress, valid_from=valid_from)
        else:
            loaded = read_sources([], now=now)
    for line in file_lines(loaded.files, Summary(loaded.rejected, len(loaded.quarantine))):
        say(line)
    if master.startswith("local"):
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else it would be whichever python3 comes first
    with command.session(master, dict(map(_property, conf or ()))) as spark:
        made = command.report(spark, names["polls"], loaded, options, now=now, statuses=statuses)
    answer = made.answer
    if options.as_of is None and made.report.as_of > now:
        report = replace(made.report, ahead=Ahead.of(made.report.as_of, now, []))
        answer = replace(answer, report=report) if isinstance(answer, Groups) else report
    if with_names and not isinstance(answer, Groups):
        answer = with_columns(answer, memory_fleet(loaded), _names_of(answer, loaded))
    for line in [*file_lines(made.files, made.summary), *loaded.notices, *made.summary.sentences()]:
        say(line)
    if made.summary.rejected:
        say("uphours.spark.validate(…).quarantine has the rejected rows of polls")
    return answer


def _names_of(made: Report, loaded: Loaded) -> list[str]:
    """Return the attribute that stores are called by, if those of a report have it."""
    reported = set(made.store_ids)
    has_names = any(name == NAME and loaded.store_ids[store] in reported for store, name, _ in loaded.attributes)
    return [NAME] if has_names else []


def _property(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise InputError(f"cannot read the property {text!r}; valid are NAME=VALUE, such as spark.executor.memory=4g")
    return name, value
