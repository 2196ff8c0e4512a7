"""Images become feature vectors: which ones is decided here, the work is ``inference``'s."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pcb_spark.core import batches, images, names, registration
from pcb_spark.core.errors import ImageError, InputError
from pcb_spark.core.pairs import PairReader, Reading
from pcb_spark.network import backbone, graphs, inference, quantization

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from pcb_spark.network.settings import FeaturesConfig, Stage

#: What measured best; docs/results/accuracy.md has the table. With a reference shallow maps are
#: enough, since they keep where a defect is; without one the deeper maps have to know what a good
#: part looks like.
DEFAULT_LEVELS = {True: ("pixels", "layer1", "layer2"), False: ("layer2", "layer3")}
DEFAULT_POOLING = {True: ("max",), False: ("mean", "max")}
#: Of the image itself beside a difference: deep maps, as without a reference.
DEFAULT_IMAGE_LEVELS: tuple[Stage, ...] = ("layer2", "layer3")
#: ``reference = "auto"`` compares from this share of images on that have something to compare with.
REFERENCE_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSet:
    """A features graph and what identifies it.

    ``fingerprint`` is the sha256 of the graph: weights, levels, pooling and preprocessing in one.
    """

    spec: graphs.FeatureSpec
    graph: onnx.ModelProto
    fingerprint: str
    backbone_source: str
    backbone_sha256: str
    trained: bool
    precision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Available:
    """What images could be compared with.

    Attributes
    ----------
    images, handed_over : how many there are, and how many the drop has a reference for.
    own_share : of the images of the later half of the days, the share that looks like an own golden
        image, or has a pinned one; None where nobody asked.
    """

    images: int
    handed_over: int
    own_share: float | None = None

    @property
    def mostly_handed_over(self) -> bool:
        """Whether so many have one from the drop that those are what the drop is about."""
        return self.handed_over >= REFERENCE_SHARE * self.images

    def __str__(self) -> str:
        said = f"{self.handed_over} of {self.images} images have one from the drop"
        if self.own_share is None:
            return said
        return f"{said}, {self.own_share:.1%} of the later half have one"


def may_be_own(config: FeaturesConfig, had: Available) -> bool:
    """Whether own golden images come into question."""
    wanted = config.reference
    return wanted == "own" or (wanted == "auto" and not had.mostly_handed_over)


def choose_spec(
    config: FeaturesConfig, had: Available, *, bit_depth: int = images.FULL_DEPTH
) -> graphs.FeatureSpec:
    """Settle ``auto`` and the empty defaults by what the images have.

    Where the drop has a reference for few images only, a lead pinned these, and they stay beside
    own golden images.

    Raises
    ------
    InputError : references are demanded and not a single image has one, or the levels compare with
        references and the images have too few.
    """
    source = _source(config, had)
    if source == names.HANDED_OVER and not had.handed_over:
        what = f"features.reference asks for references, and none of {had.images} images has one"
        raise InputError(what, hint="fill the reference column, or --set features.reference=none")
    if source in (names.OWN, names.OWN_OR_PINNED) and not had.own_share:
        what = "features.reference asks for own golden images, and no image has one"
        raise InputError(
            what, got=str(had),
            hint="run the golden job first; it needs positions that come again, and verdicts",
        )  # fmt: skip
    if graphs.PIXELS in config.levels and source is None:
        raise InputError(
            "the level pixels compares with references, which these images aren't compared with",
            got=f"{had.handed_over} of {had.images} images with a reference, "
            f'features.reference = "{config.reference}"',
            hint="take pixels out of features.levels, or fill the reference column",
        )
    return spec_of(
        config, difference=source is not None, bit_depth=bit_depth,
        references=source or names.HANDED_OVER,
    )  # fmt: skip


def _source(config: FeaturesConfig, had: Available) -> str | None:
    """Where references come from; None where images are judged without."""
    wanted = config.reference
    if wanted == "difference" or (wanted == "auto" and had.mostly_handed_over):
        return names.HANDED_OVER
    if wanted == "own":
        return names.OWN if had.mostly_handed_over else names.OWN_OR_PINNED
    enough = wanted == "auto" and (had.own_share or 0.0) >= REFERENCE_SHARE
    return names.OWN_OR_PINNED if enough else None


def spec_of(
    config: FeaturesConfig,
    *,
    difference: bool,
    bit_depth: int = images.FULL_DEPTH,
    references: str = names.HANDED_OVER,
) -> graphs.FeatureSpec:
    """Fill in the measured defaults of a reference mode where nothing else was set."""
    return graphs.FeatureSpec(
        levels=config.levels or DEFAULT_LEVELS[difference],
        pooling=config.pooling or DEFAULT_POOLING[difference],
        image_levels=image_levels(config) if difference else (),
        reading=reading_of(
            config, difference=difference, bit_depth=bit_depth, references=references
        ),
    )


def image_levels(config: FeaturesConfig) -> tuple[str, ...]:
    """The stages at which the image itself is read beside a difference."""
    if config.image_levels is not None:
        return config.image_levels
    return () if config.levels else DEFAULT_IMAGE_LEVELS


def reading_of(
    config: FeaturesConfig,
    *,
    difference: bool,
    bit_depth: int,
    references: str = names.HANDED_OVER,
) -> Reading:
    """How pairs of files are read in a reference mode."""
    own = difference and references != names.HANDED_OVER
    return Reading(
        difference=difference,
        max_offset=config.max_offset if difference else 0.0,
        alignment=registration.LAID if own and config.nearest else registration.CUT,
        bit_depth=bit_depth,
        references=references,
    )


def build(
    source: backbone.Backbone,
    spec: graphs.FeatureSpec,
    *,
    calibration: Sequence[NDArray[np.uint8]] = (),
) -> FeatureSet:
    """Cut the backbone where ``spec`` needs it and build the features graph.

    Parameters
    ----------
    calibration : images uint8 (3, 224, 224) to quantise the backbone with; without any it stays in
        float32.
    """
    graph = graphs.features_graph(trunk(source, spec, calibration=calibration), spec)
    return FeatureSet(
        spec=spec,
        graph=graph,
        fingerprint=backbone.fingerprint(graph),
        backbone_source=source.source,
        backbone_sha256=source.sha256,
        trained=source.trained,
        precision=names.INT8 if calibration else names.FP32,
    )


def trunk(
    source: backbone.Backbone,
    spec: graphs.FeatureSpec,
    *,
    calibration: Sequence[NDArray[np.uint8]] = (),
) -> onnx.ModelProto:
    """Cut the backbone where ``spec`` needs it; quantise it with ``calibration`` where there is."""
    cut = backbone.cut(source, spec.stages)
    return quantization.quantize(cut, calibration) if calibration else cut


def calibration_sample(
    table: DataFrame,
    reading: Reading,
    *,
    max_pixels: int,
    seed: int,
) -> list[NDArray[np.uint8]]:
    """Decode a random sample of the ``images`` table for ``quantization``.

    The draw is a hash of image and seed. Where references are read, half of the sample are
    references, since the backbone sees those too. What can't be decoded is left out; the featurize
    stage rejects it.
    """
    count = quantization.CALIBRATION_IMAGES // (2 if reading.difference else 1)
    drawn = (
        table.select(names.IMAGE_ID).orderBy(F.xxhash64(names.IMAGE_ID, F.lit(seed))).limit(count)
    )
    ids = sorted(row[0] for row in drawn.collect())
    columns = [names.IMAGE, names.REFERENCE] if reading.difference else [names.IMAGE]
    rows = (
        table.where(F.col(names.IMAGE_ID).isin(ids))
        .orderBy(names.IMAGE_ID)
        .select(columns)
        .collect()
    )
    pairs, decoded = PairReader(reading, max_pixels=max_pixels), []
    for data in (data for row in rows for data in row if data is not None):
        with contextlib.suppress(ImageError):
            decoded.append(pairs.decode(data))
    return decoded


def featurize(
    table: DataFrame, feature_set: FeatureSet, plan: inference.InferencePlan
) -> DataFrame:
    """Run the features graph over ``table``, rows of ``images``.

    Returns
    -------
    ``image_id``, ``source_uri``, ``features`` (null where there is a ``reason``), ``feature_set``,
    the hashes of what they were made from, ``capture_date``, ``reason``, ``detail``: as many rows
    as ``table`` has.
    """
    reading = feature_set.spec.reading
    described = [
        names.IMAGE_ID,
        names.SOURCE_URI,
        names.CAPTURE_DATE,
        names.CONTENT_SHA256,
        names.REFERENCE_SHA256,
    ]
    columns = [*described, names.IMAGE, *([names.REFERENCE] if reading.difference else [])]
    plan = replace(plan, reading=reading)
    graph = graphs.with_threads(feature_set.graph, plan.threads).SerializeToString()
    made = inference.run_images(table.select(columns), graph, batches.FEATURES, plan)
    return made.withColumn(names.FEATURE_SET, F.lit(feature_set.fingerprint))


def current(made: DataFrame, images: DataFrame, *, difference: bool) -> DataFrame:
    """Keep those rows of ``features`` that were made from what ``images`` holds by now.

    A file that comes again under its name, and a reference that is named later, leave the features
    of an image behind.

    Parameters
    ----------
    difference : whether the features depend on the reference; one without a hash in ``images``
        is taken for the one that they were made from.
    """
    now = images.select(
        names.IMAGE_ID, names.CONTENT_SHA256, F.col(names.REFERENCE_SHA256).alias("reference_now")
    )
    same = [made[name] == now[name] for name in (names.IMAGE_ID, names.CONTENT_SHA256)]
    if difference:
        reference = now["reference_now"]
        same.append(reference.isNull() | (made[names.REFERENCE_SHA256] == reference))
    return made.join(now, same, "left_semi")
