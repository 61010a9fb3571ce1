"""Compare whole commands with those of another commit, in turns, on the same files.

    python -m bench.against COMMIT

The commit is checked out into a worktree of its own, with an environment made by its own `make setup`, and removed in
the end. Each side loads and reports its own database; the reports must say the same in the columns that both have.
"""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

import polars as pl

from bench.fleet import Fleet, remove
from bench.processes import file_options, run
from bench.results import ROOT, Row, Usage, compare, parser, take
from uphours import demo
from uphours.ingest.inputs import Kind

#: The commit that the targets are against.
BASE: Final = "106582c"
#: Of any other commit, and where there is no target: as fast, but for noise.
_NO_SLOWER: Final = 1.05

Files = dict[Kind, list[str]]


@dataclass(frozen=True)
class Program:
    """The command of a commit, and where it keeps its database and its report."""

    command: Path
    folder: Path

    @property
    def csv(self) -> Path:
        return self.folder / "report.csv"

    def load(self, files: Files) -> Usage:
        remove(self.folder / "fleet.db")
        return run([self.command, "load", *self.database, *file_options(files)])

    def report(self, *source: str, cache: Path | None = None) -> Usage:
        """Report the database or files; with an empty ``cache``, no loop is compiled yet."""
        environment = {"NUMBA_CACHE_DIR": str(cache)} if cache else {}
        words = [self.command, "report", *(source or self.database), "-o", self.csv]
        return run(words, environment=environment)

    def look(self, *words: str) -> Usage:
        return run([self.command, *words, *self.database])

    @property
    def database(self) -> list[str]:
        return ["--db", f"sqlite:///{self.folder / 'fleet.db'}"]


@dataclass(frozen=True)
class Work:
    """What both programs do, how often, and how the ratio is limited; ``by`` as in `bench.results.compare`."""

    name: str
    do: Callable[[Program], Usage]
    pairs: int
    at_most: float = _NO_SLOWER
    by: str = "seconds"
    reports: bool = False


def against(commit: str, fleet: Fleet) -> list[Row]:
    """Compare this tree with a commit."""
    with checked_out(commit, fleet.folder / "tree") as tree:
        this, other = (program(root, fleet.folder / name) for root, name in ((ROOT, "this"), (tree, "other")))
        return compared(commit, this, other, works(fleet), fleet)


@contextmanager
def checked_out(commit: str, tree: Path) -> Iterator[Path]:
    """Check a commit out and install what its own lock file says; remove both in the end."""
    git = partial(subprocess.run, cwd=ROOT, check=True)
    git(["git", "worktree", "add", "--quiet", "--detach", str(tree), commit])
    try:
        subprocess.run(["make", "--silent", "setup"], cwd=tree, check=True)
        yield tree
    finally:
        git(["git", "worktree", "remove", "--force", str(tree)])


def program(tree: Path, folder: Path) -> Program:
    """Return the command of a tree, whatever its name."""
    folder.mkdir()
    with (tree / "pyproject.toml").open("rb") as file:
        (name, *_) = tomllib.load(file)["project"]["scripts"]
    return Program(tree / ".venv" / "bin" / name, folder)


def works(fleet: Fleet) -> list[Work]:
    """Return what both programs can do; the first one fills their databases."""
    demo.make_files(fleet.folder / "small")
    small = file_options({kind: [str(fleet.folder / "small" / f"{kind}.csv")] for kind in demo.KINDS})
    large = file_options(fleet.files)
    polls = pl.scan_csv(fleet.files["polls"]).select(pl.len()).collect().item() / 1e6
    store_id = pl.read_csv(fleet.files["timezones"], infer_schema=False)["store_id"][0]
    caches = (fleet.folder / f"cache-{number}" for number in count())
    processors = "processor_seconds"
    return [
        Work("the whole command `load`", lambda it: it.load(fleet.files), 3),
        Work(
            f"the whole command `report`, {polls:.2f} M polls in SQLite", lambda it: it.report(), 7, 0.7, reports=True
        ),
        Work("the whole command `report`, from files", lambda it: it.report(*large), 5, reports=True),
        Work(
            "40 stores from files, cold, processor time", lambda it: it.report(*small), 7, 0.65, processors,
            reports=True,
        ),
        Work(
            "first run after an install (compilation), processor time", lambda it: it.report(cache=next(caches)),
            3, 0.5, processors, reports=True,
        ),
        Work(
            "first run after an install, 40 stores from files", lambda it: it.report(*small, cache=next(caches)),
            3, 0.5, processors, reports=True,
        ),
        Work("the whole command `explain`", lambda it: it.look("explain", store_id), 5),
        Work("the whole command `stores`", lambda it: it.look("stores"), 5),
        Work("`--help`", lambda it: run([it.command, "--help"]), 5),
    ]  # fmt: skip


def compared(commit: str, this: Program, other: Program, chosen: Sequence[Work], fleet: Fleet) -> list[Row]:
    """Let both programs do each work in turns, and compare the reports that they make."""
    rows: list[Row] = []
    for work in chosen:
        at_most = work.at_most if commit == BASE else _NO_SLOWER
        rows.append(
            compare(
                work.name, f"the same of {commit}", partial(work.do, this), partial(work.do, other),
                at_most=at_most, pairs=fleet.pairs(work.pairs), by=work.by,
            )
        )  # fmt: skip
        if work.reports:
            check_same(this.csv, other.csv)
    return rows


def check_same(ours: Path, others: Path) -> None:
    """Compare two reports in the columns that both have.

    Raises
    ------
    SystemExit
        They differ; the message says where.
    """
    this, other = (pl.read_csv(path, infer_schema=False) for path in (ours, others))
    common = [name for name in other.columns if name in this.columns]
    for name in common:
        if len(this) != len(other) or not this[name].equals(other[name]):
            raise SystemExit(f"the reports differ in {name}: {ours}, {others}")
    print(f"  the same {len(this):,} rows in the {len(common)} columns that both have", flush=True)


SECTIONS = {f"against {BASE}": partial(against, BASE)}

if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("commit", nargs="?", default=BASE, help=f"a commit, a tag or a branch; {BASE} if not given")
    options = arguments.parse_args()
    take({f"against {options.commit}": partial(against, options.commit)}, options)
