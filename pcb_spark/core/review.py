"""Who still looks at an image: why it goes to an operator, and how likely that was.

Images that the rule doesn't clear go to an operator. Of the others a few go all the same, since
nobody would ever learn what slips otherwise:

* **control** boards: every image of a small share of boards, whatever its score. Only their
  verdicts don't depend on scores, so only they say what the rule lets slip; nothing may tell the
  operator which boards they are.
* **unseen** is no draw: the model was trained without this part number or line, so that it clears
  none of it.
* **audit**: one half of the audit is drawn from all cleared images.
* **audit_high**: the other half is drawn from the highest tenth of the cleared scores, where most
  of what slips lies.

Every draw is a hash of what is drawn and the seed: whoever repeats it, Spark or an edge machine,
draws the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np

from pcb_spark.core import policy

DECISION: Final = "decision"
UNSCORABLE: Final = "unscorable"
UNSEEN: Final = "unseen"
CONTROL: Final = "control"
AUDIT: Final = "audit"
AUDIT_HIGH: Final = "audit_high"
REASONS: Final = (DECISION, UNSCORABLE, UNSEEN, CONTROL, AUDIT, AUDIT_HIGH)

#: Share of the cleared images whose scores are their highest.
HIGHEST: Final = 0.1
#: What a threshold's evidence calls the score that they begin at.
HIGH_FROM: Final = "audit_high_from"

#: 52 bits of a hash: as many as a float64 holds and Spark converts without loss.
_HEX_DIGITS: Final = 13
_SCALE: Final = float(16**_HEX_DIGITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """How much of what is cleared an operator sees all the same, and the seed of the draws.

    Attributes
    ----------
    control : of all boards, 0..1.
    audit : of the cleared images of other boards, 0..1.
    """

    control: float
    audit: float
    seed: int = 0

    @property
    def high_audit(self) -> float:
        """Probability that an image of the highest tenth is audited, 0..1."""
        return min(1.0, self.audit / 2 + self.audit / 2 / HIGHEST)

    @property
    def low_audit(self) -> float:
        """Probability that any other cleared image is; ``audit`` is the mean of both."""
        return max(0.0, (self.audit - HIGHEST * self.high_audit) / (1 - HIGHEST))

    def review_probability(self, *, high: bool) -> float:
        """Probability that a cleared image goes to an operator, 0..1."""
        audited = self.high_audit if high else self.low_audit
        return self.control + (1 - self.control) * audited

    @property
    def seen(self) -> float:
        """Probability that a slip is seen by a draw that takes no notice of its score, 0..1."""
        return self.review_probability(high=False)


@dataclass(frozen=True, slots=True)
class Review:
    """Why an image goes to an operator, None where it doesn't, and how likely that was.

    ``probability``, 0..1, is that of all draws together; verdicts weigh its inverse.
    """

    reason: str | None
    probability: float


def unit(seed: int, what: str, key: str) -> float:
    """Draw a number in [0, 1) that depends on nothing else."""
    digest = hashlib.sha256(f"{seed}:{what}:{key}".encode()).hexdigest()
    return int(digest[:_HEX_DIGITS], 16) / _SCALE


def unit_sql(seed: int, what: str, key: str) -> str:
    """Give ``unit`` as an expression of Spark SQL over the column ``key``."""
    digest = f"sha2(concat('{seed}:{what}:', {key}), 256)"
    return f"CAST(conv(left({digest}, {_HEX_DIGITS}), 16, 10) AS DOUBLE) / {_SCALE!r}D"


def review(
    decision: str,
    probability: float | None,
    *,
    image_id: str,
    board_id: str,
    high_from: float,
    shares: Shares,
    unseen: bool = False,
) -> Review:
    """Say why one image goes to an operator.

    Parameters
    ----------
    decision, probability : the rule's, and the score that it saw.
    high_from : the highest tenth of the cleared scores begins here.
    unseen : the rule held it against 0, since the model has never seen its part number or line.
    """
    high = probability is not None and bool(
        policy.round_scores([probability])[0] >= np.float32(high_from)
    )
    likely = shares.review_probability(high=high) if decision == policy.PASS else 1.0
    if unit(shares.seed, CONTROL, board_id) < shares.control:
        return Review(CONTROL, likely)
    if decision != policy.PASS:
        return Review(_why(decision, unseen=unseen), likely)
    drawn = unit(shares.seed, AUDIT, image_id)
    if drawn < shares.low_audit:
        return Review(AUDIT, likely)
    if high and drawn < shares.high_audit:
        return Review(AUDIT_HIGH, likely)
    return Review(None, likely)


def _why(decision: str, *, unseen: bool) -> str:
    if decision == policy.UNSCORABLE:
        return UNSCORABLE
    return UNSEEN if unseen else DECISION


def reason_sql(
    *,
    decision: str,
    probability: str,
    image_id: str,
    board_id: str,
    high_from: str,
    shares: Shares,
    unseen: str = "false",
) -> str:
    """Give the reason of ``review`` as an expression of Spark SQL over columns, by their names.

    ``unseen`` is an expression itself, as ``policy.unseen_sql`` gives it.
    """
    drawn, high = unit_sql(shares.seed, AUDIT, image_id), _high_sql(probability, high_from)
    return (
        f"CASE WHEN {unit_sql(shares.seed, CONTROL, board_id)} < {shares.control!r}D"
        f" THEN '{CONTROL}'"
        f" WHEN {decision} = '{policy.UNSCORABLE}' THEN '{UNSCORABLE}'"
        f" WHEN {decision} != '{policy.PASS}' AND ({unseen}) THEN '{UNSEEN}'"
        f" WHEN {decision} != '{policy.PASS}' THEN '{DECISION}'"
        f" WHEN {drawn} < {shares.low_audit!r}D THEN '{AUDIT}'"
        f" WHEN {high} AND {drawn} < {shares.high_audit!r}D THEN '{AUDIT_HIGH}' END"
    )


def probability_sql(*, decision: str, probability: str, high_from: str, shares: Shares) -> str:
    """Give the probability of ``review`` as an expression of Spark SQL."""
    high, low = (shares.review_probability(high=high) for high in (True, False))
    return (
        f"CASE WHEN {decision} != '{policy.PASS}' THEN 1.0D"
        f" WHEN {_high_sql(probability, high_from)} THEN {high!r}D ELSE {low!r}D END"
    )


def _high_sql(probability: str, high_from: str) -> str:
    return f"CAST({probability} AS FLOAT) >= CAST({high_from} AS FLOAT)"
