"""Watching a night before it is decided: what an alarm stops is not cleared in this very night.

Each capture date is held against the training days of the champion. What was found of it is added
to the table ``monitor``, warnings and alarms to ``metrics`` too. An alarm is new where the date
before didn't have it; only new ones stop clearing and are told.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from pcb_spark.core import batches, bundle, names, policy, review
from pcb_spark.lake import schemas, scopes, tables
from pcb_spark.lake.catalogue import MONITOR, SCORES, VERDICTS
from pcb_spark.learning import gate
from pcb_spark.learning.metrics import Metric
from pcb_spark.learning.rates import rate
from pcb_spark.monitor import drift, findings, hooks, numbers, realised, reference, words
from pcb_spark.monitor.findings import Finding
from pcb_spark.network import inference
from pcb_spark.pipeline import clearing, references, training_days, vigilance
from pcb_spark.pipeline.artifacts import read_reviews
from pcb_spark.pipeline.job import Job, write_metrics
from pcb_spark.pipeline.notice import look

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

    from pcb_spark.learning.near_slips import NearSlips
    from pcb_spark.monitor.reference import Reference

_BY_MONITOR = "monitor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What was found of one date."""

    day: date
    found: list[Finding]
    new: list[Finding]


def watch(
    job: Job, scored: DataFrame, images: DataFrame, model: bundle.Bundle, dates: Sequence[date]
) -> list[str]:
    """Watch dates, do what the configuration says about new alarms, and say what was found.

    Parameters
    ----------
    scored : answer of ``score.probabilities`` of ``images``, computed already.
    """
    if not job.config.monitor.enabled:
        return []
    if bundle.TRAINING_DAYS not in model.parts:
        return ["not watched: the model has no training reference; train again to have it"]
    known = reference.Reference.from_json(model.parts[bundle.TRAINING_DAYS].decode())
    with contextlib.ExitStack() as caches:
        nights = _nights(job, scored, images, model, known, dates, caches)
    watched = _look(job, model, known, nights)
    said = _act(job, watched)
    _write(job, model.manifest, watched)
    return said


def _nights(
    job: Job,
    scored: DataFrame,
    images: DataFrame,
    model: bundle.Bundle,
    known: Reference,
    dates: Sequence[date],
    caches: contextlib.ExitStack,
) -> dict[date, findings.Night]:
    """What each date shows; a date of which only late images are scored is no night."""
    counts = training_days.counts_of(_all(job, scored, dates))
    new = {row[0]: row[1] for row in scored.groupBy(names.CAPTURE_DATE).count().collect()}
    total = counts.groupby(names.CAPTURE_DATE)["count"].sum()
    days = [day for day in dates if new.get(day, 0) * 2 >= total.get(day, 0)]
    if not days:
        return {}
    frame = _frame(job, scored, images, model, known, days, caches)
    unreadable, lags = training_days.unreadable(job, days), training_days.lags(job, days)
    near = _near(job, model)
    return {
        day: findings.Night(
            images=frame[frame[names.CAPTURE_DATE] == day],
            counts=counts[counts[names.CAPTURE_DATE] == day],
            unreadable=unreadable.get(day, 0),
            lag_hours=lags.get(day),
            near=near if day == days[-1] else None,
            seen=_seen(job, images, day),
            vigilance=vigilance.unseen(job) if day == days[-1] else (),
            may_miss=job.config.monitor.known_defects_missed,
        )
        for day in days
    }


def _all(job: Job, scored: DataFrame, dates: Sequence[date]) -> DataFrame:
    """Each image of the dates, also those that an earlier run has scored."""
    failed = F.col(names.PROBABILITY).isNull().cast("int").alias("unscorable")
    slim = (names.IMAGE_ID, names.CAPTURE_DATE, names.LINE)
    now = scored.select(*slim, failed)
    if not tables.exists(job.spark, job.table(SCORES)):
        return now
    past = tables.read(job.spark, job.table(SCORES), schemas.SCORES)
    own = past.where(F.col(names.CAPTURE_DATE).isin([*dates])).select(*slim, failed)
    return now.unionByName(own.join(now.select(names.IMAGE_ID), names.IMAGE_ID, "left_anti"))


