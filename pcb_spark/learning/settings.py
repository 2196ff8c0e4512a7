"""The sections of the configuration that say how the classifier is trained and judged."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol, Self

from pydantic import Field, field_validator, model_validator

from pcb_spark.lake import folders
from pcb_spark.lake.settings import Section
from pcb_spark.learning.bootstrap import Resampling
from pcb_spark.learning.promise import Bound, Promise
from pcb_spark.network.settings import Level

#: LightGBM's parameters that depend on whether features are differences to a reference, as they
#: measured best; docs/results/accuracy.md has the tables.
WITH_REFERENCES = {
    "num_iterations": 200, "learning_rate": 0.1, "num_leaves": 31, "min_sum_hessian_in_leaf": 3.0,
}  # fmt: skip
WITHOUT_REFERENCES = {
    "num_iterations": 300, "learning_rate": 0.05, "num_leaves": 15, "min_sum_hessian_in_leaf": 3.0,
}  # fmt: skip

#: Values of ``policy.bound`` that are gone, and what to set in place of each.
_GONE_BOUNDS = {
    "independent": "'next' or 'lot': 'independent' bounded the mean of the past and is gone; "
    "leave policy.bound out, or set it to 'next', which bounds the next defects",
    "board": "'next' or 'lot': 'board' is gone, since defects differ by lot far more than by "
    "board; set policy.bound to 'lot', which lets lots differ",
}


class FoldsConfig(Section):
    """Time-based cross-validation: an expanding window by capture date."""

    n: int = Field(default=4, ge=1)
    """How many test windows."""
    first_fraction: float = Field(default=0.4, gt=0, lt=1)
    """Share of the days before the first test window."""
    group: Literal["board", "lot"] = "board"
    """What is never split between training and test."""
    window_days: int = Field(default=0, ge=0)
    """Trains on the last so many days with verdicts, a window that rolls on with each training; 0
    is all there are, a window that grows."""
    gap_days: int = Field(default=0, ge=0)
    """Days left out between training and test."""
    learning_curve: int = Field(default=3, ge=0, le=10)
    """How often the history is halved to see what less of it would do."""


class ClassifierConfig(Section):
    """LightGBM's parameters, under LightGBM's names.

    What is None is what measured best in the reference mode of the features, see
    ``for_reference_mode``.
    """

    num_iterations: int | None = Field(default=None, ge=1)
    """Trees; left out 200 with references, 300 without."""
    learning_rate: float | None = Field(default=None, gt=0)
    """How much of a tree counts; left out 0.1 with references, 0.05 without."""
    num_leaves: int | None = Field(default=None, ge=2)
    """Most leaves of a tree; left out 31 with references, 15 without."""
    min_sum_hessian_in_leaf: float | None = Field(default=None, ge=0)
    """Least sum of p (1 - p) in a leaf, which keeps trees from becoming ever surer the more images
    there are; left out 3.
    """
    linear: bool = True
    """A logistic regression beside the trees; scores are of the mean of both log-odds."""
    min_data_in_leaf: int = Field(default=20, ge=1)
    """Fewest images of a leaf."""
    feature_fraction: float = Field(default=0.1, gt=0, le=1)
    """Share of the features that each tree may use."""
    lambda_l2: float = Field(default=0.0, ge=0)
    """L2 regularisation of the leaves."""
    is_unbalance: bool = False
    """Weighs the rarer class up to the other, which shifts scores away from probabilities; not
    together with ``scale_pos_weight``.
    """
    scale_pos_weight: float = Field(default=1.0, gt=0)
    """Weight of a ``fail``, which shifts scores away from probabilities if it isn't 1."""
    keep_features: int = Field(default=0, ge=0)
    """Features to keep: trees are fitted again on those that gained most in a first fit on the same
    rows; 0 keeps all.
    """
    num_tasks: int = Field(default=0, ge=0)
    """LightGBM's workers; 0 is one a task slot."""

    @model_validator(mode="after")
    def _one_weighting(self) -> Self:
        if self.is_unbalance and self.scale_pos_weight != 1.0:
            msg = "classes are weighted by is_unbalance or by scale_pos_weight, not by both"
            raise ValueError(msg)
        return self

    def for_reference_mode(self, *, difference: bool, image_width: int = 0) -> TreeSettings:
        """Fill in what measured best with references (``difference``), or without.

        Parameters
        ----------
        image_width : how many features, the last ones, are of the image itself beside a difference;
            trees of their own are fitted on them, as without references.
        """
        best = WITH_REFERENCES if difference else WITHOUT_REFERENCES
        filled = best | self.model_dump(exclude_none=True)
        if image_width:
            beside = self.for_reference_mode(difference=False)
            filled |= {"image_width": image_width, "image": beside}
        return TreeSettings.model_validate(filled)


