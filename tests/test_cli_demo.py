from __future__ import annotations

from pathlib import Path

import pytest

from pcb_spark.core.errors import BackboneError
from pcb_spark.pipeline.jobs import JOBS
from tests import drops
from tests.world import World, settings


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative folders of these tests lie in a folder that goes."""
    monkeypatch.chdir(tmp_path)


def test_demo_forgets_what_an_earlier_demo_took_in(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    assert World().call("demo", "--out", str(out)) == 0
    for name in ("images", "files", "checkpoints", "metrics"):
        (out / name).mkdir()
    world = World()
    assert world.call("demo", "--out", str(out)) == 0
    assert world.leases_of_rendering == [("demo", JOBS["run"].claim)]
    assert (len(world.rendered), world.events.count("ingest")) == (1, 1)
    assert sorted(path.name for path in out.iterdir()) == [".demo", "metrics"]


def test_demo_touches_no_folder_that_it_has_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world, table = World(), tmp_path / "tables/images/part-0.parquet"
    drops.write(tmp_path, {"tables/images/part-0.parquet": b"", "tables/drop/.rendered": b""})
    assert world.call("demo", "--out", str(tmp_path / "tables")) == 2
    assert (world.events, world.rendered) == ([], [])
    assert table.exists()
    assert "wasn't made by the demo" in capsys.readouterr().err


def test_demo_without_weights_goes_on_untrained_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    world.weights_end = BackboneError("the download failed")
    assert world.call("demo", "--out", "some/where", "--images", "70", *settings("seed=4")) == 0
    assert world.rendered == [{"folder": Path("some/where/drop"), "images": 70, "seed": 4}]
    assert world.events[2:] == [
        "check some/where", "ingest", "golden_if_wanted", "featurize", "train", "score", "report",
        "register", "stop",
    ]  # fmt: skip
    config = world.jobs[0].config
    assert (config.paths.drop, config.paths.out) == ("some/where/drop", "some/where")
    assert config.backbone.weights == "untrained"
    assert config.policy.max_slip_rate == 0.05  # demo.toml
    stderr = capsys.readouterr().err
    assert "WARNING" in stderr
    assert "the download failed" in stderr


def test_demo_with_weights_uses_them() -> None:
    world = World()
    assert world.call("demo", "--out", "some where's") == 0
    config = world.jobs[0].config
    assert config.backbone.weights == "resnet50-v1-12"
    assert config.paths.out == "some where's"
    assert world.rendered[0]["folder"] == Path("some where's/drop")
