"""Where the time goes: each stage by itself, on one core, and then as Spark runs them together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from benchmarks import data, packing, rounds, rows, ways
from benchmarks.models import FULL
from pcb_spark.core import batches, bundle, images, names, review
from pcb_spark.lake import schemas
from pcb_spark.lake.catalogue import BUNDLE, SCORES
from pcb_spark.lake.tables import replace_dates
from pcb_spark.network import inference, scoring

if TYPE_CHECKING:
    from benchmarks.models import Model

REPEATS = 3
ONE_CORE = "one core, Python"
ON_SPARK = "Spark, all cores"


def measure(
    tables: ways.Tables,
    models: Mapping[tuple[str, str], Model],
    samples: Sequence[packing.Sample],
    repeats: int = REPEATS,
) -> list[rows.Row]:
    """Return the stages of every model."""
    found = []
    for model in models.values():
        found += _on_one_core(model, tables, samples, repeats)
        if model.name != FULL:
            found += _on_spark(model, tables, repeats)
    return found


def write(tables: ways.Tables, model: Model) -> rows.Row:
    """Decide on probabilities that are there and write the ``scores`` table."""
    job = data.job_in(tables.spark, tables.scratch, tables.source)
    manifest = bundle.read(model.folder / BUNDLE).manifest
    scored = tables.images(tables.large).select(*schemas.TRACEABILITY, names.CAPTURE_DATE)
    scored = scored.withColumns({
        names.PROBABILITY: F.rand(0).cast("float"),
        names.REFERENCE_SHA256: F.lit(None).cast("string"),
        names.REASON: F.lit(None).cast("string"),
        names.DETAIL: F.lit(None).cast("string"),
    }).persist()  # fmt: skip
    scored.count()

    def run() -> None:
        decided = scoring.decide(scored, manifest, review.Shares(control=0.05, audit=0.02))
        marked = decided.withColumns(
            {names.RUN_ID: F.lit(""), names.SCORED_AT: F.current_timestamp()}
        )
        replace_dates(marked, job.table(SCORES), schemas.SCORES)

    run()
    row = _row("decide, write", ON_SPARK, model, tables.large, run)
    scored.unpersist()
    return row


def _on_one_core(
    model: Model, tables: ways.Tables, samples: Sequence[packing.Sample], repeats: int
) -> list[rows.Row]:
    n, layout = len(samples), model.layout(tables.batch_size)
    files = [file for sample in samples for file in _files(sample, model)]
    pixels = [images.decode(file) for file in files]
    pairs = list(zip(pixels[::2], pixels[1::2], strict=True)) if layout.reading.max_offset else []
    feeds = list(packing.feeds(samples, layout))
    own = packing.one_thread_session(model.one_thread)
    ways.run_turns(own, feeds, 1)
    stages: list[tuple[str, Callable[[], object]]] = [
        ("decode", lambda: [images.decode(file) for file in files]),
        *([("align", lambda: [packing.aligned(*pair, layout) for pair in pairs])] if pairs else []),
        ("pack", lambda: batches.feed(pixels)),
        ("infer, trees in it", lambda: ways.run_turns(own, feeds, len(feeds))),
    ]
    found = [_row(name, ONE_CORE, model, n, run, repeats) for name, run in stages]
    created = [
        ways.seconds(lambda: packing.one_thread_session(model.one_thread)) for _ in range(repeats)
    ]
    session_cost = rows.Row(
        way=ONE_CORE,
        stage="create a session",
        model=model.name,
        precision=model.precision,
        seconds=rows.median(created),
        n=1,
        repeats=repeats,
        spread=rows.spread(created),
    )
    return [*found, session_cost]


def _files(sample: packing.Sample, model: Model) -> list[bytes]:
    both = model.reading.difference and sample.reference
    return [sample.image, sample.reference] if both and sample.reference else [sample.image]


def _on_spark(model: Model, tables: ways.Tables, repeats: int) -> list[rows.Row]:
    """To nowhere after each stage; the next one's figure holds the work of those before."""
    plan = data.job_in(tables.spark, tables.scratch, tables.source).plan(tables.large)
    plan = replace(plan, reading=model.reading)

    def pack(n: int) -> None:
        packed = inference.pack(tables.images(n), plan)
        packed.write.format("noop").mode("overwrite").save()

    def score(n: int) -> None:
        scored = scoring.score(tables.images(n), model.one_thread, plan)
        scored.write.format("noop").mode("overwrite").save()

    steps: list[tuple[str, Callable[[int], None]]] = [
        ("read, decode, pack", pack),
        ("read to probability", score),
    ]
    found = []
    for name, run in steps:
        run(tables.large)
        told = rounds.steady([ways.measure(tables, run) for _ in range(repeats)])
        found.append(
            rows.Row(
                way=ON_SPARK,
                stage=name,
                model=model.name,
                precision=model.precision,
                images_per_s=told.rate,
                n=tables.large - tables.small,
                repeats=repeats,
                spread=told.spread,
                note=told.note,
            )
        )
    return found


def _row(
    stage: str, way: str, model: Model, n: int, run: Callable[[], object], repeats: int = REPEATS
) -> rows.Row:
    took = [ways.seconds(run) for _ in range(repeats)]
    middle = rows.median(took) or float("nan")
    return rows.Row(
        way=way,
        stage=stage,
        model=model.name,
        precision=model.precision,
        images_per_s=n / middle,
        n=n,
        repeats=repeats,
        spread=rows.spread(took),
    )
