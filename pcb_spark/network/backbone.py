"""The ResNet-50 that makes the features: get it, verify it, cut it.

Whatever file the weights come from, ``load`` gives the same kind of graph (see ``trunk``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pcb_spark.core.errors import BackboneError
from pcb_spark.network import pretrained, resnet50, trunk
from pcb_spark.network.pretrained import SOURCES, WeightsSource
from pcb_spark.network.resnet50 import INPUT

if TYPE_CHECKING:
    import onnx

__all__ = [
    "SOURCES", "UNTRAINED", "Backbone", "WeightsSource", "cut", "fingerprint", "load",
]  # fmt: skip

UNTRAINED = "untrained"
"""Stands for a seeded network that has learned nothing, in place of a file or a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """A verified ResNet-50 without its last layer.

    ``model`` reads ``input_name`` and gives every tensor in ``levels``, which maps ``layer1`` ..
    ``layer4`` to names in the graph. ``sha256`` is that of the file that the weights came from.
    """

    model: onnx.ModelProto
    levels: Mapping[str, str]
    input_name: str
    source: str
    sha256: str
    trained: bool


def load(
    weights: str, *, cache_dir: Path, input_name: str | None = None,
    level_names: Mapping[str, str] | None = None, sha256: str | None = None, seed: int = 0,
    timeout_s: float = 10,
) -> Backbone:  # fmt: skip
    """Get a ResNet-50, verify that it is one, and bring it into the one form used here.

    Parameters
    ----------
    weights : path of an ONNX file, a name in ``SOURCES``, or ``untrained``, for demonstrations and
        tests.
    cache_dir : where downloads are kept.
    input_name, level_names : tensors of a graph whose structure doesn't show them; without them
        the input is the only one there is, and the levels are found by walking the graph.
    sha256 : of the file, hexadecimal; checked before anything in the file is used.
    seed : of the untrained network.
    timeout_s : for connecting, and for each read, of a download; in seconds.

    Raises
    ------
    BackboneError : not there, damaged, another hash, or no ResNet-50.
    """
    if weights == UNTRAINED:
        content = resnet50.build(seed=seed).SerializeToString(deterministic=True)
    else:
        content = _read(weights, cache_dir=cache_dir, sha256=sha256, timeout_s=timeout_s)
    digest = hashlib.sha256(content).hexdigest()
    _check_pin(weights, pinned=sha256, digest=digest)
    model = pretrained.parse(content, weights)
    network = trunk.extract(model, where=weights, input_name=input_name, level_names=level_names)
    return Backbone(
        model=network.model, levels=network.levels, input_name=network.input_name,
        source=weights, sha256=digest, trained=weights != UNTRAINED,
    )  # fmt: skip


def cut(backbone: Backbone, levels: Sequence[str]) -> onnx.ModelProto:
    """Keep only what the asked levels need.

    Returns
    -------
    Input ``data`` float32 (N, 3, 224, 224), RGB / 255 normalised by ``MEAN`` and ``STD``; one
    output for each asked level, under its own name and in the order asked, (N, C, H, W) as in
    ``resnet50.LEVEL_SHAPES``. Nodes keep their names, inner tensors theirs.

    Raises
    ------
    BackboneError : no level, one twice, or one that this backbone doesn't have.
    """
    if not levels or len(set(levels)) < len(levels) or not set(levels) <= backbone.levels.keys():
        raise BackboneError(
            "the backbone can't be cut at these levels",
            expected=f"one or more of {', '.join(backbone.levels)}, each once",
            got=", ".join(levels) or "none",
        )
    tensors = [backbone.levels[level] for level in levels]
    model = trunk.between(backbone.model, backbone.input_name, tensors)
    trunk.rename_tensors(
        model.graph, {backbone.input_name: INPUT, **dict(zip(tensors, levels, strict=True))}
    )
    return model


def fingerprint(model: onnx.ModelProto) -> str:
    """Return the SHA-256, hexadecimal, of the model's deterministic serialisation."""
    return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()


def _read(weights: str, *, cache_dir: Path, sha256: str | None, timeout_s: float) -> bytes:
    source = SOURCES.get(weights)
    if source is None:
        return pretrained.read(Path(weights).expanduser())
    _check_pin(weights, pinned=sha256, digest=source.sha256)  # Before 100 MB are downloaded.
    return pretrained.read(pretrained.fetch(source, cache_dir=cache_dir, timeout_s=timeout_s))


def _check_pin(weights: str, *, pinned: str | None, digest: str) -> None:
    if pinned is not None and pinned.lower() != digest:
        raise BackboneError(
            f"the weights {weights} aren't those that backbone.sha256 pins",
            expected=f"sha256 {pinned}", got=f"sha256 {digest}",
            hint="use the pinned file; or, if the change is intended, pin the new hash",
        )  # fmt: skip
