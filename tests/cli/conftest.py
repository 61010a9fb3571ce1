"""A way to call the command line inside this process, and a small store to call it on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.fixtures import tables
from uphours.cli import edge
from uphours.cli.command_line import main


@dataclass(frozen=True)
class Ran:
    """What a command left: its exit code, standard output and standard error."""

    code: int
    out: bytes
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Call ``uphours`` with some words, in an empty folder and with nothing of it in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UPHOURS_DATABASE_URL", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(edge, "now", lambda: tables.NOW)

    def call(*words: str | Path) -> Ran:
        monkeypatch.setattr("sys.argv", ["uphours", *map(str, words)])
        capsysbinary.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsysbinary.readouterr()
        code = left.value.code
        return Ran(code if isinstance(code, int) else 0 if code is None else 1, out, err.decode())

    return call


FILES = ["--polls", "polls.csv", "--hours", "hours.csv", "--timezones", "timezones.csv"]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Write a small fleet into the folder, one poll of it bad; return the options that name it."""
    contents = tables.CONTENTS | {"polls": tables.POLLS + "3,activ,2023-01-24 10:00:00 UTC\n"}
    for kind, content in contents.items():
        tables.write(tmp_path / f"{kind}.csv", content)
    return FILES


@pytest.fixture
def loaded(run: Run, files: list[str]) -> list[str]:
    """Load the small fleet into the default store; return the options that name it."""
    load_once(run, "the small fleet", *files)
    return []


_databases: Final[dict[str, bytes]] = {}


def load_once(run: Run, name: str, *words: str) -> None:
    """Load files into the default database of the current folder; what was loaded under that name before is copied."""
    path = Path("uphours.db")
    if name in _databases:
        path.write_bytes(_databases[name])
        return
    assert run("load", *words).code == 0
    assert not Path("uphours.db-wal").exists()
    _databases[name] = path.read_bytes()
