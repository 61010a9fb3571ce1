"""What an entry of the ledger says, as a snapshot of a database reads it."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """What an entry of the ledger says, beside its intervals; see `uphours.database.ledger`."""

    entry: int
    counts_as: str
    withdraws: int | None
    reason: str
    note: str
