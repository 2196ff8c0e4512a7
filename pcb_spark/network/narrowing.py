"""What lies behind a stage of the trunk sees the images of a batch alone, not their references.

Maps of the image itself are read deeper than maps that are compared: without this the network would
go on with the references for nobody.
"""

from __future__ import annotations

import onnx

from pcb_spark.network import pooling
from pcb_spark.network.nodes import NodeBuilder
from pcb_spark.network.unpacking import IMAGE_COUNT


def narrowed(trunk: onnx.ModelProto, stage: str) -> onnx.ModelProto:
    """Return a copy of ``trunk`` where what is behind ``stage`` reads its rows of images.

    Of a quantised trunk these rows are taken in uint8, so that the convolutions stay in 8 bits. The
    output ``stage`` itself keeps all rows.
    """
    source, seen = pooling.map_of(trunk, stage), f"{stage}_seen_alone"
    maker = next(node for node in trunk.graph.node if stage in node.output)
    builder = NodeBuilder()
    start = builder.ints(f"{stage}_first_row", 0)
    rows = [source.name, start, IMAGE_COUNT, start]
    if source.scale is None:
        builder.add("Slice", rows, seen)
    else:
        octets = builder.add("Slice", rows, f"{seen}_uint8")
        builder.add("DequantizeLinear", [octets, *maker.input[1:]], seen)
    copy = onnx.ModelProto()
    copy.CopyFrom(trunk)
    for node in copy.graph.node:
        node.input[:] = [seen if name == stage else name for name in node.input]
    place = 1 + next(i for i, node in enumerate(copy.graph.node) if stage in node.output)
    nodes = [*copy.graph.node[:place], *builder.nodes, *copy.graph.node[place:]]
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    copy.graph.initializer.extend(builder.initializers)
    return copy
