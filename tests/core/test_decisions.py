from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import onnx
import pytest

from pcb_spark.core import bundle, edge_bundle, names
from pcb_spark.core.decisions import Decider
from pcb_spark.core.layouts import Traits
from pcb_spark.core.review import Shares
from pcb_spark.core.share_cap import Cap
from pcb_spark.network import graphs, scoring
from pcb_spark.network.inference import InferencePlan
from tests import edge as made
from tests.rows import NO_IMAGE, images_table, rendered_pairs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Below the threshold of the model, above some scores.
CAP = Cap(0.6, 0.84)
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def decide(decider: Decider, pair: tuple[bytes, bytes | None], row: dict[str, Any]) -> Any:
    told = {name: row[name] for name in ("line", "lot", "position", "part_number")}
    return decider.decide(
        *pair, path="p", image_id=row["image_id"],
        traits=Traits(board_id=row["board_id"], captured_at=row["captured_at"], **told),
        content_sha256="0" * 64, reference_path=None, now=NOW,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cap", "known", "least"),
    [(None, {}, 4), (CAP, {}, 4), (CAP, {"line": ["L2"]}, 2)],
    ids=["chosen", "capped", "unseen"],
)
def test_every_column_of_scores_is_the_one_that_spark_writes(
    spark: SparkSession, cap: Cap | None, known: dict[str, list[str]], least: int
) -> None:
    whole = made.model()
    manifest = dataclasses.replace(whole.manifest, known=known)
    edge = made.sealed(
        shares=Shares(control=0.3, audit=0.4, seed=3), cap=cap,
        made=bundle.Bundle(manifest=manifest, parts=whole.parts),
    )  # fmt: skip
    pairs: list[tuple[bytes, bytes | None]] = [*rendered_pairs(20)]
    pairs += [(NO_IMAGE, pairs[0][1]), (pairs[1][0], None)]
    model = edge.model
    plan = InferencePlan(
        batch_size=8, partitions=2, threads=1, max_pixels=1_000_000, reading=model.manifest.reading
    )
    fused = onnx.load_from_string(model.parts[bundle.GRAPH])
    graph = graphs.with_threads(fused, 1).SerializeToString()
    scored = scoring.score(images_table(spark, pairs), graph, plan)
    thresholds = Decider(edge).scorer.thresholds
    by_date = {date(2026, 1, day): thresholds for day in (5, 6)}
    rows = scoring.decide(
        scored, model.manifest, edge.manifest.shares, by_date=by_date if cap else None
    ).orderBy(names.IMAGE_ID)

    decider = Decider(edge)
    shared = {field.name for field in dataclasses.fields(decide(decider, pairs[0], _any()))}
    reviews = set()
    for row, pair in zip(rows.collect(), pairs, strict=True):
        expected = row.asDict()
        found = dataclasses.asdict(decide(decider, pair, expected))
        columns = shared & set(expected) - {names.CAPTURED_AT}
        assert {c: found[c] for c in columns} == {c: expected[c] for c in columns}
        reviews.add(found["review"])
    chosen = edge.model.manifest.threshold["value"]
    assert thresholds.pooled == (chosen if cap is None else cap.value)
    assert CAP.value < chosen
    assert {names.DECISION, names.REVIEW, names.REVIEW_PROBABILITY, names.THRESHOLD} <= columns
    assert len(reviews) >= least
    assert ("unseen" in reviews) is bool(known)


def _any() -> dict[str, Any]:
    return dict.fromkeys(("line", "lot", "position", "part_number", "captured_at")) | {
        "image_id": "i", "board_id": "b",
    }  # fmt: skip


def test_what_training_never_saw_is_named_and_not_cleared_if_the_model_says_so() -> None:
    edge = made.sealed()
    (pair,) = rendered_pairs(1)
    known = {"line": ["L1"], "part_number": []}
    manifest = dataclasses.replace(
        edge.manifest.model, known=known, threshold={"value": 1.0, "audit_high_from": 1.0}
    )
    strict = made.sealed(made=bundle.Bundle(manifest=manifest, parts=edge.parts))
    own, other = (decide(Decider(strict), pair, {**_any(), "line": line}) for line in ("L1", "L3"))
    assert (own.threshold, own.decision, own.review) == (1.0, "pass", None)
    assert (other.threshold, other.decision, other.review) == (0.0, "fail", "unseen")
    assert other.probability == own.probability
    seen = decide(Decider(edge), pair, {**_any(), "line": "L1"})
    strange = decide(Decider(edge), pair, {**_any(), "line": "L3", "part_number": "C0402"})
    assert seen.unseen == ()
    assert strange.unseen == ("line", "part_number")
    assert (strange.probability, strange.decision) == (seen.probability, seen.decision)
    assert isinstance(edge, edge_bundle.EdgeBundle)
