"""Building blocks of ONNX graphs: named nodes, constants, and the model around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from numpy.typing import NDArray

OPSET = 18  # the first with BitwiseNot, which int8 graphs subtract with
ML_OPSET = 1
IR_VERSION = 8


class NodeBuilder:
    """Collects nodes and constants; every node gets a name, as ONNXModel's slicing needs."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def add(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node of the name of its one output, and return that name."""
        node = helper.make_node(op, inputs, [output], name=output, **attributes)
        self.nodes.append(node)
        return output

    def add_many(
        self, op: str, inputs: Sequence[str], outputs: Sequence[str], **given: Any
    ) -> None:
        """Add a node of several outputs, under the name of the first."""
        self.nodes.append(helper.make_node(op, inputs, outputs, name=outputs[0], **given))

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add an initializer and return its name."""
        self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def ints(self, name: str, *values: int) -> str:
        """Add a vector of int64 and return its name."""
        return self.constant(name, np.array(values, dtype=np.int64))


def checked_model(graph: onnx.GraphProto) -> onnx.ModelProto:
    """Wrap a graph in a checked model of the opsets used here."""
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    made = helper.make_model(
        graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="pcb_spark"
    )
    onnx.checker.check_model(made)
    return made
