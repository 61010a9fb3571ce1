"""Public holidays as special hours: the dates themselves, with the version that they come from."""

from importlib import metadata
from typing import Any

import pytest

from uphours.errors import InputError
from uphours.ingest.formats import holiday_rows
from uphours.ingest.formats.public_holidays import regions

pytestmark = pytest.mark.anywhere  # it is about clocks on walls, wherever the machine is


def test_a_holiday_is_the_date_itself_and_names_its_source() -> None:
    rows = {row.name.partition(" (")[0]: row for row in holiday_rows("US", [2026])}
    independence = rows["Independence Day"]  # a Saturday, observed on Friday the 3rd
    assert independence == (
        "*", "2026-07-04", "closed", "closed", f"Independence Day (holidays {metadata.version('holidays')})"
    )  # fmt: skip
    assert all("observed" not in name for name in rows)


def test_holidays_of_a_region_by_name_for_some_stores_with_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = holiday_rows("de-by", [2025, 2026], only=["EPIPHANY"], hours=["10:00-16:00"], store_ids=["1", "2"])
    assert [row[:4] for row in rows] == [
        (store, f"{year}-01-06", "10:00", "16:00") for year in (2025, 2026) for store in ("1", "2")
    ]
    monkeypatch.setenv("LANGUAGE", "uk")
    assert rows == holiday_rows("DE-BY", [2025, 2026], only=["epiphany"], hours=["10:00-16:00"], store_ids=["1", "2"])


def test_several_hours_are_a_split_shift() -> None:
    rows = holiday_rows("US", [2026], only=["Christmas Day"], hours=["08:00-12:00", "18:00-02:00"])
    assert [row[:4] for row in rows] == [
        ("*", "2026-12-25", "08:00", "12:00"), ("*", "2026-12-25", "18:00", "02:00")
    ]  # fmt: skip


def test_holidays_of_a_country_leave_out_those_of_its_regions() -> None:
    assert "DE-BY" in regions("de")
    assert regions("DE-BY") == regions("MC") == []


@pytest.mark.parametrize(
    ("place", "more", "problem"),
    [
        ("XX", {}, "no public holidays are known of 'XX'; valid are AD, AE, AF"),
        ("DE-TX", {}, "no public holidays are known of 'DE-TX'; valid are DE, DE-BB, DE-BE, DE-BW, DE-BY"),
        ("US", {"only": ["Neujahr"]}, "there is no public holiday 'Neujahr' in US; valid are New Year's Day"),
        ("US", {"hours": ["10-16"]}, "hours are '10-16'; valid are such as 10:00-16:00"),
        ("MC-XX", {}, "no public holidays are known of 'MC-XX'; valid are MC"),
        ("US", {"years": [2026, 2199]}, "no public holidays are known of US in 2199; valid are 1777 to 2100"),
    ],
)
def test_what_is_not_known_says_what_is(place: str, more: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError) as error:
        holiday_rows(place, **{"years": [2026]} | more)
    assert problem in str(error.value)
