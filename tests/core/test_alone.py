"""``pcb_spark.core`` needs numpy, Pillow and ONNX Runtime, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from pcb_spark.core import bundle
from pcb_spark.core.pairs import Reading
from pcb_spark.core.scorer import Scorer
from pcb_spark.network.graphs import FeatureSpec
from tests import edge as made
from tests.models import in_memory, train
from tests.rows import noise, rendered_pairs

ROOT = Path(__file__).resolve().parents[2]
#: Filled by `make wheelhouse`.
WHEELS = ROOT / ".wheelhouse"
HEAVY = {
    "pyspark", "py4j", "pandas", "scipy", "pyarrow", "petastorm", "onnx", "lightgbm", "pydantic",
    "synapse", "cv2", "sklearn", "matplotlib",
}  # fmt: skip

USE_ALL = """
import importlib, json, pkgutil, sys
from pathlib import Path
import pcb_spark.core
for module in pkgutil.iter_modules(pcb_spark.core.__path__):
    importlib.import_module(f"pcb_spark.core.{module.name}")
"""
SCORE = (
    USE_ALL
    + """
from pcb_spark.core import bundle
from pcb_spark.core.scorer import Scorer
model, image, reference = (Path(each) for each in sys.argv[1:])
score = Scorer(bundle.read(model)).score(image.read_bytes(), reference.read_bytes())
print(json.dumps([pcb_spark.__file__, score.probability.hex(), score.threshold, score.decision]))
"""
)


def run(python: Path | str, code: str, *arguments: str, cwd: Path) -> str:
    """Run code in another Python that sees no checkout."""
    variables = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        [str(python), "-c", code, *arguments],
        cwd=cwd, env=variables, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_wheel_and_three_packages_score_an_image(tmp_path: Path) -> None:
    """The answer of a machine with nothing else equals that of this one to the last bit."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("pcb_spark-*.whl")
    venv.create(tmp_path / "edge", with_pip=True)
    python = tmp_path / "edge" / "bin" / "python"
    install = ["-m", "pip", "install", "--quiet", "--no-index", "--find-links", str(WHEELS)]
    subprocess.run([str(python), *install, str(wheel)], check=True, capture_output=True)

    spec = FeatureSpec(levels=("layer1",), pooling=("max",), reading=Reading(difference=True))
    rng = np.random.default_rng(2)
    classifier = train(rng.normal(size=(60, spec.width)).astype(np.float32), rng.random(60) < 0.5)
    made = in_memory(spec, classifier, threshold={"value": 0.5})
    model = bundle.write(tmp_path / "bundle", asdict(made.manifest), made.parts)
    for name, seed in (("image", 1), ("reference", 2)):
        (tmp_path / name).write_bytes(noise(seed))

    answer = run(
        python, SCORE, *(str(tmp_path / n) for n in ("bundle", "image", "reference")), cwd=tmp_path
    )

    where, probability, threshold, decision = json.loads(answer)
    assert Path(where).is_relative_to(tmp_path / "edge")
    expected = Scorer(model).score(noise(1), noise(2))
    assert expected.probability is not None
    assert (probability, threshold, decision) == (
        expected.probability.hex(), expected.threshold, expected.decision,
    )  # fmt: skip
    _decides_with_the_extra(tmp_path, python.parent, wheel)
    code = "import json; from importlib.metadata import distributions as all_of\n"
    code += "print(json.dumps([each.name for each in all_of()]))"
    assert set(json.loads(run(python, code, cwd=tmp_path))) & HEAVY == set()


def _decides_with_the_extra(tmp_path: Path, programs: Path, wheel: Path) -> None:
    """With cryptography from the wheelhouse as well, ``pcb-edge`` takes a bundle and decides."""
    install = ["-m", "pip", "install", "--quiet", "--no-index", "--find-links", str(WHEELS)]
    subprocess.run([str(programs / "python"), *install, f"{wheel}[edge]"], check=True)
    (tmp_path / "plant.pub").write_text(made.PLANT.public.text())
    usb = made.archive(tmp_path / "edge.zip", made.sealed().files())
    pair = rendered_pairs(1)[0]
    (tmp_path / "U7.png").write_bytes(pair[0])
    (tmp_path / "U7_golden.png").write_bytes(pair[1])
    home = [str(programs / "pcb-edge"), "--home", str(tmp_path / "home")]
    for command in (
        ["trust", str(tmp_path / "plant.pub")],
        ["update", str(usb)],
        ["doctor"],
        ["score", "--json", "U7.png", "--reference", "U7_golden.png"],
    ):
        done = subprocess.run([*home, *command], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    expected = Scorer(made.model()).score(*pair)
    found = json.loads(done.stdout)
    assert (found["probability"], found["decision"]) == (expected.probability, expected.decision)


def test_no_heavy_library_is_loaded(tmp_path: Path) -> None:
    """Not even where they are installed."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{USE_ALL}"
    loaded = run(sys.executable, code + "print(json.dumps(sorted(sys.modules)))", cwd=tmp_path)
    assert {name.partition(".")[0] for name in json.loads(loaded)} & HEAVY == set()
