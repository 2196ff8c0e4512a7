from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from pcb_spark.core import batches, images, names, registration
from pcb_spark.core.pairs import Reading
from pcb_spark.network import graphs, inference
from pcb_spark.network.inference import InferencePlan
from tests.core import image_kinds
from tests.rows import NO_IMAGE, images_table, noise, png
from tests.trunks import around, averaging_trunk, expected_maps

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

MAX_PIXELS = 1_000_000
SPEC = graphs.FeatureSpec(levels=("layer1",), pooling=("max",), reading=Reading(difference=True))
REFERENCES = [noise(seed) for seed in (100, 101, 102)]
PAIRED = Reading(difference=True)
#: Ten images, four to a reference at most.
PAIRS = [(noise(seed), REFERENCES[seed % 3]) for seed in range(10)]


def plan(
    *,
    partitions: int = 2,
    batch_size: int = 4,
    reading: Reading = PAIRED,
    engine: str = names.SYNAPSEML,
) -> InferencePlan:
    return InferencePlan(
        batch_size=batch_size, partitions=partitions, threads=1, max_pixels=MAX_PIXELS,
        reading=reading, engine=engine,
    )  # fmt: skip


def graph(*, difference: bool) -> bytes:
    spec = graphs.FeatureSpec(
        levels=("layer1",), pooling=("max",), reading=Reading(difference=difference)
    )
    made = graphs.features_graph(averaging_trunk("layer1"), spec)
    content: bytes = graphs.with_threads(made, 1).SerializeToString()
    return content


def run(df: DataFrame, how: InferencePlan) -> list[Row]:
    """Rows in the order of their ids."""
    difference = how.reading.difference
    columns = [names.IMAGE_ID, names.LOT, names.CAPTURED_AT, names.CAPTURE_DATE, names.IMAGE]
    if difference:
        columns += [names.REFERENCE, names.REFERENCE_SHA256]
    made = inference.run_images(
        df.select(columns), graph(difference=difference), batches.FEATURES, how
    )  # fmt: skip
    return sorted(made.collect(), key=lambda row: str(row[names.IMAGE_ID]))


def bits(rows: list[Row]) -> list[tuple[str, bytes | None]]:
    return [
        (row[names.IMAGE_ID], row.features and np.array(row.features, dtype=np.float32).tobytes())
        for row in rows
    ]


