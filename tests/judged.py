"""Judged tables for tests, from the columns that a test is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pcb_spark.learning.judged import Judged

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from numpy.typing import ArrayLike

    from pcb_spark.learning.judged import TextsLike


def judged(
    is_fail: ArrayLike,
    score: ArrayLike,
    *,
    image_id: TextsLike | None = None,
    board_id: TextsLike | None = None,
    fold: ArrayLike = 1,
    defects: TextsLike | None = None,
    threshold: ArrayLike = 0.0,
    captured_at: ArrayLike | None = None,
    capture_date: Sequence[date | None] | None = None,
    gated: ArrayLike = False,
    weight: ArrayLike = 1.0,
    **labels: TextsLike,
) -> Judged:
    """Images ``i0``, ``i1`` and so on; each on a board of its own, all in fold 1, unless given."""
    n = len(np.asarray(score))
    each = [f"i{row}" for row in range(n)]
    return Judged.of(
        image_id=each if image_id is None else image_id,
        board_id=each if board_id is None else board_id,
        is_fail=is_fail,
        score=score,
        fold=np.full(n, fold) if np.ndim(fold) == 0 else fold,
        defects=[None] * n if defects is None else defects,
        labels=labels,
        threshold=threshold,
        captured_at=captured_at,
        capture_date=capture_date,
        gated=gated,
        weight=weight,
    )
