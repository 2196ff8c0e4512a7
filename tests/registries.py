"""Registries for tests: MLflow's own SQLite file, whose tables are made once and copied."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from pcb_spark.core import bundle
from pcb_spark.pipeline import config, registry
from pcb_spark.pipeline.registry import Entry, Registry, Version
from tests.models import MANIFEST

#: One that somebody promoted once.
VERSION = Version(
    number="3", model_version="v", bundle_sha256="b" * 64, run_id="r", mlflow_run="m",
    registered_at=datetime(2026, 1, 1, tzinfo=UTC), aliases=(),
)  # fmt: skip

_SHAPE = {"feature_count": 8, "levels": ["layer1"], "pooling": ["max"], "difference": False}
_PARTS = {bundle.GRAPH: b"graph", bundle.FEATURES: b"features", bundle.CLASSIFIER: b"trees"}


@cache
def _tables() -> bytes:
    """An empty registry: to make its tables takes MLflow two seconds."""
    with tempfile.TemporaryDirectory() as scratch:
        registry.open_registry(config.load(None, [f"paths.out='{scratch}'"])).versions()
        return (Path(scratch) / "registry" / "mlflow.db").read_bytes()


def prepare(out: Path) -> None:
    """Put an empty registry below the tables at ``out``, in the place of the one that is there."""
    shutil.rmtree(out / "registry", ignore_errors=True)
    (out / "registry").mkdir(parents=True)
    (out / "registry" / "mlflow.db").write_bytes(_tables())


def opened(out: Path, *settings: str) -> Registry:
    """Open the registry below the tables at ``out``, an empty one where there is none."""
    if not (out / "registry").exists():
        prepare(out)
    return registry.open_registry(config.load(None, [f"paths.out='{out}'", *settings]))


def entry(folder: Path, graph: bytes = b"graph") -> Entry:
    """What is registered of a bundle with this graph, written to ``folder``."""
    bundle.write(folder / "bundle", MANIFEST | _SHAPE, {**_PARTS, bundle.GRAPH: graph})
    (folder / "report.html").write_text("<p>", encoding="utf-8")
    return Entry(
        folder=folder,
        model_version="2026-02-27-0123456789ab",
        run_id="20260301T000000Z-00ff00",
        # More than MLflow takes at once.
        params={f"section.key{n}": str(n) for n in range(120)},
        metrics={"folds_mean roc_auc": 0.91},
        tags={"window_from": "2026-01-05"},
    )
