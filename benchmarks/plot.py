"""The ways as bars, the limit beside each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks import rows


def draw(found: Sequence[rows.Row], path: Path) -> None:
    """Write a bar chart of the ways' images a second, with the spread of the repeats."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    scores = [row for row in found if row.stage == rows.SCORE and row.images_per_s]
    labels = [f"{row.way}\n{row.model}, {row.precision}" for row in scores]
    rates = [row.images_per_s or 0.0 for row in scores]
    halves = [rate * (row.spread or 0.0) / 2 for rate, row in zip(rates, scores, strict=True)]
    figure, axes = plt.subplots(figsize=(8, 0.5 * len(scores) + 1.5), layout="constrained")
    bars = axes.barh(labels, rates, xerr=halves, color="#4477aa", ecolor="#777777", capsize=3)
    axes.bar_label(bars, fmt="%.0f", padding=6)
    axes.invert_yaxis()
    axes.set_xlabel("component images a second, file bytes to Parquet, steady state")
    axes.set_title(rows.machine(), fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)
