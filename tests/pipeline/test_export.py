from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark.core import bundle, edge_bundle, heatmaps, self_test, signatures
from pcb_spark.core.errors import BackboneError, InputError
from pcb_spark.core.scorer import Scorer
from pcb_spark.pipeline.export import run_export
from tests import drops
from tests.leased import claimed
from tests.pipeline.whole_run import SETTINGS, Drop

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pcb_spark.pipeline import Job


@pytest.fixture
def key(tmp_path: Path) -> Path:
    signatures.write_pair(tmp_path / "plant.key")
    return tmp_path / "plant.key"


@pytest.fixture
def job(spark: SparkSession, drop: Drop, out: Path) -> Job:
    return drops.job(spark, drop.root, out, *SETTINGS, "scoring.control_share=0.25")


def test_what_is_exported_decides_as_its_model_bundle(
    job: Job, out: Path, key: Path, tmp_path: Path
) -> None:
    trusted = signatures.read_public([key.with_suffix(".pub")])
    with claimed(job, "export") as own:
        run_export(own, to=tmp_path / "usb" / "edge.zip", key=key)
        run_export(own, to=tmp_path / "folder", key=key, weights_licence="ours")

    edge = edge_bundle.open_bundle(tmp_path / "usb" / "edge.zip", trusted)
    model = bundle.read(out / "bundle")
    assert edge.manifest.model == model.manifest
    assert edge.parts["graph.onnx"] == model.parts["graph.onnx"]
    assert heatmaps.of_edge(edge.model) is not None
    assert edge.manifest.shares == job.config.shares
    assert edge.manifest.known["line"] == {"L1", "L2"}
    assert edge.manifest.licences == {"weights": "none: untrained", "program": "Apache-2.0"}
    assert len(edge.manifest.self_test) == 6
    assert self_test.differences(edge, Scorer(model)) == []

    again = edge_bundle.open_bundle(tmp_path / "folder", trusted)
    assert again.manifest.licences["weights"] == "ours"
    assert again.parts == edge.parts
    pinned = json.loads(again.signed)["files"]
    assert pinned["graph.onnx"]["sha256"] == model.manifest.model_sha256
    assert "signed with" in own.notes[0]


def test_nothing_is_overwritten_and_no_key_nothing_written(
    job: Job, key: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="is there already"):
        run_export(job, to=key, key=key)
    with pytest.raises(InputError, match="secret key"):
        run_export(job, to=tmp_path / "edge", key=tmp_path / "no.key")
    assert not (tmp_path / "edge").exists()


def test_an_untrained_model_goes_to_no_plant_unless_it_is_asked_for(
    spark: SparkSession, drop: Drop, out: Path, key: Path, tmp_path: Path
) -> None:
    trained = drops.job(spark, drop.root, out, *SETTINGS, "backbone.weights=resnet50-v1-12")
    with pytest.raises(BackboneError, match="untrained"):
        run_export(trained, to=tmp_path / "edge", key=key)
    assert not (tmp_path / "edge").exists()
