"""Evidence to one HTML file that needs nothing else."""

from __future__ import annotations

from dataclasses import asdict
from importlib import resources
from typing import TYPE_CHECKING, Any

import jinja2

from pcb_spark.core import names
from pcb_spark.lake.scopes import DEFECT
from pcb_spark.report import accounts, charts, gallery, words
from pcb_spark.report.palette import DARK, LIGHT

if TYPE_CHECKING:
    from pcb_spark.report.evidence import Evidence


def render(evidence: Evidence) -> str:
    """Return the report as HTML; pictures, charts and style are part of it.

    What a table doesn't hold yet is said in words where it would stand.
    """
    return _environment().get_template("report.html").render(_context(evidence))


def _environment() -> jinja2.Environment:
    """Templates come from the package, which may be a wheel that Spark put on sys.path."""
    folder = resources.files("pcb_spark.report").joinpath("templates")
    files = {name: folder.joinpath(name).read_text("utf-8") for name in _TEMPLATES}
    return jinja2.Environment(
        loader=jinja2.DictLoader(files),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


_TEMPLATES = ("report.html", "parts.html", "style.css")


def _context(evidence: Evidence) -> dict[str, Any]:
    return {
        "light": asdict(LIGHT),
        "dark": asdict(DARK),
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
