"""A judged table: images with verdict, score and threshold, checked once and travelling together.

It goes from out-of-fold scores to thresholds, metrics, calibration, comparison and report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcb_spark.core import names
from pcb_spark.core.errors import TrainingError
from pcb_spark.core.policy import round_scores
from pcb_spark.lake.scopes import LABELS

if TYPE_CHECKING:
    import pandas as pd

    from pcb_spark.learning.bootstrap import Floats

Rows: TypeAlias = NDArray[np.intp]
Verdicts: TypeAlias = NDArray[np.bool_]
#: Text of each image, None where it isn't known.
Texts: TypeAlias = NDArray[np.object_]
TextsLike: TypeAlias = ArrayLike | Sequence[str | None]
Moments: TypeAlias = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """n images that operators have verified, as ``of`` has checked them; ``judged[rows]`` are some.

    Attributes
    ----------
    image_id, board_id : (n,).
    is_fail : (n,), true for a true defect.
    score : (n,) 0..1, by a classifier that hasn't seen the image; NaN where there is none. Ranking
        keeps float64, only decisions round.
    threshold : (n,) 0..1; 0.0 clears nothing.
    fold : (n,), in whose test window the image lies, from 1 in the order of time.
    defects : (n,) kinds as ``open|short``, None or empty where there are none.
    labels : (n,) values of each of the traceability columns ``LABELS``.
    captured_at : (n,) datetime64 in microseconds, NaT where it isn't known.
    capture_date : (n,) the plant's date of that, None where it isn't known.
    gated : (n,), true where the image has a verdict because of its score; the promise rests on the
        others alone. See ``gate``.
    weight : (n,) 1 or more: how many images with and without a verdict it stands for in figures.
    heaviest : the largest weight of the whole table that these images are from.
    """

    image_id: Texts
    board_id: Texts
    is_fail: Verdicts
    score: Floats
    threshold: Floats
    fold: NDArray[np.int64]
    defects: Texts
    labels: Mapping[str, Texts]
    captured_at: Moments
    capture_date: NDArray[np.object_]
    gated: Verdicts
    weight: Floats
    heaviest: float

    @classmethod
    def of(
        cls,
        *,
        image_id: TextsLike,
        board_id: TextsLike,
        is_fail: ArrayLike,
        score: ArrayLike,
        fold: ArrayLike,
        defects: TextsLike,
        labels: Mapping[str, TextsLike],
        threshold: ArrayLike = 0.0,
        captured_at: ArrayLike | None = None,
        capture_date: Sequence[date | None] | None = None,
        gated: ArrayLike = False,
        weight: ArrayLike = 1.0,
    ) -> Judged:
        """Check what lies side by side, (n,) each, and bind it; ``threshold`` may be one for all.

        Raises
        ------
        TrainingError : columns of unequal length, or a verdict that is neither true nor false, as
            that of an image that no operator has seen: it is never taken for good.
        """
        scores = _scores(score)
        n = len(scores)
        return cls(
            image_id=_texts(names.IMAGE_ID, image_id, n),
            board_id=_texts(names.BOARD_ID, board_id, n),
            is_fail=_known_verdicts(is_fail, n),
            score=scores,
            threshold=np.full(n, threshold, dtype=np.float64),
            fold=_of_length(names.FOLD, np.asarray(fold, dtype=np.int64), n),
            defects=_texts(names.DEFECTS, defects, n),
            labels={name: _texts(name, values, n) for name, values in labels.items()},
            captured_at=_moments(captured_at, n),
            capture_date=_texts(names.CAPTURE_DATE, capture_date or [None] * n, n),
            gated=np.full(n, gated, dtype=bool),
            weight=np.full(n, weight, dtype=np.float64),
            heaviest=float(np.max(weight, initial=1.0)),
        )

    @classmethod
    def read(cls, rows: pd.DataFrame) -> Judged:
        """Bind rows of ``out_of_fold``, in their order; no threshold is chosen yet.

        Raises
        ------
        TrainingError : as ``of``.
        """
        verdicts = rows[names.VERDICT].map({names.VERDICT_PASS: False, names.VERDICT_FAIL: True})
        return cls.of(
            image_id=rows[names.IMAGE_ID],
            board_id=rows[names.BOARD_ID],
            is_fail=verdicts if len(rows) else [],
            score=rows[names.PROBABILITY],
            fold=rows[names.FOLD],
            defects=rows[names.DEFECTS],
            labels={name: rows[name] for name in LABELS},
            captured_at=rows[names.CAPTURED_AT],
            capture_date=_dates(rows),
            gated=_filled(rows, names.GATED, False),
            weight=_filled(rows, names.WEIGHT, 1.0),
        )

    def __len__(self) -> int:
        return len(self.score)

    def __getitem__(self, rows: Rows | NDArray[np.bool_]) -> Judged:
        return Judged(
            image_id=self.image_id[rows],
            board_id=self.board_id[rows],
            is_fail=self.is_fail[rows],
            score=self.score[rows],
            threshold=self.threshold[rows],
            fold=self.fold[rows],
            defects=self.defects[rows],
            labels={name: values[rows] for name, values in self.labels.items()},
            captured_at=self.captured_at[rows],
            capture_date=self.capture_date[rows],
            gated=self.gated[rows],
            weight=self.weight[rows],
            heaviest=self.heaviest,
        )

    def at(self, threshold: ArrayLike) -> Judged:
        """The same images at another threshold, one or (n,)."""
        return replace(self, threshold=np.full(len(self), threshold, dtype=np.float64))

    def ungated(self) -> Judged:
        """The images whose verdicts no score has chosen, each of which counts as one."""
        chosen = self[~self.gated]
        return replace(chosen, weight=np.ones(len(chosen)), heaviest=1.0)

    def scored(self, score: ArrayLike, fold: ArrayLike) -> Judged:
        """The same images with other out-of-fold scores, (n,), in other folds, (n,)."""
        n = len(self)
        return replace(
            self,
            score=_of_length(names.PROBABILITY, _scores(score), n),
            fold=_of_length(names.FOLD, np.asarray(fold, dtype=np.int64), n),
        )

    def in_time(self) -> Judged:
        """The same images in the order in which they were taken, those of unknown times last."""
        return self[np.argsort(self.captured_at, kind="stable")]

    def period(self) -> tuple[date, date] | tuple[None, None]:
        """First and last capture date; None where none is known."""
        known = [day for day in self.capture_date if day is not None]
        return (min(known), max(known)) if known else (None, None)

    def segments(self, column: str | None) -> Texts:
        """What may have a threshold of its own: values of ``column``, None for all without one."""
        return np.full(len(self), None) if column is None else self.labels[column]


def _scores(score: ArrayLike) -> Floats:
    """Scores (n,) in float64, NaN where there is none or it is no 0..1."""
    return np.where(np.isnan(round_scores(score)), np.nan, score).astype(np.float64)


def _known_verdicts(is_fail: ArrayLike, n: int) -> Verdicts:
    """Verdicts as (n,) bool; refuses nulls, since what no operator has seen is never ``pass``."""
    verdicts = np.asarray(is_fail)
    known = verdicts.dtype.kind in "biuf" and bool(np.isin(verdicts, (0, 1)).all())
    if verdicts.shape != (n,) or not known:
        raise TrainingError(
            "the verdicts don't fit the scores",
            expected=f"true or false for each of {n} images",
            got=f"{verdicts.dtype} of shape {verdicts.shape}, nulls included",
            hint="leave out images that no operator has verified",
        )
    return verdicts.astype(bool)


def _texts(name: str, values: TextsLike | Sequence[date | None], n: int) -> Texts:
    """Text (n,); what pandas makes of a null is None again."""
    found = _of_length(name, np.asarray(values, dtype=object), n)
    return np.array([text if text == text else None for text in found], dtype=object)


def _moments(captured_at: ArrayLike | None, n: int) -> Moments:
    if captured_at is None:
        return np.full(n, np.datetime64("NaT"), dtype="datetime64[us]")
    return _of_length(names.CAPTURED_AT, np.asarray(captured_at, dtype="datetime64[us]"), n)


def _dates(rows: pd.DataFrame) -> list[date | None]:
    """Capture dates; tables that hold none of their own have that of ``captured_at``."""
    if names.CAPTURE_DATE in rows:
        return [*rows[names.CAPTURE_DATE]]
    moments = np.asarray(rows[names.CAPTURED_AT], dtype="datetime64[D]")
    return [moment.item() for moment in moments]


def _filled(rows: pd.DataFrame, column: str, otherwise: Any) -> Any:
    """A column, and what stands for it in rows or tables that lack it."""
    if column not in rows:
        return otherwise
    return [otherwise if value is None or value != value else value for value in rows[column]]


def _of_length(name: str, values: NDArray, n: int) -> NDArray:  # type: ignore[type-arg]
    if values.shape == (n,):
        return values
    raise TrainingError(
        f"{name} doesn't fit the scores",
        expected=f"one for each of {n} images",
        got=f"{values.dtype} of shape {values.shape}",
        hint="take all columns from the same rows",
    )
