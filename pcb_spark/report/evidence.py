"""What a report is made of, as the tables hold it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from pcb_spark.core import images, names, policy
from pcb_spark.lake import schemas
from pcb_spark.lake.scopes import Scope
from pcb_spark.learning.judged import Judged

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from pcb_spark.core.bundle import Bundle, Manifest
    from pcb_spark.learning.noticed import Noticed
    from pcb_spark.learning.promotion import Comparison


@dataclass(frozen=True, slots=True)
class PairFiles:
    """The camera's bytes of an image, and of its reference where there is one.

    ``golden`` says what an own golden image was made of, empty where it was handed over.
    """

    image: bytes
    reference: bytes | None
    golden: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of ``metrics``: a value in its bounds, None where undefined, of ``n`` images."""

    value: float | None
    lower: float | None
    upper: float | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """What one run of the score job decided.

    ``counts`` has a row for each combination of ``capture_date``, ``line``, ``decision``,
    ``reason`` and ``review``, and their ``count``; ``nearest`` the rows of ``scores`` nearest to
    the threshold.
    """

    run_id: str
    scored_at: datetime
    model_version: str
    counts: pd.DataFrame
    nearest: pd.DataFrame

    def total(self, **wanted: object) -> int:
        """Count the images whose columns have these values: ``total(review=None)``."""
        rows = self.counts
        for column, value in wanted.items():
            rows = rows[rows[column].isna() if value is None else rows[column] == value]
        return int(rows["count"].sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """A challenger beside the champion on the same images: their versions, and what was found."""

    challenger: str
    champion: str
    found: Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that a report may use; what isn't there yet is None or empty.

    Attributes
    ----------
    model : the bundle; its training run is the one whose figures are shown.
    metrics : rows of ``metrics`` of that run.
    out_of_fold : ``out_of_fold`` of that run.
    night : the newest run of the score job.
    runs : the newest row of ``runs`` for each job and kind.
    rejects : ``stage``, ``kind``, ``reason`` and ``count`` of those runs.
    suspects : verdicts that something contradicts, the worst first.
    pairs : the bytes of image and reference, by ``image_id``, of what the gallery shows.
    noticed : what the defects seen since the gate say of the promise; None before there are any.
    contest : the model beside the champion, where it was trained to take its place.
    trend, pareto : of the nights so far, and by column of ``trend.COLUMNS``, as ``monitor.trend``.
    gallery : how many images each group of the gallery shows.
    max_pixels : larger images aren't shown.
    """

    made_at: datetime
    where: str
    model: Bundle | None
    metrics: pd.DataFrame
    out_of_fold: pd.DataFrame
    night: Night | None
    runs: pd.DataFrame
    rejects: pd.DataFrame
    suspects: pd.DataFrame
    noticed: Noticed | None = None
    contest: Contest | None = None
    trend: pd.DataFrame | None = None
    pareto: dict[str, pd.DataFrame] = field(default_factory=dict)
    pairs: dict[str, PairFiles] = field(default_factory=dict)
    gallery: int = 6
    max_pixels: int = images.DEFAULT_MAX_PIXELS

    @property
    def manifest(self) -> Manifest | None:
        """What the bundle says of itself."""
        return self.model.manifest if self.model else None

    @property
    def is_of_night(self) -> bool:
        """Whether the newest thing that happened is a run of the score job by itself."""
        if self.night is None or self.manifest is None:
            return self.night is not None
        trained_at = datetime.fromisoformat(self.manifest.created_at)
        same_run = self.night.run_id == self.manifest.lineage["run_id"]
        return not same_run and self.night.scored_at >= trained_at

    def figure(self, scope: Scope, metric: str) -> Figure | None:
        """Return one figure of the training run."""
        return self.figures([scope], metric).get(scope)

    def figures(self, scopes: Iterable[Scope], metric: str) -> dict[Scope, Figure]:
        """Return a figure of each of these scopes that has it and has it defined."""
        rows = self.metrics[self.metrics["metric"] == metric]
        found = dict(zip(_scopes(rows), rows.to_dict("records"), strict=True))
        return {
            scope: Figure(row["value"], _bound(row["lower"]), _bound(row["upper"]), int(row["n"]))
            for scope in scopes
            if (row := found.get(scope)) and _bound(row["value"]) is not None
        }

    def scopes(self, kind: str) -> list[Scope]:
        """Return the scopes of one kind that have values, folds in the order of time."""
        every = {scope for scope in _scopes(self.metrics) if scope.kind == kind and scope.value}
        return sorted(every, key=_in_order)

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """The threshold of each row of ``out_of_fold``: its segment's own, or the pooled one."""
        if self.manifest is None:
            return np.zeros(len(self.out_of_fold))
        found = policy.SegmentThresholds.of(self.manifest.threshold)
        return found.values(self.out_of_fold[found.column or names.LINE])

    @property
    def judged(self) -> Judged:
        """``out_of_fold``, each image at its threshold."""
        return Judged.read(self.out_of_fold).at(self.thresholds)

    @property
    def decided(self) -> pd.DataFrame:
        """``out_of_fold`` with ``threshold``, ``decision`` and ``is_fail``."""
        judged = self.judged
        return self.out_of_fold.assign(
            **{
                names.THRESHOLD: judged.threshold,
                names.DECISION: policy.decide(judged.score, judged.threshold),
                "is_fail": judged.is_fail,
            }
        )


def _scopes(metrics: pd.DataFrame) -> list[Scope]:
    columns = metrics[schemas.SCOPE_KIND], metrics[schemas.SCOPE_VALUE]
    return [Scope(kind, value or None) for kind, value in zip(*columns, strict=True)]


def _bound(value: Any) -> float | None:
    """Null comes out of pandas as NaN or None."""
    return None if value is None or value != value else float(value)


def _in_order(scope: Scope) -> tuple[int, str]:
    value = scope.value or ""
    return (int(value), "") if value.isdigit() else (0, value)
