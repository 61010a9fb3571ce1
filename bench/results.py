"""Take measurements on a quiet machine, in turns, and keep them in ``bench/results.json``, section by section.

A section is measured by one function, and kept with machine, commit, load and date, whatever the others say.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import resource
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import duckdb
import numpy as np
import polars as pl

from bench.fleet import Fleet
from uphours.kernel.jit import compile_always

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = ROOT / "bench" / "results.json"
#: The load average up to which the machine counts as quiet.
QUIET: Final = 0.5


@dataclass(frozen=True)
class Usage:
    """What a piece of work took; ``peak_mb`` is known of whole processes only."""

    seconds: float
    processor_seconds: float
    peak_mb: float | None = None


class Row:
    """A line of a section, which is a dataclass."""


@dataclass(frozen=True)
class Comparison(Row):
    """Medians of two sides that took turns, and the median, lowest and highest ratio of the pairs.

    ``ours`` and ``yardstick`` are in ``unit``, and ``ratio`` is of them. ``processor_ratio`` is of processor seconds.
    """

    work: str
    against: str
    unit: str
    ours: float
    yardstick: float
    ratio: float
    lowest: float
    highest: float
    at_most: float | None
    processor_ratio: float | None = None
    peak_mb: float | None = None

    def __str__(self) -> str:
        processors = "" if self.processor_ratio is None else f", of processor seconds {self.processor_ratio:.2f}"
        return (
            f"{self.work}: {self.ours:,.4g} {self.unit}, {self.against}: {self.yardstick:,.4g} {self.unit}; "
            f"{self.ratio:.2f} × ({self.lowest:.2f} to {self.highest:.2f}{processors})"
            + verdict(self.ratio, self.at_most)
        )


@dataclass(frozen=True)
class Figure(Row):
    """One number with its unit."""

    work: str
    value: float
    unit: str
    at_most: float | None = None

    def __str__(self) -> str:
        return f"{self.work}: {self.value:,.4g} {self.unit}{verdict(self.value, self.at_most)}"


Section: TypeAlias = Callable[[Fleet], list[Row]]
Side: TypeAlias = Callable[[], Usage]


def verdict(value: float, at_most: float | None) -> str:
    if at_most is None:
        return ""
    return f", at most {at_most:g}" + ("" if value <= at_most else "  MISSED")


# --- measuring ------------------------------------------------------------------------------------------------


def measured(call: Callable[[], object]) -> Usage:
    """Do a piece of work in this process, or wait for one in others; return what it took."""
    settle()
    started, before = time.perf_counter(), processor_seconds()
    call()
    return Usage(time.perf_counter() - started, processor_seconds() - before)


def settle() -> None:
    """Let what ran before come to rest: its garbage, its threads, and what it has written but not brought to disk."""
    gc.collect()
    os.sync()
    time.sleep(0.05)


def side(call: Callable[[], object]) -> Side:
    """Make a side of a comparison of a piece of work in this process."""
    return partial(measured, call)


def processor_seconds() -> float:
    """Return what this process has used, with its threads and the processes that it has waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def median_ms(call: Callable[[], object], times: int) -> float:
    return statistics.median(measured(call).seconds for _ in range(times)) * 1000


def in_turns(ours: Side, yardstick: Side, pairs: int) -> list[tuple[Usage, Usage]]:
    """Let the two take turns, and begin by turns too, after one warm-up of each; a single pair has no warm-up."""
    if pairs > 1:
        ours(), yardstick()
    taken = []
    for pair in range(pairs):
        if pair % 2:
            other = yardstick()
            taken.append((ours(), other))
        else:
            taken.append((ours(), yardstick()))
    return taken


def compare(
    work: str,
    against: str,
    ours: Side,
    yardstick: Side,
    *,
    at_most: float | None,
    pairs: int,
    by: str = "seconds",
) -> Comparison:
    """Compare two sides in turns; ``by`` is what the ratio is of: seconds or processor_seconds."""
    return compared(work, against, in_turns(ours, yardstick, pairs), at_most=at_most, by=by)