def _frame(
    job: Job,
    scored: DataFrame,
    images: DataFrame,
    model: bundle.Bundle,
    known: Reference,
    days: Sequence[date],
    caches: contextlib.ExitStack,
) -> pd.DataFrame:
    # What training has never seen is named as new, and not cleared: it says nothing of its line.
    seen = ~F.expr(policy.unseen_sql(model.manifest.known))
    own = images.where(F.col(names.CAPTURE_DATE).isin([*days]) & seen)
    chosen = numbers.sampled(own, job.config.monitor.sample).select(names.IMAGE_ID)
    some = tables.cached(own.join(F.broadcast(chosen), names.IMAGE_ID, "left_semi"), caches)
    reading = model.manifest.reading
    plan = replace(job.plan(some.count()), reading=reading)
    features = inference.run_images(
        references.seen(job, some, reading), model.parts[bundle.FEATURES], batches.FEATURES, plan
    )
    return numbers.frame(
        some, scored, features, known.features,
        max_pixels=job.config.ingest.max_pixels, bit_depth=reading.bit_depth,
    )  # fmt: skip


def _near(job: Job, model: bundle.Bundle) -> NearSlips | None:
    noticed = look(job, model.manifest)
    return None if noticed is None else noticed.near


def _seen(job: Job, images: DataFrame, day: date) -> findings.Seen:
    """The lines and parts of a day, and the kinds of defects of its verdicts."""
    own = images.where(F.col(names.CAPTURE_DATE) == F.lit(day))
    found: dict[str, list[tuple[str, str | None, int]]] = {}
    for column in policy.KNOWN:
        counted = own.where(F.col(column) != "").groupBy(column)
        rows = counted.agg(F.min(names.LINE), F.count("*")).collect()
        found[column] = sorted(tuple(row) for row in rows)
    found[names.DEFECTS] = training_days.kinds(job, [day], names.VERIFIED_AT)
    return found


def _look(
    job: Job, model: bundle.Bundle, known: Reference, nights: Mapping[date, findings.Night]
) -> list[Watched]:
    watched: list[Watched] = []
    for day, night in nights.items():
        before = watched[-1].found if watched else _before(job, model, day)
        budget = job.config.monitor.false_alarms_per_year
        found = drift.look(night, known, false_alarms_per_year=budget, before=before)
        old = {each.key for each in before if each.level == findings.ALARM}
        new = [f for f in found if f.level == findings.ALARM and f.key not in old]
        watched.append(Watched(day=day, found=found, new=new))
    return watched


def _before(job: Job, model: bundle.Bundle, day: date) -> list[Finding]:
    """What was found last of the last date before this one by the same model."""
    if not tables.exists(job.spark, job.table(MONITOR)):
        return []
    rows = tables.read(job.spark, job.table(MONITOR), schemas.MONITOR)
    own = rows.where(F.col(names.MODEL_VERSION) == model.manifest.model_version)
    earlier = own.where(F.col(names.CAPTURE_DATE) < F.lit(day))
    order = (F.desc(names.CAPTURE_DATE), F.desc("computed_at"))
    last = earlier.orderBy(*order).select(names.CAPTURE_DATE, names.RUN_ID).first()
    if last is None:
        return []
    same = (F.col(names.CAPTURE_DATE) == F.lit(last[0])) & (F.col(names.RUN_ID) == last[1])
    return [_finding(row.asDict()) for row in earlier.where(same).collect()]


_NUMBERS = ("value", "expected", "effect", "p_value", "p_night")
_COPIED = ("line", "number", "statistic", "family", *_NUMBERS, "n", "level")


def _finding(row: Mapping[str, Any]) -> Finding:
    scope = scopes.Scope(row[schemas.SCOPE_KIND], row[schemas.SCOPE_VALUE])
    return Finding(scope=scope, **{name: row[name] for name in _COPIED})


