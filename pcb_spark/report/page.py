"""Evidence to one HTML file that needs nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pcb_spark.core import names
from pcb_spark.lake.scopes import DEFECT
from pcb_spark.report import accounts, charts, gallery, templating, words

if TYPE_CHECKING:
    from pcb_spark.report.evidence import Evidence


def render(evidence: Evidence) -> str:
    """Return the report as HTML; pictures, charts and style are part of it.

    What a table doesn't hold yet is said in words where it would stand.
    """
    return templating.template("report.html").render(_context(evidence))


def _context(evidence: Evidence) -> dict[str, Any]:
    return {
        **templating.COLOURS,
        "evidence": evidence,
        "headline": words.headline(evidence),
        "notices": list(words.notices(evidence)),
        "tiles": words.tiles(evidence),
        "forward": words.forward(evidence),
        "noticing": words.noticing(evidence),
        "figures": words.figures(evidence),
        "thresholds": accounts.thresholds(evidence),
        "decisions": accounts.decisions(evidence.night) if evidence.night else [],
        "unscorable": accounts.unscorable(evidence.night) if evidence.night else [],
        "contest": accounts.contest(evidence.contest) if evidence.contest else [],
        "gate_says": accounts.gate_says(evidence.contest) if evidence.contest else "",
        "trend": accounts.trend(evidence),
        "paretos": accounts.paretos(evidence),
        "suspects": accounts.suspects(evidence),
        "books": accounts.books(evidence),
        "rejects": accounts.rejects(evidence),
        "versions": accounts.versions(evidence),
        "gallery": gallery.cards(evidence),
        **_charts(evidence),
    }


def _charts(evidence: Evidence) -> dict[str, Any]:
    ranking = [
        charts.auc_by_fold(evidence),
        charts.auc_by_segment(evidence, DEFECT, "AUC by defect kind"),
        charts.auc_by_segment(evidence, names.LOT, "AUC by lot"),
        charts.auc_by_segment(evidence, names.LINE, "AUC by line"),
        charts.learning_curve(evidence),
    ]
    return {
        "slip_chart": charts.slip_against_review(evidence),
        "ranking": [chart for chart in ranking if chart],
        "calibration": [
            chart
            for chart in (charts.reliability(evidence), charts.scores_by_verdict(evidence))
            if chart
        ],
    }
