"""Fill the tables of the documentation from ``bench/results.json``.

A page names sections of it in a comment, ``<!-- measured: kernel; load -->``. What stands between that and
``<!-- end -->`` is made here: the same results make the same pages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = ROOT / "bench" / "results.json"
PAGES: Final = (ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "development" / "performance.md")
_PLACE: Final = re.compile(r"(<!-- measured: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)

_Rows = Sequence[Mapping[str, Any]]


def results() -> dict[str, Any]:
    """Return what was measured, by section."""
    sections: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return sections


def names(page: str) -> list[str]:
    """Return the sections that a page shows."""
    return [name for _, place, _ in _PLACE.findall(page) for name in place.split("; ")]


def filled(page: str, sections: Mapping[str, Any]) -> str:
    """Return a page with its tables made again."""
    return _PLACE.sub(lambda place: place[1] + _measured(place[2].split("; "), sections) + place[3], page)


def _measured(chosen: Sequence[str], sections: Mapping[str, Any]) -> str:
    """Return the tables of some sections, a table for each kind of rows, and how they were taken."""
    there = {name: sections[name] for name in chosen if name in sections}
    missing = [name for name in chosen if name not in sections]
    rows = [row for section in there.values() for row in section["rows"]]
    parts = [
        _table(mine, columns) for kind, columns in _COLUMNS.items() if (mine := [row for row in rows if kind in row])
    ]
    if there:
        parts.append("\n".join(_taken(there)))
    if missing:
        parts.append(f"Not measured yet: {'; '.join(missing)}.")
    return "\n" + "\n\n".join(parts) + "\n\n"


def _table(rows: _Rows, columns: Mapping[str, Callable[[Any], str]]) -> str:
    """Return the rows as a table, without the columns that are empty."""
    cells = {title: [cell(row) for row in rows] for title, cell in columns.items()}
    cells = {title: column for title, column in cells.items() if any(column)}
    lines = [cells, ["---"] * len(cells), *zip(*cells.values(), strict=True)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _taken(sections: Mapping[str, Any]) -> Iterable[str]:
    """Say when, of what and where sections were measured, once for all that have it in common."""
    alike: dict[str, list[str]] = {}
    for name, section in sections.items():
        machine = section["machine"]
        load = "not noted" if section["load"] is None else f"{section['load']:g}"
        alike.setdefault(
            f"{section['taken']}, commit {section['commit']}, load average before it {load}, {machine['processor']}, "
            f"{machine['cores']} cores, {machine['memory_gb']:g} GB, Python {machine['python']}",
            [],
        ).append(name)
    for facts, together in alike.items():
        yield f"- Taken on {facts}: {'; '.join(together)}." if len(alike) > 1 else f"Taken on {facts}."


# --- how numbers are written ----------------------------------------------------------------------------------


def _number(value: float | None) -> str:
    """Write three digits, and thousands with commas."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _quantity(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit == "s" and value < 0.1:
        value, unit = value * 1000, "ms"
    if unit == "MB" and value >= 1000:
        value, unit = value / 1000, "GB"
    return f"{_number(value)} {unit}"


def _limit(row: Mapping[str, Any]) -> str:
    if "at_most" not in row:
        return ""
    if "ratio" in row:
        return f"{row['at_most']:g} ×" + (" (missed)" if row["ratio"] > row["at_most"] else "")
    return _quantity(row["at_most"], row["unit"]) + (" (missed)" if row["value"] > row["at_most"] else "")


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} ×"


#: Columns of each kind of rows; a kind is known by a value that only its rows have.
_COLUMNS: Final[dict[str, dict[str, Callable[[Any], str]]]] = {
    "ratio": {
        "measured": lambda row: row["work"],
        "ours": lambda row: _quantity(row["ours"], row["unit"]),
        "against": lambda row: row["against"],
        "takes": lambda row: _quantity(row["yardstick"], row["unit"]),
        "ratio": lambda row: _ratio(row["ratio"]),
        "of processor time": lambda row: _ratio(row.get("processor_ratio")),
        "memory": lambda row: _quantity(row.get("peak_mb"), "MB"),
        "at most": _limit,
    },
    "value": {
        "measured": lambda row: row["work"],
        "value": lambda row: _quantity(row["value"], row["unit"]),
        "at most": _limit,
    },
    "disk_mb": {
        "stores": lambda row: f"{row['stores']:,}",
        "polls": lambda row: f"{row['polls']:,}",
        "days": lambda row: f"{row['days']}",
        "load": lambda row: _quantity(row.get("load_s"), "s"),
        "memory of load": lambda row: _quantity(row.get("load_mb"), "MB"),
        "report": lambda row: _quantity(row["report_s"], "s"),
        "memory of report": lambda row: _quantity(row["report_mb"], "MB"),
        "disk": lambda row: _quantity(row["disk_mb"], "MB"),
    },
    "engine": {
        "year": lambda row: row["engine"],
        "polls": lambda row: f"{row['observations']:,}",
        "append an hour": lambda row: _quantity(row["append_s"], "s"),
        "report after a week": lambda row: _quantity(row["report_after_a_week_s"], "s"),
        "after a year": lambda row: _quantity(row["report_after_a_year_s"], "s"),
        "prune 90 days": lambda row: _quantity(row["prune_90_days_s"], "s"),
        "a day more": lambda row: _quantity(row["prune_one_more_day_s"], "s"),
        "89 days more": lambda row: _quantity(row["prune_89_more_days_s"], "s"),
    },
    "processor_seconds": {
        "where": lambda row: row["work"],
        "processor time": lambda row: _quantity(row["processor_seconds"], "s"),
        "time": lambda row: _quantity(row["seconds"], "s"),
        "memory": lambda row: _quantity(row.get("peak_mb"), "MB"),
    },
}


def main() -> None:
    sections = results()
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8"), sections), encoding="utf-8", newline="\n")
        print(page)


if __name__ == "__main__":
    main()
