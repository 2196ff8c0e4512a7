"""Scores rendered pairs in a session of Spark Connect, and prints them as JSON.

``python -m tests.network.connect_client sc://host:port`` runs in a process of its own: in one that
has begun with Spark Connect, PySpark knows no other session.
"""

from __future__ import annotations

import dataclasses
import json
import sys

from pyspark.sql import SparkSession

from pcb_spark.core import bundle, names
from pcb_spark.core.review import Shares
from pcb_spark.core.scorer import Score
from pcb_spark.network import scoring
from pcb_spark.network.inference import InferencePlan
from tests import edge
from tests.rows import NO_IMAGE, images_table, rendered_pairs

SHARES = Shares(control=0.0, audit=0.0)


def pairs() -> list[tuple[bytes, bytes | None]]:
    """A few that can be scored, and two that can't."""
    whole = rendered_pairs(6)
    return [*whole, (NO_IMAGE, whole[0][1]), (whole[1][0], None)]


def main(address: str) -> None:
    """Score and print."""
    spark = SparkSession.builder.remote(address).getOrCreate()
    model = edge.model()
    plan = InferencePlan(
        batch_size=8, partitions=1, threads=1, max_pixels=1_000_000,
        reading=model.manifest.reading, engine=names.ONNXRUNTIME,
    )  # fmt: skip
    scored = scoring.score(images_table(spark, pairs()), model.parts[bundle.GRAPH], plan)
    decided = scoring.decide(scored, model.manifest, SHARES).orderBy(names.IMAGE_ID)
    fields = [field.name for field in dataclasses.fields(Score) if field.name != "golden"]
    told = [
        dataclasses.asdict(Score(**{name: row[name] for name in fields}))
        for row in decided.collect()
    ]
    sys.stdout.write(json.dumps({"session": type(spark).__module__, "scores": told}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
