"""The report: one HTML file that shows what a model promises, what it did, and on which evidence.

``evidence`` is what goes in, ``pipeline.report`` reads it off the tables. ``charts`` draws,
``words`` says it in sentences, ``gallery`` shows images, ``page`` puts them together.
"""

from pcb_spark.report.evidence import Evidence, Night
from pcb_spark.report.gallery import Pair, wanted
from pcb_spark.report.page import render

__all__ = ["Evidence", "Night", "Pair", "render", "wanted"]
