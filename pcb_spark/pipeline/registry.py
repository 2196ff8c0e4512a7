"""Model versions in MLflow: registered by training, opened again by their numbers.

Without ``registry.uri`` the registry is a SQLite file and a folder below ``paths.out``, and no
server. MLflow's aliases say which version is meant to be ``champion`` or ``challenger``; anybody
can move them in its pages, so ``approval`` believes none without a record of its own.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from pcb_spark.core import bundle
from pcb_spark.core.errors import BundleError, ConfigError, InputError
from pcb_spark.core.names import BUNDLE_SHA256, MODEL_VERSION, RUN_ID
from pcb_spark.lake import stores
from pcb_spark.lake.catalogue import BUNDLE, REGISTRY
from pcb_spark.pipeline.mlflow_client import connect, failures

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from pcb_spark.pipeline.config import Config

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
#: What edge machines fetch of a version; it lies in the bundle's folder and is no part of it.
EDGE_BUNDLE: Final = "edge.zip"

#: MLflow takes no more at once.
_PARAMS_AT_ONCE: Final = 100
_LONGEST_PARAM: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A registered version; ``number`` is MLflow's, ``bundle_sha256`` is ``bundle.identity``."""

    number: str
    model_version: str
    bundle_sha256: str
    run_id: str
    mlflow_run: str
    registered_at: datetime
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is registered: a folder of files, the bundle below it, and what is said of them."""

    folder: Path
    model_version: str
    run_id: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


def disk(out: str) -> Path | None:
    """The path of ``paths.out`` on this machine's disk; None where it is on another store."""
    if stores.scheme(out) != stores.DEFAULT:
        return None
    path = unquote(urlsplit(out).path) if out.startswith(f"{stores.DEFAULT}:") else out
    return Path(path).absolute()


def require_place(config: Config) -> None:
    """Stop where a registry below ``paths.out`` would be lost with the machine.

    Raises
    ------
    ConfigError : ``paths.out`` is no local disk, and ``registry.uri`` names no server.
    """
    if config.registry.uri or disk(config.paths.out):
        return
    raise ConfigError(
        f"registry.uri is not set, and paths.out, {config.paths.out}, is no local disk",
        expected="a tracking server that outlives this machine",
        hint="--set registry.uri=https://..., as docs/how-to/models.md says",
    )


def open_registry(config: Config) -> Registry:
    """Open the registry that is configured; one below ``paths.out`` is made where there is none.

    Raises
    ------
    ConfigError : see ``require_place``.
    StoreUnreachable, StorageFault : the server doesn't answer, or refuses.
    """
    require_place(config)
    wanted, root = config.registry, None
    uri = wanted.uri
    if not uri:
        root = (disk(config.paths.out) or Path()) / REGISTRY
        root.mkdir(parents=True, exist_ok=True)
        uri = f"sqlite:///{root / 'mlflow.db'}"
    return Registry(connect(uri), uri, wanted.model, root)


