"""Machine code of loops: kept in files, made once, never believed when it is damaged or of another loop."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest

from uphours import machine_code
from uphours.machine_code import CACHE, types_of

STEP = 3

#: A process that loads what is kept, and says what it imported.
LOADS = """
import sys, numpy as np
from tests.unit.test_machine_code import add, run
found = np.arange(5)
run(add, found, 2)
print(found.tolist(), "numba" in sys.modules)
"""


def add(values: Any, more: int) -> None:
    for i in range(len(values)):
        values[i] += more * STEP


def sum_rows(values: Any, only_first: bool, sums: Any) -> None:
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            if not only_first or j == 0:
                sums[i] += values[i, j]


def run(loop: Any, *arguments: Any) -> list[str]:
    """Run a loop as machine code; return what was announced before."""
    announced: list[str] = []
    assert isinstance(loop, FunctionType)
    made = machine_code.machine_code(loop, types_of(arguments), lambda: announced.append(loop.__name__))
    made(*arguments)
    return announced


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_it_is_made_once_and_then_loaded_without_numba(cache: Path) -> None:
    found = np.arange(5)
    assert run(add, found, 2) == ["add"]
    assert found.tolist() == [6, 7, 8, 9, 10]
    assert run(add, np.arange(5), 2) == []
    assert len(list(cache.iterdir())) == 1
    ran = subprocess.run([sys.executable, "-c", LOADS], capture_output=True, text=True, check=True)
    assert ran.stdout == "[6, 7, 8, 9, 10] False\n"


def test_arrays_that_are_cut_or_repeated_give_the_same(cache: Path) -> None:
    values = np.arange(24).reshape(4, 6)
    for given in (values, values[:, ::2], values.T, np.broadcast_to(values[:, :1], (4, 6)), values[:0]):
        for only_first in (False, True):
            sums = np.zeros(len(given), dtype=np.int64)
            run(sum_rows, given, only_first, sums)
            assert sums.tolist() == (given[:, 0] if only_first else given.sum(axis=1)).tolist()
    assert len(list(cache.iterdir())) == 2  # one for arrays in order, one for all others


def test_each_type_has_its_own(cache: Path) -> None:
    for dtype in (np.int32, np.int64, np.uint8):
        found = np.array([250], dtype=dtype)
        assert run(add, found, 1) == ["add"]
        assert found[0] == 253
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize("harm", ["cut", "changed", "emptied"])
def test_a_damaged_file_is_made_again(cache: Path, harm: str) -> None:
    run(add, np.arange(5), 2)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    harmed = {"cut": whole[:-100], "changed": whole[:500] + bytes([whole[500] ^ 1]) + whole[501:], "emptied": b""}
    file.write_bytes(harmed[harm])
    found = np.arange(5)
    assert run(add, found, 2) == ["add"]
    assert found.tolist() == [6, 7, 8, 9, 10]
    assert run(add, found, 2) == []


def test_another_constant_or_another_loop_of_that_name_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    run(add, np.arange(5), 2)
    monkeypatch.setitem(globals(), "STEP", np.int64(4))
    found = np.arange(3)
    assert run(add, found, 1) == ["add"]
    assert found.tolist() == [4, 5, 6]

    def other(values: Any, more: int) -> None:
        for i in range(len(values)):
            values[i] -= more

    other.__name__ = "add"
    assert run(other, found, 4) == ["add"]
    assert found.tolist() == [0, 1, 2]


def test_where_nothing_can_be_kept_each_process_makes_it(cache: Path) -> None:
    cache.write_text("a file where a folder should be")
    for _ in range(2):
        found = np.arange(3)
        assert run(add, found, 1) == ["add"]
        assert found.tolist() == [3, 4, 5]


def test_a_loop_that_makes_an_array_is_refused() -> None:
    def makes(values: Any) -> None:
        values += np.ones(len(values), dtype=np.int64)

    from numba import TypingError  # here: another test looks whether this module needs Numba

    with pytest.raises(TypingError):
        run(makes, np.arange(3))
