"""What is asked of a report, the same value everywhere: command line, HTTP, jobs, files, clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from uphours.errors import InputError
from uphours.kernel.policy import Policy
from uphours.kernel.windows import DEFAULT_WINDOWS, Window, window_names
from uphours.schema import checked_instant, instant_iso

_NAMES: Final = ("as_of_us", "windows", "policy", "stores", "all_stores", "detail", "raw")
#: What a bound of a window of one's own is as a plain value: an instant, or a local date.
_BOUNDS: Final = {"us": int, "date": str}


@dataclass(frozen=True, kw_only=True)
class ReportRequest:
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
    detail
        More columns in the formats for people.
    raw
        Ignore the ledger in all figures.

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
    detail: bool = False
    raw: bool = False

    def __post_init__(self) -> None:
        if self.as_of is not None:
            checked_instant(self.as_of)
        window_names(self.windows)  # raises where one is unknown or repeated
        object.__setattr__(self, "windows", tuple(self.windows))
        if isinstance(self.stores, str):
            raise InputError(f"stores is the text {self.stores!r}; give a list, such as [{self.stores!r}]")
        if self.stores is not None:
            object.__setattr__(self, "stores", tuple(sorted(set(self.stores))))

    def to_dict(self) -> dict[str, Any]:
        """Return the request as plain values; the same requests give the same JSON."""
        return {
            "as_of_us": self.as_of,
            "windows": [window if isinstance(window, str) else window.to_dict() for window in self.windows],
            "policy": self.policy.to_dict(),
            "stores": None if self.stores is None else list(self.stores),
            "all_stores": self.all_stores,
            "detail": self.detail,
            "raw": self.raw,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the request that `to_dict` wrote, also that of an earlier version; what is not named is as by default.

        Raises
        ------
        InputError
            A name is unknown, or a value is not valid.
        """
        if unknown := [name for name in values if name not in _NAMES]:
            raise InputError(f"a report has no option {', '.join(map(repr, unknown))}; valid are {', '.join(_NAMES)}")
        as_of, stores = values.get("as_of_us"), values.get("stores")
        if as_of is not None and type(as_of) is not int:
            raise InputError(f"as_of_us is {as_of!r}; valid are whole microseconds since 1970, and null")
        flags = {name: values.get(name, False) for name in ("all_stores", "detail", "raw")}
        for name, value in flags.items():
            if type(value) is not bool:
                raise InputError(f"{name} is {value!r}; valid are true and false")
        return cls(
            as_of=as_of,
            windows=tuple(map(_window, _listed("windows", values.get("windows", DEFAULT_WINDOWS)))),
            policy=Policy.from_dict(values.get("policy", {})),
            stores=None if stores is None else tuple(map(_store_id, _listed("stores", stores))),
            **flags,
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
    if isinstance(value, Mapping) and isinstance(name := value.get("name"), str):
        given = [
            (f"{side}_{unit}", value[f"{side}_{unit}"])
            for side in ("start", "end")
            for unit, kind in _BOUNDS.items()
            if type(value.get(f"{side}_{unit}")) is kind
        ]
        if value.keys() == {"name", *dict(given)} and [field.partition("_")[0] for field, _ in given] == [
            "start",
            "end",
        ]:
            bounds = (bound if isinstance(bound, str) else instant_iso(checked_instant(bound)) for _, bound in given)
            window = Window(name, *bounds)
            if window.to_dict() == value:
                return window
    raise InputError(
        f"cannot read the window {value!r}; valid are names, and of one of your own its name, start_us or start_date, "
        "and end_us or end_date"
    )
