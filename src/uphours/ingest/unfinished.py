"""Names of files that another program is still writing, or keeps for itself: globs and folders leave them out."""

from __future__ import annotations

from typing import Final

#: What programs put behind the name of a file until it is whole, and editors behind that of a backup.
_ENDINGS: Final = (
    "~", ".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".download", ".opdownload", ".incomplete",
    ".inprogress", ".in-progress", ".uploading", ".upload", ".writing", ".unfinished", "._copying_", ".aria2", ".gstmp",
    ".!ut", ".swp", ".lock", ".lck",
)  # fmt: skip
#: Excel's and LibreOffice's marks of a workbook that is open, and an editor's of a file that is not saved.
_BEGINNINGS: Final = ("~$", ".~lock.", "#")


def is_unfinished(name: str) -> bool:
    """Tell whether a name is that of a file that is not finished, or of a program's own.

    >>> [is_unfinished(name) for name in ("polls.csv.filepart", "~$polls.xlsx", "polls.CSV.TMP", "part.csv")]
    [True, True, True, False]
    """
    return name.startswith(_BEGINNINGS) or name.lower().endswith(_ENDINGS)
