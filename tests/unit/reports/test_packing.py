import io
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any, Final

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import uphours
from tests.unit.tables import EVERY_DAY, hours, polls, zones
from uphours.errors import ConflictError, DatabaseError
from uphours.kernel.policy import Assume, Interpolation, Policy
from uphours.kernel.windows import WINDOW_NAMES, Window, Windows
from uphours.reports.answers import stores_of
from uphours.reports.archive import packed, unpacked, unpacked_outages
from uphours.reports.measure import run_report
from uphours.reports.outage_list import outage_list
from uphours.reports.report import Report, Totals
from uphours.reports.writers import FORMATS, written
from uphours.schema import LAST_INSTANT, Fleet, instant_us

pytestmark = pytest.mark.anywhere

AS_OF = instant_us("2023-01-25 18:00:00.25 UTC")
OWN = Window("own", "2023-01-21T00:00:00.000001Z", "2023-01-25T06:00+05:30")


def fleet() -> Fleet:
    return uphours.validate(
        polls(
            ("a", "inactive", "2023-01-25 16:30 UTC"),
            ("a", "active", "2023-01-25 17:15:00.5 UTC"),
            ("007", "active", "2023-01-20 11:00 UTC"),
            ("=é☃,\"'", "inactive", "2023-01-25 10:00 UTC"),
        ),
        hours(("a", EVERY_DAY, "09:00", "17:45"), ("b", EVERY_DAY, "18:00", "02:00")),
        zones({"a": "Asia/Kathmandu", "b": "America/New_York"}),
    ).fleet


def report(**changes: Any) -> Report:
    options: dict[str, Any] = {"as_of": AS_OF, "all_stores": True, "loads_seen": 12} | changes
    return run_report(fleet(), **options)


def assert_same(one: Report, other: Report) -> None:
    """Compare all that a report is, fields and arrays."""
    plain = [
        vars(report) | {"totals": None, "windows": None, "hours_known": None, "store_ids": list(report.store_ids)}
        for report in (one, other)
    ]
    assert plain[0] == plain[1]
    assert one.hours_known.tolist() == other.hours_known.tolist()
    assert (one.windows.names, one.windows.common) == (other.windows.names, other.windows.common)
    arrays = [{"starts": r.windows.starts, "ends": r.windows.ends} | vars(r.totals) for r in (one, other)]
    for name, values in arrays[0].items():
        assert values.dtype == arrays[1][name].dtype == np.int64
        assert np.array_equal(values, arrays[1][name]), name


ASSUMPTIONS: Final[tuple[Assume, ...]] = ("unknown", "active", "inactive")
INTERPOLATIONS: Final[tuple[Interpolation, ...]] = ("previous", "next", "nearest")


@pytest.mark.parametrize("max_age", [None, timedelta(minutes=90, microseconds=1)])
def test_a_report_comes_back(max_age: timedelta | None) -> None:
    for assume in ASSUMPTIONS:
        for interpolation in INTERPOLATIONS:
            policy = Policy(
                assume=assume, interpolation=interpolation, max_age=max_age, prefer_in_session=max_age is None
            )
            made = report(chosen=[*WINDOW_NAMES, OWN], policy=policy)
            assert_same(made, stores_of(unpacked(packed(made))))


@pytest.mark.parametrize(
    "policy", [Policy(), Policy(assume="inactive", interpolation="next", max_age=timedelta(minutes=90))], ids=str
)
def test_a_report_that_came_back_is_written_with_the_same_bytes(policy: Policy) -> None:
    made = report(chosen=[*WINDOW_NAMES, OWN], policy=policy)
    back = stores_of(unpacked(packed(made)))
    for form in FORMATS:
        for detail in (False, True):
            assert written(back, form, detail=detail) == written(made, form, detail=detail), (form, detail)


def test_the_same_report_is_packed_into_the_same_bytes() -> None:
    assert packed(report()) == packed(report())
    assert packed(stores_of(unpacked(packed(report())))) == packed(report())


@pytest.mark.parametrize("chosen", [["last_hour"], ["today", "last_week"], [OWN]])
def test_a_report_of_no_store_comes_back(chosen: list[str | Window]) -> None:
    made = run_report(uphours.validate(polls()).fleet, as_of=AS_OF, chosen=chosen)
    assert_same(made, stores_of(unpacked(packed(made))))
    assert stores_of(unpacked(packed(made))).totals.uptime_us.shape == (0, len(chosen))


