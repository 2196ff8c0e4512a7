"""What becomes of a promise when the gate chooses its own labels: ten retrainings, simulated.

    python -m benchmarks.retraining [--lines 20] [--seed 0]

A line that doesn't change makes three kinds of defects, one of them hard to tell from good. Every
period a classifier is trained on the verdicts that are there, chooses a threshold on out-of-fold
scores and gates the next images. Told are, by period, the true share of defects that slip and what
the verdicts say of it: with control boards and weights, and with an audit alone whose verdicts are
taken as they come. A minute or two.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pcb_spark.core import policy, review
from pcb_spark.learning import lightgbm_on_driver
from pcb_spark.learning.judged import Judged
from pcb_spark.learning.promise import Promise
from pcb_spark.learning.rates import Rate, decision_rates
from pcb_spark.learning.settings import ClassifierConfig
from pcb_spark.learning.thresholds import choose_threshold

if TYPE_CHECKING:
    from numpy.typing import NDArray

PERIODS = 10
#: Images before the gate, and of each period after it; and images a board.
BEFORE, EACH, A_BOARD = 6_000, 2_000, 5
FAIL_SHARE = 0.3
#: Out-of-fold scores are of so many periods.
FOLDS = 4
PROMISE = Promise(max_slip_rate=0.05)
TREES = ClassifierConfig(
    num_iterations=60, num_leaves=15, feature_fraction=1.0, min_data_in_leaf=20
).for_reference_mode(difference=True)
#: Of each kind of defect its share of them, and where it lies in six features, and how wide.
KINDS = (
    (0.6, (3.0, 0.0, 0.0, 0.0, 0.0, 0.0), 1.0),
    (0.3, (0.0, 2.2, 2.2, 0.0, 0.0, 0.0), 1.0),
    (0.1, (0.0, 0.0, 0.0, 1.5, 1.5, 1.5), 0.4),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Images in the order of time, (n,) each: features (n, 6), verdict, and what a gate made of it.

    ``asked`` says which have a verdict; ``gated`` and ``weight`` are ``Judged``'s.
    """

    features: NDArray[np.float32]
    is_fail: NDArray[np.bool_]
    period: NDArray[np.int64]
    asked: NDArray[np.bool_]
    gated: NDArray[np.bool_]
    weight: NDArray[np.float64]

    def __add__(self, other: Line) -> Line:
        return Line(
            features=np.concatenate((self.features, other.features)),
            is_fail=np.concatenate((self.is_fail, other.is_fail)),
            period=np.concatenate((self.period, other.period)),
            asked=np.concatenate((self.asked, other.asked)),
            gated=np.concatenate((self.gated, other.gated)),
            weight=np.concatenate((self.weight, other.weight)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """One period behind the gate: the share of all its defects that slip, and what is said of it.

    ``told`` is what the period's own verdicts say; ``cleared`` the share of good images.
    """

    slip_rate: float
    told: Rate
    cleared: float


def draw(n: int, period: int, rng: np.random.Generator) -> Line:
    """Draw n images as they come."""
    features = rng.normal(size=(n, 6))
    is_fail = rng.random(n) < FAIL_SHARE
    kind = rng.choice(len(KINDS), size=n, p=[share for share, _, _ in KINDS])
    for number, (_, centre, width) in enumerate(KINDS):
        rows = is_fail & (kind == number)
        features[rows] = features[rows] * width + centre
    return Line(
        features=features.astype(np.float32),
        is_fail=is_fail,
        period=np.full(n, period),
        asked=np.ones(n, dtype=bool),
        gated=np.zeros(n, dtype=bool),
        weight=np.ones(n),
    )


def simulate(seed: int, shares: review.Shares, *, weighed: bool) -> list[Period]:
    """Let one line run for ten periods.

    Parameters
    ----------
    weighed : verdicts weigh what they stand for, and the promise rests on those that no score
        chose; else all are taken as they come.
    """
    rng = np.random.default_rng(seed)
    history = draw(BEFORE, 0, rng)
    history = replace(history, period=np.repeat(np.arange(-FOLDS, 0), BEFORE // FOLDS))
    found = []
    for period in range(PERIODS):
        coming = draw(EACH, period, rng)
        scores, threshold, high_from = _gate(history, coming, weighed=weighed)
        decision = policy.decide(scores, threshold)
        passed = decision == policy.PASS
        reviews = [
            review.review(
                str(decided),
                float(score),
                image_id=f"{period}-{number}",
                board_id=f"{period}-{number // A_BOARD}",
                high_from=high_from,
                shares=replace(shares, seed=seed),
            )
            for number, (decided, score) in enumerate(zip(decision, scores, strict=True))
        ]
        coming = replace(
            coming,
            asked=np.array([each.reason is not None for each in reviews]),
            gated=np.array([each.reason != review.CONTROL for each in reviews])
            & weighed
            & (threshold > 0),
            weight=np.array([1 / each.probability if each.reason else 1.0 for each in reviews])
            if weighed
            else np.ones(EACH),
        )
        judged = _judged(coming, scores).at(threshold)[coming.asked]
        found.append(
            Period(
                slip_rate=float(passed[coming.is_fail].mean()),
                told=decision_rates(judged)["slip_rate"],
                cleared=float(passed[~coming.is_fail].mean()),
            )
        )
        history += coming
    return found


def _gate(
    history: Line, coming: Line, *, weighed: bool
) -> tuple[NDArray[np.float64], float, float]:
    """Train, choose a threshold forward in time and score what comes."""
    known = np.flatnonzero(history.asked)
    period = history.period[known]
    periods = np.unique(period)[-FOLDS:]
    features = np.concatenate((history.features[known], coming.features))
    is_fail = np.concatenate((history.is_fail[known], coming.is_fail))
    weight = np.concatenate((history.weight[known], coming.weight))
    first = periods[0] if periods[0] > period[0] else periods[1]
    windows = [
        (np.flatnonzero(period < each), np.flatnonzero(period == each))
        for each in periods[periods >= first]
    ]
    new = np.arange(len(known), len(features))
    scores = lightgbm_on_driver.predict_forward(
        features, is_fail, [*windows, (np.arange(len(known)), new)], TREES,
        weight=weight if weighed else None, seed=0, threads=2,
    )  # fmt: skip
    tested = known[np.concatenate([rows for _, rows in windows])]
    judged = _judged(history, np.zeros(len(history.is_fail)))[tested]
    chosen = choose_threshold(judged.scored(np.concatenate(scores[:-1]), judged.fold), PROMISE)
    return scores[-1], chosen.value, chosen.audit_high_from


def _judged(line: Line, scores: NDArray[np.float64]) -> Judged:
    n = len(scores)
    return Judged.of(
        image_id=[str(number) for number in range(n)],
        board_id=[str(number // A_BOARD) for number in range(n)],
        is_fail=line.is_fail,
        score=scores,
        fold=line.period,
        defects=[None] * n,
        labels={},
        gated=line.gated,
        weight=line.weight,
    )


CONTROLLED = review.Shares(control=0.05, audit=0.02)
AUDITED = review.Shares(control=0.0, audit=0.02)


def main(arguments: list[str] | None = None) -> int:
    """Print both, by period."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--lines", type=int, default=20, help="simulated lines")
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args(arguments)
    seeds = range(wanted.seed, wanted.seed + wanted.lines)
    say = sys.stdout.write
    say(f"promise {PROMISE.max_slip_rate:.0%}, mean of {wanted.lines} lines\n")
    say("period  slipped  told  good images cleared\n")
    for name, shares, weighed in (
        ("an audit alone, verdicts as they come", AUDITED, False),
        ("control boards, verdicts weighed", CONTROLLED, True),
    ):
        say(f"{name}\n")
        lines = [simulate(seed, shares, weighed=weighed) for seed in seeds]
        for number in range(PERIODS):
            each = [line[number] for line in lines]
            slipped, told, cleared = (
                np.mean(values)
                for values in (
                    [p.slip_rate for p in each],
                    [p.told.value or 0 for p in each],
                    [p.cleared for p in each],
                )
            )
            say(f"{number + 1:6} {slipped:8.2%} {told:6.2%} {cleared:7.1%}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
