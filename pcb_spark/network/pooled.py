"""Which maps the numbers of a feature vector are pooled from, as the graph says: for heat maps."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from pcb_spark.core import batches, bundle, heatmaps
from pcb_spark.network import pixel_numbers

#: What a mean is made of, see ``pooling``.
_SUM = "ReduceSum"


def mapper(model: bundle.Bundle) -> heatmaps.HeatMapper:
    """Give what makes heat maps of a bundle."""
    return heatmaps.HeatMapper(model, of_bundle(model))


def of_bundle(model: bundle.Bundle) -> tuple[heatmaps.Pool, ...]:
    """Say what each input of the feature vector pools, in order."""
    graph = onnx.load_from_string(model.parts[bundle.FEATURES]).graph
    makers = {output: node for node in graph.node for output in node.output}

    def above(tensor: str, *operators: str) -> onnx.NodeProto:
        node: onnx.NodeProto = makers[tensor]
        while node.op_type not in operators:
            node = makers[node.input[0]]
        return node

    def as_float(tensor: str) -> str:
        maker: onnx.NodeProto = makers[tensor]
        return maker.input[0] if maker.op_type == "QuantizeLinear" else tensor

    def mapped(whole: str) -> str:
        source: str = makers[whole].input[0]
        maker = makers[source]
        return maker.input[0] if maker.op_type == "Mul" else source

    def pools_of(tensor: str) -> Iterator[heatmaps.Pool]:
        if tensor == pixel_numbers.OUTPUT:
            for number in pixel_numbers.PIXEL_NUMBERS:
                operator = heatmaps.MEAN if number.endswith("_mean") else heatmaps.MAXIMUM
                yield heatmaps.Pool(pixel_numbers.shown_map(number), operator)
        else:
            node = above(tensor, heatmaps.MAXIMUM, heatmaps.MEAN, _SUM)
            if node.op_type == _SUM:
                yield heatmaps.Pool(as_float(mapped(node.input[0])), heatmaps.MEAN)
            else:  # a mean is so in bundles of earlier versions
                yield heatmaps.Pool(as_float(node.input[0]), node.op_type)

    concatenated = above(batches.FEATURES, "Concat").input
    return tuple(pool for tensor in concatenated for pool in pools_of(tensor))
