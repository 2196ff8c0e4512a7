"""LightGBM's text format to ONNX trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lightgbm
from onnxmltools.convert import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

from pcb_spark import graphs

if TYPE_CHECKING:
    import onnx


def convert(classifier_text: str, width: int) -> onnx.ModelProto:
    """Return a graph with one TreeEnsembleClassifier over ``width`` features, zipmap off.

    onnxmltools rounds thresholds to float32 as LightGBM's float features are; the probability
    differs from LightGBM's own by about 1e-7.
    """
    booster = lightgbm.Booster(model_str=classifier_text)
    converted: onnx.ModelProto = convert_lightgbm(
        booster,
        initial_types=[(graphs.FEATURES, FloatTensorType([None, width]))],
        zipmap=False,
        target_opset={"": graphs.OPSET, "ai.onnx.ml": graphs.ML_OPSET},
    )
    return converted
