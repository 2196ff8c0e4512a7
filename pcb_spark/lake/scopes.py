"""Scopes: which images, or which setting, a row of ``metrics`` speaks of.

A scope is a kind and the value that tells it from others of its kind: ``fold`` 3, ``line`` L1.
Kinds without a value are a whole: ``overall``, ``folds_mean``, and ``forward`` of all folds.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pcb_spark.core import names


class Scope(NamedTuple):
    """``kind`` and ``value`` as the table holds them; ``str`` gives ``fold=3`` and ``overall``."""

    kind: str
    value: str | None = None

    def __str__(self) -> str:
        return self.kind if self.value is None else f"{self.kind}={self.value}"


#: All test windows; one of them; mean over them.
OVERALL: Final = Scope("overall")
FOLD: Final = "fold"
FOLDS_MEAN: Final = Scope("folds_mean")
#: What the rule would have done on a fold, its threshold chosen on those before; and on all such.
FORWARD: Final = "forward"
FORWARD_OVERALL: Final = Scope(FORWARD)
#: One value of a traceability column.
LABELS: Final = (names.LINE, names.LOT, names.POSITION, names.PART_NUMBER)
#: One kind of defect against all good images.
DEFECT: Final = "defect"
#: A range of scores; the last fold by so much history; a number format; a trial of a search.
RELIABILITY: Final = "reliability"
HISTORY_DAYS: Final = "history_days"
PRECISION: Final = "precision"
TRIAL: Final = "trial"
#: Of the data: a capture date, and a column of the ``images`` table's files.
DAY: Final = "day"
COLUMN: Final = "column"
#: Of the data: images of one size, of one format, and those with a column filled or empty.
SIZE: Final = "size"
FORMAT: Final = "format"
FILLED: Final = "filled"
EMPTY: Final = "empty"
#: Metric of these: the day on which such images were first seen, 2026-01-06 as 20260106.
FIRST_DAY: Final = "first_day"
#: A position, by line, part and name, whose golden image is missing or says little.
GOLDEN: Final = "golden"
#: A shift at the review page, or several of a day that are counted together.
SHIFT: Final = "shift"
