"""Configuration: one frozen class a stage, read from TOML, checked before Spark starts.

``load`` reads a file and applies ``--set`` overrides; every key that nobody knows is an error that
names the nearest known one. Nothing here reads the environment.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pcb_spark import stores
from pcb_spark.errors import ConfigError
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
    """

    num_iterations: int = Field(default=200, ge=1)
    learning_rate: float = Field(default=0.1, gt=0)
    num_leaves: int = Field(default=31, ge=2)
    min_data_in_leaf: int = Field(default=20, ge=1)
    feature_fraction: float = Field(default=0.1, gt=0, le=1)
    lambda_l2: float = Field(default=0.0, ge=0)
    is_unbalance: bool = False
    num_tasks: int = Field(default=0, ge=0)

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


class ReportConfig(Section):
    """``gallery`` is how many images each group of the report shows; 0 shows none."""

    gallery: int = Field(default=6, ge=0, le=100)


class SparkConfig(Section):
    """The session; ``master`` and ``driver_memory`` count in local mode only."""

    master: str = "local[*]"
    driver_memory: str = "4g"
    conf: dict[str, str] = Field(default_factory=dict)


class Config(Section):
    """The whole configuration of every job."""

    seed: int = 0
    paths: PathsConfig = PathsConfig()
    ingest: IngestConfig = IngestConfig()
    backbone: BackboneConfig = BackboneConfig()
    features: FeaturesConfig = FeaturesConfig()
    inference: InferenceConfig = InferenceConfig()
    folds: FoldsConfig = FoldsConfig()
    classifier: ClassifierConfig = ClassifierConfig()
    policy: PolicyConfig = PolicyConfig()
    scoring: ScoringConfig = ScoringConfig()
    report: ReportConfig = ReportConfig()
    tune: TuneConfig = TuneConfig()
    spark: SparkConfig = SparkConfig()

    def places(self) -> dict[str, str]:
        """Return what may lie on a store, by its key."""
        found = {
            "paths.drop": self.paths.drop,
            "paths.out": self.paths.out,
            "ingest.checkpoint": self.ingest.checkpoint,
        }
        return {key: uri for key, uri in found.items() if uri}

    def sha256(self) -> str:
        """Return the hex digest of the canonical JSON form; equal configurations are equal."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def load(path: Path | None, overrides: Iterable[str] = ()) -> Config:
    """Read ``path`` (none: all defaults) and apply ``section.key=value`` overrides in order.

    Raises
    ------
    ConfigError : no such file, no TOML, unknown key, wrong type or out of range, a place that no
        connector opens, a secret.
    """
    raw = _read(path) if path is not None else {}
    for override in overrides:
        _apply(raw, override)
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise _readable(error, path) from None
    stores.check(config.places(), config.spark.conf)
    return config


def known_keys() -> tuple[str, ...]:
    """Return every key in dotted form, e.g. ``features.levels``, in the order of definition."""
    return tuple(_keys_below(Config))


def _keys_below(model: type[BaseModel], prefix: str = "") -> Iterable[str]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _keys_below(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        what = f"no configuration file {path}"
        raise ConfigError(what, hint="name an existing file with --config") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        what = f"{path} can't be read as TOML"
        raise ConfigError(what, got=error, hint="correct the file") from None


def _apply(raw: dict[str, Any], override: str) -> None:
    dotted, separator, text = override.partition("=")
    keys = dotted.strip().split(".")
    if not separator or not all(keys):
        what = f"--set {override} can't be understood"
        raise ConfigError(what, expected="section.key=value", hint="e.g. --set folds.n=5")
    section = raw
    for key in keys[:-1]:
        section = section.setdefault(key, {})
        if not isinstance(section, dict):
            what = f"--set {override}: {key} is a value, not a section"
            raise ConfigError(what, hint=_nearest(dotted))
    section[keys[-1]] = _value(text.strip())


def _value(text: str) -> Any:
    """Read TOML's notation; what is none is taken as the string it looks like."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _readable(error: ValidationError, path: Path | None) -> ConfigError:
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    where = f" in {path} or --set" if path else " in --set"
    if first["type"] == "extra_forbidden":
        return ConfigError(f"unknown key {key}{where}", hint=_nearest(key))
    got = first["input"]
    return ConfigError(
        f"{key}{where} can't be used",
        expected=first["msg"],
        got=None if isinstance(got, Mapping) else repr(got),
        hint=f"{error.error_count()} value(s) to correct; README lists every key",
    )


def _nearest(key: str) -> str:
    close = difflib.get_close_matches(key, known_keys(), n=1, cutoff=0.0)
    return f"did you mean {close[0]}?"
