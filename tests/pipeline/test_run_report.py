"""What people see of a whole run: the report, and the notebook."""

from __future__ import annotations

import dataclasses
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbclient
import nbformat
import pytest

from pcb_spark.core.errors import InputError
from pcb_spark.pipeline import Job, run_report, run_score
from tests import drops
from tests.leased import claimed

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.slow

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "explore.ipynb"


def test_report_shows_the_run_and_its_images(copy: Job) -> None:
    with claimed(copy, "report") as own:
        assert run_report(own) == f"{copy.config.paths.out}/report.html"
    out = Path(copy.config.paths.out)
    html = (out / "report.html").read_text(encoding="utf-8")
    assert (out / "reports" / f"{copy.run_id}.html").read_text(encoding="utf-8") == html
    assert "The backbone is untrained" in html
    assert html.count("data:image/jpeg;base64,") >= 3 * 6
    assert html.count('alt="Heat map of') >= 6
    assert "of 200 flags need no operator" not in html  # scored by the training run itself
    assert "not_an_image" in html
    assert "reference_missing" in html


def test_report_of_a_night_is_about_its_decisions(copy: Job) -> None:
    scoring = {"since": date(2026, 1, 14), "until": date(2026, 1, 15)}
    chosen = copy.config.scoring.model_copy(update=scoring)
    config = copy.config.model_copy(update={"scoring": chosen})
    night = dataclasses.replace(copy, config=config, started_at=datetime.now(UTC))
    run_score(night)
    html = Path(run_report(night)).read_text(encoding="utf-8")
    assert "of 40 flags need no operator" in html
    assert "images of 2026-01-14 to 2026-01-15" in html


def test_report_on_an_empty_folder_names_it(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to report on"):
        run_report(drops.job(spark, "drop", tmp_path))


def test_report_after_the_first_job_says_what_is_missing(copy: Job) -> None:
    out = Path(copy.config.paths.out)
    for table in ("bundle", "features", "out_of_fold", "metrics", "scores", "rejects"):
        shutil.rmtree(out / table)
    run_report(copy)
    html = (out / "report.html").read_text(encoding="utf-8")
    assert "No model has been trained yet" in html
    assert "Nothing has been scored yet." in html


def read_notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]


def test_notebook_runs_from_top_to_bottom(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PCB_OUT", str(out))
    notebook = read_notebook()
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    kinds = {
        name
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        for name in output.get("data", {})
    }
    assert {"image/png", "text/html"} <= kinds


def test_notebook_is_kept_without_outputs() -> None:
    assert [cell for cell in read_notebook().cells if cell.get("outputs")] == []
