"""Database ids: what is one, what was one before some program changed it, and numbers for those that are."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from uphours.errors import InputError
from uphours.ingest.cases import Case, always
from uphours.ingest.id_table import Known
from uphours.ingest.invisible import UNSEEN, trimmed
from uphours.schema import Codes
from uphours.wire.values import STORE_ID_MAX_LENGTH

# Not \d, which is the digits of all scripts.
#: What a spreadsheet makes of a long number; its last digits are gone.
_SCIENTIFIC: Final = r"^[+-]?[0-9]+(?:[.,][0-9]+)?[eE][+-][0-9]+$|^[+-]?[0-9]+[.,][0-9]+[eE][0-9]+$"
#: What a program writes that has read numbers beside missing values, or keeps all numbers with a fraction.
_DECIMAL: Final = r"^[+-]?[0-9]+[.,]0+$"
#: How a program keeps a spreadsheet from reading an id as a number.
_FORMULA: Final = r'^=(?:".*"|[+-]?[0-9]+(?:\.[0-9]*)?)$'
#: What a spreadsheet shows for what it cannot compute, or has no room for.
_ERROR: Final = r"^#(?:N/A|NAME\?|VALUE!|REF!|DIV/0!|NULL!|NUM!|SPILL!|CALC!|#+)$"


def _id_cases(store_id: pl.Expr) -> list[Case]:
    length = store_id.str.len_chars()
    longest = f"valid are up to {STORE_ID_MAX_LENGTH}"

    def changed(pattern: str, what: str) -> Case:
        return Case(
            store_id.str.contains(pattern), pl.format(f"store_id {{}} {what}", store_id), pl.lit(f"store_id {what}")
        )

    return [
        Case(store_id == "", *always("missing store_id")),
        Case(
            length > STORE_ID_MAX_LENGTH,
            pl.format(f"store_id has {{}} characters; {longest}", length),
            pl.lit(f"store_id has too many characters; {longest}"),
        ),
        Case(store_id.str.contains(rf"[{UNSEEN}]"), *always("store_id has a control or invisible character inside")),
        Case(store_id.str.contains("\ufffd", literal=True), *always("store_id has U+FFFD: a character was lost")),
        changed(_SCIENTIFIC, "is in scientific notation: a spreadsheet has cut off its digits; export ids as text"),
        changed(_DECIMAL, "is a decimal number: some program has read ids as numbers; export them as text"),
        changed(_FORMULA, "is a formula of a spreadsheet; export ids as text"),
        changed(_ERROR, "is an error of a spreadsheet; export ids as text"),
    ]


# Made once: to make an expression takes longer than to apply it to some rows.
ID: Final = trimmed(pl.col("store_id").fill_null("")).alias("id")
ID_CASES: Final = _id_cases(pl.col("id"))
#: All of the cases at once: for some rows it is the number of patterns that takes the time.
_BAD: Final = "|".join([rf"[{UNSEEN}\x{{FFFD}}]", _SCIENTIFIC, _DECIMAL, _FORMULA, _ERROR])
ID_IS_BAD: Final = (
    (pl.col("id") == "") | (pl.col("id").str.len_chars() > STORE_ID_MAX_LENGTH) | pl.col("id").str.contains(_BAD)
)


#: So much of a text is looked at, blanks before an id among them.
_LONGEST: Final = 4096


#: So long may the ids of a load be on average, where their number is limited: they are held several times over.
_BYTES_EACH: Final = 64


class StoreIds:
    """Numbers for store ids, given out in order of first appearance; looks at each distinct text once."""

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._bytes = 0
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}
        self._categories = pl.Categories.random(namespace="uphours")
        # Polars forgets categories that no series has; this one keeps them, and has the first.
        self._anchor = pl.Series([""]).cast(pl.Categorical(self._categories))
        # By category, that is by distinct text: the store's number, and whether the text is no id.
        self._by_category: npt.NDArray[np.int32] = np.empty(0, dtype=np.int32)
        self._is_bad: npt.NDArray[np.bool_] = np.empty(0, dtype=np.bool_)
        self._known: dict[str, Known] = {}

    def number(self, store_id: str) -> int:
        """Return the number of one id that is known to be good.

        Raises
        ------
        InputError
            There are more different ids than may be.
        """
        number = self._numbers.setdefault(store_id, len(self.texts))
        if number == len(self.texts):
            self.texts.append(store_id)
            self._check(len(self.texts))
        return number

    def _check(self, texts: int, size: int = 0) -> None:
        if self._most is not None and (texts > self._most or size > max(self._most * _BYTES_EACH, 1 << 20)):
            raise InputError(
                f"the load names more than {self._most:,} stores, or what stands as their ids is too long; "
                f"valid are loads of up to {self._most:,} stores"
            )

    def numbers(self, texts: pl.Series) -> tuple[Codes, npt.NDArray[np.bool_]]:
        """Return a number for each text (0 where it is no id), and whether it is not one."""
        categories = self._looked_up(texts.fill_null(""))
        return self._by_category[categories], self._is_bad[categories]

    def numbers_of_good(self, ids: pl.Series) -> Codes | None:
        """Return a number for each id, text or integer, or None where one of them is not one.

        For a few hundred thousand ids in millions of rows much cheaper than `numbers`.
        """
        if ids.null_count():
            return None
        known = self._known.setdefault(str(ids.dtype), Known(ids.dtype))
        numbers = known.numbers(ids)
        missing = np.flatnonzero(numbers < 0)
        if len(missing):
            new = ids.gather(missing)
            categories = self._looked_up(new.cast(pl.String))
            if self._is_bad[categories].any():
                return None
            numbers[missing] = self._by_category[categories]
            known.learn(new, numbers[missing])
        return numbers

    def _looked_up(self, texts: pl.Series) -> npt.NDArray[np.uint32]:
        """Return the category of each text; each that is new was looked at."""
        if texts.str.len_bytes().to_numpy().max(initial=0) > _LONGEST:
            texts = texts.str.head(_LONGEST)  # too long all the same, and all are held in memory
        categories = texts.cast(pl.Categorical(self._categories)).to_physical().to_numpy()
        # A list of all categories takes longer than a batch, and most of the time there is no new one.
        if len(categories) and categories.max() >= len(self._is_bad):
            self._look_at(self._categories.to_series()[len(self._is_bad) :])
        return categories

    def _look_at(self, new: pl.Series) -> None:
        ids = pl.DataFrame({"store_id": new.cast(pl.String)}).with_columns(ID).select("id", is_bad=ID_IS_BAD)
        self._bytes += int(new.cast(pl.String).str.len_bytes().sum())
        self._check(len(self._is_bad) + len(new), self._bytes)
        numbers = [0 if is_bad else self.number(store_id) for store_id, is_bad in ids.iter_rows()]
        self._by_category = np.append(self._by_category, np.array(numbers, dtype=np.int32))
        self._is_bad = np.append(self._is_bad, ids["is_bad"].to_numpy())
