"""What is no table that can be read here, by its first bytes: an error that names it says what to do."""

from __future__ import annotations

import re
from typing import Final

from uphours.errors import InputError

#: That many bytes of a file are looked at.
HEAD: Final = 4096

_UNPACK: Final = "unpack it, or compress the files with gzip or Zstandard"
_AS_CSV: Final = "save the sheet as CSV UTF-8"
_AS_PARQUET: Final = "write it as Parquet or CSV"
#: By the bytes at a place of the file: what it is, and what to do. The first that fits is named.
_SIGNATURES: Final[tuple[tuple[int, bytes, str, str], ...]] = (
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook of the old kind (.xls)", _AS_CSV),
    (0, b"SQLite format 3\0", "an SQLite database", "export its tables as CSV"),
    (0, b"BZh", "compressed with bzip2", "unpack it with bunzip2; gzip and Zstandard are read as they are"),
    (0, b"\xfd7zXZ\0", "compressed with xz", "unpack it with unxz; gzip and Zstandard are read as they are"),
    (0, b"\x5d\0\0", "compressed with LZMA", "unpack it with unlzma; gzip and Zstandard are read as they are"),
    (0, b"\x04\x22\x4d\x18", "compressed with LZ4", "unpack it with unlz4; gzip and Zstandard are read as they are"),
    (0, b"\xff\x06\0\0sNaPpY", "compressed with Snappy", "unpack it; gzip and Zstandard are read as they are"),
    (0, b"\x1f\x9d", "compressed with compress (.Z)", "unpack it; gzip and Zstandard are read as they are"),
    (0, b"\x1f\x8b", "compressed twice", "unpack it once"),
    (0, b"\x28\xb5\x2f\xfd", "compressed twice", "unpack it once"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (0, b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"ARROW1", "an Arrow IPC file (Feather)", _AS_PARQUET),
    (0, b"\xff\xff\xff\xff", "a stream of Arrow IPC", _AS_PARQUET),
    (0, b"FEA1", "a Feather file", _AS_PARQUET),
    (0, b"PARE", "an encrypted Parquet file", "write it without encryption"),
    (0, b"Obj\x01", "an Avro file", _AS_PARQUET),
    (0, b"ORC", "an ORC file", _AS_PARQUET),
    (0, b"SEQ\x06", "a Hadoop sequence file", _AS_PARQUET),
    (8, b"DUCK", "a DuckDB database", "export its tables with COPY … TO 'polls.parquet'"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file", _AS_PARQUET),
    (0, b"\x93NUMPY", "a NumPy array", _AS_PARQUET),
    (0, b"\x80\x04\x95", "a Python pickle", _AS_PARQUET),
    (0, b"\x80\x05\x95", "a Python pickle", _AS_PARQUET),
    (4, b"Standard Jet DB", "an Access database", "export its tables as CSV UTF-8"),
    (4, b"Standard ACE DB", "an Access database", "export its tables as CSV UTF-8"),
    (0, b"PGDMP", "a dump of PostgreSQL", "export the tables with COPY … TO … WITH (FORMAT csv, HEADER)"),
    (0, b"%PDF", "a PDF document", "ask for the table as CSV"),
    (0, b"{\\rtf", "an RTF document", "ask for the table as CSV"),
    (0, b"\x89PNG", "a picture", "ask for the table as CSV"),
    (0, b"\xff\xd8\xff", "a picture", "ask for the table as CSV"),
    (0, b"GIF8", "a picture", "ask for the table as CSV"),
    (0, b"\x7fELF", "a program", "name the file that holds the rows"),
    (0, b"version https://git-lfs.github.com/", "a pointer of Git LFS", "fetch the file with git lfs pull"),
    (0, b"\xff\xfe\0\0", "UTF-32 text", "save it as UTF-8"),
    (0, b"\0\0\xfe\xff", "UTF-32 text", "save it as UTF-8"),
)  # fmt: skip
#: Signatures of formats that are text; behind all others stand bytes that no text has. A title may begin with ORC.
_TEXTS: Final = (b"%PDF", b"{\\rtf", b"version https://git-lfs.github.com/")
#: Of fewer bytes it cannot be said what they are.
_ENOUGH: Final = 16
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0e-\x1f\x80-\xff]")
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
#: By a text near the beginning of a zip archive, which begins with its first entries: whose format it is.
_ZIPPED: Final[tuple[tuple[bytes, str, str], ...]] = (
    (b"opendocument.spreadsheet", "an OpenDocument workbook (.ods)", _AS_CSV),
    (b"opendocument", "an OpenDocument file", "ask for the table as CSV"),
    (b"xl/", "an Excel workbook (.xlsx)", _AS_CSV),
    (b"word/", "a Word document", "ask for the table as CSV"),
    (b"ppt/", "a PowerPoint document", "ask for the table as CSV"),
    (b"Index/", "a Numbers workbook", _AS_CSV),
)
_MARKUP: Final = re.compile(rb"\s*<(?:(!doctype\s+html|html|head|body|table)\b|(\?xml|[a-z!/]))", re.IGNORECASE)


def refuse_foreign(label: str, head: bytes) -> None:
    """Refuse what begins with bytes with which no table begins.

    Parameters
    ----------
    label
        What the message calls it.
    head
        The first bytes, without compression; up to `HEAD` of them.

    Raises
    ------
    InputError
        It is of another format; the message names it and says what to do.
    """
    found = _named(head)
    if found is not None:
        what, remedy = found
        raise InputError(f"{label} is {what}; {remedy}. Valid are CSV, JSON and Parquet, also .gz and .zst")


def _named(head: bytes) -> tuple[str, str] | None:
    if head.startswith(_ZIP):
        return next(
            ((what, remedy) for text, what, remedy in _ZIPPED if text in head),
            # Writers differ in which entry comes first; the list of types is that of all Office formats.
            ("an Office document, such as an Excel workbook (.xlsx)", _AS_CSV)
            if b"[Content_Types].xml" in head or b"docProps/" in head or b"_rels/" in head
            else ("a zip archive", _UNPACK),
        )
    for place, signature, what, remedy in _SIGNATURES:
        if head.startswith(signature, place) and (signature in _TEXTS or _CONTROL.search(head)):
            return what, remedy
    if markup := _MARKUP.match(head.removeprefix(b"\xef\xbb\xbf")):
        is_html = markup[1] is not None
        return ("an HTML page", "save the table as CSV") if is_html else ("XML", "save the table as CSV")
    if b"\0" in head and len(head) >= _ENOUGH:
        even, odd = head[::2].count(0), head[1::2].count(0)
        if min(even, odd) * 8 < max(even, odd) and max(even, odd) * 4 > len(head):
            return "UTF-16 text without a byte order mark", "save it as UTF-8"
        if head.strip(b"\0") and (b"\n" not in head or head.find(b"\0") < head.find(b"\n")):
            return "no text: there is a zero byte in its first line", "name a file of rows"
    return None
