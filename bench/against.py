"""Compare whole commands with those of another commit, in turns, on the same files.

    python -m bench.against COMMIT

The commit is checked out into a worktree of its own, with an environment made by its own `make setup`, and removed in
the end. Each side loads and reports its own database; the reports must say the same in the columns that both have.
"""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Iterator
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
        return run([self.command, "load", *self._database(), *file_options(files)])

    def report(self, *, cache: Path | None = None) -> Usage:
        """Report the database; with an empty ``cache``, no loop is compiled yet."""
        return self._report(self._database(), cache)

    def report_of(self, files: Files, *, cache: Path | None = None) -> Usage:
        return self._report(file_options(files), cache)

    def _report(self, source: list[str], cache: Path | None) -> Usage:
        environment = {"NUMBA_CACHE_DIR": str(cache)} if cache else {}
        return run([self.command, "report", *source, "-o", self.csv], environment=environment)

    def look(self, command: str, *words: str) -> Usage:
        return run([self.command, command, *words, *self._database()])

    def help(self) -> Usage:
        return run([self.command, "--help"])

    def _database(self) -> list[str]:
        return ["--db", f"sqlite:///{self.folder / 'fleet.db'}"]


def against(commit: str, fleet: Fleet) -> list[Row]:
    """Compare this tree with a commit."""
    with checked_out(commit, fleet.folder / "tree") as tree:
        this, other = (program(root, fleet.folder / name) for root, name in ((ROOT, "this"), (tree, "other")))
        return compared(commit, this, other, fleet)


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


def compared(commit: str, this: Program, other: Program, fleet: Fleet) -> list[Row]:
    """Compare what both programs can do."""
    demo.make_files(fleet.folder / "small")
    small: Files = {kind: [str(fleet.folder / "small" / f"{kind}.csv")] for kind in demo.KINDS}
    polls = pl.scan_csv(fleet.files["polls"]).select(pl.len()).collect().item() / 1e6
    store_id = pl.read_csv(fleet.files["timezones"], infer_schema=False)["store_id"][0]
    caches = (fleet.folder / f"cache-{number}" for number in count())
    rows: list[Row] = []

    def add(work: str, do: str, *words: object, pairs: int, at_most: float = _NO_SLOWER, by: str = "seconds") -> None:
        def side(program: Program) -> Usage:
            fresh = {"cache": next(caches)} if work.startswith("first run") else {}
            usage = getattr(program, do)(*words, **fresh)
            assert isinstance(usage, Usage)
            return usage

        rows.append(
            compare(
                work, f"the same of {commit}", partial(side, this), partial(side, other),
                at_most=at_most if commit == BASE else _NO_SLOWER, pairs=fleet.pairs(pairs), by=by,
            )
        )  # fmt: skip
        print(rows[-1], flush=True)
        if do.startswith("report"):
            check_same(this.csv, other.csv)

    processors = "processor_seconds"
    add("the whole command `load`", "load", fleet.files, pairs=3)
    add(f"the whole command `report`, {polls:.2f} M polls in SQLite", "report", pairs=7, at_most=0.7)
    add("the whole command `report`, from files", "report_of", fleet.files, pairs=5)
    add("40 stores from files, cold, processor time", "report_of", small, pairs=7, at_most=0.65, by=processors)
    add("first run after an install (compilation), processor time", "report", pairs=3, at_most=0.5, by=processors)
    add("first run after an install, 40 stores from files", "report_of", small, pairs=3, at_most=0.5, by=processors)
    add("the whole command `explain`", "look", "explain", store_id, pairs=5)
    add("the whole command `stores`", "look", "stores", pairs=5)
    add("`--help`", "help", pairs=5)
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
