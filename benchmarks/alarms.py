"""How often the slip alarm is false, and how soon it is right: ``make alarms``.

    python -m benchmarks.alarms [--histories 2000] [--defects 20000] [--seed 0]

Quiet histories let exactly as much slip as was promised; the alarm may be raised in 5 % of them.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from pcb_spark.core.review import Shares
from pcb_spark.learning.slip_alarm import nights_to_notice, slip_alarm

PROMISED = 0.02
#: Probabilities that a slip is seen.
SEEN = (0.02, 0.0595, 0.2)


def false_alarms(
    histories: int, defects: int, *, seen: float, promised: float = PROMISED, seed: int = 0
) -> float:
    """Share of quiet histories, of so many seen defects each, that ever raise the alarm."""
    rng = np.random.default_rng(seed)
    chance, each = seen * promised / (seen * promised + 1 - promised), np.full(defects, seen)
    raised = [
        slip_alarm(rng.random(defects) < chance, each, max_slip_rate=promised).raised
        for _ in range(histories)
    ]
    return float(np.mean(raised))


def main(arguments: list[str] | None = None) -> int:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--histories", type=int, default=2_000)
    parser.add_argument("--defects", type=int, default=20_000, help="seen in each history")
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args(arguments)
    say = sys.stdout.write
    say(f"promised {PROMISED:.0%}, {wanted.histories:,} histories of {wanted.defects:,} defects\n")
    say("a slip is seen  false alarms  nights until a doubling is noticed, half | nine tenths\n")
    for seen in SEEN:
        share = false_alarms(wanted.histories, wanted.defects, seen=seen, seed=wanted.seed)
        half, most = nights_to_notice(
            Shares(control=seen, audit=0), max_slip_rate=PROMISED, multiple=2, defects=100
        )
        say(f"{seen:14.1%} {share:13.1%} {half:20,.0f} | {most:,.0f} (100 defects a night)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
