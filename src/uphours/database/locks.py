"""What only one process may do at a time: write a load, enter into the ledger, put a job into the queue.

A lock is a row that a transaction keeps locked until its end. SQLite has one writer at a time anyway, and knows no
locked rows.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from sqlalchemy import Connection, select

from uphours.database.tables import locks

Name: TypeAlias = Literal["loads", "queue", "ledger", "saved reports"]


def take(connection: Connection, name: Name) -> None:
    """Wait for a lock and hold it until the transaction ends.

    ``loads``: loads are numbered in the order in which they become visible, so that a report can say which ones it
    saw; a load that brings entries of the ledger takes ``ledger`` too, after it. ``ledger``: so are these entries.
    ``queue``: who counts what is waiting, or looks for work to share, must not do so beside another. ``saved reports``:
    nor who counts them.
    """
    connection.execute(select(locks.c.name).where(locks.c.name == name).with_for_update()).one()