def test_a_report_that_saw_no_load_comes_back_without_one() -> None:
    assert stores_of(unpacked(packed(report(loads_seen=None)))).loads_seen is None
    assert stores_of(unpacked(packed(report(loads_seen=0)))).loads_seen == 0


def test_a_kept_report_names_the_versions_it_was_made_with() -> None:
    old = replace(report(), version="0.9", tzdata="2019.3")
    assert stores_of(unpacked(packed(old))).facts() == old.facts()


@pytest.mark.parametrize("most", [1, 50_000])
def test_outages_are_kept_with_their_report(most: int) -> None:
    made = report(chosen=[OWN, "last_day"])
    outages = outage_list(fleet(), made, most=most)
    assert len(outages) == most or len(outages) > 1
    back = unpacked_outages(packed(made, outages))
    assert back is not None
    for name, values in vars(outages.found).items():
        assert np.array_equal(getattr(back.found, name), values), name
        assert getattr(back.found, name).dtype == values.dtype, name
    assert replace(back, found=outages.found) == outages
    assert_same(made, stores_of(unpacked(packed(made, outages))))
    assert packed(made, outages) == packed(made, back)
    assert unpacked_outages(packed(made)) is None
    with pytest.raises(DatabaseError, match="the kept report is damaged"):
        unpacked_outages(b"PAR1")


def test_a_report_without_outages_keeps_an_empty_list() -> None:
    quiet = uphours.validate(polls(("a", "active", "2023-01-25 16:30 UTC"))).fleet
    made = run_report(quiet, as_of=AS_OF)
    back = unpacked_outages(packed(made, outage_list(quiet, made)))
    assert back is not None
    assert (len(back), back.left_out, back.found.ongoing.dtype.name) == (0, 0, "bool")


NUMBERS = st.integers(0, LAST_INSTANT)


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), unique=True, max_size=4),
    st.integers(1, 3),
    st.data(),
)
def test_any_ids_and_figures_come_back(store_ids: list[str], w: int, drawn: st.DataObject) -> None:
    def values() -> np.ndarray[Any, np.dtype[np.int64]]:
        numbers = drawn.draw(st.lists(NUMBERS, min_size=len(store_ids) * w, max_size=len(store_ids) * w))
        return np.array(numbers, dtype=np.int64).reshape(len(store_ids), w)

    names = ("last_hour", "today", "own")[:w]
    made = Report(
        as_of=drawn.draw(NUMBERS),
        policy=Policy(),
        version=drawn.draw(st.text(st.characters(exclude_categories=["Cs"]))),
        tzdata="2026.1",
        store_ids=store_ids,
        windows=Windows(names, values(), values(), dict.fromkeys(names, (None, None))),
        totals=Totals(*(values() for _ in fields(Totals))),
        hours_known=np.arange(len(store_ids)) % 2 == 0,
    )
    assert_same(made, stores_of(unpacked(packed(made))))
    assert packed(stores_of(unpacked(packed(made)))) == packed(made)


def test_bytes_that_are_no_kept_report_are_refused() -> None:
    table = io.BytesIO()
    pl.DataFrame({"store_id": ["a"]}).write_parquet(table)
    for content in (b"", b"PAR1", b"no parquet", packed(report())[:-50], packed(report())[50:], table.getvalue()):
        with pytest.raises(DatabaseError, match="the kept report is damaged"):
            stores_of(unpacked(content))


@pytest.mark.parametrize("program", ["uphours", "a_former_name"])
def test_a_kept_report_of_an_older_form_is_refused_in_a_sentence(program: str) -> None:
    file = io.BytesIO()
    pl.DataFrame({"store_id": ["a"]}).write_parquet(file, metadata={f"{program}.report": '{"form":1,"version":"0.9"}'})
    with pytest.raises(ConflictError, match=r"was kept by uphours 0\.9, which .*; ask for it again$"):
        stores_of(unpacked(file.getvalue()))


def test_a_kept_report_of_a_newer_form_is_refused_with_the_version_that_wrote_it() -> None:
    file = io.BytesIO()
    pl.DataFrame({"store_id": ["a"]}).write_parquet(file, metadata={"uphours.report": '{"form":4,"version":"9.1"}'})
    with pytest.raises(DatabaseError, match=r"form 4, this program knows form 3; use .* 9\.1, or a newer one"):
        stores_of(unpacked(file.getvalue()))
