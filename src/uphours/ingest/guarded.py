"""Cells that a spreadsheet would run as a formula: kept from it in what was set aside, and read back as they were.

An apostrophe is put before such a cell, and taken away where a file of rejected rows is loaded again: one whose first
column is ``reason``. Each place where one is put is a place where one is taken away, whatever quotes say, so that
``unguarded`` always gives what ``guarded`` was given.
"""

from __future__ import annotations

import re
from functools import lru_cache

#: The first column of a file of rejected rows.
REASON = "reason"


def guarded(lines: bytes, delimiter: str = ",") -> bytes:
    r"""Return lines of CSV with an apostrophe before each cell that begins with ``=``, ``+``, ``-``, ``@`` or a tab.

    >>> guarded(b'1,"=2+3",-4')
    b'1,"\'=2+3",\'-4'
    """
    return _places(delimiter)[0].sub(rb"\1'", lines)


def unguarded(lines: bytes, delimiter: str = ",") -> bytes:
    r"""Return lines of CSV without the apostrophes of `guarded`.

    >>> unguarded(guarded(b"=1,'=2,''+3,x"))
    b"=1,'=2,''+3,x"
    """
    return _places(delimiter)[1].sub(rb"\1", lines)


@lru_cache
def _places(delimiter: str) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """Return where apostrophes are put, and where they are taken away."""
    begins = rb"(?m)((?:^|%s)\"?)" % re.escape(delimiter.encode())
    runs = rb"(?='*[=+\-@%s])" % (b"" if delimiter == "\t" else rb"\t")
    return re.compile(begins + runs), re.compile(begins + b"'" + runs)
