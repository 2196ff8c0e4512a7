"""What the report says in sentences and in tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pcb_spark.core import names, review
from pcb_spark.core.review import Shares
from pcb_spark.lake.scopes import FOLDS_MEAN, FORWARD, FORWARD_OVERALL, OVERALL
from pcb_spark.learning import audit_plan, first_flags
from pcb_spark.learning.metrics import NEXT_SLIPS
from pcb_spark.learning.noticed import sentences
from pcb_spark.learning.promise import Promise

if TYPE_CHECKING:
    from pcb_spark.lake.scopes import Scope
    from pcb_spark.report.evidence import Evidence, Figure, Night

NONE = "n/a"
TOO_HIGH = ", too high"


@dataclass(frozen=True, slots=True)
class Headline:
    """What happened, in one sentence, and what stands behind it in another."""

    kicker: str
    sentence: str
    detail: str


@dataclass(frozen=True, slots=True)
class Tile:
    """One large number."""

    label: str
    value: str
    note: str


def percent(value: float | None, digits: int = 1) -> str:
    """Return ``0.125`` as ``12.5 %``, with a space that doesn't break."""
    return NONE if value is None else f"{100 * value:.{digits}f}\u00a0%"


def short_percent(value: float) -> str:
    """Return ``0.02`` as ``2 %`` and ``0.005`` as ``0.5 %``."""
    return f"{100 * value:g}\u00a0%"


def headline(evidence: Evidence) -> Headline:
    """Say what the newest run means; an alarm goes before everything else."""
    if evidence.noticed and evidence.noticed.alarm.raised:
        said = next(sentences(evidence.noticed)).removeprefix("slip alarm: ")
        return Headline("Slip alarm", "More defects slip than was promised", f"{said}.")
    if evidence.night is not None and evidence.is_of_night:
        return _of_night(evidence.night)
    if evidence.manifest is None:
        sentence = "No model has been trained yet"
        return Headline("pcb_spark", sentence, "Below is what the tables hold so far.")
    threshold, window = evidence.manifest.threshold, evidence.manifest.training_window
    seen = (
        f"Trained on {window['images']:,} images of {window['boards']:,} boards, "
        f"{window['from']} to {window['until']}; judged on {len(evidence.out_of_fold):,} "
        "of them by classifiers that saw only earlier days."
    )
    happened = f"{_happened(evidence)}{seen}"
    promised = f"{_capital(threshold).removesuffix('.')}."
    broken = [row for row in _steps(evidence) if not row["within"]]
    if broken:
        return Headline("Training run", _worst(broken, threshold), f"{promised} {happened}")
    if not _clears(threshold):
        meanwhile = first_flags.sentence(evidence.judged)
        sentence = "Nothing is cleared yet"
        return Headline("Training run", sentence, f"{promised} {meanwhile} {happened}")
    return Headline("Training run", _promise(threshold), happened)


def _clears(threshold: dict[str, Any]) -> bool:
    own = threshold.get("by_segment") or {}
    return bool(threshold["value"] or any(each["value"] for each in own.values()))


def _promise(threshold: dict[str, Any]) -> str:
    """What is promised; bundles of earlier versions promised a mean."""
    if "next_defects" in threshold:
        return _capital(threshold).removesuffix(".")
    return (
        f"At most {short_percent(threshold['max_slip_rate'])} of defects slip "
        f"({short_percent(threshold['confidence'])} confidence), on the mean of the past"
    )


def _happened(evidence: Evidence) -> str:
    """What the rule did forward in time, in one sentence; empty where there is one fold."""
    whole = [row for row in forward(evidence) if row["scope"] == FORWARD_OVERALL]
    return "".join(
        f"Forward in time, by thresholds chosen on the folds before, {row['slips']} defects "
        f"slipped and {row['false_call_reduction']} of false calls were cleared. "
        for row in whole or _pooled(evidence)
    )