def _act(job: Job, watched: Sequence[Watched]) -> list[str]:
    """Say what was found, stop what is to be stopped, and tell of what is new."""
    told = [(f, each.day) for each in watched for f in each.found if f.level]
    said = [words.sentence(f, day) for f, day in told]
    job.alarms.extend(words.sentence(f, day) for f, day in told if f.level == findings.ALARM)
    if not any(each.new for each in watched):
        return said
    _stop(job, watched)
    sentences = [words.sentence(f, each.day) for each in watched for f in each.new]
    message = {"run_id": job.run_id, "out": job.config.paths.out, "alarms": sentences}
    return [*said, *hooks.tell(job.config.monitor, message)]


def _stop(job: Job, watched: Sequence[Watched]) -> None:
    wanted = job.config.monitor.on_alarm
    if wanted == "nothing":
        return
    stopped = clearing.stopped(job)
    for each in watched:
        for found in (f for f in each.new if f.number != findings.MISSED):
            line = found.line if wanted == "line" else None
            if line not in stopped and None not in stopped:
                why = words.sentence(found, each.day)
                clearing.run_stop_clearing(
                    job, line=line, signed=clearing.Signed(who=_BY_MONITOR, why=why)
                )
                stopped |= {line}


def _write(job: Job, manifest: bundle.Manifest, watched: Sequence[Watched]) -> None:
    now = datetime.now(UTC)
    rows = [
        (each.day, manifest.model_version, *f.scope, f.line, f.number, f.statistic, f.family,
         *(float(getattr(f, name)) for name in _NUMBERS), int(f.n), f.level, job.run_id, now)
        for each in watched for f in each.found
    ]  # fmt: skip
    if not rows:
        return
    told = [_metric(f) for each in watched for f in each.found if f.level]
    told += _realised(job, manifest)
    if told:
        write_metrics(job, told, manifest.model_version)
    tables.append_rows(job.spark, rows, job.table(MONITOR), schemas.MONITOR)


def _realised(job: Job, manifest: bundle.Manifest) -> list[Metric]:
    """Slips and false calls behind this model's gate, as verdicts have come by now."""
    reviews = read_reviews(job)
    if reviews is None or not tables.exists(job.spark, job.table(VERDICTS)):
        return []
    verdicts = tables.read(job.spark, job.table(VERDICTS), schemas.VERDICTS)
    own = reviews.where(F.col(names.MODEL_VERSION) == manifest.model_version)
    slipped, defects, chance = gate.seen_defects(own, verdicts).agg(
        F.sum(F.col("slipped").cast("int")), F.count("*"), F.avg(names.SLIP_SEEN_PROBABILITY)
    ).first() or (0, 0, 0.0)  # fmt: skip
    asked = own.where((F.col(names.REVIEW) == review.DECISION) & (F.col(names.THRESHOLD) > 0))
    told = verdicts.where(F.col(names.VERDICT).isNotNull()).select(names.IMAGE_ID, names.VERDICT)
    passed = (F.col(names.VERDICT) == names.VERDICT_PASS).cast("int")
    good, seen = asked.join(told, names.IMAGE_ID).agg(F.sum(passed), F.count("*")).first() or (0, 0)
    side = job.config.policy.confidence
    found = {}
    if defects and chance:
        found["realised_slip_rate"] = realised.slip_rate(slipped, defects, seen=chance, side=side)
    if seen:
        found["realised_false_call_share"] = rate(good, seen, side)
    return [
        Metric(scope=scopes.OVERALL, metric=name, value=each.value, lower=each.lower,
               upper=each.upper, n=each.n)
        for name, each in found.items()
    ]  # fmt: skip


def _metric(found: Finding) -> Metric:
    name = f"{found.level}_{found.number}_{found.statistic}"
    return Metric(scope=found.scope, metric=name, value=float(found.value), lower=None, upper=None,
                  n=found.n)  # fmt: skip
