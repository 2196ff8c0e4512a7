"""What jobs hand on besides whole tables: bundle, feature set, and whom the gate asked for."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from pcb_spark.core import bundle
from pcb_spark.core.errors import (
    BundleError,
    InputError,
)
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import BUNDLE, FEATURE_SET, REVIEWS, VERDICTS
from pcb_spark.network.features import FeatureSet
from pcb_spark.network.graphs import FeatureSpec

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pcb_spark.lake.run import Run


def read_bundle(run: Run) -> bundle.Bundle:
    """Read the bundle of this run's output; every hash is checked.

    Raises
    ------
    BundleError : there is none, it can't be read, or it was changed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        local = Path(scratch) / BUNDLE
        copy_bundle(run, local)
        return bundle.read(local, where=run.table(BUNDLE))


def copy_bundle(run: Run, folder: Path) -> None:
    """Copy the bundle of this run's output into a new local folder, which stays empty without one.

    Raises
    ------
    BundleError : it can't be read.
    """
    uri = run.table(BUNDLE)
    folder.mkdir()
    try:
        with tables.spark_failures(f"the bundle {uri} can't be read", hint="copy it again"):
            if tables.exists(run.spark, uri):
                tables.download(run.spark, uri, folder)
    except InputError as error:
        raise BundleError(error.what, got=error.got, hint=error.hint) from None


def write_bundle(
    run: Run, manifest: Mapping[str, object], parts: Mapping[str, bytes]
) -> bundle.Bundle:
    """Write the bundle beside its place and move it there as a whole."""
    with tempfile.TemporaryDirectory() as scratch:
        local = Path(scratch) / BUNDLE
        written = bundle.write(local, manifest, parts)
        with tables.staged(run.spark, run.table(BUNDLE), run.lease) as staging:
            tables.upload(run.spark, local, staging)
    return written


def write_feature_set(run: Run, feature_set: FeatureSet) -> None:
    """Keep the graph that made the ``features`` table beside it, for the bundle."""
    about = {
        "fingerprint": feature_set.fingerprint,
        **feature_set.spec.record,
        "precision": feature_set.precision,
        "backbone_source": feature_set.backbone_source,
        "backbone_sha256": feature_set.backbone_sha256,
        "trained": feature_set.trained,
    }
    with tempfile.TemporaryDirectory() as scratch:
        local = Path(scratch) / FEATURE_SET
        local.mkdir()
        (local / "features.onnx").write_bytes(feature_set.graph.SerializeToString())
        (local / "feature_set.json").write_text(json.dumps(about, indent=2), encoding="utf-8")
        with tables.staged(run.spark, run.table(FEATURE_SET), run.lease) as staging:
            tables.upload(run.spark, local, staging)


def read_feature_set(run: Run) -> FeatureSet:
    """Read what ``write_feature_set`` kept.

    Raises
    ------
    InputError : there is none: featurize has not run.
    """
    uri = run.table(FEATURE_SET)
    if not tables.exists(run.spark, uri):
        what = f"no feature set at {uri}"
        raise InputError(what, hint="run the featurize job first")
    with tempfile.TemporaryDirectory() as scratch:
        local = Path(scratch)
        tables.download(run.spark, uri, local)
        about = json.loads((local / "feature_set.json").read_text(encoding="utf-8"))
        graph = onnx.load(local / "features.onnx")
    own = {each.name for each in fields(FeatureSet)}
    spec = {name: about.pop(name) for name in set(about) - own}
    return FeatureSet(spec=FeatureSpec.from_record(spec), graph=graph, **about)


def read_reviews(run: Run) -> DataFrame | None:
    """Read whom the gate has asked for so far, None where it never had to."""
    if not tables.exists(run.spark, run.table(REVIEWS)):
        return None
    return tables.read(run.spark, run.table(REVIEWS), schemas.REVIEWS)


def read_verdicts(run: Run) -> DataFrame:
    """Read the verdicts; none where ingest has taken in none yet."""
    if not tables.exists(run.spark, run.table(VERDICTS)):
        return run.spark.createDataFrame([], schemas.VERDICTS)
    return tables.read(run.spark, run.table(VERDICTS), schemas.VERDICTS)
