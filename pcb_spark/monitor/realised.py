"""What came of a model's gate, from the verdicts that have arrived behind it."""

from __future__ import annotations

from pcb_spark.learning.rates import Rate, rate


def slip_rate(slipped: int, defects: int, *, seen: float, side: float) -> Rate:
    """Share of all defects that slip, from those that were seen.

    Where a share s of all defects slips and a slip is seen with probability a, a seen defect is a
    slip with probability q = as / (as + 1 - s). Its Clopper-Pearson bounds are those of s =
    q / (q + a (1 - q)), which grows with q.

    Parameters
    ----------
    slipped, defects : seen ones that had been cleared, and all seen ones.
    seen : a, above 0.
    side : confidence of each bound.
    """
    found = rate(slipped, defects, side)

    def of_all(q: float) -> float:
        return q / (q + seen * (1 - q))

    value = None if found.value is None else of_all(found.value)
    return Rate(value, of_all(found.lower), of_all(found.upper), defects)
