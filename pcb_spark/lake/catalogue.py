"""The tables of one ``paths.out``, one record each, and what else lies beside them."""

from __future__ import annotations

IMAGES, REJECTS, VERDICTS = "images", "rejects", "verdicts"
FILES, SIDECARS = "files", "sidecars"
FEATURES, FEATURE_SET = "features", "feature_set"
OUT_OF_FOLD, SCORES, METRICS, RUNS = "out_of_fold", "scores", "metrics", "runs"
SUSPECTS, TRIALS = "suspects", "trials"
BUNDLE = "bundle"
REPORT, REPORTS = "report.html", "reports"
