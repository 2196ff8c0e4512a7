"""Evidence for reports, by hand: twelve judged images of two folds, and one night."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd

from pcb_spark.core import names
from pcb_spark.core.pairs import Reading
from pcb_spark.network import graphs
from pcb_spark.report import Evidence, Night, PairFiles
from tests import models
from tests.rows import png

NOW = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)
SPEC = graphs.FeatureSpec(levels=("layer1",), pooling=("max",), reading=Reading(difference=True))

#: Verdict, defects and score; at a threshold of .25 one of five defects slips.
JUDGED = [
    ("pass", None, 0.01), ("pass", None, 0.02), ("pass", None, 0.2), ("pass", None, 0.6),
    ("fail", "open", 0.1), ("fail", "short", 0.9),
    ("pass", None, 0.05), ("pass", None, 0.24), ("pass", None, 0.7), ("fail", "open", 0.3),
    ("fail", "open|short", 0.8), ("fail", "short", 0.95),
]  # fmt: skip

METRICS = [
    ("folds_mean", None, "roc_auc", 0.9876, 0.97, 0.995, 12),
    ("folds_mean", None, "baseline_roc_auc", 0.75, 0.7, 0.8, 12),
    ("overall", None, "roc_auc", 0.98, 0.96, 0.99, 12),
    ("overall", None, "brier", 0.05, None, None, 12),
    ("fold", "1", "roc_auc", 0.95, 0.9, 0.99, 6),
    ("fold", "2", "roc_auc", 0.99, 0.97, 1.0, 6),
    ("fold", "1", "baseline_roc_auc", 0.7, 0.6, 0.8, 6),
    ("defect", "open", "roc_auc", 0.9, None, None, 9),
    ("lot", "A", "roc_auc", 0.97, None, None, 6),
    ("lot", "B", "roc_auc", None, None, None, 6),
    ("forward", "2", "slip_rate", 0.04, 0.0, 0.1, 50),
    ("forward", "2", "next_slips", 2.0, None, None, 50),
    ("forward", "2", "false_call_reduction", 0.9, 0.8, 0.95, 60),
    ("forward", "2", "review_reduction", 0.5, 0.4, 0.6, 110),
    ("forward", None, "slip_rate", 0.04, 0.0, 0.1, 50),
    ("forward", None, "false_call_reduction", 0.9, 0.8, 0.95, 60),
    ("forward", None, "review_reduction", 0.5, 0.4, 0.6, 110),
]


def metrics(*, slip_rate: float = 0.04, defects: int = 50, next_slips: int = 2) -> pd.DataFrame:
    """The figures with another outcome of fold 2, and so of all folds, forward in time."""
    columns = ["scope_kind", "scope_value", "metric", "value", "lower", "upper", "n"]
    frame = pd.DataFrame(METRICS, columns=columns)
    forward = frame["scope_kind"] == "forward"
    slips, following = (forward & (frame["metric"] == name) for name in ("slip_rate", "next_slips"))
    frame.loc[slips, ["value", "n"]] = [slip_rate, defects]
    frame.loc[following, ["value", "n"]] = [float(next_slips), min(defects, 200)]
    return frame.astype({"n": int})


def out_of_fold() -> pd.DataFrame:
    rows = []
    for number, (verdict, defects, score) in enumerate(JUDGED):
        described: dict[str, Any] = {
            names.IMAGE_ID: f"i{number:02d}", names.SOURCE_URI: "file:/x.png", names.LINE: "L1",
            names.LOT: "AB"[number % 2], names.BOARD_ID: f"b{number // 4}",
            names.POSITION: f"R{number}", names.PART_NUMBER: None,
            names.CAPTURED_AT: pd.Timestamp(2026, 2, 1 + number),
            names.VERDICT: verdict, names.DEFECTS: defects, names.FOLD: 1 + number // 6,
            names.PROBABILITY: score, names.MODEL_VERSION: "v", names.RUN_ID: "r",
        }  # fmt: skip
        rows.append(described)
    return pd.DataFrame(rows)


def night() -> Night:
    counts = [
        (date(2026, 3, 1), "L1", "pass", None, None, 60),
        (date(2026, 3, 1), "L1", "pass", None, "audit", 1),
        (date(2026, 3, 1), "L1", "pass", None, "audit_high", 1),
        (date(2026, 3, 1), "L2", "fail", None, "decision", 31),
        (date(2026, 3, 1), "L2", "fail", None, "control", 4),
        (date(2026, 3, 2), "L2", "unscorable", "truncated_image", "unscorable", 3),
    ]
    columns = [names.CAPTURE_DATE, names.LINE, names.DECISION, names.REASON, names.REVIEW, "count"]
    nearest = out_of_fold().head(2).assign(threshold=0.25, decision=["pass", "fail"])
    return Night(
        run_id="20260302T060000Z-00ff00",
        scored_at=datetime(2026, 3, 2, 6, tzinfo=UTC),
        model_version="2026-02-27-0123456789ab",
        counts=pd.DataFrame(counts, columns=columns),
        nearest=nearest.drop(columns=[names.VERDICT, names.DEFECTS, names.FOLD]),
    )


def model(**changes: Any) -> Any:
    rng = np.random.default_rng(0)
    text = models.train(rng.normal(size=(40, SPEC.width)).astype(np.float32), rng.random(40) > 0.5)
    return models.in_memory(SPEC, text, **changes)


def runs() -> pd.DataFrame:
    rows = [
        ("20260302T060000Z-00ff00", "score", "image", 100, 100, 0),
        ("20260301T000000Z-00ff00", "ingest", "image", 104, 101, 3),
    ]
    frame = pd.DataFrame(
        rows, columns=[names.RUN_ID, "job", names.KIND, "rows_in", "rows_out", "rows_rejected"]
    )
    return frame.assign(
        started_at=pd.to_datetime(["2026-03-02 06:00", "2026-03-01 00:00"]), seconds=12.3,
        versions='{"pcb_spark": "0.1.0"}', git_sha="0123abcd", config_sha256="c" * 64,
    )  # fmt: skip


def pair(seed: int) -> PairFiles:
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    return PairFiles(png(pixels), png(pixels[::-1].copy()))


def full(**changes: Any) -> Evidence:
    """A training run with everything in it, but the night."""
    whole = Evidence(
        made_at=NOW,
        where="out/test",
        model=model(),
        metrics=metrics(),
        out_of_fold=out_of_fold(),
        night=None,
        runs=runs(),
        rejects=pd.DataFrame(
            [("ingest", "image", "truncated_image", 3)],
            columns=[names.STAGE, names.KIND, names.REASON, "count"],
        ),
        suspects=pd.DataFrame(),
        pairs={"i04": pair(1), "i08": pair(2)},
    )
    return dataclasses.replace(whole, **changes)


def empty() -> Evidence:
    """What there is when only the first job has run."""
    return full(
        model=None,
        metrics=full().metrics.head(0),
        out_of_fold=out_of_fold().head(0),
        rejects=full().rejects.head(0),
        pairs={},
    )
