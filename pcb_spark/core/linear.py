"""A logistic regression that stands beside the trees.

It weighs square roots of features. Trees are cut where features of the training images lie; the
more of those there are, the surer trees become, and a threshold chosen on the scores of last
month's model means something else to this month's. A line doesn't: the mean of both log-odds keeps
its scale.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from pcb_spark.core.errors import BundleError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: How much the log-odds of the image itself count beside those of the difference; a half did less
#: where references are those of the drop.
IMAGE_SHARE: Final = 0.25

_ARRAYS = ("weights", "center", "most")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Linear:
    """Log-odds of ``fail`` are ``weights`` @ min(sqrt(features), ``most``) + ``bias``.

    Attributes
    ----------
    weights : float32 (F,).
    center, most : float32 (F,), mean and maximum of sqrt(feature) over the training images.
        Beyond what it was fitted on, a line would say more and more of what it doesn't know.
    """

    weights: NDArray[np.float32]
    bias: float
    center: NDArray[np.float32]
    most: NDArray[np.float32]

    def log_odds(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds (n,) of features (n, F)."""
        found: NDArray[np.float64] = self._roots(features) @ self.weights.astype(np.float64)
        return found + self.bias

    def contributions(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """What each feature adds to the log-odds of an image of average features, (n, F)."""
        return (self._roots(features) - self.center) * self.weights.astype(np.float64)

    def _roots(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.minimum(roots(features), self.most)

    def to_json(self) -> str:
        """Give the text that ``from_json`` reads."""
        arrays = {name: getattr(self, name).tolist() for name in _ARRAYS}
        return json.dumps({**arrays, "bias": self.bias})

    @classmethod
    def from_json(cls, text: str, part: str = "linear.json") -> Linear:
        """Read what ``to_json`` wrote into the file ``part`` of a bundle.

        Raises
        ------
        BundleError : the text is no such model.
        """
        try:
            raw = json.loads(text)
            arrays = {name: np.array(raw[name], dtype=np.float32) for name in _ARRAYS}
            found = cls(bias=float(raw["bias"]), **arrays)
        except (ValueError, TypeError, KeyError) as error:
            what, hint = f"the bundle's {part} can't be read", "copy the whole folder again"
            raise BundleError(what, got=f"{type(error).__name__}: {error}", hint=hint) from None
        return found


def of_parts(parts: Mapping[str, bytes], name: str) -> Linear | None:
    """Read what stands beside trees out of a bundle's files; None where nothing does."""
    text = parts.get(name)
    return None if text is None else Linear.from_json(text.decode(), name)


def roots(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """sqrt(feature), of any shape; a negative feature counts as 0."""
    found: NDArray[np.float64] = np.sqrt(np.maximum(features, 0), dtype=np.float64)
    return found


def mean(trees: NDArray[np.float64], linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean log-odds (n,) of trees and of what stands beside them, (n,) each."""
    return (trees + linear) / 2


def probability(
    log_odds: NDArray[np.float64], image: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Probability (n,) of log-odds (n,), of which those of the image itself are a part.

    Parameters
    ----------
    image : log-odds (n,) by the image itself; None where it isn't judged apart.
    """
    if image is not None:
        log_odds = (1 - IMAGE_SHARE) * log_odds + IMAGE_SHARE * image
    odds: NDArray[np.float64] = np.exp(-log_odds)
    return 1 / (1 + odds)
