"""Targets in the database: those of a name are replaced as values of attributes are."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert

from uphours.database.dialects.dialect import parts_of
from uphours.database.tables import targets
from uphours.schema import SINCE_EVER, Target


def replace(connection: Connection, given: Mapping[tuple[str, int], Target], *, load: int) -> None:
    """Replace targets.

    One with a date replaces the one of this name and date; one without replaces all of its name. One without a share
    ends the target from its date on; without a date there is none of the name at all.

    Parameters
    ----------
    given
        By name and valid_from.
    load
        The number of the load.
    """
    t = targets.c
    undated = sorted(name for name, since in given if since == SINCE_EVER)
    for part in parts_of(undated):
        connection.execute(delete(targets).where(t.name.in_(part)))
    for name, since in sorted(given):
        connection.execute(delete(targets).where(t.name == name, t.valid_from == since))
    rows = [
        {
            "name": row.name, "valid_from": row.since, "filter": row.where, "share": row.share, "period": row.period,
            "load": load,
        }
        for _, row in sorted(given.items())
        if row.share is not None or row.since != SINCE_EVER
    ]  # fmt: skip
    if rows:
        connection.execute(insert(targets), rows)
