"""A logistic regression that stands beside the trees: what it holds, and its nodes in a graph.

It weighs log(1 + feature). Trees are cut where features of the training images lie; the more of
those there are, the surer trees become, and a threshold chosen on the scores of last month's model
means something else to this month's. A line doesn't: the mean of both log-odds keeps its scale.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pcb_spark.core import bundle
from pcb_spark.core.errors import BundleError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pcb_spark.network.nodes import NodeBuilder


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Linear:
    """Log-odds of ``fail`` are ``weights`` @ log(1 + features) + ``bias``.

    Attributes
    ----------
    weights : float32 (F,).
    center : float32 (F,), mean of log(1 + feature) over the training images.
    """

    weights: NDArray[np.float32]
    bias: float
    center: NDArray[np.float32]

    def log_odds(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds (n,) of features (n, F)."""
        found: NDArray[np.float64] = shrunk(features) @ self.weights.astype(np.float64) + self.bias
        return found

    def contributions(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """What each feature adds to the log-odds of an image of average features, (n, F)."""
        return (shrunk(features) - self.center) * self.weights.astype(np.float64)

    def to_json(self) -> str:
        """Give the text that ``from_json`` reads."""
        return json.dumps(
            {"weights": self.weights.tolist(), "bias": self.bias, "center": self.center.tolist()}
        )

    @classmethod
    def from_json(cls, text: str) -> Linear:
        """Read what ``to_json`` wrote.

        Raises
        ------
        BundleError : the text is no such model.
        """
        try:
            raw = json.loads(text)
            weights, center = (np.array(raw[k], dtype=np.float32) for k in ("weights", "center"))
            found = cls(weights=weights, bias=float(raw["bias"]), center=center)
        except (ValueError, TypeError, KeyError) as error:
            what, hint = "the bundle's linear.json can't be read", "copy the whole folder again"
            raise BundleError(what, got=f"{type(error).__name__}: {error}", hint=hint) from None
        return found


def of_bundle(model: bundle.Bundle) -> Linear | None:
    """Read what stands beside a bundle's trees; None where nothing does."""
    text = model.parts.get(bundle.LINEAR)
    return None if text is None else Linear.from_json(text.decode())


def shrunk(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """log(1 + feature), of any shape; a negative feature counts as 0."""
    found: NDArray[np.float64] = np.log1p(np.maximum(features, 0), dtype=np.float64)
    return found


def mixed(trees: NDArray[np.float64], linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability (n,) of the mean of both log-odds, (n,) each."""
    odds: NDArray[np.float64] = np.exp(-(trees + linear) / 2)
    return 1 / (1 + odds)


def add_log_odds(builder: NodeBuilder, rows: str, linear: Linear) -> str:
    """Add nodes from features [K, F] to log-odds [K, 1].

    Products are summed row by row: a matrix product rounds differently in batches of other sizes.
    """
    one = builder.constant("linear_one", np.ones(1, dtype=np.float32))
    weights = builder.constant("linear_weights", linear.weights[np.newaxis])
    bias = builder.constant("linear_bias", np.array([linear.bias], dtype=np.float32))
    positive = builder.add("Relu", [rows], "linear_positive")
    above = builder.add("Add", [positive, one], "linear_above")
    logs = builder.add("Log", [above], "linear_logs")
    products = builder.add("Mul", [logs, weights], "linear_products")
    axis = builder.ints("linear_axis", 1)
    total = builder.add("ReduceSum", [products, axis], "linear_sum", keepdims=1)
    return builder.add("Add", [total, bias], "linear_log_odds")
