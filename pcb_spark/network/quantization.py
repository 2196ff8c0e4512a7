"""The backbone's convolutions in 8-bit integers: half to a third of the time of float32.

Static quantisation by ONNX Runtime, in the QDQ form: weights int8 with a scale a channel,
activations uint8 with a scale a tensor, calibrated on images of the plant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from pcb_spark.network.resnet50 import INPUT, MEAN, STD

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Images that the ranges of activations are measured on. Half of them, or twice as many, gave the
#: same AUC to three digits on the tiles of docs/results/accuracy.md.
CALIBRATION_IMAGES = 64


def quantize(trunk: onnx.ModelProto, pixels: Sequence[NDArray[np.uint8]]) -> onnx.ModelProto:
    """Return ``trunk`` with its convolutions and additions in 8 bits.

    Parameters
    ----------
    trunk : graph from normalised ``data`` [N, 3, 224, 224] to some stages (``backbone.cut``).
    pixels : at least one image, uint8 (3, 224, 224) as ``images.decode`` gives it; the ranges of
        activations are the lowest and highest values that these images cause.

    Returns
    -------
    Graph with the same input and outputs. Weights keep to 7 of their 8 bits: where a processor has
    no VNNI instructions ONNX Runtime adds pairs of products in 16 bits, which 8 bits would
    overflow, and an edge machine would give other scores than the cluster.
    """
    with TemporaryDirectory() as scratch:
        quantized = Path(scratch) / "int8.onnx"
        quantize_static(
            _preprocessed(trunk),
            quantized,
            _Calibration(pixels),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return onnx.load(quantized)


def _preprocessed(trunk: onnx.ModelProto) -> onnx.ModelProto:
    """Mark a copy as what ONNX Runtime would make of it: normalisation folded, shapes plain."""
    copy = onnx.ModelProto()
    copy.CopyFrom(trunk)
    onnx.helper.set_model_props(copy, {"onnx.quant.pre_process": "onnxruntime.quant"})
    return copy


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Feeds one normalised image at a time."""

    def __init__(self, pixels: Sequence[NDArray[np.uint8]]) -> None:
        self._feeds: Iterator[dict[str, Any]] = ({INPUT: _normalised(each)} for each in pixels)

    def get_next(self) -> dict[str, Any] | None:
        """Return the next feed, or None at the end."""
        return next(self._feeds, None)


def _normalised(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    mean, std = (np.array(c, dtype=np.float32).reshape(3, 1, 1) * 255 for c in (MEAN, STD))
    scaled: NDArray[np.float32] = (pixels.astype(np.float32) - mean) / std
    return scaled[np.newaxis]
