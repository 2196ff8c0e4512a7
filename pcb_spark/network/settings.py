"""The sections of the configuration that say which network makes which features."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from pcb_spark.lake.settings import Section

Level = Literal["layer1", "layer2", "layer3", "layer4", "avgpool"]
Pooling = Literal["mean", "max"]
Precision = Literal["auto", "int8", "fp32"]
ReferenceMode = Literal["auto", "difference", "none"]


class BackboneConfig(Section):
    """Which ResNet-50 makes the features.

    ``weights`` is a file, the name of a pinned download, or ``untrained``. ``sha256`` pins a file.
    ``input`` and ``levels`` name tensors of a graph in which they can't be found by its structure.
    ``precision = "auto"`` serves int8 where train finds it as good as fp32 on whole boards of about
    ``compared_images`` images.
    """

    weights: str = "resnet50-v1-12"
    sha256: str | None = None
    cache: str = "~/.cache/pcb_spark"
    input: str | None = None
    levels: dict[str, str] | None = None
    allow_untrained: bool = False
    precision: Precision = "auto"
    compared_images: int = Field(default=2_000, ge=1)


class FeaturesConfig(Section):
    """What is read off the backbone.

    ``levels`` and ``pooling`` left empty mean the measured default of the reference mode.
    ``reference = "auto"`` uses references where at least half of the images have one.
    ``max_offset`` is a share of an image's side: up to there it is moved onto its reference.
    """

    levels: tuple[Level, ...] = ()
    pooling: tuple[Pooling, ...] = ()
    reference: ReferenceMode = "auto"
    max_offset: float = Field(default=0.08, ge=0, le=0.2)

    @field_validator("levels", "pooling")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            msg = "names one entry twice"
            raise ValueError(msg)
        return value


class InferenceConfig(Section):
    """Batches and partitions of ONNX inference; ``inference.InferencePlan`` derives what is 0."""

    batch_size: int = Field(default=0, ge=0)
    images_per_partition: int = Field(default=0, ge=0)
