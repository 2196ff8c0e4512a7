"""Edge bundles for tests: of a small network over rendered pairs, signed by a made-up plant."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pcb_spark.core import (
    bundle,
    durable,
    edge_bundle,
    golden_book,
    heatmaps,
    machine,
    self_test,
)
from pcb_spark.core.drops import Habits
from pcb_spark.core.pairs import Reading
from pcb_spark.core.review import Shares
from pcb_spark.core.scorer import Scorer
from pcb_spark.core.share_cap import Cap, ShareCap
from pcb_spark.core.signatures import SecretKey
from pcb_spark.network import pooled
from pcb_spark.network.graphs import FeatureSpec
from tests.models import in_memory, train
from tests.rows import rendered_pairs

COMPARING = FeatureSpec(
    levels=("layer1",), pooling=("max",), reading=Reading(difference=True, max_offset=0.08)
)
PLANT = SecretKey(b"plant\0\0\1", bytes(range(32)))
STRANGER = SecretKey(b"stranger", bytes(range(1, 33)))
EXPORTED = datetime(2026, 3, 1, 6, tzinfo=UTC)
PAIRS = 3


@cache
def model(seed: int = 5) -> bundle.Bundle:
    """A model whose threshold is the middle score of the rendered pairs."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(scale=0.3, size=(80, COMPARING.width)).astype(np.float32)
    text = train(rows, rng.random(80) < 0.5)
    made = in_memory(
        COMPARING, text, max_offset=COMPARING.reading.max_offset, threshold={"value": 0.5}
    )
    scorer = Scorer(made)
    told = [scorer.score(*pair).probability or 0.0 for pair in rendered_pairs(PAIRS)]
    manifest = dataclasses.replace(made.manifest, threshold={"value": sorted(told)[PAIRS // 2]})
    return bundle.Bundle(manifest=manifest, parts=made.parts)


def sealed(
    *,
    key: SecretKey = PLANT,
    created_at: datetime = EXPORTED,
    seed: int = 5,
    shares: Shares | None = None,
    made: bundle.Bundle | None = None,
    cap: Cap | None = None,
    explaining: bool = False,
    own: Mapping[str, bytes] | None = None,
) -> edge_bundle.EdgeBundle:
    """An edge bundle that passes its self-test, in memory; of ``made``, or of ``model``.

    Parameters
    ----------
    own : golden images of the line's own, by position.
    """
    made = made or model(seed)
    record = None if cap is None else share_cap(made, cap)
    scorer = Scorer(made, cap=record)
    known, parts = [], {bundle.GRAPH: made.parts[bundle.GRAPH]}
    if explaining:
        parts[heatmaps.HEAT] = heatmaps.to_json(pooled.of_bundle(made))
        parts[bundle.CLASSIFIER] = made.parts[bundle.CLASSIFIER]
    for number, (image, reference) in enumerate(rendered_pairs(PAIRS)):
        names = [f"{edge_bundle.SELF_TEST}/{number}_{what}" for what in ("image", "reference")]
        parts |= dict(zip(names, (image, reference), strict=True))
        score = scorer.score(image, reference, traceability={"line": "L1"})
        known.append(
            edge_bundle.Known(
                image=names[0], reference=names[1], line="L1", part_number=None,
                probability=self_test.written(score.probability), decision=score.decision,
            )
        )  # fmt: skip
    manifest = edge_bundle.EdgeManifest(
        created_at=created_at,
        model=made.manifest,
        shares=shares or Shares(control=0.0, audit=0.0, seed=7),
        known={"line": frozenset({"L1", "L2"}), "part_number": frozenset()},
        habits=Habits(),
        licences={"weights": "Apache-2.0", "program": "Apache-2.0"},
        made_with=machine.describe(),
        self_test=tuple(known),
        share_cap=record,
        goldens=None if own is None else goldens(own),
    )
    parts |= {golden_book.file_of(bundle.sha256(png)): png for png in (own or {}).values()}
    return edge_bundle.sealed(manifest, parts, key)


def goldens(own: Mapping[str, bytes]) -> golden_book.Goldens:
    """What a manifest says of golden images that any line may use, by position."""
    return golden_book.Goldens(
        own=tuple(
            golden_book.Own(sha256=bundle.sha256(png), valid_from=date(2026, 1, 5), position=each)
            for each, png in own.items()
        ),
        by_line=False,
        most_misfit=0.6,
    )


def share_cap(made: bundle.Bundle, cap: Cap) -> ShareCap:
    """The record that a night of the last of February left."""
    return ShareCap(
        night="2026-02-28", model_sha256=made.manifest.model_sha256, scores_sha256="5" * 64,
        pooled=cap,
    )  # fmt: skip


def folder(path: Path, edge: edge_bundle.EdgeBundle | None = None) -> Path:
    """Write one as a folder."""
    durable.write_folder(path, (edge or sealed()).files())
    return path


def archive(path: Path, files: Mapping[str, bytes], *, packed: bool = False) -> Path:
    """Write files as a .zip, by whatever names."""
    how = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    path.write_bytes(b"")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as made:
        for name, content in files.items():
            made.writestr(name, content)
    path.write_bytes(buffer.getvalue())
    return path


def forged(
    edge: edge_bundle.EdgeBundle, change: Callable[[dict[str, Any]], object], key: SecretKey = PLANT
) -> dict[str, bytes]:
    """The files of a bundle whose manifest was changed, and signed all the same."""
    raw = json.loads(edge.signed)
    change(raw)
    signed = json.dumps(raw).encode()
    signature = key.sign(signed, "forged").encode()
    return {**edge.files(), edge_bundle.MANIFEST: signed, edge_bundle.SIGNATURE: signature}
