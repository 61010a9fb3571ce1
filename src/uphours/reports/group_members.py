"""The stores of each group of a report, with what each counts in it: a report for every group."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from uphours.reports.groups import Groups, Members
from uphours.reports.report import Report, Totals


def member_reports(groups: Groups) -> list[Report]:
    """Return a report for each group, of the stores that belong to it at some time of a window, in order.

    Each store counts in each window as long as it belongs to the group, so the stores of a group add up to its
    figures. The groups were not kept in between.
    """
    assert groups.members is not None  # only kept groups have none
    return [_member_report(groups.report, groups.members, group) for group in range(len(groups.groups))]


def worst_first(groups: Groups, group: int, most: int | None = None) -> Report:
    """Return a report of the stores of one group, those with the most down time in the first window first.

    ``group``: its position. ``most``: how many stores at most. The groups were not kept in between.
    """
    assert groups.members is not None  # only kept groups have none
    members = groups.members.worst(group, 0)
    everyone = np.unique(groups.members.stores[groups.members.rows_of(group)])
    places = np.searchsorted(everyone, members.stores)
    return _member_report(groups.report, groups.members, group).of(places[:most])


def _member_report(report: Report, members: Members, group: int) -> Report:
    mine = members.rows_of(group)
    rows = mine.start + np.flatnonzero(members.windows[mine] < len(report.windows.names))
    stores = np.unique(members.stores[rows])
    together = report.of(stores).together()
    # Of the windows before, only the stores that still belong to the group in one of the windows.
    rows = mine.start + np.flatnonzero(np.isin(members.stores[mine], stores))
    member = np.searchsorted(stores, members.stores[rows])
    figures = {}
    for name, values in members.figures.items():
        figures[name] = np.zeros((len(stores), len(together.windows.names)), dtype=np.int64)
        figures[name][member, members.windows[rows]] = values[rows]
    said = replace(together, totals=Totals(**figures))
    return said if report.before is None else said.apart()