class Registry:
    """The versions of one model.

    Parameters
    ----------
    root : the folder of a registry without a server, else None.
    """

    def __init__(self, client: MlflowClient, uri: str, model: str, root: Path | None) -> None:
        self.client = client
        self.uri = uri
        self.model = model
        self.root = root

    def versions(self) -> list[Version]:
        """All versions, the oldest first."""
        with failures(self.uri):
            found = self.client.search_model_versions(f"name='{self.model}'", max_results=10_000)
            aliases = self._aliases()
        versions = [_version(each, aliases) for each in found if BUNDLE_SHA256 in each.tags]
        return sorted(versions, key=lambda each: int(each.number))

    def find(self, name: str) -> Version | None:
        """The version of this number or alias."""
        named = [each for each in self.versions() if name == each.number or name in each.aliases]
        return named[0] if named else None

    def require(self, name: str) -> Version:
        """The version of this number or alias.

        Raises
        ------
        InputError : there is none.
        """
        found = self.find(name)
        if found is None:
            raise InputError(
                f"{self.model} has no version {name} in {stores.redacted(self.uri)}",
                expected=", ".join(v.number for v in self.versions()) or "a registered version",
                hint="`pcb-spark model list` shows them; `pcb-spark model register` adds the "
                "bundle of paths.out",
            )
        return found

    def point(self, alias: str, version: Version) -> None:
        """Let an alias name this version."""
        with failures(self.uri):
            self.client.set_registered_model_alias(self.model, alias, version.number)

    def release(self, alias: str) -> None:
        """Let an alias name nothing."""
        with failures(self.uri):
            self.client.delete_registered_model_alias(self.model, alias)

    def register(self, entry: Entry) -> Version:
        """Add a version and call it challenger; a bundle that is there already stays as it is."""
        identity = bundle.identity(entry.folder / BUNDLE)
        known = [each for each in self.versions() if each.bundle_sha256 == identity]
        if known:
            return known[-1]
        with failures(self.uri):
            run = self._log(entry)
            own = {BUNDLE_SHA256: identity, MODEL_VERSION: entry.model_version}
            made = self.client.create_model_version(
                self.model,
                f"runs:/{run}/{BUNDLE}",
                run,
                tags={**entry.tags, **own, RUN_ID: entry.run_id},
            )
            version = _version(made, {})
        self.point(CHALLENGER, version)
        return version

    def attach(self, version: Version, archive: Path) -> None:
        """Keep an edge bundle with a version, where edge machines look for it."""
        with tempfile.TemporaryDirectory() as scratch, failures(self.uri):
            named = shutil.copyfile(archive, Path(scratch) / EDGE_BUNDLE)
            self.client.log_artifact(version.mlflow_run, str(named), BUNDLE)

    def keep(self, version: Version, file: Path) -> None:
        """Keep a file beside the bundle of a version, in the place of one of that name."""
        with failures(self.uri):
            self.client.log_artifact(version.mlflow_run, str(file))

    @contextlib.contextmanager
    def files(self, version: Version) -> Iterator[Path]:
        """The folder of all that was registered with a version; read only."""
        # Not by the path that SQLite holds: a registry may have been moved, or restored elsewhere.
        own = self.root and self.root / "artifacts" / version.mlflow_run / "artifacts"
        if own and own.is_dir():
            yield own
            return
        with tempfile.TemporaryDirectory() as scratch:
            with failures(self.uri):
                self.client.download_artifacts(version.mlflow_run, "", scratch)
            yield Path(scratch)

    def read(self, version: Version, expected: str) -> bundle.Bundle:
        """Open the bundle of a version; ``expected`` is its hash as a whole.

        Raises
        ------
        BundleError : it is another one, or was changed.
        """
        where = f"version {version.number} of {self.model}"
        with self.files(version) as folder:
            model = bundle.read(folder / BUNDLE, where=where)
            found = bundle.identity(folder / BUNDLE)
        if found != expected:
            raise BundleError(
                f"{where} is not the bundle that was registered",
                expected=f"sha256 {expected}",
                got=found,
                hint="restore the registry's files, or register and promote the bundle anew",
            )
        return model

    def about(self, version: Version) -> tuple[dict[str, str], dict[str, float]]:
        """What was configured, and the figures, by their names."""
        with failures(self.uri):
            data = self.client.get_run(version.mlflow_run).data
        return dict(data.params), dict(data.metrics)

    def _log(self, entry: Entry) -> str:
        """Keep the files of an entry and what is said of them as a run; its id."""
        from mlflow.entities import Metric, Param

        tags = {**entry.tags, RUN_ID: entry.run_id}
        created = self.client.create_run(
            self._experiment(), run_name=entry.model_version, tags=tags
        )
        run = str(created.info.run_id)
        ended = "FAILED"
        try:
            params = [Param(k, v[:_LONGEST_PARAM]) for k, v in entry.params.items()]
            for first in range(0, len(params), _PARAMS_AT_ONCE):
                self.client.log_batch(run, params=params[first : first + _PARAMS_AT_ONCE])
            at = created.info.start_time
            self.client.log_batch(run, [Metric(k, v, at, 0) for k, v in entry.metrics.items()])
            self.client.log_artifacts(run, str(entry.folder))
            ended = "FINISHED"
        finally:
            self.client.set_terminated(run, ended)
        return run

    def _experiment(self) -> str:
        """The experiment that keeps the runs, and with it the registered model, made if need be."""
        from mlflow.exceptions import MlflowException

        with contextlib.suppress(MlflowException):  # it is there already
            self.client.create_registered_model(self.model)
        where = (self.root / "artifacts").as_uri() if self.root else None
        name = self.model
        found = self.client.get_experiment_by_name(name)
        if found and where and found.artifact_location != where:  # the registry was moved
            name = f"{self.model} in {self.root}"
            found = self.client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self.client.create_experiment(name, where))

    def _aliases(self) -> Mapping[str, list[str]]:
        """The aliases of each version; a search leaves them out."""
        found: dict[str, list[str]] = {}
        for model in self.client.search_registered_models(f"name='{self.model}'"):
            for alias, number in model.aliases.items():
                found.setdefault(str(number), []).append(alias)
        return found


def _version(found: ModelVersion, aliases: Mapping[str, list[str]]) -> Version:
    return Version(
        number=str(found.version),
        model_version=found.tags[MODEL_VERSION],
        bundle_sha256=found.tags[BUNDLE_SHA256],
        run_id=found.tags[RUN_ID],
        mlflow_run=str(found.run_id),
        registered_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
        aliases=tuple(sorted(aliases.get(str(found.version), ()))),
    )
