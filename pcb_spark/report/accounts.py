"""The report's tables: what came in, what was left out, what was decided, and by which versions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pcb_spark.core import names, policy, review
from pcb_spark.report.words import NONE, percent

if TYPE_CHECKING:
    from pcb_spark.learning.promotion import Side
    from pcb_spark.learning.rates import Rate
    from pcb_spark.report.evidence import Contest, Evidence, Night

#: How many nights the trend shows.
_NIGHTS = 30
_ORDER = ("ingest", "featurize", "train", "score", "nightly")


def books(evidence: Evidence) -> list[dict[str, Any]]:
    """Give a row for each job and kind of row: in, out, rejected, and whether it balances."""
    rows = evidence.runs.to_dict("records")
    rows.sort(key=lambda row: (_place(row["job"]), row[names.KIND]))
    return [
        {
            "job": row["job"],
            "kind": row[names.KIND],
            "rows_in": f"{row['rows_in']:,}",
            "rows_out": f"{row['rows_out']:,}",
            "rejected": f"{row['rows_rejected']:,}",
            "balances": row["rows_in"] == row["rows_out"] + row["rows_rejected"],
            "seconds": f"{row['seconds']:,.0f}",
            "started_at": f"{row['started_at']:%Y-%m-%d %H:%M}",
        }
        for row in rows
    ]


def _place(job: str) -> int:
    return _ORDER.index(job) if job in _ORDER else len(_ORDER)


def rejects(evidence: Evidence) -> list[dict[str, Any]]:
    """Give a row for each stage, kind and reason, the most frequent first."""
    rows = evidence.rejects.sort_values("count", ascending=False).to_dict("records")
    return [{**row, "count": f"{row['count']:,}"} for row in rows]


def decisions(night: Night) -> list[dict[str, Any]]:
    """Give a row for each line, and one for all of them."""
    lines = sorted({line for line in night.counts[names.LINE] if line})
    rows = [_decided(night, line, {names.LINE: line}) for line in lines] if len(lines) > 1 else []
    return [*rows, _decided(night, "all", {})]


def _decided(night: Night, name: str, where: dict[str, Any]) -> dict[str, Any]:
    total = night.total(**where)
    cleared = night.total(review=None, **where)
    audited = sum(night.total(review=why, **where) for why in (review.AUDIT, review.AUDIT_HIGH))
    return {
        "line": name,
        "images": f"{total:,}",
        "cleared": f"{cleared:,}",
        "share": percent(cleared / total if total else None),
        "fail": f"{night.total(review=review.DECISION, **where):,}",
        "unseen": f"{night.total(review=review.UNSEEN, **where):,}",
        "unscorable": f"{night.total(review=review.UNSCORABLE, **where):,}",
        "control": f"{night.total(review=review.CONTROL, **where):,}",
        "audit": f"{audited:,}",
    }


def contest(found: Contest) -> list[dict[str, Any]]:
    """Give a row for the challenger, and one for the champion, with the bounds of each rate."""
    sides = [(f"challenger, version {found.challenger}", found.found.challenger)]
    if found.found.champion:
        sides.append((f"champion, version {found.champion}", found.found.champion))
    return [_side(name, side) for name, side in sides]


def _side(name: str, side: Side) -> dict[str, Any]:
    return {
        "side": name,
        "slip_rate": _within(side.slip_rate),
        "false_call_reduction": _within(side.false_call_reduction),
        "review_reduction": _within(side.review_reduction),
    }


def _within(rate: Rate) -> str:
    if rate.value is None:
        return NONE
    return f"{percent(rate.value)} [{percent(rate.lower)}, {percent(rate.upper)}]"


def gate_says(found: Contest) -> str:
    """Say what both were held against, what the challenger saves, and whether it may pass."""
    of = found.found
    told = (
        f"On the same {of.images:,} verified images of {of.boards:,} boards, {of.defects:,} of "
        "them defects, by classifiers that hadn't seen them. "
    )
    if of.difference is not None and None not in of.interval:
        lower, upper = of.interval
        told += (
            f"The challenger saves {percent(of.difference)} of all reviews more "
            f"[{percent(lower)}, {percent(upper)}]. "
        )
    if of.refusals:
        return f"{told}The gate refuses it: {'; '.join(of.refusals)}."
    return f"{told}The gate lets it pass; nothing is promoted by that."


def unscorable(night: Night) -> list[dict[str, Any]]:
    """Give a row for each reason why images couldn't be scored, the most frequent first."""
    rows = night.counts[night.counts[names.DECISION] == policy.UNSCORABLE]
    counts = rows.fillna({names.REASON: "score is no number"}).groupby(names.REASON)["count"].sum()
    return [
        {"reason": reason, "count": f"{count:,}"}
        for reason, count in counts.sort_values(ascending=False).items()
    ]