def pixels(content: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return images.decode(content, max_pixels=MAX_PIXELS)[None]


@pytest.mark.parametrize(
    ("count", "slots", "per_partition", "partitions"),
    [
        (1, 4, 10, 4),
        (40, 4, 10, 4),
        (41, 4, 10, 8),
        (400, 3, 10, 42),  # 14 waves of 3 x 10
        (0, 2, 10, 2),
    ],
)
def test_partitions_are_whole_waves_of_task_slots(
    count: int, slots: int, per_partition: int, partitions: int
) -> None:
    derived = InferencePlan.derive(
        count=count, slots=slots, threads=1, max_pixels=9, images_per_partition=per_partition
    )
    assert derived.partitions == partitions


def test_images_are_decoded_at_the_depth_of_the_plan(spark: SparkSession) -> None:
    shallow = image_kinds.png(image_kinds.samples(1, 12), 16, 0)  # 12 of 16 bits
    table = images_table(spark, [(shallow, None)])
    deep, usual = (
        inference.run_images(
            table, graph(difference=False), batches.FEATURES,
            plan(reading=Reading(difference=False, bit_depth=depth)),
        ).first()
        for depth in (12, 16)
    )  # fmt: skip
    expected = [
        expected_maps(images.decode(shallow, bit_depth=depth)[None], "layer1").max((2, 3))[0]
        for depth in (12, 16)
    ]
    for found, by_hand in zip((deep, usual), expected, strict=True):
        assert found is not None
        assert found.features == pytest.approx(by_hand, abs=1e-4)


def test_plan_of_few_images() -> None:
    derived = InferencePlan.derive(count=9, slots=2, threads=3, max_pixels=9)
    assert (derived.threads, derived.max_pixels) == (3, 9)
    assert (derived.batch_size, derived.partitions) == (8, 2)


def test_features_are_those_of_numpy(spark: SparkSession) -> None:
    found = run(images_table(spark, PAIRS), plan())
    assert [row[names.IMAGE_ID] for row in found] == [f"i{number:03d}" for number in range(10)]
    for row, (image, reference) in zip(found, PAIRS, strict=True):
        golden = pixels(reference)
        matched = registration.matched(pixels(image)[0], golden[0])[None]
        x, r = (expected_maps(each, "layer1") for each in (matched, golden))
        excess, lack = np.maximum(x - around(r), 0), np.maximum(r - around(x), 0)
        by_hand = np.concatenate([excess.max((2, 3)), lack.max((2, 3))], axis=1)[0]
        assert row.features == pytest.approx(by_hand, abs=1e-4)
        assert row.reason is None
        assert row.detail is None


def test_other_columns_are_carried_along(spark: SparkSession) -> None:
    table = images_table(spark, PAIRS[:3])
    found = run(table, plan())
    expected = (
        table.orderBy(names.IMAGE_ID)
        .select(names.LOT, names.CAPTURED_AT, names.CAPTURE_DATE)
        .collect()
    )
    assert [(row.lot, row.captured_at, row.capture_date) for row in found] == [
        tuple(row) for row in expected
    ]


def test_rows_without_features_stay_with_their_reason(spark: SparkSession) -> None:
    pairs: list[tuple[bytes, bytes | None]] = [
        (noise(0), REFERENCES[0]),
        (NO_IMAGE, REFERENCES[0]),
        (noise(2), None),
        (noise(3), NO_IMAGE),
        (b"", None),
        (noise(5), NO_IMAGE),
        (noise(6), REFERENCES[0]),
    ]
    found = run(images_table(spark, pairs), plan(partitions=1, batch_size=2))
    assert [(row[names.IMAGE_ID], row.reason, row.features is None) for row in found] == [
        ("i000", None, False),
        ("i001", "not_an_image", True),
        ("i002", "reference_missing", True),
        ("i003", "reference_unusable", True),
        ("i004", "empty_file", True),
        ("i005", "reference_unusable", True),
        ("i006", None, False),
    ]
    assert "not_an_image" in found[3].detail
    clean = run(images_table(spark, [pairs[0], pairs[6]]), plan(partitions=1, batch_size=2))
    assert bits([found[0], found[6]])[0][1] == bits(clean)[0][1]
    assert bits([found[0], found[6]])[1][1] == bits(clean)[1][1]


@pytest.mark.parametrize("difference", [True, False])
def test_partition_without_a_usable_image_keeps_its_rows(
    spark: SparkSession, difference: bool
) -> None:
    pairs: list[tuple[bytes, bytes | None]] = [(NO_IMAGE, REFERENCES[0])] * 40
    how = plan(partitions=2, batch_size=2, reading=Reading(difference=difference))
    found = run(images_table(spark, pairs), how)
    assert len(found) == 40
    assert {row.reason for row in found} == {"not_an_image"}
    assert all(row.features is None for row in found)


def test_image_without_a_reference_is_fine_where_none_is_asked_for(spark: SparkSession) -> None:
    found = run(images_table(spark, [(noise(1), None)]), plan(reading=Reading(difference=False)))
    by_hand = expected_maps(pixels(noise(1)), "layer1").max((2, 3))[0]
    assert found[0].features == pytest.approx(by_hand, abs=1e-4)


def test_image_is_moved_onto_its_reference_before_the_graph_sees_it(spark: SparkSession) -> None:
    board = np.random.default_rng(4).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    board = board.repeat(8, axis=0).repeat(8, axis=1)
    golden = png(board[:224, 32:256])
    off = {right: png(board[:224, 32 - right : 256 - right]) for right in (0, 10, 24)}
    table = images_table(spark, [(image, golden) for image in off.values()])
    same, near, far = run(table, plan(reading=Reading(difference=True, max_offset=0.08)))
    assert same.features == near.features
    assert (far.features, far.reason) == (None, "reference_misaligned")
    assert "24 px right" in far.detail
    assert run(table, plan())[1].features != same.features


@pytest.mark.parametrize("engine", [names.SYNAPSEML, names.ONNXRUNTIME])
def test_no_images_make_no_rows(spark: SparkSession, engine: str) -> None:
    assert run(images_table(spark, PAIRS[:1]).where("false"), plan(engine=engine)) == []


@pytest.mark.parametrize("difference", [True, False])
def test_engines_give_the_same_rows_to_the_last_bit(spark: SparkSession, difference: bool) -> None:
    reading = Reading(difference=difference, max_offset=0.08 if difference else 0.0)
    unusable = [(NO_IMAGE, REFERENCES[0]), (noise(2), NO_IMAGE), (noise(3), None), (b"", None)]
    table = images_table(spark, [*PAIRS, *unusable])
    expected = run(table, plan(reading=reading))
    found = run(table, plan(reading=reading, engine=names.ONNXRUNTIME))
    assert found == expected
    assert bits(found) == bits(expected)
    assert {row.features is None for row in found} == {True, False}


def test_engine_of_workers_keeps_a_partition_without_a_usable_image(spark: SparkSession) -> None:
    how = plan(partitions=1, batch_size=2, engine=names.ONNXRUNTIME)
    found = run(images_table(spark, [(NO_IMAGE, REFERENCES[0])] * 70), how)
    assert [(row.features, row.reason) for row in found] == [(None, "not_an_image")] * 70


@pytest.mark.slow
def test_result_does_not_depend_on_how_the_input_is_partitioned(spark: SparkSession) -> None:
    table = images_table(spark, [*PAIRS, (NO_IMAGE, REFERENCES[0])], partitions=1).persist()
    once = run(table, plan())
    assert sum(row.features is not None for row in once) == 10
    assert bits(run(table.repartition(7), plan())) == bits(once)
    backwards = table.orderBy(F.desc(names.IMAGE_ID)).coalesce(1)
    assert bits(run(backwards, plan())) == bits(once)
    table.unpersist()


def packed(df: DataFrame, how: InferencePlan) -> list[tuple[list[str], int, int]]:
    """Ids, number of images and number of references of each batch, by the first id."""
    columns = [names.IMAGE_ID, names.IMAGE, names.REFERENCE, names.REFERENCE_SHA256]
    made = inference.pack(df.select(columns), how)
    rows = made.select(
        F.transform(inference.ITEMS, lambda item: item[names.IMAGE_ID]).alias("ids"),
        F.size(batches.IMAGES).alias("images"),
        F.size(batches.REFERENCES).alias("references"),
    ).collect()
    one = len(images.pack(pixels(REFERENCES[0])[0]).reshape(-1))
    return sorted((row.ids, row.images // one, row.references // one) for row in rows)


def test_batches_do_not_depend_on_how_the_input_is_partitioned(spark: SparkSession) -> None:
    table = images_table(spark, PAIRS, partitions=1)
    once = packed(table, plan())
    assert sum(count for _, count, _ in once) == 10
    assert {count + references for _, count, references in once} <= {2, 3, 4}
    assert packed(table.repartition(5), plan()) == once


def test_batch_holds_each_reference_once(spark: SparkSession) -> None:
    pairs = [(noise(seed), REFERENCES[seed % 2]) for seed in range(8)]
    found = packed(images_table(spark, pairs), plan(partitions=1, batch_size=5))
    assert [(count, references) for _, count, references in found] == [(4, 1), (4, 1)]


def test_batch_ends_with_its_reference(spark: SparkSession) -> None:
    pairs = [(noise(seed), noise(100 + seed)) for seed in range(5)]
    found = packed(images_table(spark, pairs), plan(partitions=1, batch_size=8))
    assert [(count, references) for _, count, references in found] == [(1, 1)] * 5


def test_references_without_a_hash_are_told_apart(spark: SparkSession) -> None:
    table = images_table(spark, [(noise(0), REFERENCES[0]), (noise(1), REFERENCES[1])])
    unhashed = table.withColumn(names.REFERENCE_SHA256, F.lit(None).cast("string"))
    one_task = plan(partitions=1)
    assert bits(run(unhashed, one_task)) == bits(run(table, one_task))


def test_batch_of_one_image_is_the_smallest(spark: SparkSession) -> None:
    pairs = [(noise(seed), REFERENCES[0]) for seed in range(3)]
    found = packed(images_table(spark, pairs), plan(partitions=1, batch_size=1))
    assert [(count, references) for _, count, references in found] == [(1, 1)] * 3


class Partition:
    """One partition in this process: as much of a DataFrame as ``pack`` needs."""

    def __init__(self, df: DataFrame) -> None:
        self.schema = df.schema
        self._rows = [row.asDict() for row in df.orderBy(names.IMAGE_ID).collect()]

    def repartition(self, *_: object) -> Partition:
        return self

    sortWithinPartitions = repartition

    def mapInArrow(
        self, pack: Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]], _: object
    ) -> list[pa.RecordBatch]:
        return list(pack(pa.RecordBatch.from_pylist([row]) for row in self._rows))


def test_reference_that_a_partition_shares_is_decoded_once(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [(noise(seed), REFERENCES[0]) for seed in range(9)]
    columns = [names.IMAGE_ID, names.IMAGE, names.REFERENCE, names.REFERENCE_SHA256]
    partition: Any = Partition(images_table(spark, pairs).select(columns))
    decoded: list[bytes] = []
    decode = images.decode

    def spy(content: bytes, **options: int) -> Any:
        decoded.append(content)
        return decode(content, **options)

    monkeypatch.setattr(images, "decode", spy)
    made: Any = inference.pack(partition, plan(batch_size=4))
    assert len(made) == 3
    assert decoded.count(REFERENCES[0]) == 1
    assert len(decoded) == 10