def noticing(evidence: Evidence) -> str:
    """Say what control boards and audit can notice, at as many defects a day as history holds.

    Empty where no defect is known, and for bundles of earlier versions.
    """
    manifest = evidence.manifest
    promise = Promise.of(manifest.threshold) if manifest else None
    wanted = manifest.lineage.get("config", {}).get("scoring", {}) if manifest else {}
    judged = evidence.judged
    days = {day for day in judged.capture_date if day is not None}
    if promise is None or "control_share" not in wanted or not days or not judged.is_fail.any():
        return ""
    shares = Shares(control=wanted["control_share"], audit=wanted["audit_share"])
    defects = float(judged.weight[judged.is_fail].sum() / len(days))
    return audit_plan.sentence(audit_plan.plan(shares, promise, defects=defects), defects=defects)


def _steps(evidence: Evidence) -> list[dict[str, Any]]:
    return [row for row in forward(evidence) if row["scope"] != FORWARD_OVERALL]


def _worst(broken: list[dict[str, Any]], threshold: dict[str, Any]) -> str:
    """Say by how much the promise was broken, in the fold where the largest share slipped."""
    worst = max(broken, key=lambda row: row["rate"])
    said = f"{worst['slips']} defects slipped in fold {worst['fold']}"
    following, allowed = worst["next"], threshold.get("next_slips")
    if following is not None and allowed is not None and (following.value or 0) > allowed:
        said += (
            f", {following.value:.0f} of the first {following.n:,}, where {allowed} of "
            f"{threshold['next_defects']:,} may"
        )
    else:
        said += f", where {short_percent(threshold['max_slip_rate'])} may"
    return f"The promise was broken forward in time: {said}"


def _of_night(night: Night) -> Headline:
    total, cleared = night.total(), night.total(review=None)
    audited = night.total(review=review.AUDIT) + night.total(review=review.AUDIT_HIGH)
    unseen = night.total(review=review.UNSEEN)
    new = f"{unseen:,} of parts or lines that the model has never seen, " if unseen else ""
    days = night.counts[names.CAPTURE_DATE]
    if not total:
        return Headline("Scoring run", "No image was scored", f"Run {night.run_id}.")
    when = f"{days.min()}" if days.min() == days.max() else f"{days.min()} to {days.max()}"
    return Headline(
        f"Scoring run · images of {when}",
        f"{percent(cleared / total, 0)} of {total:,} flags need no operator",
        f"The others go to one: {night.total(review=review.DECISION):,} by their scores, "
        f"{new}{night.total(review=review.UNSCORABLE):,} unscorable, "
        f"{night.total(review=review.CONTROL):,} of control boards, whatever their scores, and "
        f"{audited:,} as an audit of what is cleared. Model {night.model_version}.",
    )


def notices(evidence: Evidence) -> Iterator[str]:
    """Name what a reader must not miss."""
    manifest = evidence.manifest
    if manifest is None:
        return
    if not manifest.trained_backbone:
        yield (
            "The backbone is untrained: these figures show that the jobs work, and say nothing "
            "about your boards."
        )
    promise = manifest.threshold["max_slip_rate"]
    folds = _steps(evidence)
    broken = [row for row in folds if not row["within"]]
    if broken:
        yield (
            f"Forward in time more defects slipped than promised, {short_percent(promise)}, in "
            f"{len(broken)} of {len(folds)} folds."
        )
    own, pixels = (evidence.figure(FOLDS_MEAN, f"{p}roc_auc") for p in ("", "baseline_"))
    if own and pixels and (own.value or 0) <= (pixels.value or 0):
        yield (
            f"The plain pixel difference ranks better (AUC {pixels.value:.3f}) than the network "
            f"({own.value:.3f})."
        )
    if evidence.noticed and not evidence.noticed.alarm.raised:
        yield from (f"{said[0].upper()}{said[1:]}." for said in sentences(evidence.noticed))
    night = evidence.night
    if night and night.model_version != manifest.model_version:
        yield f"The newest scores are by model {night.model_version}, not by the one shown here."


