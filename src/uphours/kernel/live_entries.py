"""Which entries of the ledger are live: those that no live entry withdraws."""

from __future__ import annotations

from collections.abc import Mapping


def withdrawn_by(links: Mapping[int, int | None]) -> dict[int, int]:
    """Return which live entry withdraws an entry, for those that are withdrawn.

    ``links``: what each entry withdraws, by number; it can only be an entry with a lower number.

    >>> withdrawn_by({1: None, 2: 1, 3: 2, 4: None, 5: 4})
    {4: 5, 2: 3}
    """
    by: dict[int, int] = {}
    for entry in sorted(links, reverse=True):  # what can withdraw an entry comes after it
        target = links[entry]
        if target is not None and target < entry and entry not in by:
            by.setdefault(target, entry)
    return by
