"""Workbooks of a report: what stands in them beside the figures needs the fleet that the report was made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final, Unpack

import typer

from uphours.cli import edge
from uphours.cli.attributed import fleet_of_files
from uphours.cli.files import Reading
from uphours.errors import InputError

if TYPE_CHECKING:
    from uphours.ingest.inputs import Kind
    from uphours.reports.answers import Answer
    from uphours.reports.outage_list import OutageList
    from uphours.reports.report import Report
    from uphours.reports.request import ReportRequest
    from uphours.reports.targets import TargetedFleet

Outages = Annotated[bool, typer.Option("--outages", help="Also a sheet with each outage, in XLSX.")]

#: The attribute that a workbook shows beside the id, unless others are asked for.
NAME: Final = "name"


@dataclass(frozen=True)
class Workbook:
    """A report of stores or of groups; ``members``: of the stores of each group; ``outages``: None if not asked for.

    ``target``: below which availability is red, in 100,000ths.
    """

    made: Answer
    members: Sequence[Report] = ()
    outages: OutageList | None = None
    target: int | None = None

    @property
    def report(self) -> Report:
        """That of the stores."""
        from uphours.reports.answers import stores_of

        return stores_of(self.made)

    def write(self, file: BinaryIO, *, detail: bool) -> None:
        """Write the workbook."""
        from uphours.reports.columns import availability_layout
        from uphours.reports.groups import Groups
        from uphours.reports.xlsx import write_group_workbook, write_workbook

        if isinstance(self.made, Groups):
            write_group_workbook(
                self.made, file, detail=detail, members=self.members, outages=self.outages, target=self.target
            )
        else:
            columns = availability_layout(self.made.windows.names, detail=detail, compare=self.made.before is not None)
            write_workbook(self.made, columns, file, hours_known=detail, outages=self.outages, target=self.target)


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
    request: ReportRequest, db: str | None, names: Mapping[Kind, Sequence[str]], **reading: Unpack[Reading]
) -> Workbook:
    """Make a report and what its workbook shows besides, all from one snapshot of a database or one reading of files.

    Stores have their name as a column, if they have such an attribute and no other columns are asked for.

    Raises
    ------
    InputError
        There is no such attribute, there are too many groups, or as with a report.
    """
    if any(names.values()):
        return _made(fleet_of_files(names, **reading), request, entries_seen=None)
    with edge.database(db).snapshot() as snapshot:
        return _made(snapshot, request, entries_seen=snapshot.latest_entry())


def _made(fleet: TargetedFleet, request: ReportRequest, *, entries_seen: int | None) -> Workbook:
    from uphours.reports.answers import answer, stores_of
    from uphours.reports.expected import expected_of_all
    from uphours.reports.group_members import member_reports
    from uphours.reports.groups import Groups
    from uphours.reports.memberships import with_columns
    from uphours.reports.outage_list import outage_list
    from uphours.reports.xlsx import check_groups

    made = answer(fleet, request, now=edge.now(), entries_seen=entries_seen)
    report = stores_of(made)
    target = expected_of_all(fleet.targets(), report.as_of)
    if isinstance(made, Groups):
        check_groups(made)
    # What is read besides is read of the stores that are reported; a whole fleet is read faster than most of one.
    if 0 < len(report.store_ids) < len(fleet.store_ids) // 2:
        fleet = fleet.of(report.store_ids)
    if not request.columns and fleet.attributes([NAME]):
        report = with_columns(report, fleet, [NAME])
    listed = outage_list(fleet, report) if request.outages else None
    if not isinstance(made, Groups):
        return Workbook(report, outages=listed, target=target)
    made = replace(made, report=report)
    return Workbook(made, member_reports(made), listed, target)
