"""Rows of targets: every form is read, every mistake is named, and the order of rows changes nothing."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path

import polars as pl
import pytest

from tests.fixtures.tables import NOW, only_reason, table, write
from uphours.errors import InputError
from uphours.ingest.inputs import Source, detected
from uphours.ingest.load import read_files, read_sources, read_tables
from uphours.ingest.local_dates import day_of_date
from uphours.ingest.quarantine import as_csv
from uphours.load_record import Brought, Loaded
from uphours.schema import SINCE_EVER, Target


def of(content: bytes | str) -> Loaded:
    raw = content.encode() if isinstance(content, str) else content
    return read_sources([Source("targets", "rows", lambda: io.BytesIO(raw))], now=NOW, allow_unusable=True)


def rows_of(*rows: str) -> Loaded:
    return of(table("targets", *rows))


def only(loaded: Loaded) -> Target:
    assert not loaded.quarantine
    (target,) = loaded.targets.values()
    return target


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("norm,,99.5,month,", Target("norm", SINCE_EVER, "", 99_500, "month")),
        (" norm , , 99.995 % , Week ,", Target("norm", SINCE_EVER, "", 99_995, "week")),
        ("norm,region = TX ;brand=A;region=NY,100,quarter,",
         Target("norm", SINCE_EVER, "brand=A\nregion=NY\nregion=TX", 100_000, "quarter")),
        ("norm,region=,99.50000,month,", Target("norm", SINCE_EVER, "region=", 99_500, "month")),
        ("norm,,99,month,1970-01-03", Target("norm", 2, "", 99_000, "month")),
        ("norm,region=TX,,month,1970-01-03", Target("norm", 2, "", None, "")),
    ],
)  # fmt: skip
def test_forms_of_targets_are_read(row: str, expected: Target) -> None:
    assert only(rows_of(row)) == expected


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",,99.5,month,", "missing name"),
        (f"{'x' * 256},,99.5,month,", "is too long; valid are up to 255 characters"),
        ("a,,0.5 %,month,", "unreadable target '0.5 %'; valid are percentages from 1 to 100"),
        ("a,,0.995,month,", "may be a share of 1; write percent, such as 99.5"),
        ("a,,.995,month,", "may be a share of 1; write percent, such as 99.5"),
        ("a,,\"99,5\",month,", "has a comma; write 99.5"),
        ("a,,99.9999,month,", "has more than three decimals"),
        ("a,,100.001,month,", "unreadable target '100.001'"),
        ("a,,99.5,,", "missing period; valid are week, month, quarter"),
        ("a,,99.5,year,", "unknown period 'year'; valid are week, month, quarter"),
        ("a,TX,99.5,month,", "unreadable where 'TX'; valid are NAME=VALUE"),
        ("a,=TX,99.5,month,", "unreadable where '=TX'"),
        ("a,,99.5,month,soon", "unreadable valid_from 'soon'"),
    ],
)  # fmt: skip
def test_what_is_no_target_is_rejected_with_the_reason(row: str, reason: str) -> None:
    assert reason in only_reason(rows_of(row))


def test_of_two_targets_for_one_name_and_date_the_higher_one_stands_in_any_order() -> None:
    rows = ["a,,99,month,", "a,,99.5,month,", "a,,,,", "a,,99,month,", "a,,98,month,2026-01-01"]
    for order in (rows, rows[::-1]):
        loaded = rows_of(*order)
        assert [target.share for target in loaded.targets.values()] == [99_500, 98_000]
        assert (loaded.repeated, loaded.conflicting) == (1, 2)
        assert loaded.store_ids == []
        assert Brought.of(loaded).targets == 2


def test_columns_may_be_missing_and_rows_may_be_json_or_typed(tmp_path: Path) -> None:
    expected = Target("norm", SINCE_EVER, "", 99_500, "month")
    assert only(of("period,TARGET,name\nmonth,99.5,norm\n")) == expected
    row = {"name": "norm", "target": 99.5, "period": "month"}
    assert only(of(json.dumps(row))) == only(of(json.dumps([row | {"where": None}]))) == expected
    typed = pl.DataFrame([row | {"valid_from": None}])
    typed.write_parquet(tmp_path / "targets.parquet")
    assert only(read_tables({"targets": typed})) == expected
    assert only(read_files({"targets": [str(tmp_path / "targets.parquet")]}, now=NOW)) == expected
    assert "missing target" in of(json.dumps({"name": "norm", "period": "month"})).quarantine[0].reason
    with pytest.raises(InputError, match="has no column target"):
        of("name,period\nnorm,month\n")


def test_columns_tell_that_a_file_holds_targets(tmp_path: Path) -> None:
    def kind_of(content: str) -> str:
        path = Path(write(tmp_path / "rows", content))
        return detected("rows", lambda: path.open("rb")).kind

    assert kind_of(table("targets", "norm,,99.5,month,")) == "targets"
    assert kind_of('{"name": "norm", "target": 99.5, "period": "month"}') == "targets"
    assert kind_of("store_id,name,target,period\n1,a,b,c\n") == "stores"
    assert kind_of("store_id,name,target\n1,a,b\n") == "stores"


def test_rejected_targets_can_be_fixed_and_loaded_again() -> None:
    loaded = rows_of("norm,,99.5,month,", "north,region=N,99.5,year,")
    given = as_csv([asdict(row) for row in loaded.quarantine], kind="targets", header=loaded.files[0].header)
    assert only(of(given.replace(b"99.5,year", b"99.5,week"))).where == "region=N"
    rows = [{"name": "a", "target": 99.5, "period": "year"}, {"name": "b", "target": 99.5, "period": "age"}]
    loaded = of("\n".join(map(json.dumps, rows)))
    given = as_csv([asdict(row) for row in loaded.quarantine], kind="targets", header=None)
    assert set(of(given.replace(b",year,", b",week,").replace(b",age,", b",month,")).targets) == {
        ("a", SINCE_EVER), ("b", SINCE_EVER),
    }  # fmt: skip


def test_a_file_without_any_usable_target_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown period"):
        read_files({"targets": [write(tmp_path / "t.csv", table("targets", "a,,99.5,year,"))]}, now=NOW)


def test_a_date_is_one_of_the_calendar() -> None:
    assert only(rows_of("a,,99.5,month,20261201")).since == day_of_date("2026-12-01")
