from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from faults import prove_parity
from pcb_spark.core import names
from pcb_spark.core.review import Shares
from tests import edge
from tests.rows import NO_IMAGE, images_table, noise, rendered_pairs
from tests.serving import services

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_spark_by_both_engines_edge_and_service_decide_alike(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Images that share a reference, one that lies off its own, and some that can't be scored."""
    whole = rendered_pairs(24)
    pairs: list[tuple[bytes, bytes | None]] = [*whole]
    pairs += [(image, whole[0][1]) for image, _ in whole[1:5]]
    pairs += [(NO_IMAGE, whole[0][1]), (whole[1][0], None), (whole[2][0], NO_IMAGE), (b"", None)]
    pairs += [(noise(1), whole[3][1])]
    images = images_table(spark, pairs).orderBy(names.IMAGE_ID)
    made = edge.sealed(made=services.deciding(), shares=Shares(control=0.2, audit=0.4, seed=1))
    rows = images.collect()

    told = {
        engine: prove_parity.by_spark(images, made, engine=engine, partitions=2)
        for engine in (names.SYNAPSEML, names.ONNXRUNTIME)
    }
    told["edge"] = prove_parity.by_edge(rows, made)
    with services.client(edge.folder(tmp_path / "edge", made)) as asking:
        told["service"] = prove_parity.by_service(
            rows, lambda body: asking.post("/v1/inspect", json=body).json()
        )

    first = told[names.SYNAPSEML]
    assert len(first) == len(pairs)
    wrong = {way: prove_parity.differences(first, each) for way, each in told.items()}
    assert wrong == {way: [] for way in told}
    assert {row[1] for row in first.values()} == {"pass", "fail", "unscorable"}
    assert {"control", "audit"} <= {str(row[4]) for row in first.values()}


def test_a_difference_in_the_last_bit_and_a_missing_image_are_told() -> None:
    one = {"a": (0.1, "pass"), "b": (0.3, "fail"), "c": (None, "unscorable")}
    other = {"a": (0.1, "pass"), "b": (0.1 + 0.2, "fail"), "d": (0.5, "fail")}
    assert prove_parity.differences(one, other) == ["b", "c", "d"]
