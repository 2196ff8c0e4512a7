"""What a plant can do before anything is cleared: review in the order of scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from pcb_spark.learning.judged import Judged

#: Share of the flags that is told.
FIRST: Final = 0.1


def sentence(judged: Judged) -> str:
    """Say how many of the first tenth of flags are defects, by out-of-fold scores, highest first.

    Empty where no image has a score.
    """
    scored = judged[~np.isnan(judged.score)]
    if not len(scored):
        return ""
    fails = scored.is_fail[np.argsort(-scored.score, kind="stable")]
    first = max(1, round(FIRST * len(fails)))
    found, every = int(fails[:first].sum()), int(fails.sum())
    half = int(fails[: (len(fails) + 1) // 2].sum())
    return (
        f"Meanwhile review flags in the order of their scores, highest first: of the first "
        f"{first:,} of {len(fails):,} out-of-fold flags {found:,} were defects, and the first half "
        f"held {half:,} of all {every:,}."
    )
