"""Configuration: the sections of every stage, read from TOML, checked before Spark starts.

``load`` reads a file and applies ``--set`` overrides; every key that nobody knows is an error that
names the nearest known one. Nothing here reads the environment.
"""

from __future__ import annotations

import difflib
import hashlib
import logging
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from pcb_spark.core import names
from pcb_spark.core.errors import ConfigError
from pcb_spark.core.review import Shares
from pcb_spark.golden.settings import GoldenConfig
from pcb_spark.ingest.settings import IngestConfig
from pcb_spark.lake import folders, stores
from pcb_spark.lake.settings import CompactConfig, PathsConfig, Section, SparkConfig
from pcb_spark.learning.settings import ClassifierConfig, FoldsConfig, PolicyConfig, TuneConfig
from pcb_spark.monitor.settings import MonitorConfig
from pcb_spark.network.settings import BackboneConfig, FeaturesConfig, InferenceConfig
from pcb_spark.pipeline.settings import RegistryConfig, ReportConfig, ScoringConfig

_REFERENCE = "docs/reference/configuration.md"


log = logging.getLogger(__name__)


#: Keys that are gone, and what to do about each.
_GONE: Final = {
    "backbone.allow_untrained": 'leave it out: backbone.weights = "untrained" says it by itself',
    "backbone.compared_images": "leave it out; where the comparison takes too long, set "
    "backbone.precision to int8 or fp32",
    "inference.batch_size": "leave it out: 8 images a call measured best",
}


_NEXT_KEY: Final = re.compile(r"(?:seed|[a-z][a-z_0-9]*(?:\.[a-z_0-9]+)+)=")


class Config(Section):
    """The whole configuration of every job."""

    seed: int = 0
    """Decides trees, audit draw, bootstrap and the untrained network."""
    paths: PathsConfig = PathsConfig()
    ingest: IngestConfig = IngestConfig()
    backbone: BackboneConfig = BackboneConfig()
    features: FeaturesConfig = FeaturesConfig()
    golden: GoldenConfig = GoldenConfig()
    inference: InferenceConfig = InferenceConfig()
    folds: FoldsConfig = FoldsConfig()
    classifier: ClassifierConfig = ClassifierConfig()
    policy: PolicyConfig = PolicyConfig()
    scoring: ScoringConfig = ScoringConfig()
    monitor: MonitorConfig = MonitorConfig()
    registry: RegistryConfig = RegistryConfig()
    report: ReportConfig = ReportConfig()
    tune: TuneConfig = TuneConfig()
    compact: CompactConfig = CompactConfig()
    spark: SparkConfig = SparkConfig()

    def places(self) -> dict[str, str]:
        """Return what may lie on a store, by its key."""
        found = {
            "paths.drop": self.paths.drop,
            "paths.out": self.paths.out,
            "ingest.checkpoint": self.ingest.checkpoint,
        }
        return {key: uri for key, uri in found.items() if uri}

    @property
    def needs_synapseml(self) -> bool:
        """Whether features and scores need SynapseML's jars; LightGBM's fit always does."""
        return self.inference.engine == names.SYNAPSEML

    @property
    def shares(self) -> Shares:
        """How much of what is cleared an operator sees all the same."""
        wanted = self.scoring
        return Shares(control=wanted.control_share, audit=wanted.audit_share, seed=self.seed)

    def sha256(self) -> str:
        """Return the hex digest of the canonical JSON form; equal configurations are equal."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def load(path: Path | None, overrides: Iterable[str] = ()) -> Config:
    """Read ``path`` (none: all defaults) and apply ``section.key=value`` overrides in order.

    One override may hold several, with blanks between them.

    A name without a folder that isn't a file here is looked for among ``folders.profiles``.

    Raises
    ------
    ConfigError : no such file, no TOML, unknown key, wrong type or out of range, a place that no
        connector opens, a secret.
    """
    raw = _read(path) if path is not None else {}
    for override in overrides:
        for one in _several(override):
            _apply(raw, one)
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise _readable(error, path) from None
    stores.check(config.places(), config.spark.conf)
    stores.refuse_password("registry.uri", config.registry.uri)
    stores.refuse_password("monitor.webhook", config.monitor.webhook)
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
        return tomllib.loads(_found(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        what, names = f"no configuration file {path}", ", ".join(folders.profiles())
        hint = f"name an existing file with --config, or one that comes with pcb_spark: {names}"
        raise ConfigError(what, hint=hint) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        what = f"{path} can't be read as TOML"
        raise ConfigError(what, got=error, hint="correct the file") from None


def _found(path: Path) -> Path | Traversable:
    own = folders.profiles().get(str(path))
    if own is None or path.exists():
        return path
    log.info("no %s in this folder: the one that comes with pcb_spark", path)
    return own


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


def _several(override: str) -> Iterator[str]:
    """The settings in one text: the next begins at a key behind blanks, outside of quotes."""
    override = override.strip()
    begin, depth, quote = 0, 0, ""
    for place, character in enumerate(override):
        if quote:
            quote = "" if character == quote and override[place - 1] != "\\" else quote
        elif character in "\"'":
            quote = character
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        elif character == " " and not depth and _NEXT_KEY.match(override, place + 1):
            yield override[begin:place].strip()
            begin = place + 1
    yield override[begin:]


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
        return ConfigError(f"unknown key {key}{where}", hint=_GONE.get(key) or _nearest(key))
    got = first["input"]
    return ConfigError(
        f"{key}{where} can't be used",
        expected=first["msg"],
        got=None if isinstance(got, Mapping) else repr(got),
        hint=f"{error.error_count()} value(s) to correct; every key is in {_REFERENCE}",
    )


def _nearest(key: str) -> str:
    close = difflib.get_close_matches(key, known_keys(), n=1, cutoff=0.0)
    return f"did you mean {close[0]}?"
