"""What is asked of a report, the same value everywhere: command line, HTTP, jobs, files, clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from uphours.errors import InputError
from uphours.kernel.policy import Policy
from uphours.kernel.windows import DEFAULT_WINDOWS, Window, window_names
from uphours.schema import checked_instant, instant_iso
from uphours.where import Where, plain, where_of

_NAMES: Final = (
    "as_of_us", "windows", "policy", "stores", "where", "by", "columns", "all_stores", "detail", "raw", "compare",
    "outages", "only",
)  # fmt: skip
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
    where
        Only stores with such values of attributes at the instant of the report; as `uphours.where.where_of` returns it.
    by
        Names of attributes: groups of stores with the same values instead of stores.
    columns
        Names of attributes that stand beside the ids.
    all_stores
        Also the stores without any observation at or before ``as_of``.
    detail
        More columns in the formats for people.
    raw
        Ignore the ledger in all figures.
    compare
        Also the figures of the windows before, and the changes from there.
    outages
        Also a list of the outages, for workbooks.
    only
        As though there were no other stores than those with such values now: what a key is bound to.

    Raises
    ------
    InputError
        A window is unknown or repeated, ``as_of`` is out of range, or two options make no sense together.
    """

    as_of: int | None = None
    windows: tuple[str | Window, ...] = DEFAULT_WINDOWS
    policy: Policy = field(default_factory=Policy)
    stores: tuple[str, ...] | None = None
    where: Where = ()
    by: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    all_stores: bool = False
    detail: bool = False
    raw: bool = False
    compare: bool = False
    outages: bool = False
    only: Where = ()

    def __post_init__(self) -> None:
        if self.as_of is not None:
            checked_instant(self.as_of)
        window_names(self.windows)  # raises where one is unknown or repeated
        object.__setattr__(self, "windows", tuple(self.windows))
        if isinstance(self.stores, str):
            raise InputError(f"stores is the text {self.stores!r}; give a list, such as [{self.stores!r}]")
        if self.stores is not None:
            object.__setattr__(self, "stores", tuple(sorted(set(self.stores))))
        if self.by and self.columns:
            raise InputError("columns are for reports of stores, and by reports groups; give one of them")
        for option in ("by", "columns"):
            object.__setattr__(self, option, _attribute_names(option, getattr(self, option)))

    def to_dict(self) -> dict[str, Any]:
        """Return the request as plain values; the same requests give the same JSON."""
        return {
            "as_of_us": self.as_of,
            "windows": [window if isinstance(window, str) else window.to_dict() for window in self.windows],
            "policy": self.policy.to_dict(),
            "stores": None if self.stores is None else list(self.stores),
            "where": plain(self.where),
            "by": list(self.by),
            "columns": list(self.columns),
            "all_stores": self.all_stores,
            "detail": self.detail,
            "raw": self.raw,
            "compare": self.compare,
            "outages": self.outages,
            "only": plain(self.only),
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
        flags = {name: values.get(name, False) for name in ("all_stores", "detail", "raw", "compare", "outages")}
        for name, value in flags.items():
            if type(value) is not bool:
                raise InputError(f"{name} is {value!r}; valid are true and false")
        return cls(
            as_of=as_of,
            windows=tuple(map(_window, _listed("windows", values.get("windows", DEFAULT_WINDOWS)))),
            policy=Policy.from_dict(values.get("policy", {})),
            stores=None if stores is None else tuple(map(_store_id, _listed("stores", stores))),
            where=_where("where", values.get("where", {})),
            by=tuple(_texts("by", values.get("by", ()))),
            columns=tuple(_texts("columns", values.get("columns", ()))),
            only=_where("only", values.get("only", {})),
            **flags,
        )


def _listed(name: str, values: object) -> list[object]:
    if not isinstance(values, list | tuple):
        raise InputError(f"{name} is {values!r}; valid are lists")
    return list(values)


def _texts(name: str, values: object) -> list[str]:
    found = _listed(name, values)
    if wrong := [value for value in found if not isinstance(value, str)]:
        raise InputError(f"{name} has {wrong[0]!r}; valid are texts")
    return [str(value) for value in found]


def _where(name: str, values: object) -> Where:
    if not isinstance(values, Mapping):
        raise InputError(f"{name} is {values!r}; valid are lists of values by name of attribute")
    return where_of({str(attribute): _texts(name, some) for attribute, some in values.items()})


def _attribute_names(option: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return names of attributes as they are kept, with blanks at their ends taken off."""
    if isinstance(names, str):
        raise InputError(f"{option} is the text {names!r}; give a list, such as [{names!r}]")
    found = tuple(name.strip() for name in names)
    if not all(found):
        raise InputError(f"{option} has an empty name; valid are names of attributes, such as region")
    if repeated := sorted({name for name in found if found.count(name) > 1}):
        raise InputError(f"attribute {', '.join(repeated)} is named more than once")
    return found


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
