"""The library: how long every store was really up while it was supposed to be open.

It works on tables that the caller already has; what it offers stands in ``__all__``. It is loaded at
first use, so that importing one part of the package does not import all others.
"""

from typing import TYPE_CHECKING, Any

from uphours.version import VERSION

__version__ = VERSION

__all__ = [
    "InputError",
    "NotFoundError",
    "Policy",
    "UphoursError",
    "Validated",
    "Window",
    "groups",
    "outages",
    "report",
    "sessions",
    "targets",
    "timeline",
    "validate",
]

if TYPE_CHECKING:
    from uphours.errors import InputError, NotFoundError, UphoursError
    from uphours.kernel.policy import Policy
    from uphours.kernel.windows import Window
    from uphours.library import Validated, groups, outages, report, sessions, targets, timeline, validate


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from uphours import library

    return getattr(library, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
