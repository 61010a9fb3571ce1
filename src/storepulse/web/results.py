"""Finished reports in any format, each made from the one result that the store keeps."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Final

from storepulse.reports import MEDIA_TYPES, Report, unpacked, written
from storepulse.schema import instant_iso
from storepulse.store import Store
from storepulse.store import reports as report_table

_MOST_BYTES: Final = 64 << 20


@dataclass(frozen=True)
class File:
    """A report as a file, the same bytes whenever it is asked for."""

    content: bytes
    media_type: str
    name: str
    etag: str


class Results:
    """Renders results, and keeps the last ones: many ask for the same just after it is finished."""

    def __init__(self, store: Store, version: str) -> None:
        self._store, self._version = store, version
        self._kept: OrderedDict[tuple[str, str], File] = OrderedDict()
        self._lock = Lock()

    def file(self, job: str, form: str, *, detail: bool = False) -> File:
        """Return the result of a job that is complete.

        Raises
        ------
        InputError
            There is no such format.
        """
        layout = f"{form} {detail}"
        return self.rendered(job, layout, form, lambda report: written(report, form, detail=detail))

    def rendered(self, job: str, layout: str, form: str, render: Callable[[Report], bytes]) -> File:
        """Return a result in a layout of the caller's own, which ``layout`` names."""
        with self._lock:
            if (found := self._kept.get((job, layout))) is not None:
                self._kept.move_to_end((job, layout))
                return found
        with self._store.reading() as connection:
            report = unpacked(report_table.result(connection, job))
        content = render(report)
        etag = hashlib.sha256(f"{job} {layout} {self._version}".encode() + content).hexdigest()[:32]
        name = f"storepulse-{_stamp(report.as_of)}.{form}"
        made = File(content, MEDIA_TYPES[form], name, f'"{etag}"')
        self._keep((job, layout), made)
        return made

    def _keep(self, key: tuple[str, str], made: File) -> None:
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > 1 and sum(len(file.content) for file in self._kept.values()) > _MOST_BYTES:
                self._kept.popitem(last=False)


def _stamp(as_of: int) -> str:
    return instant_iso(as_of).partition(".")[0].rstrip("Z").replace("-", "").replace(":", "") + "Z"
