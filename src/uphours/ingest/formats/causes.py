"""Imported files: what was rejected and noticed, counted by cause, and whether the rest can be used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, Final, NamedTuple

from uphours.errors import RejectedError
from uphours.ingest.formats.imported import Imported, Notice, Position, RejectedRow
from uphours.load_record import SHOWN
from uphours.printable import printable

#: Of the causes of one file this many are named in an error.
_CAUSES_NAMED: Final = 3


class Cause(NamedTuple):
    """What was rejected or noticed for the same cause: how often, and the first of it; a notice has no ``raw``."""

    times: int
    cause: str
    position: Position
    store_id: str
    raw: str

    def line(self) -> str:
        """Say how often, why, and where first."""
        place = [f"no. {self.position.line}" if self.position.line else ""]
        place += [self.position.path, f"store {printable(self.store_id, SHOWN)}" if self.store_id else ""]
        first = ", ".join(filter(None, place)) + (f": {printable(self.raw, SHOWN)}" if self.raw else "")
        return f"{self.times:,} × {self.cause}" + (f" ({first})" if first else "")

    def facts(self) -> dict[str, Any]:
        """Return it as plain values."""
        facts = {**self._asdict(), **self.position._asdict()}
        return {name: facts[name] for name in ("cause", "times", "line", "path", "store_id", "raw")}


def causes(parts: Iterable[RejectedRow] | Iterable[Notice]) -> list[Cause]:
    """Count what was rejected or noticed by cause, the most frequent one first."""
    counted: dict[str, Cause] = {}
    for part in parts:
        cause, raw = (part.cause, part.raw) if isinstance(part, RejectedRow) else (part.text, "")
        first = counted.get(cause, Cause(0, cause, part.position, part.store_id, raw))
        counted[cause] = first._replace(times=first.times + 1)
    return sorted(counted.values(), key=lambda one: -one.times)


def check_usable(files: Mapping[str, Imported], *, strict: Fraction | None = None) -> None:
    """Refuse files of which nothing can be used, and more stores of which a part is rejected than a share of all.

    Raises
    ------
    RejectedError
        There is such a file, or there are more than that; the error names all of these files, with causes.
    """
    unusable = {name: file for name, file in files.items() if _is_unusable(file)}
    if unusable:
        said = "; ".join(
            f"no hours, or no time zone, of {name} can be used: {_causes(file)}" for name, file in unusable.items()
        )
        raise RejectedError(f"{said}; nothing was written")
    if not any(file.stores for file in files.values()):
        raise RejectedError(f"{', '.join(files)}: no store is described; nothing was written")
    bad = sum(len({row.store_id for row in file.rejected if row.store_id}) for file in files.values())
    nameless = sum(not row.store_id for file in files.values() for row in file.rejected)
    stores = sum(len(file.stores) for file in files.values()) + nameless
    if strict is not None and bad + nameless > strict * stores:
        said = "; ".join(f"{name}: {_causes(file)}" for name, file in files.items() if file.rejected)
        raise RejectedError(
            f"of {bad + nameless:,} of {stores:,} stores something is rejected, more than {float(strict):.4%}: "
            f"{said}; nothing was written"
        )


def _is_unusable(file: Imported) -> bool:
    """Return whether stores, hours or zones were given, and none of them can be used: no load would take them."""
    has_no_hours = bool(file.unknown_hours) and not file.hours
    has_no_zones = bool(file.unknown_timezones) and not file.timezones
    return (bool(file.rejected) and not file.stores) or has_no_hours or has_no_zones


def _causes(file: Imported) -> str:
    found = causes(file.rejected)
    rest = len(found) - _CAUSES_NAMED
    more = f", and {rest} more {'cause' if rest == 1 else 'causes'}" if rest > 0 else ""
    return f"{len(file.rejected):,} rejected, {', '.join(one.line() for one in found[:_CAUSES_NAMED])}{more}"
