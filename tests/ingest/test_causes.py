"""The cause of a rejected row: the reason without the value, so that counts can be made by it."""

from pathlib import Path

import pytest

from tests.fixtures.tables import read_files
from uphours.ingest.inputs import Kind

pytestmark = pytest.mark.anywhere

NOW = 1_700_000_000_000_000

#: Per kind: rows that differ, and are rejected for the same cause.
SAME_CAUSE = [
    ("polls", "status", ["a,paused?,2023-01-22 12:00:00 UTC", "b,open,2023-01-22 12:00:00 UTC"]),
    ("polls", "unreadable timestamp_utc", ["a,active,yesterday", "b,active,2023-13-01 00:00:00 UTC"]),
    ("polls", "before the year 2000", ["a,active,1999-01-01 00:00:00 UTC", "b,active,1998-01-01 00:00:00 UTC"]),
    ("polls", "24 h in the future", ["a,active,2030-01-01 00:00:00 UTC", "b,active,2031-01-01 00:00:00 UTC"]),
    (
        "polls",
        "scientific notation",
        ["8.4E+18,active,2023-01-22 12:00:00 UTC", "1.2E+18,active,2023-01-22 12:00:00 UTC"],
    ),
    ("polls", "too many characters", [f"{'x' * n},active,2023-01-22 12:00:00 UTC" for n in (256, 300)]),
    ("polls", "wrong number of fields", ["a,active", "b,active,2023-01-22 12:00:00 UTC,,x,"]),
    ("polls", "not a CSV row", ['a,"active,2023-01-22 12:00:00 UTC', 'b,active,"2023-01-22 12:00:00 UTC']),
    ("hours", "unreadable day", ["a,8,09:00,17:00", "b,someday,09:00,17:00"]),
    ("hours", "unreadable start_time_local", ["a,0,dawn,17:00", "b,0,nine,17:00"]),
    ("hours", "unreadable end_time_local", ["a,0,09:00,dusk", "b,0,09:00,five"]),
    ("timezones", "unknown zone", ["a,Mars/Olympus", "b,Nowhere/Else"]),
]
HEADERS = {
    "polls": "store_id,status,timestamp_utc",
    "hours": "store_id,day,start_time_local,end_time_local",
    "timezones": "store_id,timezone_str",
}


def load(tmp_path: Path, kind: Kind, rows: list[str]) -> list[tuple[str, str]]:
    path = tmp_path / "rows.csv"
    path.write_text("\n".join([HEADERS[kind], *rows, ""]))
    loaded = read_files({kind: [str(path)]}, now=NOW)
    return [(row.reason, row.cause) for row in loaded.quarantine]


@pytest.mark.parametrize("is_few", [True, False], ids=["few", "many"])
def test_rows_that_differ_only_in_their_value_have_the_same_cause(tmp_path: Path, *, is_few: bool) -> None:
    for kind, words, rows in SAME_CAUSE:
        filling = [] if is_few else [f"filling,active,2023-01-22 {n // 60:02}:{n % 60:02}:00 UTC" for n in range(1200)]
        found = load(tmp_path, kind, rows + (filling if kind == "polls" else []))  # type: ignore[arg-type]
        assert len(found) == len(rows), (kind, rows)
        assert len({cause for _, cause in found}) == 1, (kind, found)
        reason, cause = found[0]
        assert words in cause, (kind, found)
        assert "{}" not in reason + cause, (kind, found)


def test_a_cause_in_json_does_not_hold_the_value_either(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"store_id": 1.5}\n{"store_id": [2]}\n[1]\n[2]\n{"store_id": \n{"store"\n')
    loaded = read_files({"polls": [str(path)]}, now=NOW)
    assert [row.cause for row in loaded.quarantine] == [
        *["unusable store_id; valid are text and whole numbers"] * 2,
        *["not a JSON object"] * 4,
    ]


def test_tables_say_the_cause_beside_the_reason() -> None:
    import polars as pl

    import uphours

    table = pl.DataFrame({"store_id": ["a", "b"], "status": ["odd", "queer"], "timestamp_utc": ["2024-01-01"] * 2})
    quarantine = uphours.validate(table).quarantine
    assert quarantine["reason"].n_unique() == 2
    (cause,) = set(quarantine["cause"])
    assert cause.startswith("unknown status; valid are active (up, online, 1, true)")