def trend(evidence: Evidence) -> list[dict[str, Any]]:
    """Give a row for each of the last nights, the newest first."""
    if evidence.trend is None:
        return []
    rows = evidence.trend.tail(_NIGHTS).to_dict("records")
    return [{"of": str(row[names.CAPTURE_DATE]), **_in_ppm(row)} for row in reversed(rows)]


def paretos(evidence: Evidence) -> dict[str, list[dict[str, Any]]]:
    """Give the values with most defects, by what they are values of."""
    return {
        column.replace("_", " "): [
            {"of": row[column], "share": percent(row["share"], 0), **_in_ppm(row)}
            for row in found.to_dict("records")
        ]
        for column, found in evidence.pareto.items()
        if len(found)
    }


def _in_ppm(row: dict[Any, Any]) -> dict[str, str]:
    counts = {name: f"{row[name]:,}" for name in ("images", "verified")}
    return counts | {
        name: f"{row[name]:,.0f}" if row["verified"] else NONE
        for name in ("false_calls_ppm", "defects_ppm", "slips_ppm")
    }


def thresholds(evidence: Evidence) -> list[dict[str, Any]]:
    """Give the pooled threshold and those of segments, each with its evidence."""
    if evidence.manifest is None:
        return []
    pooled = evidence.manifest.threshold
    own = pooled.get("by_segment") or {}
    return [_threshold("pooled", pooled), *(_threshold(name, own[name]) for name in sorted(own))]


def _threshold(name: str, found: dict[str, Any]) -> dict[str, Any]:
    known = f"{found['defects']:,}"
    if "needed" in found:
        known += f", {found['needed']:,} needed"
    return {
        "name": name,
        "value": f"{found['value']:.4g}",
        "promised": _promised(found),
        "defects": known,
        "risk": percent(found.get("risk"), 2),
        "slips": f"{found['slips']:,} of {found['defects']:,}",
        "cleared": f"{found['cleared_good']:,} of {found['good']:,}",
    }


def _promised(found: dict[str, Any]) -> str:
    """What bundles of earlier versions promised was a mean, with a bound on it."""
    if "next_defects" in found:
        return f"{found['next_slips']:,} of the next {found['next_defects']:,}"
    upper = found.get("slip_rate_upper")
    return NONE if upper is None else f"{percent(upper, 2)} on the mean"


def suspects(evidence: Evidence) -> list[dict[str, Any]]:
    """Give the verdicts that deserve a second look, the worst first."""
    rows = evidence.suspects.to_dict("records")
    return [
        {
            "image": f"{row[names.BOARD_ID]} {row[names.POSITION] or ''}".strip(),
            "lot": row[names.LOT] or NONE,
            "date": f"{row[names.CAPTURED_AT]:%Y-%m-%d}",
            "verdict": row[names.VERDICT],
            "score": _score(row[names.PROBABILITY]),
            "reason": str(row[names.REASON]).replace("_", " "),
        }
        for row in rows
    ]


def _score(value: float | None) -> str:
    """Null comes out of pandas as NaN."""
    return NONE if value is None or value != value else f"{value:.3f}"


def versions(evidence: Evidence) -> list[tuple[str, str]]:
    """Name everything that the figures rest on."""
    found = []
    if evidence.manifest is not None:
        m = evidence.manifest
        spec = f"{' + '.join(m.levels)}, {' and '.join(m.pooling)}, "
        spec += "difference to the reference" if m.difference else "single image"
        found = [
            ("model", m.model_version),
            ("model sha256", m.model_sha256),
            ("features", f"{spec}, {m.precision}; {m.feature_count:,} numbers"),
            ("feature set", m.feature_set),
            ("backbone", f"{m.backbone['source']} (sha256 {m.backbone['sha256']})"),
            ("classifier", _settings(m.lineage.get("classifier", {}))),
            ("training run", m.lineage["run_id"]),
            ("configuration sha256", m.lineage["config_sha256"]),
            ("bundle made at", m.created_at),
        ]
    if len(evidence.runs):
        newest = evidence.runs.sort_values("started_at").iloc[-1]
        libraries = json.loads(newest["versions"])
        found += [
            ("newest run", newest[names.RUN_ID]),
            ("commit", newest["git_sha"] or "not in a checkout"),
            ("libraries", ", ".join(f"{name} {version}" for name, version in libraries.items())),
        ]
    return found


def _settings(classifier: dict[str, Any]) -> str:
    """What the trees were fitted with; bundles of earlier versions don't say it."""
    return ", ".join(f"{name} {value}" for name, value in classifier.items()) or NONE
