"""Small model bundles for tests: a trunk of averages, and LightGBM trained on a few rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np

from pcb_spark.core import bundle
from pcb_spark.core.linear import Linear
from pcb_spark.network import classifiers, graphs, quantization
from tests.trunks import averaging_trunk

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray


MANIFEST: dict[str, Any] = {
    "format": 1,
    "model_version": "2026-02-27-0123456789ab",
    "feature_set": "f" * 64,
    "precision": "fp32",
    "precision_comparison": {},
    "trained_backbone": True,
    "backbone": {"source": "resnet50-v1-12", "sha256": "3" * 64},
    "threshold": {
        "value": 0.25, "max_slip_rate": 0.02, "confidence": 0.95, "bound": "next",
        "next_slips": 4, "next_defects": 200, "rank": 2, "defects": 300, "needed": 163,
        "risk": 0.04, "first": "2026-01-27", "last": "2026-02-27", "spread": None, "slips": 1,
        "cleared_good": 3, "good": 6,
        "reason": "Of the next 200 defects at most 4 slip (95 % confidence), if they resemble the "
        "300 defects of 27 January to 27 February.",
    },
    "metrics": {},
    "training_window": {
        "from": "2026-01-05", "until": "2026-02-27", "images": 12, "fails": 5, "boards": 4,
    },
    "lineage": {"run_id": "20260301T000000Z-00ff00", "config_sha256": "c" * 64},
    "versions": {"python": "3.11.7"},
    "created_at": "2026-03-01T00:00:00+00:00",
}  # fmt: skip

#: The threshold of a bundle that was made before promises were about the next defects.
EARLIER_THRESHOLD: dict[str, Any] = {
    "value": 0.25, "max_slip_rate": 0.02, "confidence": 0.95, "slips": 1, "defects": 4,
    "slip_rate_upper": 0.019, "cleared_good": 3, "good": 6, "reason": "enough defects",
    "design_effect": 1.0, "segment_by": None, "by_segment": {}, "pooled_segments": {},
}  # fmt: skip


def features_graph(
    spec: graphs.FeatureSpec, calibration: Sequence[NDArray[np.uint8]] = ()
) -> onnx.ModelProto:
    """Features over the averages of an image's squares, int8 with images to calibrate on."""
    trunk = averaging_trunk(*spec.stages)
    if calibration:
        trunk = quantization.quantize(trunk, calibration)
    return graphs.features_graph(trunk, spec)


def train(rows: NDArray[np.float32], is_fail: NDArray[np.bool_]) -> str:
    """LightGBM's text of a few small trees."""
    parameters = {
        "objective": "binary", "verbosity": -1, "seed": 1, "num_threads": 1, "num_leaves": 4,
        "min_data_in_leaf": 3, "feature_fraction": 0.1,
    }  # fmt: skip
    data = lightgbm.Dataset(rows, is_fail, params={"verbosity": -1})
    return lightgbm.train(parameters, data, num_boost_round=60).model_to_string()


def in_memory(
    spec: graphs.FeatureSpec,
    classifier: str,
    calibration: Sequence[NDArray[np.uint8]] = (),
    linear: Linear | None = None,
    image: str = "",
    **changes: Any,
) -> bundle.Bundle:
    """A bundle that was never written; ``image`` are the trees of the image itself."""
    graph = features_graph(spec, calibration)
    parts = {
        bundle.FEATURES: graph.SerializeToString(),
        bundle.CLASSIFIER: classifier.encode(),
    }
    if linear is not None:
        parts[bundle.LINEAR] = linear.to_json().encode()
    if image:
        parts[bundle.IMAGE_CLASSIFIER] = image.encode()
    judges = classifiers.of_parts(parts, spec.width, spec.image_width)
    parts[bundle.GRAPH] = graphs.scoring_graph(graph, *judges).SerializeToString()
    described = {
        **spec.record, "levels": list(spec.levels), "pooling": list(spec.pooling),
        "image_levels": list(spec.image_levels),
        "feature_count": spec.width,
        "model_sha256": bundle.sha256(parts[bundle.GRAPH]),
        "files": {name: bundle.sha256(content) for name, content in parts.items()},
    }  # fmt: skip
    return bundle.Bundle(
        manifest=bundle.Manifest(**{**MANIFEST, **described, **changes}), parts=parts
    )


def linear(width: int) -> Linear:
    """What may stand beside trees of so many features."""
    rng = np.random.default_rng(3)
    return Linear(
        weights=rng.normal(scale=0.1, size=width).astype(np.float32),
        bias=-0.75,
        center=rng.random(width).astype(np.float32),
        most=rng.uniform(1, 2, width).astype(np.float32),
    )