def tiles(evidence: Evidence) -> list[Tile]:
    """Give the numbers that belong at the top."""
    forward_rows = [row for row in forward(evidence) if row["scope"] == FORWARD_OVERALL]
    rows = forward_rows or _pooled(evidence)
    found = []
    for row in rows:
        note = f"{row['slips']}, threshold from earlier folds"
        found += [
            Tile("Defects slipped, forward", row["slip_rate"], note),
            Tile("False calls cleared, forward", row["false_call_reduction"], "of good components"),
            Tile("Fewer reviews, forward", row["review_reduction"], f"of {row['n']} flags"),
        ]
    auc, pixels = (evidence.figure(FOLDS_MEAN, f"{p}roc_auc") for p in ("", "baseline_"))
    if auc:
        beside = f"pixel difference {pixels.value:.3f}" if pixels else "mean of the folds"
        found.append(Tile("AUC, mean of folds", f"{auc.value:.3f}", beside))
    return found


def forward(evidence: Evidence) -> list[dict[str, Any]]:
    """Give a row for each fold: its threshold chosen on those before, its outcome counted."""
    scopes = [*evidence.scopes(FORWARD), FORWARD_OVERALL]
    return [row for scope in scopes if (row := _forward_row(evidence, scope)) is not None]


def _forward_row(evidence: Evidence, scope: Scope) -> dict[str, Any] | None:
    slip = evidence.figure(scope, "slip_rate")
    calls = evidence.figure(scope, "false_call_reduction")
    reviews = evidence.figure(scope, "review_reduction")
    if evidence.manifest is None or not (slip and calls and reviews):
        return None
    rate, following = slip.value or 0.0, evidence.figure(scope, NEXT_SLIPS)
    promise = Promise.of(evidence.manifest.threshold)
    if promise is None:
        within = rate <= evidence.manifest.threshold["max_slip_rate"]
    else:
        within = promise.holds(rate, (following.value or 0.0) if following else 0.0)
    return {
        "scope": scope,
        "fold": scope.value or "all",
        "slips": f"{round((slip.value or 0) * slip.n):,} of {slip.n:,}",
        "slip_rate": percent(slip.value) + ("" if within else TOO_HIGH),
        "false_call_reduction": percent(calls.value),
        "review_reduction": percent(reviews.value),
        "within": within,
        "rate": rate,
        "next": following,
        "n": f"{reviews.n:,}",
    }


def _pooled(evidence: Evidence) -> list[dict[str, Any]]:
    """Add up the folds where the metrics have no row of their own for all of them."""
    rates_told = ("slip_rate", "false_call_reduction", "review_reduction")
    found = [evidence.figures(evidence.scopes(FORWARD), name) for name in rates_told]
    if not all(found):
        return []
    hits = [sum((f.value or 0) * f.n for f in figures.values()) for figures in found]
    totals = [sum(f.n for f in figures.values()) for figures in found]
    shares = {
        name: percent(hit / n if n else None)
        for name, hit, n in zip(rates_told, hits, totals, strict=True)
    }
    return [{**shares, "slips": f"{round(hits[0]):,} of {totals[0]:,}", "n": f"{totals[2]:,}"}]


def figures(evidence: Evidence) -> list[dict[str, str]]:
    """Give the pooled figures of the model, the pixel difference beside them."""
    labels = {
        (FOLDS_MEAN, "roc_auc"): "AUC, mean of folds",
        (OVERALL, "roc_auc"): "AUC, all folds pooled",
        (OVERALL, "average_precision"): "Average precision",
        (OVERALL, "brier"): "Brier score (lower is better)",
    }
    rows = []
    for (scope, metric), label in labels.items():
        own, pixels = (evidence.figure(scope, f"{p}{metric}") for p in ("", "baseline_"))
        if own:
            row = {"label": label, "model": _bounded(own), "pixels": _bounded(pixels)}
            rows.append({**row, "n": f"{own.n:,}"})
    return rows


def _bounded(figure: Figure | None) -> str:
    if figure is None:
        return NONE
    if figure.lower is None or figure.upper is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} [{figure.lower:.3f}, {figure.upper:.3f}]"


def _capital(threshold: dict[str, Any]) -> str:
    reason = str(threshold["reason"])
    return reason[:1].upper() + reason[1:]
