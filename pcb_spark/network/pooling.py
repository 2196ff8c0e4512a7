"""The back of every features graph: maps of the backbone to a short vector an image.

A map is float, or uint8 where the trunk was quantised (``quantization``): then differences are
taken and pooled in uint8 as well, at a third of the time, and only the pooled numbers are float.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, numpy_helper

from pcb_spark.core.errors import BackboneError
from pcb_spark.network.unpacking import IMAGE_COUNT, REFERENCE_ROWS

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    from pcb_spark.network.nodes import NodeBuilder


#: Steps of a float map's fixed point: 2 ** -16, far finer than a map tells good from bad by.
_STEPS = 65536.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """A tensor [N, C, H, W] of the trunk: float, or uint8 of ``scale`` and zero point 0."""

    name: str
    scale: str | None = None


def map_of(trunk: onnx.ModelProto, stage: str) -> Map:
    """Return the map behind an output of the trunk.

    Raises
    ------
    BackboneError : quantised with another zero point than 0, as no map after a ReLU is.
    """
    producer = next(node for node in trunk.graph.node if stage in node.output)
    if producer.op_type != "DequantizeLinear":
        return Map(name=stage)
    octets, scale, zero = producer.input
    values = {tensor.name: tensor for tensor in trunk.graph.initializer}
    if numpy_helper.to_array(values[zero]).item() != 0:
        what = f"{stage} of the quantised backbone has a zero point other than 0"
        raise BackboneError(what, hint='set backbone.precision = "fp32"')
    return Map(name=octets, scale=scale)


def pool(b: NodeBuilder, source: Map, output: str, kind: str) -> str:
    """Pool a map to float [N, C] by ``kind``, max or mean."""
    cells = _once(b, "cells", np.array([2, 3]))
    if kind == "mean":
        return _mean(b, source, output, cells)
    if source.scale is None:
        return b.add("ReduceMax", [source.name, cells], output, keepdims=0)
    highest = b.add("ReduceMax", [source.name, cells], f"{output}_uint8", keepdims=0)
    return _dequantize(b, highest, source.scale, output)


def _mean(b: NodeBuilder, source: Map, output: str, cells: str) -> str:
    """The mean by a sum of integers, which is the same in whatever order ONNX Runtime takes it.

    ReduceMean rounds otherwise in another graph or batch, and Spark would differ from an edge
    machine in the last bit.
    """
    if source.scale is None:
        steps = _once(b, "float_steps", np.array(_STEPS, dtype=np.float32))
        fine = b.add("Mul", [source.name, steps], f"{output}_steps")
        whole = b.add("Cast", [fine], f"{output}_whole", to=TensorProto.INT64)
        unit = _once(b, "float_step", np.array(1 / _STEPS, dtype=np.float32))
    else:
        whole = b.add("Cast", [source.name], f"{output}_whole", to=TensorProto.INT32)
        unit = source.scale
    total = b.add("ReduceSum", [whole, cells], f"{output}_total", keepdims=0)
    amount = b.add("Cast", [total], f"{output}_amount", to=TensorProto.FLOAT)
    sides = b.add("Shape", [source.name], f"{output}_sides", start=2, end=4)
    number = b.add("ReduceProd", [sides], f"{output}_number", keepdims=0)
    divisor = b.add("Cast", [number], f"{output}_divisor", to=TensorProto.FLOAT)
    mean = b.add("Div", [amount, divisor], f"{output}_in_units")
    return b.add("Mul", [mean, unit], output)


def pool_images(b: NodeBuilder, source: Map, level: str, pooling: tuple[str, ...]) -> list[str]:
    """Pool the rows of images, whatever they are compared with.

    Returns
    -------
    Names of float tensors [K, C], of each pooling.
    """
    own = Map(name=_images(b, source.name), scale=source.scale)
    return [pool(b, own, f"{level}_image_{kind}", kind) for kind in pooling]


def pool_difference(b: NodeBuilder, source: Map, level: str, pooling: tuple[str, ...]) -> list[str]:
    """Pool what no neighbour explains, both ways.

    At a cell of an activation map x and its reference r the *excess* is max(0, x - max of r over
    the 3 x 3 cells around) and the *lack* is max(0, r - max of x over the 3 x 3 cells around). A
    shift of up to one cell (4 px in layer1, 8 px in layer2) makes neither, a defect does. On 6,664
    tiles shifted by up to 3 px this took the mean AUC from .982 (plain abs difference) to .990.

    Returns
    -------
    Names of float tensors [K, C]: of each pooling the excess, then the lack.
    """
    around = b.add(
        "MaxPool", [source.name], f"{level}_around", kernel_shape=[3, 3], pads=[1, 1, 1, 1]
    )
    sides = {
        "excess": _subtract(
            b, _images(b, source.name), _references(b, around), f"{level}_signed_excess", source
        ),
        "lack": _subtract(
            b, _references(b, source.name), _images(b, around), f"{level}_signed_lack", source
        ),
    }
    return list(_pool_sides(b, sides, level, pooling))


def _pool_sides(
    b: NodeBuilder, sides: dict[str, Map], level: str, pooling: tuple[str, ...]
) -> Iterator[str]:
    for kind in pooling:
        for side, signed in sides.items():
            output = f"{level}_{side}_{kind}"
            if signed.scale is not None:  # uint8 has lost its negative part already
                yield pool(b, signed, output, kind)
            elif kind == "max":  # cheaper to clip the pooled number than the map
                yield b.add("Relu", [pool(b, signed, f"{output}_signed", kind)], output)
            else:
                positive = b.add("Relu", [signed.name], f"{output}_positive")
                yield pool(b, Map(name=positive), output, kind)


def _subtract(b: NodeBuilder, minuend: str, subtrahend: str, output: str, source: Map) -> Map:
    """Minuend - subtrahend; of uint8 maps with what is below 0 cut off.

    ONNX Runtime has no subtraction of quantised maps, but an addition: BitwiseNot makes 255 - q of
    q, which with a zero point of 255 stands for the negative.
    """
    if source.scale is None:
        return Map(name=b.add("Sub", [minuend, subtrahend], output))
    inverted = b.add("BitwiseNot", [subtrahend], f"{output}_inverted")
    terms = [
        _dequantize(b, minuend, source.scale, f"{output}_minuend"),
        _dequantize(b, inverted, source.scale, f"{output}_subtrahend", zero=255),
    ]
    total = b.add("Add", terms, output)
    lowest = _once(b, "uint8_0", np.array(0, dtype=np.uint8))
    clipped = b.add("QuantizeLinear", [total, source.scale, lowest], f"{output}_uint8")
    return Map(name=clipped, scale=source.scale)


def _images(b: NodeBuilder, name: str) -> str:
    start, axis = _once(b, "int_0", np.array([0])), "int_0"
    output = f"{name}_of_images"
    known = any(output in node.output for node in b.nodes)
    return output if known else b.add("Slice", [name, start, IMAGE_COUNT, axis], output)


def _references(b: NodeBuilder, name: str) -> str:
    return b.add("Gather", [name, REFERENCE_ROWS], f"{name}_of_references", axis=0)


def _dequantize(b: NodeBuilder, name: str, scale: str, output: str, zero: int = 0) -> str:
    zero_point = _once(b, f"uint8_{zero}", np.array(zero, dtype=np.uint8))
    return b.add("DequantizeLinear", [name, scale, zero_point], output)


def _once(b: NodeBuilder, name: str, value: NDArray[Any]) -> str:
    known = any(tensor.name == name for tensor in b.initializers)
    return name if known else b.constant(name, value)
