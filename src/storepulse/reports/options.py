"""What is asked of a report, as a value that can be kept and compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from storepulse.errors import InputError
from storepulse.kernel.policy import Policy
from storepulse.kernel.windows import DEFAULT_WINDOWS, Window, window_names
from storepulse.schema import instant_us

_FACTS: Final = ("as_of_us", "windows", "policy", "stores", "all_stores")
_WINDOW_FACTS: Final = {"name": str, "start_us": int, "end_us": int}


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """All that a report is asked for with; checked when it is made, so that a mistake shows before any work.

    Parameters
    ----------
    as_of
        UTC microseconds; ``None``: the latest observation.
    windows
        By name or whole, in the order of the columns.
    stores
        Only these stores, kept sorted and distinct; ``None``: all of them.
    all_stores
        Also the stores without any observation at or before ``as_of``.

    Raises
    ------
    InputError
        A window is unknown or repeated, or ``as_of`` is out of range.
    """

    as_of: int | None = None
    windows: tuple[str | Window, ...] = DEFAULT_WINDOWS
    policy: Policy = field(default_factory=Policy)
    stores: tuple[str, ...] | None = None
    all_stores: bool = False

    def __post_init__(self) -> None:
        if self.as_of is not None:
            instant_us(self.as_of)  # raises where it is out of range
        window_names(self.windows)  # raises where one is unknown or repeated
        object.__setattr__(self, "windows", tuple(self.windows))
        if isinstance(self.stores, str):
            raise InputError(f"stores is the text {self.stores!r}; give a list, such as [{self.stores!r}]")
        if self.stores is not None:
            object.__setattr__(self, "stores", tuple(sorted(set(self.stores))))

    def facts(self) -> dict[str, Any]:
        """Return the options as plain values; the same options give the same JSON."""
        return {
            "as_of_us": self.as_of,
            "windows": [window if isinstance(window, str) else vars(window).copy() for window in self.windows],
            "policy": self.policy.facts(),
            "stores": None if self.stores is None else list(self.stores),
            "all_stores": self.all_stores,
        }

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Return the options of which these are the facts; what is not named is as by default.

        Raises
        ------
        InputError
            A name is unknown, or a value is none that it can have.
        """
        if unknown := [name for name in facts if name not in _FACTS]:
            raise InputError(f"a report has no option {', '.join(map(repr, unknown))}; valid are {', '.join(_FACTS)}")
        as_of, all_stores, stores = facts.get("as_of_us"), facts.get("all_stores", False), facts.get("stores")
        if as_of is not None and type(as_of) is not int:
            raise InputError(f"as_of_us is {as_of!r}; valid are whole microseconds since 1970, and null")
        if type(all_stores) is not bool:
            raise InputError(f"all_stores is {all_stores!r}; valid are true and false")
        return cls(
            as_of=as_of,
            windows=tuple(map(_window, _listed("windows", facts.get("windows", DEFAULT_WINDOWS)))),
            policy=Policy.of(facts.get("policy", {})),
            stores=None if stores is None else tuple(map(_store_id, _listed("stores", stores))),
            all_stores=all_stores,
        )


def _listed(name: str, values: object) -> list[object]:
    if not isinstance(values, list | tuple):
        raise InputError(f"{name} is {values!r}; valid are lists")
    return list(values)


def _store_id(value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"stores has {value!r}; valid are ids as text")
    return value


def _window(value: object) -> str | Window:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and {name: type(one) for name, one in value.items()} == _WINDOW_FACTS:
        return Window(value["name"], value["start_us"], value["end_us"])
    raise InputError(
        f"cannot read the window {value!r}; valid are names, and name, start_us and end_us of one of your own"
    )
