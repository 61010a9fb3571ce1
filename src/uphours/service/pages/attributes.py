"""The attributes by which pages let people choose stores."""

from __future__ import annotations

from typing import Final

from uphours.reports.memberships import Labels
from uphours.service.api import fleet
from uphours.service.api.groups import attributes_of
from uphours.service.auth import Caller
from uphours.service.deps import Service
from uphours.service.pages.query import Asked
from uphours.wire.group_messages import Attribute

#: Values that a choice offers.
_MOST_VALUES: Final = 100
#: What a store is called is no attribute that stores share.
_NAME: Final = "name"


def offered(serving: Service, caller: Caller) -> list[Attribute]:
    """Return the attributes of the stores that a caller sees, with their values, as they are at the latest observation.

    Names are left out. Without any observation there are no attributes yet.
    """
    return [one for one in attributes_of(_labels(serving, caller), _MOST_VALUES) if one["name"] != _NAME]


def has_names(serving: Service, caller: Caller) -> bool:
    """Say whether stores that a caller sees have names."""
    return _NAME in _labels(serving, caller)


def _labels(serving: Service, caller: Caller) -> Labels:
    if not fleet.any_polls(serving, caller):
        return {}
    question = Asked.usual(serving.settings.policy).question()
    return serving.fleets.overview(question.asked_by(serving, caller), stale_ok=question.stale_ok).labels
