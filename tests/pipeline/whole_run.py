"""The drop that the whole job runs on, and how it runs."""

from __future__ import annotations

import csv
import dataclasses
from dataclasses import dataclass
from pathlib import Path

from pcb_spark.demo.camera_drop import DropSummary, render_drop

#: Ten working days of two boards with ten positions each.
IMAGES = 200
NOT_A_PICTURE = "images/line=L1/date=2026-01-05/broken_R9.jpg"
SETTINGS = (
    "seed=11", "backbone.weights=untrained",
    "backbone.precision=int8", "features.levels=['pixels','layer1']",
    "features.image_levels=['layer1']",
    "folds.n=3", "folds.first_fraction=0.4",
    "classifier.num_iterations=30", "classifier.min_data_in_leaf=5",
    "policy.bootstrap_resamples=50", "policy.max_slip_rate=0.2", "scoring.audit_share=0.5",
    "policy.segments=line", "policy.caught_ppm=100", "folds.learning_curve=1",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Drop:
    """A rendered drop; ``summary`` is what the renderer says of it, before it was spoiled."""

    root: Path
    summary: DropSummary
    without_reference: str


def spoiled_drop(root: Path) -> Drop:
    """Render a drop, add a file that is no picture, and name a reference that isn't there."""
    summary = render_drop(root, images=IMAGES, weeks=2, seed=5, unverified=0.05)
    (root / NOT_A_PICTURE).write_bytes(b"no picture at all")
    path = root / "verdicts.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rows[-1] |= {"reference": "references/gone.jpg", "verdict": "pass", "defects": ""}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    unverified = sum(row["verdict"] == "" for row in rows)
    summary = dataclasses.replace(summary, unverified=unverified)
    return Drop(root=root, summary=summary, without_reference=rows[-1]["image"])
