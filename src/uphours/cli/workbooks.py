"""Workbooks of a report: what stands in them beside the figures needs the fleet that the report was made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final

import typer

from uphours.cli import edge
from uphours.cli.attributed import Asked, _files
from uphours.errors import InputError

if TYPE_CHECKING:
    from uphours.ingest.inputs import Kind
    from uphours.reports.groups import Groups
    from uphours.reports.memberships import AttributedFleet
    from uphours.reports.outage_list import OutageList
    from uphours.reports.report import Report
    from uphours.reports.request import ReportRequest

Outages = Annotated[bool, typer.Option("--outages", help="Also a sheet with each outage, in XLSX.")]

#: The attribute that a workbook shows beside the id, unless others are asked for.
_NAME: Final = "name"


@dataclass(frozen=True)
class Workbook:
    """A report of stores or of groups; ``members``: of the stores of each group; ``outages``: None if not asked for."""

    made: Report | Groups
    members: Sequence[Report] = ()
    outages: OutageList | None = None

    @property
    def report(self) -> Report:
        """That of the stores."""
        from uphours.reports.groups import Groups

        return self.made.report if isinstance(self.made, Groups) else self.made

    def write(self, file: BinaryIO, *, detail: bool) -> None:
        """Write the workbook."""
        from uphours.reports.columns import workbook_layout
        from uphours.reports.groups import Groups
        from uphours.reports.xlsx import write_group_workbook, write_workbook

        if isinstance(self.made, Groups):
            write_group_workbook(self.made, file, detail=detail, members=self.members, outages=self.outages)
        else:
            columns = workbook_layout(self.made.windows.names, detail=detail)
            write_workbook(self.made, columns, file, hours_known=detail, outages=self.outages)


def check_outages(form: str | None, engine: str) -> None:
    """Refuse a sheet of outages where there is no workbook, or no fleet to take them from.

    Raises
    ------
    InputError
        It is so.
    """
    if form != "xlsx":
        raise InputError("--outages is a sheet of a workbook; valid with -o report.xlsx or --format xlsx")
    if engine == "spark":
        raise InputError("--outages is not for --engine spark; valid is --engine local")


def workbook(
    asked: Asked,
    request: ReportRequest,
    db: str | None,
    names: Mapping[Kind, Sequence[str]],
    *,
    outages: bool,
    quarantine: str | None,
    strict: str | None,
    memory: str | None,
    statuses: Mapping[str, str],
    valid_from: int,
) -> Workbook:
    """Make a report and what its workbook shows besides, all from one snapshot of a database or one reading of files.

    Stores have their name as a column, if they have such an attribute and no other columns are asked for.

    Raises
    ------
    InputError
        There is no such attribute, there are too many groups, or as with a report.
    """
    from uphours.reports.measure import latest_instant
    from uphours.reports.memberships import check_names, stores_where

    opened = (
        _files(names, quarantine=quarantine, strict=strict, memory=memory, statuses=statuses, valid_from=valid_from)
        if any(names.values())
        # Whether there is such an attribute is said of the whole fleet.
        else _snapshot(db, None if asked.is_something else request.stores)
    )
    with opened as (fleet, entries_seen):
        attributes = fleet.attributes()
        check_names(attributes, [*asked.by])
        check_names(attributes, [*asked.columns])
        fleet = fleet.of(request.stores)
        if asked.where:
            as_of = latest_instant(fleet) if request.as_of is None else request.as_of
            fleet = fleet.of(stores_where(fleet, asked.where, as_of))
        columns = [*asked.columns]
        if not columns and any(name == _NAME for _, name, _, _ in fleet.attributes()):
            columns = [_NAME]
        if asked.by:
            return _of_groups(fleet, request, asked.by, columns, entries_seen=entries_seen, outages=outages)
        return _of_stores(fleet, request, columns, entries_seen=entries_seen, outages=outages)


@contextmanager
def _snapshot(db: str | None, stores: Sequence[str] | None) -> Iterator[tuple[AttributedFleet, int | None]]:
    with edge.database(db).snapshot(stores) as fleet:
        yield fleet, fleet.latest_entry()


def _of_stores(
    fleet: AttributedFleet, request: ReportRequest, columns: Sequence[str], *, entries_seen: int | None, outages: bool
) -> Workbook:
    from uphours.reports.ahead import ahead
    from uphours.reports.measure import latest_instant, run_request
    from uphours.reports.memberships import with_columns
    from uphours.reports.outage_list import outage_list
    from uphours.reports.reading import Unadjusted, read_windows

    if not outages:
        made = run_request(fleet, request, entries_seen=entries_seen, now=edge.now())
        return Workbook(with_columns(made, fleet, columns))
    # Observations are read once, for the figures and the outages.
    as_of = latest_instant(fleet) if request.as_of is None else request.as_of
    known = read_windows(Unadjusted(fleet) if request.raw else fleet, as_of=as_of, chosen=request.windows)
    made = run_request(known, request, entries_seen=entries_seen)
    if request.as_of is None:
        made = replace(made, ahead=ahead(fleet, as_of, edge.now()))
    return Workbook(with_columns(made, fleet, columns), outages=outage_list(known, made))


def _of_groups(
    fleet: AttributedFleet, request: ReportRequest, by: Sequence[str], columns: Sequence[str], *,
    entries_seen: int | None, outages: bool,
) -> Workbook:  # fmt: skip
    from uphours.reports.group_members import member_reports
    from uphours.reports.groups import groups
    from uphours.reports.memberships import with_columns
    from uphours.reports.outage_list import outage_list
    from uphours.reports.xlsx import check_groups

    made = groups(fleet, request, by, entries_seen=entries_seen, now=edge.now())
    check_groups(made)
    made = replace(made, report=with_columns(made.report, fleet, columns))
    return Workbook(made, member_reports(fleet, made), outage_list(fleet, made.report) if outages else None)
