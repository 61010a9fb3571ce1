"""How targets stand, as `uphours.service.views` makes and keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from uphours.database.database import Database
from uphours.database.dialects.dialect import Content
from uphours.kernel.periods import Period
from uphours.kernel.policy import Policy
from uphours.reports.answers import bounded
from uphours.reports.memberships import labels
from uphours.reports.targets import Targets, targets
from uphours.where import NO_VALUE, Where


class TargetsAsked(NamedTuple):
    """What targets are asked for, as `uphours.reports.targets.targets` takes it.

    ``only``, ``at``: the stores that the caller sees, as in `uphours.service.views.Asked`.
    """

    period: Period | None
    expected: int | None
    as_of: int | None
    policy: Policy
    all_stores: bool = False
    only: Where = ()
    at: int = 0


class Standing(NamedTuple):
    """How targets stand, of which content of the database, and the names of stores, by id, as far as they have one."""

    targets: Targets
    content: Content
    names: Mapping[str, str]


def standing_of(database: Database, asked: TargetsAsked) -> Standing:
    """Return how the targets stand that those see who ask."""
    with database.snapshot() as whole:
        content = whole.content()
        fleet = bounded(whole, asked.only, asked.at)
        found = targets(
            fleet,
            period=asked.period,
            expected=asked.expected,
            as_of=asked.as_of,
            policy=asked.policy,
            all_stores=asked.all_stores,
        )
        if asked.only:
            found = found.of_stores(fleet)
        has_names = "name" in fleet.attribute_names()
        labelled = labels(fleet, found.as_of, ["name"])["name"] if has_names and fleet.store_ids else ()
        named = zip(fleet.store_ids, labelled, strict=False)
        return Standing(found, content, {store_id: name for store_id, name in named if name != NO_VALUE})
