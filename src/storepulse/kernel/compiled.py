"""Compilation of the loops over spans: Numba, cached on disk where there is a place for the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numba

Loop: TypeAlias = Callable[..., Any]


def compiled(loop: Loop) -> Loop:
    """Compile ``loop`` to machine code at its first call; it must be plain loops over arrays and integers."""
    try:
        return numba.njit(cache=True, nogil=True)(loop)
    except RuntimeError:
        # No folder to cache in: neither the package's own nor a home. Every process then compiles anew.
        return numba.njit(nogil=True)(loop)
