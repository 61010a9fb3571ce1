"""Entries of the ledger + timeline → adjusted timeline: labels on finished spans, which change nothing around them.

An adjustment never becomes a session or an observation: a closure of an hour must not decide which polls count as made
while the store was open.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from uphours.kernel.jit import compiled
from uphours.schema import ACTIVE, EXCLUDED, INACTIVE, Adjustments, Codes, Instants, Sessions, Spans, Statuses


def nothing_adjusted(n: int) -> Adjustments:
    """Return the adjustments of ``n`` stores of which the ledger says nothing."""
    none = np.empty(0, dtype=np.int64)
    return Adjustments(np.zeros(n + 1, dtype=np.int64), none, none, none.astype(np.uint8), none)


def resolved(
    n: int, stores: Codes, starts: Instants, ends: Instants, counts_as: Statuses, entries: npt.NDArray[np.int64]
) -> Adjustments:
    """Return what counts at ``n`` stores, given the intervals of live entries in any order, overlapping or not.

    Time that any entry excludes is excluded; elsewhere the entry with the highest number decides. Of several that
    exclude the same time, the highest is named.
    """
    if not len(stores):
        return nothing_adjusted(n)
    order = np.lexsort((entries, starts, stores))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(stores, minlength=n))])
    pieces = 2 * len(stores)  # each bound of an interval begins a new piece at most
    made = Adjustments(
        np.zeros(n + 1, dtype=np.int64), np.empty(pieces, dtype=np.int64), np.empty(pieces, dtype=np.int64),
        np.empty(pieces, dtype=np.uint8), np.empty(pieces, dtype=np.int64),
    )  # fmt: skip
    _resolve_loop(
        starts[order], ends[order], counts_as[order], entries[order], offsets,
        made.offsets, made.starts, made.ends, made.counts_as, made.entries,
    )  # fmt: skip
    used = slice(int(made.offsets[-1]))
    return Adjustments(made.offsets, made.starts[used], made.ends[used], made.counts_as[used], made.entries[used])


def adjusted(spans: Spans, adjustments: Adjustments) -> Spans:
    """Return a timeline with adjustments on it: the same time, cut where an adjustment begins or ends.

    Time adjusted to up or down is confirmed. An adjusted span has no observation that speaks for it; the adjusted time
    of one entry that lies together in a session is one span.
    """
    limit = len(spans.starts) + 2 * len(adjustments.starts)
    made = Spans(
        np.zeros(len(spans.offsets), dtype=np.int64), np.empty(limit, dtype=np.int64), np.empty(limit, dtype=np.int64),
        np.empty(limit, dtype=np.uint8), np.empty(limit, dtype=np.bool_), np.empty(limit, dtype=np.int64),
        np.empty(limit, dtype=np.int64),
    )  # fmt: skip
    entries = made.entries
    assert entries is not None
    _adjust_loop(
        spans.starts, spans.ends, spans.offsets, spans.statuses, spans.confirmed, spans.evidence,
        adjustments.offsets, adjustments.starts, adjustments.ends, adjustments.counts_as, adjustments.entries,
        made.offsets, made.starts, made.ends, made.statuses, made.confirmed, made.evidence, entries,
    )  # fmt: skip
    used = slice(int(made.offsets[-1]))
    return Spans(
        made.offsets, made.starts[used], made.ends[used], made.statuses[used], made.confirmed[used],
        made.evidence[used], entries[used],
    )  # fmt: skip


def adjusted_watched(watched: Sessions, sessions: Sessions, adjustments: Adjustments) -> Sessions:
    """Return the parts of sessions that count as watched: never excluded time, always time adjusted to up or down."""
    limit = len(watched.starts) + len(sessions.starts) + 2 * len(adjustments.starts)
    parts = Sessions(
        np.zeros(len(watched.offsets), dtype=np.int64), np.empty(limit, np.int64), np.empty(limit, np.int64)
    )
    _watched_loop(
        watched.starts, watched.ends, watched.offsets, sessions.offsets, sessions.starts, sessions.ends,
        adjustments.offsets, adjustments.starts, adjustments.ends, adjustments.counts_as,
        parts.offsets, parts.starts, parts.ends,
    )  # fmt: skip
    used = slice(int(parts.offsets[-1]))
    return Sessions(parts.offsets, parts.starts[used], parts.ends[used])


@compiled
def _resolve_loop(  # type: ignore[no-untyped-def]
    starts, ends, kinds, numbers, row_offsets,
    offsets, piece_starts, piece_ends, piece_kinds, piece_numbers,
):  # fmt: skip
    """Cut the intervals of each store, in order of start, into pieces of which one entry decides."""
    k = 0  # pieces written
    for store in range(len(row_offsets) - 1):
        i, stop = row_offsets[store], row_offsets[store + 1]
        while i < stop:
            # [i, j) overlap; few do, so each piece looks at all of them.
            reached, j = ends[i], i + 1
            while j < stop and starts[j] < reached:
                reached = max(reached, ends[j])
                j += 1
            a = starts[i]
            while a < reached:
                b, winner = reached, -1
                for r in range(i, j):
                    if starts[r] > a:
                        b = min(b, starts[r])
                        break
                    if ends[r] <= a:
                        continue
                    b = min(b, ends[r])
                    excludes = kinds[r] == EXCLUDED
                    excluded = winner >= 0 and kinds[winner] == EXCLUDED
                    if winner < 0 or excludes > excluded or (excludes == excluded and numbers[r] > numbers[winner]):
                        winner = r
                if k > offsets[store] and piece_ends[k - 1] == a and piece_numbers[k - 1] == numbers[winner]:
                    piece_ends[k - 1] = b
                else:
                    piece_starts[k], piece_ends[k] = a, b
                    piece_kinds[k], piece_numbers[k] = kinds[winner], numbers[winner]
                    k += 1
                a = b
            i = j
        offsets[store + 1] = k


@compiled
def _adjust_loop(  # type: ignore[no-untyped-def]
    starts, ends, span_offsets, statuses, confirmed, evidence,
    adjustment_offsets, since, until, counts_as, numbers,
    offsets, new_starts, new_ends, new_statuses, new_confirmed, new_evidence, new_numbers,
):  # fmt: skip
    k = 0  # spans written
    for store in range(len(span_offsets) - 1):
        j, last = adjustment_offsets[store], adjustment_offsets[store + 1]
        for i in range(span_offsets[store], span_offsets[store + 1]):
            a, end = starts[i], ends[i]
            while a < end:
                while j < last and until[j] <= a:
                    j += 1
                new_starts[k] = a
                if j == last or since[j] > a:
                    b = end if j == last else min(end, since[j])
                    new_statuses[k], new_confirmed[k], new_evidence[k] = statuses[i], confirmed[i], evidence[i]
                    new_numbers[k] = 0
                else:
                    b = min(end, until[j])
                    new_statuses[k], new_evidence[k], new_numbers[k] = counts_as[j], -1, numbers[j]
                    new_confirmed[k] = counts_as[j] == ACTIVE or counts_as[j] == INACTIVE
                if (
                    k > offsets[store]
                    and new_ends[k - 1] == a
                    and new_numbers[k] > 0
                    and new_numbers[k - 1] == new_numbers[k]
                ):
                    new_ends[k - 1] = b
                else:
                    new_ends[k] = b
                    k += 1
                a = b
        offsets[store + 1] = k


@compiled
def _watched_loop(  # type: ignore[no-untyped-def]
    watched_starts, watched_ends, watched_offsets, session_offsets, opens, closes,
    adjustment_offsets, since, until, counts_as,
    offsets, starts, ends,
):  # fmt: skip
    k = 0  # parts written
    for store in range(len(watched_offsets) - 1):
        i, stop = watched_offsets[store], watched_offsets[store + 1]
        session, last_session = session_offsets[store], session_offsets[store + 1]
        j, last = adjustment_offsets[store], adjustment_offsets[store + 1]
        at = -(1 << 62)  # what lies before it is done
        while j <= last:
            is_last = j == last
            # Unknown time stays as watched as it was.
            if not is_last and counts_as[j] != ACTIVE and counts_as[j] != INACTIVE and counts_as[j] != EXCLUDED:
                j += 1
                continue
            limit = 1 << 62 if is_last else since[j]
            while i < stop and watched_starts[i] < limit:
                a, b = max(watched_starts[i], at), min(watched_ends[i], limit)
                if a < b:
                    starts[k], ends[k] = a, b
                    k += 1
                if watched_ends[i] > limit:
                    break
                i += 1
            if is_last:
                break
            if counts_as[j] != EXCLUDED:
                while session < last_session and closes[session] <= since[j]:
                    session += 1
                place = session
                while place < last_session and opens[place] < until[j]:
                    starts[k], ends[k] = max(opens[place], since[j]), min(closes[place], until[j])
                    k += 1
                    place += 1
            at = until[j]
            j += 1
        offsets[store + 1] = k
