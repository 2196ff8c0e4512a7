"""LightGBM's text format: to ONNX trees, and which features its trees live on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from pcb_spark.core import batches

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

# The tree node, all that is kept of the conversion, is the same in every opset.
_TARGET_OPSET = 13

_THRESHOLDS = re.compile(r"^threshold=(.*)$", re.MULTILINE)
_TREE_SIZES = re.compile(r"^tree_sizes=.*\n", re.MULTILINE)


def convert(classifier_text: str, width: int) -> onnx.ModelProto:
    """Return a graph with one TreeEnsembleClassifier over ``width`` features, zipmap off.

    A float32 feature takes the same branches as in LightGBM; leaves are added up in float32, and
    the probability differs from LightGBM's own by about 1e-7.
    """
    # Imported here: they bring scikit-learn, a second that scoring images doesn't need.
    import lightgbm
    from onnxmltools.convert import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    booster = lightgbm.Booster(model_str=_with_float32_thresholds(classifier_text))
    converted: onnx.ModelProto = convert_lightgbm(
        booster,
        initial_types=[(batches.FEATURES, FloatTensorType([None, width]))],
        zipmap=False,
        target_opset=_TARGET_OPSET,
    )
    return converted


def most_important(classifier_text: str, count: int) -> NDArray[np.bool_]:
    """Mark the ``count`` features whose splits gained most, (F,).

    Features that no tree splits on are never marked, so that there may be fewer.
    """
    import lightgbm

    gain = lightgbm.Booster(model_str=classifier_text).feature_importance("gain")
    marked = np.zeros(len(gain), dtype=bool)
    marked[np.argsort(-gain, kind="stable")[:count]] = True
    return marked & (gain > 0)


def _with_float32_thresholds(classifier_text: str) -> str:
    """Round thresholds down to float32, since ONNX would round to the nearest.

    LightGBM puts a threshold just above the middle of two values. Where those are neighbours in
    float32 the nearest is the upper one, which would then go left. Without ``tree_sizes``, which
    the longer numbers make wrong, LightGBM finds the trees by itself.
    """
    unsized = _TREE_SIZES.sub("", classifier_text)
    return _THRESHOLDS.sub(lambda line: f"threshold={_rounded_down(line[1])}", unsized)


def _rounded_down(numbers: str) -> str:
    exact = np.array(numbers.split(), dtype=np.float64)
    nearest = exact.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return " ".join(map(repr, np.where(nearest > exact, below, nearest).tolist()))