class TreeSettings(ClassifierConfig):
    """The parameters that trees are fitted with: nothing is left to be filled in."""

    num_iterations: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    num_leaves: int = Field(ge=2)
    min_sum_hessian_in_leaf: float = Field(ge=0)
    image_width: int = Field(default=0, ge=0)
    """How many features, the last ones, are of the image itself beside a difference."""
    image: TreeSettings | None = None
    """What trees are fitted with on these; None where there are none."""

    def drawn_json(self) -> str:
        """Keys of the section ``classifier`` as JSON."""
        return self.model_dump_json(exclude={"image", "image_width"})

    @property
    def compared(self) -> TreeSettings:
        """The parameters of the other trees alone."""
        return self.model_copy(update={"image": None, "image_width": 0})


class PolicyConfig(Section):
    """How many true defects may be cleared, and how sure that has to be."""

    max_slip_rate: float = Field(default=0.02, gt=0, lt=1)
    """Largest share of true defects that may be cleared."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence of that bound, and of every interval."""
    segments: Literal["none", "line", "part_number"] = "none"
    """What has a threshold of its own where its defects are enough, else the pooled one."""
    bound: Bound = "next"
    """``next`` promises the next defects if they resemble the known ones; ``lot`` is stricter and
    lets lots differ.
    """
    share_cap: bool = True
    """Whether a night clears no larger share of its images than the promise was judged by, and a
    margin for chance: by the scores of the night before. `nightly` alone has nights.
    """
    new_part: Literal["review", "clear"] = "review"
    """``review`` clears nothing of part numbers and lines that the model wasn't trained on, since
    no bound holds for what was never seen; ``clear`` decides them as all others. Training writes
    it into the bundle.
    """
    bootstrap_resamples: int = Field(default=500, ge=0)
    """How often boards are drawn anew for the intervals of AUC."""
    caught_ppm: float | None = Field(default=None, ge=0, le=1_000_000)
    """Defects that the test machine catches in a million components; tells slips in ppm too."""

    @field_validator("bound", mode="before")
    @classmethod
    def _bound_is_there(cls, bound: object) -> object:
        if isinstance(bound, str) and bound in _GONE_BOUNDS:
            raise ValueError(_GONE_BOUNDS[bound])
        return bound

    @property
    def promise(self) -> Promise:
        """What is promised, in the form that thresholds are chosen by."""
        return Promise(
            max_slip_rate=self.max_slip_rate,
            confidence=self.confidence,
            segment_by=None if self.segments == "none" else self.segments,
            bound=self.bound,
        )


class TuneConfig(Section):
    """Model search: how many trials, on how much, and from which levels."""

    trials: int = Field(default=40, ge=1)
    """Settings to try, those of an interrupted search included."""
    levels: tuple[Level, ...] = ()
    """Levels to choose from; empty is layer1 to layer3, and avgpool without references."""
    max_images: int = Field(default=10_000, ge=1)
    """Beyond so many images whole boards are left out, drawn by a hash of their id."""
    storage: str = ""
    """SQLite file of the trials, on the driver, from which an interrupted search goes on; empty is
    tune.db in pcb_spark's own cache.
    """

    @property
    def storage_file(self) -> Path:
        """The SQLite file."""
        own = folders.cache_folder() / "tune.db"
        return Path(self.storage).expanduser() if self.storage else own


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


def resampling(config: LearningConfig) -> Resampling:
    """How intervals are drawn."""
    return Resampling(resamples=config.policy.bootstrap_resamples, seed=config.seed)
