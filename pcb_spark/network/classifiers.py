"""What a score is made of: trees, the line beside them, and what judges the image itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from pcb_spark.core import bundle, linear
from pcb_spark.network import graphs, trees
from pcb_spark.network.classifier_nodes import ImageClassifier

if TYPE_CHECKING:
    import onnx

    from pcb_spark.core.linear import Linear


class Classifiers(NamedTuple):
    """What ``graphs.scoring_graph`` puts behind a features graph."""

    trees: onnx.ModelProto
    linear: Linear | None
    image: ImageClassifier | None


def of_bundle(model: bundle.Bundle) -> Classifiers:
    """Read those of a bundle."""
    levels = model.manifest.image_levels
    return of_parts(model.parts, model.manifest.feature_count, graphs.image_width(levels))


def of_parts(parts: Mapping[str, bytes], width: int, image_width: int) -> Classifiers:
    """Read them from a bundle's files, for ``width`` features in all."""
    image = None
    if image_width:
        own = trees.convert(parts[bundle.IMAGE_CLASSIFIER].decode(), image_width)
        image = ImageClassifier(own, linear.of_parts(parts, bundle.IMAGE_LINEAR), image_width)
    compared = trees.convert(parts[bundle.CLASSIFIER].decode(), width - image_width)
    return Classifiers(compared, linear.of_parts(parts, bundle.LINEAR), image)
