"""Loops over arrays: run as plain Python where there is little to do, and as machine code for all else.

Both are the same function.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from uphours.machine_code import MachineCode

Loop: TypeAlias = Callable[..., None]

#: Elements that a loop goes through, in all calls of a process, before machine code is loaded or made for it: some
#: 0.1 s of plain Python.
_PLAIN_ELEMENTS: Final = 50_000
_state: dict[str, Any] = {"plain_elements": _PLAIN_ELEMENTS, "announce": None}


class _Loop:
    """A loop that is compiled once it has gone through some number of elements."""

    def __init__(self, loop: FunctionType) -> None:
        self._loop = loop
        self._machine_codes: dict[tuple[str, ...], MachineCode] = {}
        self._elements = 0
        update_wrapper(self, loop)

    def __call__(self, *arguments: Any) -> None:
        if not self._machine_codes:
            self._elements += _elements(arguments)
            if self._elements <= _state["plain_elements"]:
                self._loop(*arguments)
                return
        from uphours.machine_code import machine_code, types_of

        types = types_of(arguments)
        if types not in self._machine_codes:
            self._machine_codes[types] = machine_code(self._loop, types, _announce)
        self._machine_codes[types](*arguments)


def compiled(loop: Callable[..., None]) -> Loop:
    """Return a loop that is compiled when that pays.

    It must be plain loops over arrays and integers, which fill arrays that they are given: it returns nothing, and
    makes nothing.
    """
    assert isinstance(loop, FunctionType)
    return _Loop(loop)


def compile_always() -> None:
    """Compile each loop at its next call, however little there is to do."""
    _state["plain_elements"] = -1


def announce_compiling(announce: Callable[[], None]) -> None:
    """Have something called before the first loop is compiled for which no machine code is kept."""
    _state["announce"] = announce


def _announce() -> None:
    announce, _state["announce"] = _state["announce"], None
    if announce is not None:
        announce()


def _elements(arguments: tuple[Any, ...]) -> int:
    """Return about how many elements a loop goes through: those of its first two arrays, once for each window."""
    shapes = [argument.shape for argument in arguments if hasattr(argument, "shape")]
    windows = max((shape[1] for shape in shapes if len(shape) > 1), default=1)
    return int(max(shape[0] for shape in shapes[:2]) * windows)