def compared(
    work: str, against: str, taken: list[tuple[Usage, Usage]], *, at_most: float | None, by: str = "seconds"
) -> Comparison:
    """Sum up the pairs of a comparison."""
    ratios = [getattr(a, by) / getattr(b, by) for a, b in taken]
    peaks = [usage.peak_mb for usage, _ in taken if usage.peak_mb is not None]
    return Comparison(
        work, against, "s" if by == "seconds" else "processor s",
        statistics.median(getattr(usage, by) for usage, _ in taken),
        statistics.median(getattr(usage, by) for _, usage in taken),
        statistics.median(ratios), min(ratios), max(ratios), at_most,
        processor_ratio=statistics.median(a.processor_seconds / b.processor_seconds for a, b in taken),
        peak_mb=max(peaks) if peaks else None,
    )  # fmt: skip


def of_medians(work: str, against: str, unit: str, ours: float, yardstick: float, at_most: float | None) -> Comparison:
    """Compare two figures that were taken at the same time."""
    ratio = ours / yardstick
    return Comparison(work, against, unit, ours, yardstick, ratio, ratio, ratio, at_most)


# --- keeping --------------------------------------------------------------------------------------------------


def keep(path: Path, name: str, rows: list[Row], fleet: Fleet, load: float) -> None:
    """Put a section into the file of results, in place of what it said before."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept[name] = {
        "taken": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "load": round(load, 2),
        "stores": fleet.stores,
        "machine": machine(),
        "rows": [plain(row) for row in rows],
    }
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def plain(row: Row) -> dict[str, Any]:
    """Return a row as it is kept: four digits say more than two machines have in common."""
    return {
        name: float(f"{value:.4g}") if isinstance(value, float) else value
        for name, value in vars(row).items()
        if value is not None
    }


def commit() -> str:
    """Name the commit that is measured, with a + if files differ from it."""
    if not (ROOT / ".git").exists():
        return "unknown"
    git = partial(subprocess.run, cwd=ROOT, check=True, capture_output=True, text=True)
    name = git(["git", "rev-parse", "--short=7", "HEAD"]).stdout.strip()
    changed = git(["git", "status", "--porcelain", "--untracked-files=no", "--", ".", ":!bench/results.json"]).stdout
    return f"{name}+" if changed else name


def machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "duckdb": duckdb.__version__,
        "polars": pl.__version__,
        "numpy": np.__version__,
    }


# --- the command line -----------------------------------------------------------------------------------------


def parser(description: str | None) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument(
        "--stores", type=int, default=Fleet.USUAL, help=f"stores of the fleet; {Fleet.USUAL:,} if not given"
    )
    made.add_argument("--pairs", type=int, default=100, help="turns of each comparison at most")
    made.add_argument("--folder", type=Path, help="where files are made; the system's temporary folder if not given")
    made.add_argument("--busy", action="store_true", help=f"measure although the load average is above {QUIET}")
    made.add_argument("--results", type=Path, help="where results are kept; those of other sizes only if it is given")
    return made


def main(sections: Mapping[str, Section], description: str | None, *, on_request: Collection[str] = ()) -> None:
    """Measure the sections that the command line names, or all but those that are measured on request."""
    made = parser(description)
    usual = [name for name in sections if name not in on_request]
    words = f"one of: {'; '.join(sections)}. If none is named: {'; '.join(usual)}"
    made.add_argument("sections", nargs="*", metavar="SECTION", help=words)
    options = made.parse_args()
    if unknown := set(options.sections) - set(sections):
        made.error(f"no section is called {', '.join(sorted(unknown))}; there are {', '.join(sections)}")
    take({name: sections[name] for name in options.sections or usual}, options)


def take(sections: Mapping[str, Section], options: argparse.Namespace) -> None:
    """Measure sections one after the other, and keep each as soon as it is there."""
    load = os.getloadavg()[0]
    if load > QUIET and not options.busy:
        raise SystemExit(
            f"The machine is busy: its load average is {load:.2f}, and measurements are taken below {QUIET}. "
            "Wait, or measure with --busy."
        )
    compile_always()  # as in a process that has worked for a while
    results = options.results or (RESULTS if (options.stores, options.pairs) == (Fleet.USUAL, 100) else None)
    with tempfile.TemporaryDirectory(prefix="uphours-bench-", dir=options.folder) as name:
        fleet = Fleet(Path(name), options.stores, options.pairs)
        for section, measure in sections.items():
            print(f"--- {section}", flush=True)
            started = time.perf_counter()
            rows = measure(fleet)
            print(*rows, sep="\n")
            print(f"({time.perf_counter() - started:.0f} s)", flush=True)
            if results is not None:
                keep(results, section, rows, fleet, load)
