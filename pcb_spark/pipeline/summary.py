"""The few lines that matter at the end of a run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.ingest import image_files, ledger, notes, readability
from pcb_spark.lake import catalogue, schemas, tables
from pcb_spark.lake.scopes import FOLD, FOLDS_MEAN, FORWARD, FORWARD_OVERALL, OVERALL, Scope
from pcb_spark.learning.metrics import NEXT_SLIPS
from pcb_spark.monitor import quality_lines

if TYPE_CHECKING:
    from pyspark.sql import Row

    from pcb_spark.learning.promise import Promise
    from pcb_spark.pipeline import Job

_ORDER = (
    "ingest", "describe", "golden", "featurize", "train", "score", "nightly", "review-queue",
    "tune", "compact", "prune",
)  # fmt: skip
#: What rows are that didn't come out, of jobs that reject none.
_LEFT = {"golden": "passed over", "prune": "removed"}
_BEST_TRIALS = 10


def of_run(job: Job) -> str:
    """Return counts and reasons of every job of this run, AUC by fold, decisions, and places."""
    lines = [f"run {job.run_id}", *_books(job)]
    if _is_own(job, catalogue.REJECTS):
        lines += _reasons(job)
    lines += [*_figures(job), *_trials(job)]
    if _is_own(job, catalogue.SCORES):
        lines += _decisions(job)
    lines += job.notes
    lines.append(f"tables  {job.config.paths.out}")
    if tables.exists(job.spark, job.table(catalogue.REPORT)):
        lines.append(f"report  {job.table(catalogue.REPORT)}")
    return "\n".join(lines)


def _is_own(job: Job, table: str) -> bool:
    """Whether no other job may be exchanging this table."""
    return job.lease is None or table in job.lease.holder.claim.tables


def _runs(job: Job) -> list[Row]:
    if not tables.exists(job.spark, job.table(catalogue.RUNS)):
        return []  # a service that was stopped before its first look
    runs = tables.read(job.spark, job.table(catalogue.RUNS), schemas.RUNS)
    own = runs.where(F.col(names.RUN_ID) == job.run_id).collect()
    return sorted(own, key=lambda row: (_ORDER.index(row["job"]), row[names.KIND]))


def _books(job: Job) -> list[str]:
    return [
        f"{row['job']:9} {row['rows_in']:>7} {row[names.KIND]} rows in = {row['rows_out']} out"
        f" + {row['rows_rejected']} {_LEFT.get(row['job'], 'rejected')}   {row['seconds']:.0f} s"
        for row in _runs(job)
    ]


def _reasons(job: Job) -> list[str]:
    """Why rows were rejected, by count; of verdicts and references all that ingest rejects now."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for stage, kind, reason, count in [*_files_rejected(job), *_rows_rejected(job)]:
        found.setdefault((stage, kind), Counter())[reason] += count
    ordered = sorted(found, key=lambda key: (_ORDER.index(key[0]), key[1]))
    return [
        f"{stage:9} {found[stage, kind].total():>7} {kind} rows rejected: "
        f"{readability.counted(found[stage, kind])}"
        for stage, kind in ordered
    ]


def _files_rejected(job: Job) -> list[tuple[str, str, str, int]]:
    """Of the images that this run looked at, as the ledger has it."""
    if not tables.exists(job.spark, job.table(catalogue.FILES)):
        return []
    noted = ledger.newest(tables.read(job.spark, job.table(catalogue.FILES), schemas.FILES))
    bad = ~F.col(names.OUTCOME).isin(image_files.OK, names.PRUNED)
    own = noted.where((F.col(names.RUN_ID) == job.run_id) & bad)
    counted = own.groupBy(names.OUTCOME).count().collect()
    return [(notes.STAGE, names.KIND_IMAGE, *row) for row in counted]


def _rows_rejected(job: Job) -> list[tuple[str, str, str, int]]:
    ran = {row["job"] for row in _runs(job)}
    if not ran or not tables.exists(job.spark, job.table(catalogue.REJECTS)):
        return []
    rejects = tables.read(job.spark, job.table(catalogue.REJECTS), schemas.REJECTS)
    of_ingest = F.col(names.STAGE) == notes.STAGE
    current = F.lit(notes.STAGE in ran) & of_ingest & (F.col(names.KIND) != names.KIND_IMAGE)
    own = ~of_ingest & (F.col(names.RUN_ID) == job.run_id)
    counted = rejects.where(current | own).groupBy(names.STAGE, names.KIND, names.REASON).count()
    return [(stage, kind, reason, count) for stage, kind, reason, count in counted.collect()]


def _figures(job: Job) -> list[str]:
    if not tables.exists(job.spark, job.table(catalogue.METRICS)):
        return []
    found = tables.read(job.spark, job.table(catalogue.METRICS), schemas.METRICS)
    rows = found.where(F.col(names.RUN_ID) == job.run_id).collect()
    by_name = {
        (Scope(row[schemas.SCOPE_KIND], row[schemas.SCOPE_VALUE]), row["metric"]): row
        for row in rows
    }
    judged = [scope for scope, metric in by_name if metric == "roc_auc" and scope.kind == FOLD]
    folds = sorted(judged, key=lambda scope: int(scope.value or 0))
    steps = [Scope(FORWARD, scope.value) for scope in folds]
    lines = [_broken(by_name, scope, job.config.policy.promise) for scope in steps]
    lines += job.promises
    lines += [_forward(by_name, scope) for scope in (FORWARD_OVERALL, *steps)]
    lines += [_auc(by_name, scope, "roc_auc") for scope in (FOLDS_MEAN, OVERALL, *folds)]
    lines.append(_auc(by_name, FOLDS_MEAN, "baseline_roc_auc"))
    return [line for line in lines if line] + quality_lines.lines(rows)


