"""Loops over arrays: run as plain Python where there is little to do, and as machine code of Numba's for all else.

Both are the same function. Loading Numba takes longer than a loop over some thousand elements.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Final, TypeAlias

Loop: TypeAlias = Callable[..., Any]

#: Elements that a loop goes through, in all calls of a process, before it is compiled: some 0.1 s of plain Python.
#: Loading Numba and the machine code takes 0.6 s.
_PLAIN_ELEMENTS: Final = 50_000
_state: dict[str, Any] = {"plain_elements": _PLAIN_ELEMENTS, "announce": None}


class _Loop:
    """A loop that is compiled once it has gone through some number of elements."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._machine_code: Loop | None = None
        self._elements = 0
        update_wrapper(self, loop)

    def __call__(self, *arguments: Any) -> Any:
        if self._machine_code is None:
            self._elements += _elements(arguments)
            if self._elements <= _state["plain_elements"]:
                return self._loop(*arguments)
            self._machine_code = _machine_code(self._loop)
        return self._machine_code(*arguments)


def compiled(loop: Loop) -> Loop:
    """Return a loop that is compiled when that pays; it must be plain loops over arrays and integers."""
    return _Loop(loop)


def compile_always() -> None:
    """Compile each loop at its next call, however little there is to do."""
    _state["plain_elements"] = -1


def announce_compiling(announce: Callable[[], None]) -> None:
    """Have something called before the first loop is compiled for which no machine code is cached."""
    _state["announce"] = announce


def _elements(arguments: tuple[Any, ...]) -> int:
    """Return about how many elements a loop goes through: those of its first two arrays, once for each window."""
    shapes = [argument.shape for argument in arguments if hasattr(argument, "shape")]
    windows = max((shape[1] for shape in shapes if len(shape) > 1), default=1)
    return int(max(shape[0] for shape in shapes[:2]) * windows)


def _machine_code(loop: Loop) -> Loop:
    import numba

    if _state["announce"] is not None:
        _announce_the_first(_state["announce"])
        _state["announce"] = None
    try:
        machine_code: Loop = numba.njit(cache=True, nogil=True)(loop)
    except RuntimeError:
        # No folder to cache in: neither the package's own nor a home. Every process then compiles for itself.
        machine_code = numba.njit(nogil=True)(loop)
    return machine_code


def _announce_the_first(announce: Callable[[], None]) -> None:
    from numba.core import event

    class First(event.Listener):
        def on_start(self, event: Any) -> None:
            nonlocal announce
            announce()
            announce = _nothing

        def on_end(self, event: Any) -> None:
            pass

    event.register("numba:compile", First())  # type: ignore[no-untyped-call]


def _nothing() -> None:
    pass
