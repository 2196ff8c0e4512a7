"""The logistic regression beside the trees as nodes of a graph.

Roots, products and sums are rounded alike in every batch size, on every machine; logarithms and
matrix products aren't.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pcb_spark.core.linear import Linear
    from pcb_spark.network.nodes import NodeBuilder


def add_log_odds(builder: NodeBuilder, rows: str, linear: Linear, *, prefix: str = "") -> str:
    """Add nodes from features [K, F] to log-odds [K, 1]; ``prefix`` tells two lines apart.

    Products are added in halves: operators that sum take another order in batches of other sizes.
    """
    width, name = len(linear.weights), f"{prefix}linear"
    weights = builder.constant(f"{name}_weights", linear.weights[np.newaxis])
    most = builder.constant(f"{name}_most", linear.most[np.newaxis])
    bias = builder.constant(f"{name}_bias", np.array([linear.bias], dtype=np.float32))
    positive = builder.add("Relu", [rows], f"{name}_positive")
    root = builder.add("Sqrt", [positive], f"{name}_roots")
    clipped = builder.add("Min", [root, most], f"{name}_clipped")
    products = builder.add("Mul", [clipped, weights], f"{name}_products")
    whole = 1 << (width - 1).bit_length()
    missing = builder.ints(f"{name}_missing", 0, 0, 0, whole - width)
    total = builder.add("Pad", [products, missing], f"{name}_padded")
    while whole > 1:
        whole //= 2
        halves = [f"{name}_left_{whole}", f"{name}_right_{whole}"]
        builder.add_many("Split", [total], halves, axis=1, num_outputs=2)
        total = builder.add("Add", halves, f"{name}_sum_{whole}")
    return builder.add("Add", [total, bias], f"{name}_log_odds")
