"""The sections of the configuration: one frozen class a stage, with defaults and bounds."""

from __future__ import annotations

import re
from datetime import date
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pcb_spark.layouts import GROUPS

Level = Literal["layer1", "layer2", "layer3", "layer4", "avgpool"]
Pooling = Literal["mean", "max"]
Precision = Literal["auto", "int8", "fp32"]
ReferenceMode = Literal["auto", "difference", "none"]


#: LightGBM's parameters for features of single images; README has the table.
WITHOUT_REFERENCES = {"num_iterations": 300, "learning_rate": 0.05, "num_leaves": 15}


class Section(BaseModel):
    """Base of every section: frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PathsConfig(Section):
    """Where the camera drop is and where the tables go; any URI that Hadoop can open."""

    drop: str = ""
    out: str = ""


class IngestConfig(Section):
    """How a camera drop is laid out, and how ingest goes through it.

    ``images``, ``references``, ``manifest`` and ``verdicts`` are relative to ``paths.drop``; the
    last two name files, folders or globs, and those that aren't there are left out. A drop without
    an ``images`` folder is searched as a whole. ``pattern`` is a Python regex with named groups.
    ``checkpoint`` left empty is a folder below ``paths.out``.
    ``reference_windows`` says which reference is good for which part and when; one whose sides
    differ by more than the tolerance, a share, is not used.
    """

    images: str = "images"
    references: str = "references"
    reference_windows: str = "references.csv"
    reference_size_tolerance: float = Field(default=0.02, ge=0, lt=1)
    manifest: tuple[str, ...] = ("manifest.csv", "manifest.parquet")
    verdicts: tuple[str, ...] = ("verdicts.csv", "verdicts")
    pattern: str = ""
    time_format: str = ""
    timezone: str = "UTC"
    future_tolerance_minutes: int = Field(default=60, ge=0)
    max_pixels: int = Field(default=50_000_000, gt=0)
    settle_seconds: int = Field(default=0, ge=0)
    files_per_batch: int = Field(default=5000, gt=0)
    trigger_seconds: int = Field(default=10, ge=0)
    look_seconds: int = Field(default=300, gt=0)
    checkpoint: str = ""

    @field_validator("manifest", "verdicts", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("pattern")
    @classmethod
    def _known_groups(cls, value: str) -> str:
        try:
            unknown = set(re.compile(value).groupindex) - set(GROUPS)
        except re.error as error:
            msg = f"is no regular expression: {error}"
            raise ValueError(msg) from None
        if unknown:
            msg = f"has groups that nothing is called: {', '.join(sorted(unknown))}"
            raise ValueError(msg)
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            msg = "is no time zone; expected an IANA name such as Europe/Berlin"
            raise ValueError(msg) from None
        return value


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


class FoldsConfig(Section):
    """Time-based cross-validation: an expanding window by capture date.

    ``learning_curve`` is how often the history is halved to see what less of it would do.
    """

    n: int = Field(default=4, ge=1)
    first_fraction: float = Field(default=0.4, gt=0, lt=1)
    group: Literal["board", "lot"] = "board"
    gap_days: int = Field(default=0, ge=0)
    learning_curve: int = Field(default=3, ge=0, le=10)


class ClassifierConfig(Section):
    """LightGBM's parameters, under LightGBM's names.

    The defaults are what measured best with references; ``settled`` knows better ones without.
    ``keep_features`` is ours: above 0 the trees are fitted once more on so many of the features,
    those that gained most in a first fit on the same rows.
    """

    num_iterations: int = Field(default=200, ge=1)
    learning_rate: float = Field(default=0.1, gt=0)
    num_leaves: int = Field(default=31, ge=2)
    min_data_in_leaf: int = Field(default=20, ge=1)
    feature_fraction: float = Field(default=0.1, gt=0, le=1)
    lambda_l2: float = Field(default=0.0, ge=0)
    is_unbalance: bool = False
    scale_pos_weight: float = Field(default=1.0, gt=0)
    keep_features: int = Field(default=0, ge=0)
    num_tasks: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _one_weighting(self) -> ClassifierConfig:
        if self.is_unbalance and self.scale_pos_weight != 1.0:
            msg = "classes are weighted by is_unbalance or by scale_pos_weight, not by both"
            raise ValueError(msg)
        return self

    def settled(self, *, difference: bool) -> ClassifierConfig:
        """Fill in the measured defaults of the reference mode where nothing else was set."""
        better = {} if difference else WITHOUT_REFERENCES
        return self.model_copy(
            update={k: v for k, v in better.items() if k not in self.model_fields_set}
        )


class PolicyConfig(Section):
    """How many true defects may be cleared, and how sure that has to be.

    ``segments`` have a threshold of their own where their defects are enough for one. ``bound``
    says whether the defects of one board count as independent. ``caught_ppm`` is how many defects
    the test machine catches in a million components; with it slips are told in ppm as well.
    """

    max_slip_rate: float = Field(default=0.02, gt=0, lt=1)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    segments: Literal["none", "line", "part_number"] = "none"
    bound: Literal["independent", "board"] = "independent"
    bootstrap_resamples: int = Field(default=500, ge=0)
    caught_ppm: float | None = Field(default=None, ge=0, le=1_000_000)

    @property
    def correlated_boards(self) -> bool:
        """Whether the bound takes defects of one board as correlated."""
        return self.bound == "board"


class TuneConfig(Section):
    """Model search: how many trials, on how much, and from which levels.

    ``levels`` left empty means layer1 to layer3, and avgpool where there is no reference.
    ``storage`` is a local SQLite file that an interrupted search is resumed from.
    """

    trials: int = Field(default=40, ge=1)
    levels: tuple[Level, ...] = ()
    max_images: int = Field(default=10_000, ge=1)
    storage: str = "~/.cache/pcb_spark/tune.db"


class ScoringConfig(Section):
    """What is scored, and the random share of cleared images that a person still sees."""

    since: date | None = None
    until: date | None = None
    audit_share: float = Field(default=0.02, ge=0, le=1)
    reuse_features: bool = True


class CompactConfig(Section):
    """How large the files get that many small ones become, in MB of 2**20 bytes."""

    target_mb: int = Field(default=256, gt=0)


class ReportConfig(Section):
    """``gallery`` is how many images each group of the report shows; 0 shows none."""

    gallery: int = Field(default=6, ge=0, le=100)


class SparkConfig(Section):
    """The session; ``master`` and ``driver_memory`` count in local mode only."""

    master: str = "local[*]"
    driver_memory: str = "4g"
    conf: dict[str, str] = Field(default_factory=dict)
