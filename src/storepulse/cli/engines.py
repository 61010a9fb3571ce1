"""Reports that another engine makes: what `report --engine spark` reads here, prints and sets."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from storepulse import __version__
from storepulse.cli import edge
from storepulse.cli.terminal import counted, progress_bars, say
from storepulse.errors import InputError

if TYPE_CHECKING:
    from storepulse.ingest.sources import Kind
    from storepulse.reports import Report, ReportOptions
    from storepulse.store.loads import Loaded

_ENGINES: Final = ("local", "spark")
_SHOWN_REASONS: Final = 5


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
    names: Mapping[Kind, Sequence[str]], options: ReportOptions, *, master: str | None, conf: Sequence[str] | None
) -> Report:
    """Make a report on Spark; hours and zones are read here, polls by the executors.

    Raises
    ------
    InputError
        No polls are named, an option is wrong, or a source cannot be read.
    EngineError
        The cluster failed.
    """
    from storepulse import ingest
    from storepulse.spark import command

    if not names["polls"]:
        raise InputError("--engine spark reports from files or tables; name some with --polls")
    master = master or "local[*]"
    now = edge.now()
    settings: Mapping[Kind, Sequence[str]] = {kind: some for kind, some in names.items() if kind != "polls"}
    with progress_bars() as progress:
        if any(settings.values()):
            loaded = ingest.read(settings, now=now, version=__version__, progress=progress)
        else:
            loaded = ingest.read_sources([], now=now, version=__version__)
    tell_set_aside(loaded)
    if master.startswith("local"):
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else it would be whichever python3 comes first
    with command.session(master, dict(map(_property, conf or ()))) as spark:
        made = command.report(spark, names["polls"], loaded, options, now=now)
    for source, raw, reason in made.shown[:_SHOWN_REASONS]:
        say(f"set aside: {source} {raw[:200]}: {reason}")
    if (more := made.bad - len(made.shown[:_SHOWN_REASONS])) > 0:
        say(f"set aside: {counted(more, 'more row')}; storepulse.spark.validate(…).quarantine has them all")
    return made.report


def tell_set_aside(loaded: Loaded) -> None:
    """Print the first rows that are in the quarantine, and how many more there are."""
    for row in loaded.quarantine[:_SHOWN_REASONS]:
        say(f"set aside: {loaded.files[row.file].name} line {row.line}: {row.reason}")
    if (more := len(loaded.quarantine) - _SHOWN_REASONS) > 0:
        say(f"set aside: {counted(more, 'more row')}; `storepulse load` keeps them all, with reasons")


def _property(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise InputError(f"cannot read the property {text!r}; valid are NAME=VALUE, such as spark.executor.memory=4g")
    return name, value
