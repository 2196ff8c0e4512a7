"""Which references the jobs compare images with: the drop's, the line's own golden images, none."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.core.errors import InputError
from pcb_spark.golden import choosing
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import GOLDENS, IMAGES
from pcb_spark.network import features

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pcb_spark.core.pairs import Reading
    from pcb_spark.network.graphs import FeatureSpec
    from pcb_spark.pipeline.job import Job

log = logging.getLogger(__name__)


def described(reading: Reading) -> str:
    """Say in words what a model compares with."""
    return _WORDS[reading.references] if reading.difference else "no reference"


def goldens(job: Job) -> DataFrame:
    """The table ``goldens``, empty where none was made yet."""
    if not tables.exists(job.spark, job.table(GOLDENS)):
        return job.spark.createDataFrame([], schemas.GOLDENS)
    return tables.read(job.spark, job.table(GOLDENS), schemas.GOLDENS)


def choose_spec(job: Job, images: DataFrame) -> FeatureSpec:
    """Settle ``features.reference`` by what the images have, and say so.

    Raises
    ------
    InputError : no images, or none of the references that are asked for.
    """
    had = available(job, images)
    spec = features.choose_spec(job.config.features, had, bit_depth=job.config.ingest.bit_depth)
    job.notes.append(f"compared with {described(spec.reading)}: {had}")
    return spec


_WORDS = {
    names.HANDED_OVER: "the references of the drop",
    names.OWN: "the line's own golden images",
    names.OWN_OR_PINNED: "the line's own golden images, or the drop's where it names one",
}


def available(job: Job, images: DataFrame) -> features.Available:
    """Count what images could be compared with; own golden images only where they are of use."""
    total, handed = images.agg(F.count("*"), F.count(names.REFERENCE_SHA256)).first() or (0, 0)
    if total == 0:
        what = "the images table is empty"
        raise InputError(what, hint="look at the rejects of the ingest job")
    had = features.Available(images=total, handed_over=handed)
    if not features.may_be_own(job.config.features, had):
        return had
    share = choosing.share_alike(
        images, goldens(job), job.config.golden, pinned=not had.mostly_handed_over,
        max_pixels=job.config.ingest.max_pixels, bit_depth=job.config.ingest.bit_depth,
    )  # fmt: skip
    return features.Available(images=total, handed_over=handed, own_share=share)


def may_be_own(job: Job) -> bool:
    """Whether own golden images are asked for, or for want of others come into question."""
    images = tables.read(job.spark, job.table(IMAGES), schemas.IMAGES)
    total, handed = images.agg(F.count("*"), F.count(names.REFERENCE_SHA256)).first() or (0, 0)
    had = features.Available(images=total, handed_over=handed)
    return total > 0 and features.may_be_own(job.config.features, had)


@contextlib.contextmanager
def attached(job: Job, images: DataFrame, reading: Reading) -> Iterator[DataFrame]:
    """Yield ``images`` with the references that a model is to see.

    Which golden image an image has is settled here, once, and forgotten in the end.
    """
    if not reading.is_own:
        yield images
        return
    pinned, table = reading.references == names.OWN_OR_PINNED, goldens(job)
    with contextlib.ExitStack() as caches:
        chosen = tables.computed(_chosen(job, images, table, pinned=pinned), caches)
        yield choosing.attach(images, chosen, table, pinned=pinned)


def seen(job: Job, images: DataFrame, reading: Reading) -> DataFrame:
    """``images`` with the references that a model is to see, for who reads them once."""
    if not reading.is_own:
        return images
    pinned, table = reading.references == names.OWN_OR_PINNED, goldens(job)
    chosen = _chosen(job, images, table, pinned=pinned)
    return choosing.attach(images, chosen, table, pinned=pinned)


def _chosen(job: Job, images: DataFrame, table: DataFrame, *, pinned: bool) -> DataFrame:
    return choosing.choose(
        images, table, job.config.golden, pinned=pinned,
        max_pixels=job.config.ingest.max_pixels, bit_depth=job.config.ingest.bit_depth,
    )  # fmt: skip


def current(job: Job, made: DataFrame, images: DataFrame, reading: Reading) -> DataFrame:
    """Keep rows of ``features`` that were made of what images and references are by now."""
    if not reading.is_own:
        return features.current(made, images, difference=reading.difference)
    pinned = reading.references == names.OWN_OR_PINNED
    return choosing.current(made, images, goldens(job), job.config.golden, pinned=pinned)
