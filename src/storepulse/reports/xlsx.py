"""A report as a workbook for spreadsheet programs (Office Open XML, ECMA-376).

Only what a report needs: texts and numbers, never a formula. The cells are written as whole columns, which takes a
tenth of the time that a library for workbooks in general needs a cell at a time; and no text, whatever an id may
contain, is ever taken for anything but text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from typing import Final
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import polars as pl

from storepulse.errors import InputError
from storepulse.reports.layouts import STORE_ID, Column, cells
from storepulse.reports.report import Report, iso
from storepulse.schema import SECOND_US

_MOST_ROWS: Final = 1_048_576
_MOST_COLUMNS: Final = 16_384

#: Positions in ``cellXfs`` of the styles below.
_PLAIN, _BOLD, _DECIMAL, _WHOLE, _TEXT = range(5)

_XML: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_TYPES: Final = "application/vnd.openxmlformats"
_SHEETS: Final = f"{_TYPES}-officedocument.spreadsheetml"

_CONTENT_TYPES: Final = (
    f'<Types xmlns="{_PACKAGE}/content-types">'
    f'<Default Extension="rels" ContentType="{_TYPES}-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/docProps/core.xml" ContentType="{_TYPES}-package.core-properties+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_SHEETS}.sheet.main+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_SHEETS}.styles+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_SHEETS}.worksheet+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet2.xml" ContentType="{_SHEETS}.worksheet+xml"/>'
    "</Types>"
)
_PACKAGE_RELATIONS: Final = (
    f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/>'
    f'<Relationship Id="rId2" Type="{_PACKAGE}/relationships/metadata/core-properties" Target="docProps/core.xml"/>'
    "</Relationships>"
)
_WORKBOOK_RELATIONS: Final = (
    f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet2.xml"/>'
    f'<Relationship Id="rId3" Type="{_RELATIONS}/styles" Target="styles.xml"/>'
    "</Relationships>"
)
#: Numbers of formats that every spreadsheet program knows: 0 general, 1 is 0, 2 is 0.00, 49 is text.
_STYLES: Final = (
    f'<styleSheet xmlns="{_MAIN}">'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/><family val="2"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/><family val="2"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="5"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>'
    '<xf numFmtId="2" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="1" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
    "</styleSheet>"
)
_VIEW: Final = '<sheetView workbookViewId="0"/>'
_VIEW_WITH_HEADER: Final = (
    '<sheetView tabSelected="1" workbookViewId="0">'
    '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/><selection pane="bottomLeft"/>'
    "</sheetView>"
)


def workbook(report: Report, columns: Sequence[Column]) -> bytes:
    """Return a workbook: the sheet Report with the cells of the CSV, the sheet About with what it was made with.

    The same report gives the same bytes: its time of creation is the report's instant.

    Raises
    ------
    InputError
        There are more stores or columns than a sheet can hold, or the report lacks a window.
    """
    if len(report.store_ids) >= _MOST_ROWS or len(columns) >= _MOST_COLUMNS:
        raise InputError(
            f"{len(report.store_ids):,} stores in {len(columns) + 1:,} columns do not fit into a sheet; valid are up "
            f"to {_MOST_ROWS - 1:,} stores and {_MOST_COLUMNS:,} columns, and csv and parquet have no limit"
        )
    whole = f"$A$1:${_letters(len(columns))}${len(report.store_ids) + 1}"
    return _zipped(
        {
            "[Content_Types].xml": _CONTENT_TYPES,
            "_rels/.rels": _PACKAGE_RELATIONS,
            "docProps/core.xml": _properties(iso(report.as_of - report.as_of % SECOND_US)),
            "xl/workbook.xml": _contents(f"Report!{whole}"),
            "xl/_rels/workbook.xml.rels": _WORKBOOK_RELATIONS,
            "xl/styles.xml": _STYLES,
            "xl/worksheets/sheet1.xml": _report_sheet(report, columns, whole.replace("$", "")),
            "xl/worksheets/sheet2.xml": _about_sheet(report, columns),
        }
    )


def _report_sheet(report: Report, columns: Sequence[Column], whole: str) -> str:
    ids = pl.Series([_text(store_id) for store_id in report.store_ids], dtype=pl.String)
    rows = pl.Series(range(2, len(ids) + 2), dtype=pl.Int64).cast(pl.String)
    parts = ['<row r="' + rows + '">', '<c r="A' + rows + f'" s="{_TEXT}" t="inlineStr">' + ids + "</c>"]
    for place, (column, texts) in enumerate(zip(columns, cells(report, columns).values(), strict=True), start=1):
        style = _WHOLE if column.unit == "count" else _DECIMAL
        parts.append((f'<c r="{_letters(place)}' + rows + f'" s="{style}"><v>' + texts + "</v></c>").fill_null(""))
    parts.append(pl.Series(["</row>"], dtype=pl.String).new_from_index(0, len(ids)))
    lines = pl.select(pl.concat_str(parts)).to_series().to_list()
    titles = [STORE_ID, *(column.title for column in columns)]
    return _sheet(
        [_row(1, titles, _BOLD), *lines],
        widths=[max(map(len, [STORE_ID, *report.store_ids])), *map(len, titles[1:])],
        view=_VIEW_WITH_HEADER,
        # A column of ids is no column of numbers that somebody stored as text by mistake.
        after=f'<autoFilter ref="{whole}"/><ignoredErrors><ignoredError sqref="A1:A{len(ids) + 1}"'
        ' numberStoredAsText="1"/></ignoredErrors>',
    )


def _about_sheet(report: Report, columns: Sequence[Column]) -> str:
    facts = report.facts()
    policy = [(name, "no limit" if value is None else str(value)) for name, value in facts["policy"].items()]
    windows = [
        (name, *("of each store's own" if us is None else iso(us) for us in report.windows.common[name]))
        for name in report.windows.names
    ]
    texts: list[tuple[tuple[str, ...], bool]] = [
        (("report", ""), True),
        (("as_of", facts["as_of"]), False),
        (("storepulse", facts["version"]), False),
        (("tzdata", facts["tzdata"]), False),
        ((), False),
        (("policy", ""), True),
        *((line, False) for line in policy),
        ((), False),
        (("window", "from", "to (not included)"), True),
        *((line, False) for line in windows),
        ((), False),
        (("column", "unit"), True),
        *(((column.title, column.unit), False) for column in columns),
    ]
    rows = [_row(number, row, _BOLD if bold else _PLAIN) for number, (row, bold) in enumerate(texts, start=1)]
    width = max(len(row[0]) for row, _ in texts if row)
    return _sheet(rows, widths=[width, 30, 30])


def _sheet(rows: Iterable[str], *, widths: Iterable[int], view: str = _VIEW, after: str = "") -> str:
    columns = "".join(
        f'<col min="{place}" max="{place}" width="{min(width + 3, 80)}" customWidth="1"/>'  # room for the filter
        for place, width in enumerate(widths, start=1)
    )
    return (
        f'<worksheet xmlns="{_MAIN}"><sheetViews>{view}</sheetViews><sheetFormatPr defaultRowHeight="15"/>'
        f"<cols>{columns}</cols>"
        f"<sheetData>{''.join(rows)}</sheetData>{after}</worksheet>"
    )


def _row(number: int, texts: Iterable[str], style: int) -> str:
    row = "".join(
        f'<c r="{_letters(place)}{number}" s="{style}" t="inlineStr">{_text(text)}</c>'
        for place, text in enumerate(texts)
    )
    return f'<row r="{number}">{row}</row>'


#: What XML cannot hold or would change, and what would be read as the escape of such a character.
_ESCAPED: Final = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


def _text(text: str) -> str:
    """Write a text that a cell shows as it is."""
    text = _ESCAPED.sub(lambda match: f"_x{ord(match[0]):04X}_", text)
    return f'<is><t xml:space="preserve">{escape(text)}</t></is>'


def _letters(place: int) -> str:
    """Return the name of a column, counted from 0: A to Z, then AA."""
    before, last = divmod(place, 26)
    return (_letters(before - 1) if before else "") + chr(ord("A") + last)


def _contents(filtered: str) -> str:
    return (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><bookViews><workbookView/></bookViews>'
        '<sheets><sheet name="Report" sheetId="1" r:id="rId1"/><sheet name="About" sheetId="2" r:id="rId2"/></sheets>'
        '<definedNames><definedName name="_xlnm._FilterDatabase" localSheetId="0" hidden="1">'
        f"{filtered}</definedName></definedNames></workbook>"
    )


def _properties(created: str) -> str:
    instant = f'xsi:type="dcterms:W3CDTF">{created}'
    return (
        f'<cp:coreProperties xmlns:cp="{_PACKAGE}/metadata/core-properties" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><dc:creator>storepulse</dc:creator>'
        f"<dcterms:created {instant}</dcterms:created><dcterms:modified {instant}</dcterms:modified>"
        "</cp:coreProperties>"
    )


def _zipped(parts: dict[str, str]) -> bytes:
    file = io.BytesIO()
    with ZipFile(file, "w") as archive:
        for name, content in parts.items():
            entry = ZipInfo(name, (1980, 1, 1, 0, 0, 0))  # or the bytes would depend on the clock
            entry.compress_type = ZIP_DEFLATED
            archive.writestr(entry, (_XML + content).encode())
    return file.getvalue()
