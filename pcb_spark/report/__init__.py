"""The report: one HTML file that shows what a model promises, what it did, and on which evidence.

``evidence`` is what goes in, ``pipeline.report`` reads it off the tables. ``charts`` draws,
``words`` says it in sentences, ``gallery`` shows images, ``page`` puts them together.
"""

from pcb_spark.report.evidence import Contest, Evidence, Night, PairFiles
from pcb_spark.report.gallery import wanted

__all__ = ["Contest", "Evidence", "Night", "PairFiles", "render", "wanted"]


def render(evidence: Evidence) -> str:
    """Draw the page; see ``page.render``."""
    # Imported here: it brings matplotlib, half a second in which other jobs can start.
    from pcb_spark.report import page

    return page.render(evidence)
