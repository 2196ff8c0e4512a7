"""The runbook's backup and restore, as they stand there."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark.core import names
from pcb_spark.pipeline import approval
from pcb_spark.review import database, exports, queue, verdicts
from tests import registries, reviews
from tests.pipeline.nights import FIRST, SECOND, night, prepare

if TYPE_CHECKING:
    from pcb_spark.pipeline import Job
    from tests.pipeline.whole_run import Drop

pytestmark = pytest.mark.slow

RUNBOOK = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "runbook.md"


def script(heading: str) -> str:
    """The commands below a heading of the runbook."""
    text = RUNBOOK.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    found = re.search(r"```bash\n(.*?)```", text.partition("\n## ")[0], re.DOTALL)
    assert found is not None
    return found[1]


def call(heading: str, **places: Path) -> None:
    environment = os.environ | {name: str(path) for name, path in places.items()}
    subprocess.run(["bash", "-c", script(heading)], check=True, env=environment)


def days_alone(root: Path, to: Path) -> Path:
    """A drop of the two days that have nights: others would only take time."""
    days = {str(FIRST), str(SECOND)}
    for path in root.rglob("*"):
        named = re.search(r"date=([\d-]+)", str(path))
        if path.is_file() and (named is None or named[1] in days):
            (to / path.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, to / path.relative_to(root))
    verdicts_of = (root / "verdicts.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    own = [row for row in verdicts_of[1:] if any(f"date={day}" in row for day in days)]
    (to / "verdicts.csv").write_text("".join([verdicts_of[0], *own]), encoding="utf-8")
    return to


def moved(job: Job, drop: Path, out: Path, store: Path) -> Job:
    """The same plant, elsewhere."""
    config = job.config.model_copy(
        update={
            "paths": job.config.paths.model_copy(update={"drop": str(drop), "out": str(out)}),
            "ingest": job.config.ingest.model_copy(update={"verdict_store": f"sqlite:///{store}"}),
        }
    )
    return dataclasses.replace(job, config=config, notes=[])


def test_a_plant_goes_on_from_its_backup(copy: Job, drop: Drop, tmp_path: Path) -> None:
    plant, store = prepare(copy), tmp_path / "verdicts.db"
    out = Path(plant.config.paths.out)
    night(plant, 15)
    before = plant.spark.read.parquet(plant.table("decisions")).collect()
    one = before[0][names.IMAGE_ID]
    engine = database.open_store(f"sqlite:///{store}")
    queue.load(engine, [reviews.item("a", image_id=one, source_uri=uri(plant, one))])
    entry = reviews.entry("a", "DefectConfirmed", defects=("bridge",))
    verdicts.enter(engine, reviews.ANNA, entry)
    champion = approval.champion(plant, registries.opened(out))

    call("A backup", OUT=out, STORE=store, TO=tmp_path / "backup")
    engine.dispose()
    for path in (out, store):
        shutil.move(path, path.with_name(f"lost-{path.name}"))
    new_out, new_store = tmp_path / "new" / "out", tmp_path / "new" / "verdicts.db"
    call("Restore", OUT=new_out, STORE=new_store, FROM=tmp_path / "backup")

    restored = moved(plant, days_alone(drop.root, tmp_path / "drop"), new_out, new_store)
    after = approval.champion(restored, registries.opened(new_out))
    assert (after.version.number, after.version.bundle_sha256) == (
        champion.version.number, champion.version.bundle_sha256,
    )  # fmt: skip
    said = list(exports.said(database.open_store(f"sqlite:///{new_store}")))
    assert [(row[names.IMAGE_ID], row[names.VERDICT]) for row in said] == [(one, "fail")]

    job = night(restored, 16, take_in=True)
    decided = restored.spark.read.parquet(restored.table("decisions")).collect()
    assert set(before) < set(decided)
    assert {str(row[names.CAPTURE_DATE]) for row in decided} == {str(FIRST), str(SECOND)}
    assert len(decided) == 40
    assert {row[names.BUNDLE_SHA256] for row in decided} == {champion.version.bundle_sha256}
    assert any("scored 20 images of 2026-01-15" in note for note in job.notes)


def uri(job: Job, image_id: str) -> str:
    images = job.spark.read.parquet(job.table("images"))
    return str(images.where(images[names.IMAGE_ID] == image_id).collect()[0][names.SOURCE_URI])
