"""The model that is served: how it decides, and how large its batches may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pcb_spark.core import (
    bundle,
    decisions,
    edge_bundle,
    images,
    machine,
    self_test,
    signatures,
)
from pcb_spark.core.errors import BundleError
from pcb_spark.core.pairs import Pair

if TYPE_CHECKING:
    from pcb_spark.core.scorer import Scorer
    from pcb_spark.core.share_cap import ShareCap

_KINDS = 8  # of differences between a picture and its reference


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Served:
    """One verified model, ready to decide.

    Attributes
    ----------
    batch : as many images may share a call: each gets the bits that it gets alone.
    loaded_at : when this process took it.
    """

    decider: decisions.Decider
    batch: int
    loaded_at: datetime

    @property
    def scorer(self) -> Scorer:
        """The network, and the rule."""
        return self.decider.scorer

    @property
    def manifest(self) -> bundle.Manifest:
        """What the model says of itself."""
        return self.scorer.manifest

    @property
    def exported_at(self) -> datetime:
        """When its bundle was made."""
        return self.decider.manifest.created_at

    @property
    def pooled_threshold(self) -> float:
        """The threshold of segments that have none of their own."""
        return self.scorer.thresholds.pooled

    @property
    def share_cap(self) -> ShareCap | None:
        """What lowers its thresholds, if its bundle came with one."""
        return self.decider.manifest.share_cap


def load(
    path: Path, *, trusted: Sequence[signatures.PublicKey], max_pixels: int | None, most: int
) -> Served:
    """Verify an edge bundle, a folder or a .zip, and make it ready.

    Parameters
    ----------
    trusted : keys whose signatures are believed.
    max_pixels : width x height of the largest image; None: as the bundle says.
    most : images that may share a call, where the model gives all of them the same bits.

    Raises
    ------
    BundleError : it is none, is signed by nobody who is trusted, was changed, its graph can't be
        run, or its own images get another score here.
    """
    edge = edge_bundle.open_bundle(path, trusted)
    try:
        decider = decisions.Decider(edge, max_pixels=max_pixels)
        batch = agreeing_batch(decider.scorer, most)
        found = self_test.differences(edge, decider.scorer)
    except Exception as error:  # noqa: BLE001  ONNX Runtime's have no other common base
        what = f"the graph of {path} can't be run"
        got = f"{type(error).__name__}: {error}"
        raise BundleError(what, got=got, hint="export it again with this version") from None
    if found:
        what = f"{len(found)} of the images that {path} brings get another score on this machine"
        made, own = edge.manifest.made_with, machine.describe()
        hint = f"it was made with {dict(made)}, and this is {own}"
        raise BundleError(what, expected="the same to the last bit", got=found[0], hint=hint)
    return Served(decider=decider, batch=batch, loaded_at=datetime.now(UTC))


def agreeing_batch(scorer: Scorer, most: int) -> int:
    """Give the largest batch, 1 to ``most``, up to which scores are those of images alone.

    Kernels may add up in another order for several images than for one. Of the networks that
    pcb_spark cuts none does (``docs/how-to/service.md``); one that does is found here, and its
    images are scored one by one.
    """
    pairs = _probes(most, difference=scorer.pairs.reading.difference)
    alone = [scorer.probabilities([pair])[0] for pair in pairs]
    for size in range(2, most + 1):
        if scorer.probabilities(pairs[:size]) != alone[:size]:
            return size - 1
    return most


def _probes(count: int, *, difference: bool) -> list[Pair]:
    """Pictures that lie ever farther from one reference, every other one grey."""
    rng = np.random.default_rng(0)
    shape = (3, images.SIDE, images.SIDE)
    golden = rng.integers(0, 256, shape, dtype=np.uint8)
    pairs = []
    for number in range(count):
        noise = rng.normal(0, 2.0 ** (number % _KINDS), shape)
        pixels = np.clip(golden + noise, 0, 255).astype(np.uint8)
        if number % 2:
            pixels = np.broadcast_to(pixels[:1], shape)
        pairs.append(Pair(pixels, golden if difference else None))
    return pairs
