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


def add_log_odds(builder: NodeBuilder, rows: str, linear: Linear) -> str:
    """Add nodes from features [K, F] to log-odds [K, 1].

    Products are added in halves: operators that sum take another order in batches of other sizes.
    """
    width = len(linear.weights)
    weights = builder.constant("linear_weights", linear.weights[np.newaxis])
    most = builder.constant("linear_most", linear.most[np.newaxis])
    bias = builder.constant("linear_bias", np.array([linear.bias], dtype=np.float32))
    positive = builder.add("Relu", [rows], "linear_positive")
    root = builder.add("Sqrt", [positive], "linear_roots")
    clipped = builder.add("Min", [root, most], "linear_clipped")
    products = builder.add("Mul", [clipped, weights], "linear_products")
    whole = 1 << (width - 1).bit_length()
    missing = builder.ints("linear_missing", 0, 0, 0, whole - width)
    total = builder.add("Pad", [products, missing], "linear_padded")
    while whole > 1:
        whole //= 2
        halves = [f"linear_left_{whole}", f"linear_right_{whole}"]
        builder.add_many("Split", [total], halves, axis=1, num_outputs=2)
        total = builder.add("Add", halves, f"linear_sum_{whole}")
    return builder.add("Add", [total, bias], "linear_log_odds")
