"""The sections of the configuration that say how the classifier is trained and judged."""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic import Field, model_validator

from pcb_spark.lake.settings import Section
from pcb_spark.network.settings import Level

#: LightGBM's parameters for features of single images; README has the table.
WITHOUT_REFERENCES = {"num_iterations": 300, "learning_rate": 0.05, "num_leaves": 15}


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


class LearningConfig(Protocol):
    """What training and judging read of the configuration; ``pipeline.config.Config`` has it."""

    @property
    def seed(self) -> int:
        """Of every draw."""
        ...

    @property
    def folds(self) -> FoldsConfig:
        """How history is cut."""
        ...

    @property
    def classifier(self) -> ClassifierConfig:
        """LightGBM's parameters."""
        ...

    @property
    def policy(self) -> PolicyConfig:
        """What is promised."""
        ...

    @property
    def tune(self) -> TuneConfig:
        """How the model search goes."""
        ...
