"""The sections of the configuration that say which network makes which features."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from pcb_spark.lake import folders
from pcb_spark.lake.settings import Section

Level = Literal["pixels", "layer1", "layer2", "layer3", "layer4", "avgpool"]
Stage = Literal["layer1", "layer2", "layer3", "layer4"]
Pooling = Literal["mean", "max"]
Precision = Literal["auto", "int8", "fp32"]
Engine = Literal["synapseml", "onnxruntime"]
ReferenceMode = Literal["auto", "difference", "own", "none"]


class BackboneConfig(Section):
    """Which ResNet-50 makes the features."""

    weights: str = "resnet50-v1-12"
    """ONNX file of a ResNet-50, the name of a pinned download, or ``untrained``."""
    sha256: str | None = None
    """Hash that a file of weights has to have; none is any."""
    cache: str = ""
    """Folder of downloaded weights on the driver; empty is pcb_spark's own cache."""
    input: str | None = None
    """Name of the graph's input where its structure doesn't tell."""
    levels: dict[str, str] | None = None
    """Names of tensors by level, e.g. ``{layer1 = "relu_9"}``, where the structure doesn't tell."""
    precision: Precision = "auto"
    """Numbers that the network computes in; ``auto`` is int8 where train finds it as good."""

    @property
    def cache_folder(self) -> Path:
        """Where downloaded weights are kept."""
        return Path(self.cache).expanduser() if self.cache else folders.cache_folder()


class FeaturesConfig(Section):
    """What is read off the backbone."""

    levels: tuple[Level, ...] = ()
    """Which maps of the network and, with references, ``pixels``, which compare grey levels; empty
    is pixels, layer1 and layer2 with references, layer2 and layer3 without.
    """
    pooling: tuple[Pooling, ...] = ()
    """How a map becomes numbers; empty is max with references, mean and max without."""
    image_levels: tuple[Stage, ...] | None = None
    """Which maps of the image itself, mean and max, are judged beside the difference by trees and a
    line of their own; empty is none. Left out layer2 and layer3 where ``levels`` is empty, too.
    """
    reference: ReferenceMode = "auto"
    """What images are compared with: ``difference`` is the drop's references, ``own`` golden images
    made of the line's own boards, ``none`` nothing; ``auto`` is the first of these that at least
    half of the images have.
    """
    nearest: bool = True
    """Whether an image is compared with the nearest that good images of its position show, pixel by
    pixel, and not with their mean, where it has a golden image of the line's own boards.
    """
    max_offset: float = Field(default=0.08, ge=0, le=0.2)
    """Largest offset from the reference that is corrected, as a share of the shorter side; beyond
    it an image is unscorable, and 0 takes images to lie where their references do.
    """

    @field_validator("levels", "pooling", "image_levels")
    @classmethod
    def _distinct(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and len(set(value)) != len(value):
            msg = "names one entry twice"
            raise ValueError(msg)
        return value

    @field_validator("levels")
    @classmethod
    def _with_a_map(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value == ("pixels",):
            msg = "pixels stand beside the network's maps, of which none is named"
            raise ValueError(msg)
        return value


class InferenceConfig(Section):
    """What runs the network on Spark, and how much of the work one task does."""

    engine: Engine = "synapseml"
    """``synapseml`` is ONNXModel in the JVM; ``onnxruntime`` runs in Spark's Python workers, needs
    no jar of SynapseML and is faster. Scores are the same.
    """
    images_per_partition: int = Field(default=0, ge=0)
    """Images a task; 0 is about 1,024, in a multiple of the task slots."""
