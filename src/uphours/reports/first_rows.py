"""The first rows of a report for people, with the sums over all of it: what a page shows before a file is fetched."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import BinaryIO, Self

import numpy as np

from uphours.reports.answers import Answer
from uphours.reports.columns import STORE_ID, availability_layout, cell, cells
from uphours.reports.group_files import group_cells
from uphours.reports.groups import Groups


@dataclass(frozen=True)
class FirstRows:
    """Some rows as text, None where there is nothing to divide by: as in a CSV file with availability.

    ``words``: how many columns from the left are words; the rest are figures. ``count``: of all rows. ``total``: the
    sums over all of them, its words blank but for the first one.
    """

    titles: list[str]
    words: int
    rows: list[list[str | None]]
    total: list[str | None]
    count: int

    def write(self, file: BinaryIO) -> None:
        """Write it so that `read` gives it back."""
        file.write(json.dumps(asdict(self)).encode())

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Return what was written."""
        return cls(**json.loads(content))


def first_rows(made: Answer, most: int) -> FirstRows:
    """Return the first ``most`` rows of a report of stores or of groups.

    Raises
    ------
    InputError
        An attribute is called as another column.
    """
    if isinstance(made, Groups):
        titles, *rows, total = group_cells(made)
        return FirstRows([title or "" for title in titles], len(made.by), rows[:most], total, len(rows))
    columns = availability_layout(made.windows.names)
    shown = made.of(np.arange(min(most, len(made.store_ids))))
    words = {STORE_ID: shown.store_ids, **shown.attributes}
    figures = {title: values.to_list() for title, values in cells(shown, columns).items()}
    sums = made.sums()
    total = [cell(sums[made.windows.names.index(column.window)], column) for column in columns]
    return FirstRows(
        [*words, *figures],
        len(words),
        [list(row) for row in zip(*words.values(), *figures.values(), strict=True)],
        ["(all)", *([None] * (len(words) - 1)), *total],
        len(made.store_ids),
    )
