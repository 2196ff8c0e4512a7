"""What ``pcb-spark model`` prints of versions, comparisons and promotions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pcb_spark.core.bundle import Manifest
    from pcb_spark.learning.promotion import Comparison
    from pcb_spark.learning.rates import Rate
    from pcb_spark.pipeline.approval import Promotion
    from pcb_spark.pipeline.registry import Version

_SHORT = 12


def versions(found: Sequence[Version], past: Sequence[Promotion]) -> list[str]:
    """A line a version, the newest first."""
    if not found:
        return ["no version is registered yet: train, or `pcb-spark model register`"]
    approved = past[-1].to_version if past else None
    lines = [f"{'version':>7}  {'model':24} {'bundle':{_SHORT}}  registered        aliases"]
    for each in reversed(found):
        said = [*each.aliases]
        if each.number == approved:
            said.append("promoted")
        lines.append(
            f"{each.number:>7}  {each.model_version:24} {each.bundle_sha256[:_SHORT]}  "
            f"{each.registered_at:%Y-%m-%d %H:%M}  {', '.join(said)}"
        )
    return lines


def version(found: Version, manifest: Manifest, past: Sequence[Promotion]) -> list[str]:
    """All that matters of one version."""
    window = manifest.training_window
    auc = manifest.metrics.get("folds_mean roc_auc")
    return [
        f"version {found.number}: {found.model_version}, {', '.join(found.aliases) or 'no alias'}",
        f"bundle {found.bundle_sha256}, graph {manifest.model_sha256}; every hash is right",
        f"trained by run {found.run_id} on {window['images']} images of {window['from']} to "
        f"{window['until']}, {window['fails']} of them defects",
        f"promise: {manifest.threshold['reason']}",
        f"AUC mean over folds: {'-' if auc is None else f'{auc:.4f}'}",
        *promotions(past),
    ]


def promotions(past: Sequence[Promotion]) -> list[str]:
    """A line a promotion, the first one first."""
    return [
        f"{each.number:>3}  {each.promoted_at:%Y-%m-%d %H:%M}  {each.action}"
        f"{' by force' if each.forced else ''}  {each.from_version or '-'} to {each.to_version}  "
        f"{each.who}: {each.why or 'the gate let it pass'}  bundle {each.bundle_sha256[:_SHORT]}"
        for each in past
    ]


def comparison(found: Comparison, challenger: Version, champion: Version | None) -> list[str]:
    """Both sides in a table, the difference, and what the gate says."""
    sides = [(f"version {challenger.number}", found.challenger)]
    if champion and found.champion:
        sides.append((f"champion {champion.number}", found.champion))
    lines = [
        f"{found.images} images of {found.boards} boards, {found.defects} defects, all verified; "
        "scores of classifiers that hadn't seen them",
        f"{'':12} {'slipped':>23} {'false calls cleared':>23} {'fewer reviews':>23}",
    ]
    lines += [
        f"{name:12} {_rate(side.slip_rate)} {_rate(side.false_call_reduction)} "
        f"{_rate(side.review_reduction)}"
        for name, side in sides
    ]
    if found.difference is not None:
        lower, upper = found.interval
        bounds = "" if lower is None or upper is None else f" [{lower:+.1%}, {upper:+.1%}]"
        lines.append(f"reviews saved in addition {found.difference:+.1%}{bounds}, by board")
    lines += [f"refused: {why}" for why in found.refusals]
    return lines if found.refusals else [*lines, "the gate lets it pass"]


def _rate(found: Rate) -> str:
    if found.value is None:
        return f"{'-':>23}"
    bounds = f"[{found.lower:.1%}, {found.upper:.1%}]"
    return f"{f'{found.value:.1%} {bounds}':>23}"