def _broken(by_name: Mapping[tuple[Scope, str], Row], scope: Scope, promise: Promise) -> str:
    """Say that a fold broke the promise, empty where it didn't."""
    rate, first = (by_name.get((scope, name)) for name in ("slip_rate", NEXT_SLIPS))
    if rate is None or rate["value"] is None or first is None:
        return ""
    if promise.holds(rate["value"], first["value"]):
        return ""
    return (
        f"promise broken {scope}: {first['value']:.0f} of the next {first['n']} defects slipped, "
        f"{rate['value']:.1%} of all {rate['n']}"
    )


def _forward(by_name: Mapping[tuple[Scope, str], Row], scope: Scope) -> str:
    """What the decision rule would have done forward: threshold chosen on the folds before."""
    rates_told = ("slip_rate", "false_call_reduction", "review_reduction")
    rates = [by_name[scope, name]["value"] for name in rates_told if (scope, name) in by_name]
    if len(rates) < len(rates_told) or None in rates:
        return ""
    slipped, cleared, saved = rates
    return (
        f"{scope}: {slipped:.1%} of defects slipped, {cleared:.1%} of false calls cleared, "
        f"{saved:.1%} fewer reviews"
    )


def _auc(by_name: Mapping[tuple[Scope, str], Row], scope: Scope, metric: str) -> str:
    row = by_name.get((scope, metric))
    if row is None:
        return ""
    label = f"AUC {scope}" if metric == "roc_auc" else "AUC pixel difference (folds_mean)"
    if row["value"] is None:
        return f"{label}: undefined, one class only, n = {row['n']}"
    bounds = "" if row["lower"] is None else f" [{row['lower']:.3f}, {row['upper']:.3f}]"
    return f"{label}: {row['value']:.4f}{bounds}, n = {row['n']}"


def _trials(job: Job) -> list[str]:
    """The best trials of a search with their cost, and the settings of the best one."""
    if not tables.exists(job.spark, job.table(catalogue.TRIALS)):
        return []
    trials = tables.read(job.spark, job.table(catalogue.TRIALS), schemas.TRIALS)
    own = trials.where(F.col(names.RUN_ID) == job.run_id).sort(F.desc("roc_auc"), "trial")
    best = own.limit(_BEST_TRIALS).collect()
    if not best:
        return []
    heading = f"{'AUC':21} {'slipped':>7} {'cleared':>7} {'fewer reviews':>13} {'ms':>6} {'F':>5}"
    lines = [f"best of {own.count()} trials", heading, *(_trial(row) for row in best)]
    return [*lines, f"classifier of the best: {best[0]['classifier']}"]


def _trial(row: Row) -> str:
    bounds = "" if row["lower"] is None else f" [{row['lower']:.3f}, {row['upper']:.3f}]"
    rates_told = ("slip_rate", "false_call_reduction", "review_reduction")
    slipped, cleared, saved = ("-" if row[n] is None else f"{row[n]:.1%}" for n in rates_told)
    kept = json.loads(row["classifier"])["keep_features"] or row["feature_count"]
    mode = "difference" if row["difference"] else "no reference"
    return (
        f"{row['roc_auc']:.4f}{bounds} {slipped:>7} {cleared:>7} {saved:>13} "
        f"{row['milliseconds']:>6.1f} {kept:>5}  "
        f"{'+'.join(row['levels'])} {'+'.join(row['pooling'])} {mode}"
    )


def _decisions(job: Job) -> list[str]:
    if not tables.exists(job.spark, job.table(catalogue.SCORES)):
        return []
    scores = tables.read(job.spark, job.table(catalogue.SCORES), schemas.SCORES)
    own = scores.where(F.col(names.RUN_ID) == job.run_id)
    columns = (names.DECISION, names.REVIEW, names.IN_TRAINING_WINDOW)
    rows = own.groupBy(*columns).count().collect()
    known, new = ([row for row in rows if bool(row[columns[2]]) is flag] for flag in (True, False))
    lines = [f"decisions {_counted(new, names.DECISION)}"] if new else []
    if known:
        count = sum(row["count"] for row in known)
        lines.append(
            f"decisions {_counted(known, names.DECISION)}, of {count} images from the days that "
            "the model was trained on: they flatter it"
        )
    asked = [row for row in new if row[names.REVIEW] is not None]
    if new:
        lines.append(f"to an operator {_counted(asked, names.REVIEW) or 'none'}")
    return lines


def _counted(rows: Sequence[Row], column: str) -> str:
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row[column]] += row["count"]
    return ", ".join(f"{count} {value}" for value, count in sorted(counts.items()))
