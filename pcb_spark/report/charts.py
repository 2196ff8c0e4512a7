"""What the report's charts show, in lines and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import PercentFormatter

from pcb_spark.core import names
from pcb_spark.lake.scopes import DEFECT, FOLD, HISTORY_DAYS
from pcb_spark.learning import calibration, rates
from pcb_spark.learning.lot_spread import LotSpread
from pcb_spark.learning.promise import Promise
from pcb_spark.learning.thresholds import slip_curve
from pcb_spark.report.drawing import Chart, chart

if TYPE_CHECKING:
    from pcb_spark.lake.scopes import Scope
    from pcb_spark.report.evidence import Evidence, Figure
    from pcb_spark.report.palette import Palette

#: Segments that one chart shows; the worst ones, where there are more.
_MOST_ROWS = 14


def slip_against_review(evidence: Evidence) -> Chart | None:
    """Every threshold that could have been chosen, and the one that was."""
    manifest, judged = evidence.manifest, evidence.judged
    judged = judged.ungated()
    if manifest is None or not judged.is_fail.any():
        return None
    known, promise = manifest.threshold, Promise.of(manifest.threshold)
    allowed = known["max_slip_rate"]
    outcome = rates.count_outcome(judged)
    slips, fails = outcome.slips, outcome.defects
    point = (rates.cleared(judged).mean(), slips / fails)
    most = int(max(4 * allowed * fails, slips + 3))
    spread = LotSpread(**known["spread"]) if known.get("spread") else None
    # Bundles of earlier versions bounded a mean: their curve has no line of next defects.
    curve = slip_curve(judged, promise or Promise(max_slip_rate=allowed), most=most, spread=spread)
    share, slipped = curve.cleared, curve.slips / fails

    def draw(axes: Any, palette: Palette) -> None:
        axes.plot(share, slipped, color=palette.accent, label="slipped, same scores")
        if promise is not None:
            label = "next defects, at most"
            axes.fill_between(share, slipped, curve.upper, color=palette.accent, alpha=0.16, lw=0)
            axes.plot(share, curve.upper, color=palette.accent, lw=1, ls=":", label=label)
        axes.axhline(allowed, color=palette.second, lw=1.2, ls="--", label="allowed")
        axes.plot(*point, "o", ms=8, color=palette.ink, label="chosen", clip_on=False, zorder=5)
        axes.set(xlabel="flags cleared", ylabel="defects slipped", xlim=(0, 1))
        axes.set_ylim(0, max(4 * allowed, point[1] * 1.3))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=None))
        axes.legend(loc="upper left", frameon=False, fontsize=9)

    return chart(
        draw,
        title="Slip against review",
        alt=f"Share of defects slipped over share of flags cleared. The chosen threshold clears "
        f"{point[0]:.1%} of {len(judged):,} flags and lets {slips} of {fails:,} defects slip, on "
        "the scores that it was chosen on.",
        caption=f"Each point of the curve is a threshold; out-of-fold scores of {len(judged):,} "
        f"images, {fails:,} of them defects. {_dotted(promise)}",
    )


def _dotted(promise: Promise | None) -> str:
    if promise is None:
        return "The model's bound is that of an earlier version and isn't drawn."
    said = promise.next_defects
    return (
        f"The dotted line is how many of the next {said.defects:,} defects slip at most, with "
        f"{said.confidence:.0%} confidence; at the chosen point it has to stay within the dashed "
        "one."
    )


def auc_by_fold(evidence: Evidence) -> Chart | None:
    """ROC AUC of every fold in the order of time, the pixel difference beside it."""
    scopes = evidence.scopes(FOLD)
    own = evidence.figures(scopes, "roc_auc")
    pixels = evidence.figures(scopes, "baseline_roc_auc")
    if not own:
        return None
    labels = [_period(evidence, int(scope.value or 0)) for scope in scopes]

    def draw(axes: Any, palette: Palette) -> None:
        _errorbars(axes, scopes, own, palette.accent, "model", -0.08 if pixels else 0.0)
        _errorbars(axes, scopes, pixels, palette.second, "pixel difference", 0.08, marker="s")
        axes.set_xticks(range(len(scopes)), labels)
        axes.set(ylabel="AUC", xlim=(-0.5, len(scopes) - 0.5))
        axes.set_ylim(_floor([*own.values(), *pixels.values()]), 1.002)
        if pixels:
            axes.legend(loc="lower right", frameon=False, fontsize=9)

    return chart(
        draw,
        title="AUC by fold, forward in time",
        alt="AUC of each fold: " + _listed(own) + _listed(pixels, "; of the pixel difference: "),
        caption="Each fold is scored by a classifier that saw only earlier days. Bars are "
        "intervals by resampled boards"
        + ("; squares are the pixel difference, no network." if pixels else "."),
    )


def auc_by_segment(evidence: Evidence, kind: str, title: str) -> Chart | None:
    """ROC AUC by lot, line or defect kind, the lowest ones where there are many."""
    every = evidence.figures(evidence.scopes(kind), "roc_auc")
    if not every:
        return None
    lowest = sorted(every, key=lambda scope: every[scope].value or 0.0)[:_MOST_ROWS]
    shown = [scope for scope in reversed(list(every)) if scope in lowest]

    def draw(axes: Any, palette: Palette) -> None:
        for height, scope in enumerate(shown):
            figure = every[scope]
            if figure.lower is not None and figure.upper is not None:
                axes.plot([figure.lower, figure.upper], [height] * 2, color=palette.accent, lw=1.5)
            axes.plot(figure.value, height, "o", ms=6, color=palette.accent)
        axes.set_yticks(range(len(shown)), [_short(scope.value or "") for scope in shown])
        axes.set(xlabel="AUC", ylim=(-0.6, len(shown) - 0.4))
        axes.set_xlim(_floor([every[scope] for scope in shown]), 1.004)
        axes.grid(axis="x")

    few = f" The lowest {len(shown)} of {len(every)}." if len(shown) < len(every) else ""
    return chart(
        draw,
        title=title,
        alt=f"{title}: " + _listed({scope: every[scope] for scope in reversed(shown)}),
        caption=f"Out-of-fold scores.{few}"
        + (" Each kind is held against all good images." if kind == DEFECT else ""),
        height=max(1.2, 0.75 + 0.27 * len(shown)),
    )


def reliability(evidence: Evidence) -> Chart | None:
    """Score against the share that failed."""
    bins = calibration.reliability_bins(evidence.judged)
    if not bins:
        return None
    most = max(each.n for each in bins)

    def draw(axes: Any, palette: Palette) -> None:
        axes.plot([0, 1], [0, 1], color=palette.muted, lw=1, ls="--")
        x, y = ([getattr(b, name) for b in bins] for name in ("mean_probability", "fail_share"))
        sizes = [20 + 160 * (each.n / most) ** 0.5 for each in bins]
        axes.plot(x, y, color=palette.accent, lw=1)
        axes.scatter(x, y, s=sizes, color=palette.accent, alpha=0.85, zorder=3, clip_on=False)
        axes.set(xlabel="score", ylabel="share that failed", xlim=(0, 1), ylim=(0, 1))

    pairs = ", ".join(f"{b.mean_probability:.2f} → {b.fail_share:.2f} (n = {b.n})" for b in bins)
    return chart(
        draw,
        title="Calibration",
        alt=f"Mean score and share that failed, by bin: {pairs}.",
        caption="On the dashed line a score is the probability of a defect. The area of a dot "
        "grows with its images; decisions rest on the order of scores, not on this.",
    )


def scores_by_verdict(evidence: Evidence) -> Chart | None:
    """How scores spread, by verdict, with the threshold."""
    judged = evidence.judged
    if evidence.manifest is None or not len(judged):
        return None
    threshold = evidence.manifest.threshold["value"]
    parts = [judged.score[judged.is_fail == fail] for fail in (False, True)]

    def draw(axes: Any, palette: Palette) -> None:
        edges = np.linspace(0, 1, 41)
        colours = (palette.accent, palette.second)
        for part, colour, verdict in zip(parts, colours, ("pass", "fail"), strict=True):
            axes.hist(
                part, edges, histtype="stepfilled", fc=(colour, 0.3), ec=colour, label=verdict
            )
        axes.axvline(threshold, color=palette.ink, lw=1.2, ls="--", label="threshold")
        axes.set_yscale("log")
        axes.set(xlabel="score", ylabel="images", xlim=(0, 1))
        axes.legend(loc="upper center", frameon=False, fontsize=9)

    return chart(
        draw,
        title="Scores by verdict",
        alt=f"Histogram of scores of {len(parts[0]):,} good and {len(parts[1]):,} defective "
        f"images; the threshold is {threshold:.3g}.",
        caption="What scores below the threshold is cleared. The scale of images is logarithmic.",
    )


def learning_curve(evidence: Evidence) -> Chart | None:
    """ROC AUC of the last fold against the days of history."""
    found = evidence.figures(evidence.scopes(HISTORY_DAYS), "roc_auc")
    days = [int(scope.value or 0) for scope in found]
    if len(days) < 2:
        return None

    def draw(axes: Any, palette: Palette) -> None:
        values = list(found.values())
        axes.plot(days, [each.value for each in values], "-o", color=palette.accent)
        for day, each in zip(days, values, strict=True):
            if each.lower is not None and each.upper is not None:
                axes.plot([day] * 2, [each.lower, each.upper], color=palette.accent, lw=1.5)
        axes.set(xlabel="days of history", ylabel="AUC of the last fold")
        axes.set_ylim(_floor(values), 1.002)
        axes.set_xlim(0, None)

    return chart(
        draw,
        title="Learning curve",
        alt="AUC of the last fold by days of history: " + _listed(found),
        caption="The last fold, judged by classifiers that saw the last days before it alone. "
        "Where the line still rises, more history helps.",
    )


def _errorbars(
    axes: Any,
    scopes: Sequence[Scope],
    figures: Mapping[Scope, Figure],
    color: str,
    label: str,
    offset: float,
    marker: str = "o",
) -> None:
    for place, scope in enumerate(scopes):
        figure = figures.get(scope)
        if figure and figure.lower is not None and figure.upper is not None:
            axes.plot([place + offset] * 2, [figure.lower, figure.upper], color=color, lw=1.6)
    places = [place + offset for place, scope in enumerate(scopes) if scope in figures]
    values = [figures[scope].value for scope in scopes if scope in figures]
    if values:
        axes.plot(places, values, marker=marker, color=color, ms=6, lw=1, alpha=0.9, label=label)


def _period(evidence: Evidence, fold: int) -> str:
    rows = evidence.out_of_fold
    days = rows.loc[rows[names.FOLD] == fold, names.CAPTURED_AT]
    return f"{fold}" if days.empty else f"{fold}\n{days.min():%d %b}"


def _floor(figures: Sequence[Figure]) -> float:
    """Lower end of an AUC axis: below all that is drawn, on a round number."""
    lowest = min(figure.value if figure.lower is None else figure.lower for figure in figures)  # type: ignore[type-var]
    return max(0.0, math.floor(float(lowest or 0) * 20 - 0.2) / 20)


def _listed(figures: Mapping[Scope, Figure], before: str = "") -> str:
    labels = [f"{scope.value} {figure.value:.3f}" for scope, figure in figures.items()]
    return before + ", ".join(labels) if labels else ""


def _short(label: str, most: int = 20) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"
