"""Windows cut where stores change their groups: what belongs to which group, and what has to be measured for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uphours.kernel.windows import Windows, laid_in_pieces
from uphours.reports.memberships import Memberships, Values
from uphours.reports.report import Totals


@dataclass(frozen=True)
class Pieces:
    """Windows cut where stores change groups: arrays with an element for each piece, in order of store.

    ``stores``: the position of the piece's store. ``windows``: the position of the window. ``groups``: an index into
    ``keys``, which are in order of the values as text. ``starts``, ``ends``: UTC microseconds. ``is_whole``: the piece
    is the window.
    """

    stores: npt.NDArray[np.int64]
    windows: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    is_whole: npt.NDArray[np.bool_]
    keys: list[Values]

    @staticmethod
    def of(laid: Windows, belongs: Memberships) -> Pieces:
        """Cut the windows of stores; both have a row or rows for each store, by position."""
        window_starts, window_ends = laid.starts[belongs.stores], laid.ends[belongs.stores]
        starts = np.maximum(window_starts, belongs.starts[:, np.newaxis])
        ends = np.minimum(window_ends, belongs.ends[:, np.newaxis])
        row, window = np.nonzero(starts < ends)
        is_whole = (starts == window_starts) & (ends == window_ends)
        return Pieces(
            belongs.stores[row].astype(np.int64), window, belongs.groups[row].astype(np.int64),
            starts[row, window], ends[row, window], is_whole[row, window], belongs.keys,
        )  # fmt: skip

    def where(self, chosen: npt.NDArray[np.bool_]) -> Pieces:
        """Return those of the chosen stores; a truth value for each store."""
        mine = chosen[self.stores]
        if mine.all():
            return self
        return Pieces(
            self.stores[mine], self.windows[mine], self.groups[mine], self.starts[mine], self.ends[mine],
            self.is_whole[mine], self.keys,
        )  # fmt: skip

    def cut(self) -> CutWindows:
        """Return the pieces that are no whole windows, as windows of their stores."""
        some = ~self.is_whole
        return CutWindows(*laid_in_pieces(self.stores[some], self.starts[some], self.ends[some]))


@dataclass(frozen=True)
class CutWindows:
    """Pieces of windows as windows of the stores that change groups in them, in order.

    ``stores``: the positions of these stores, each once, ascending. ``laid``: the pieces of each. ``place``: the row
    and the column in ``laid`` of each piece.
    """

    stores: npt.NDArray[np.int64]
    laid: Windows
    place: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]

    def counted(self, measured: Totals) -> dict[str, npt.NDArray[np.int64]]:
        """Return what is counted in each piece, by figure; measured was each of ``laid``."""
        return {name: values[self.place] for name, values in vars(measured).items()}
