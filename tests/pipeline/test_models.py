"""``pcb-spark model`` on a copy of the whole run's tables: what the gate sees, and what is kept."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from pcb_spark.core import signatures
from pcb_spark.core.errors import ApprovalError, BundleError, ConfigError
from pcb_spark.pipeline import approval, artifacts, models, register
from pcb_spark.pipeline.export import run_export
from pcb_spark.pipeline.models import Signed
from tests import registries

if TYPE_CHECKING:
    from pcb_spark.pipeline import Job

pytestmark = pytest.mark.slow

ME = Signed(who="me", why=None)
LAST = "2026-01-16"


@pytest.fixture
def plant(copy: Job) -> Job:
    """Version 1 is registered; nobody has promoted it."""
    registries.prepare(Path(copy.config.paths.out))
    register.run_register(copy)
    copy.notes.clear()
    return copy


def train(job: Job, name: str, threshold: float, until: str = LAST) -> None:
    """Register the same trees with another threshold, as if trained until another day."""
    own = artifacts.read_bundle(job)
    about = dataclasses.asdict(own.manifest)
    about["threshold"] |= {"value": threshold, "by_segment": {}}
    about["training_window"] |= {"until": until}
    artifacts.write_bundle(job, about | {"model_version": name}, own.parts)
    register.register(job)
    job.notes.clear()


def test_training_leaves_all_that_a_version_came_of(plant: Job) -> None:
    opened = registries.opened(Path(plant.config.paths.out))
    made = opened.require("challenger")

    params, metrics = opened.about(made)
    assert params["folds.n"] == "3"
    assert metrics["folds_mean roc_auc"] > 0.5
    with opened.files(made) as folder:
        assert sorted(path.name for path in folder.iterdir()) == [
            "bundle", "configuration.json", "out_of_fold.parquet",
        ]  # fmt: skip
        assert json.loads((folder / "configuration.json").read_text())["seed"] == 11
        assert list(folder.rglob("*.crc")) == []
        # What the threshold rests on, also once prune has taken the verdicts of these days.
        kept = pq.read_table(folder / "out_of_fold.parquet")
        assert {"probability", "verdict", "gated", "weight", "captured_at"} <= {*kept.column_names}
        assert kept["verdict"].null_count == 0
    run = opened.client.get_run(made.mlflow_run)
    assert run.data.tags["window_until"] == LAST
    assert int(run.data.tags["window_rows"]) > 150


def test_the_first_champion_is_promoted_like_any_other(plant: Job) -> None:
    made = models.run_promote(plant, version="challenger", signed=ME, force=False)

    assert (made.from_version, made.to_version, made.forced) == (None, "1", False)
    evidence = json.loads(made.evidence)
    assert (evidence["against"], evidence["refusals"]) == (None, [])
    assert evidence["parity"] <= 1e-6
    assert plant.notes[-1] == (
        "version 1 is champion as the first one; the next night scores with it"
    )
    plant.notes.clear()
    models.run_list(plant)
    assert plant.notes[1].endswith("champion, promoted")


def test_a_challenger_that_clears_less_is_refused_but_for_force(plant: Job) -> None:
    models.run_promote(plant, version="1", signed=ME, force=False)
    train(plant, "clears-nothing", 0.0)

    with pytest.raises(ApprovalError, match=r"version 2 (.|\n)*it clears less: -"):
        models.run_promote(plant, version="challenger", signed=ME, force=False)
    with pytest.raises(ConfigError, match="--force wants a reason"):
        models.run_promote(plant, version="2", signed=ME, force=True)
    assert [p.to_version for p in approval.history(plant, "pcb_spark")] == ["1"]

    made = models.run_promote(
        plant, version="2", signed=Signed(who="me", why="a trial"), force=True
    )
    assert (made.to_version, made.forced, made.why) == ("2", True, "a trial")
    back = models.run_rollback(plant, signed=Signed(who="you", why="too many reviews"))
    assert (back.action, back.from_version, back.to_version) == ("rollback", "2", "1")
    plant.notes.clear()
    models.run_history(plant)
    assert "promote by force  1 to 2  me: a trial" in plant.notes[1]
    assert "rollback  2 to 1  you: too many reviews" in plant.notes[2]


def test_days_that_a_model_has_not_seen_are_scored(plant: Job) -> None:
    """As if trained on the first two days, it clears all of the others."""
    train(plant, "clears-all", 1.0, until="2026-01-06")

    found = models.run_compare(plant, version="challenger")

    assert found.champion is None
    assert 140 < found.images < 160
    assert found.challenger.slip_rate.value == 1.0
    assert found.refusals == ("it lets 100.0% slip, 20.0% promised",)


def test_a_challenger_that_lets_more_slip_is_refused(plant: Job) -> None:
    """Of the days that both were trained on, those count that were judged forward in time."""
    models.run_promote(plant, version="1", signed=ME, force=False)
    train(plant, "clears-all", 1.0)

    found = models.run_compare(plant, version="challenger")

    assert found.images == 113
    assert found.refusals[0].startswith("at most 100.0% of defects slip")
    assert plant.notes[-1].startswith("refused: at most 100.0% of defects slip")


def test_a_version_whose_files_were_changed_is_not_promoted(plant: Job) -> None:
    opened = registries.opened(Path(plant.config.paths.out))
    with opened.files(opened.require("1")) as folder:
        (folder / "bundle" / "classifier.txt").write_text("other trees")

    with pytest.raises(BundleError, match="is not the file that was trained"):
        models.run_promote(plant, version="1", signed=Signed(who="me", why="now"), force=True)
    assert approval.history(plant, "pcb_spark") == []


def test_the_champion_is_exported_and_kept_where_edge_machines_ask_for_it(
    plant: Job, tmp_path: Path
) -> None:
    key, archive = tmp_path / "plant.key", tmp_path / "l1.zip"
    signatures.write_pair(key)
    with pytest.raises(ApprovalError, match="nobody has promoted"):
        run_export(plant, to=archive, key=key, version="champion")
    models.run_promote(plant, version="1", signed=ME, force=False)
    train(plant, "clears-nothing", 0.0)  # the bundle of paths.out is another one from here on

    made = run_export(plant, to=archive, key=key, version="champion")

    opened = registries.opened(Path(plant.config.paths.out))
    first = opened.require("1")
    assert made.manifest.model == opened.read(first, first.bundle_sha256).manifest
    assert made.manifest.model.model_version != "clears-nothing"
    with opened.files(first) as folder:
        assert (folder / "bundle" / "edge.zip").read_bytes() == archive.read_bytes()
    assert plant.notes[-1].endswith(f"{archive}, and with version 1 as edge.zip")


def test_promoting_the_champion_again_puts_its_alias_right(plant: Job) -> None:
    models.run_promote(plant, version="1", signed=ME, force=False)
    train(plant, "clears-nothing", 0.0)
    opened = registries.opened(Path(plant.config.paths.out))
    opened.client.set_registered_model_alias("pcb_spark", "champion", "2")

    models.run_promote(plant, version="1", signed=ME, force=False)

    assert approval.champion(plant, opened).version.number == "1"
    assert len(approval.history(plant, "pcb_spark")) == 1


def test_a_version_is_shown_with_its_promise(plant: Job) -> None:
    models.run_show(plant, version="challenger")

    assert plant.notes[0].startswith("version 1: 2026-01-16-")
    assert plant.notes[1].endswith("every hash is right")
    assert "images of 2026-01-05 to 2026-01-16" in plant.notes[2]
    assert plant.notes[3].startswith("promise: ")
