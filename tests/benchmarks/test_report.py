from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import data, rows, run, setup

LIMIT = rows.Row(way="onnxruntime alone", stage=rows.SCORE, images_per_s=10.0, n=8)
DECODE = rows.Row(way="one core, Python", stage="decode", images_per_s=1800.0, n=8)


@pytest.mark.parametrize(("size", "bounds"), [(setup.QUICK, True), (setup.COMPLETE, False)])
def test_quick_figures_say_whom_they_are_for(size: setup.Size, bounds: bool) -> None:
    source = data.Source(drop=None, weights="untrained")
    task = setup.Task(source=source, out=Path("out"), size=size)
    parts = run.report([DECODE, LIMIT], task).split("\n\n")
    assert parts[0].endswith("; rendered images, weights untrained")
    assert [part.startswith("Rates of a quick run are lower bounds") for part in parts] == (
        [False, True, False, False] if bounds else [False, False, False]
    )
    assert "onnxruntime alone" in parts[-2]
    assert "decode" in parts[-1]
