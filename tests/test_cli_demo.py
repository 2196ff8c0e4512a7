from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pcb_spark.core.errors import BackboneError
from tests.world import World, settings

if TYPE_CHECKING:
    import pytest


def test_demo_forgets_what_an_earlier_demo_took_in(tmp_path: Path) -> None:
    world = World()
    for name in ("images", "files", "checkpoints", "metrics"):
        (tmp_path / name).mkdir()
    assert world.call("demo", "--out", str(tmp_path)) == 0
    assert (len(world.rendered), "ingest" in world.events) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics"]


def test_demo_without_weights_goes_on_untrained_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    world.weights_end = BackboneError("the download failed")
    assert world.call("demo", "--out", "some/where", "--images", "70", *settings("seed=4")) == 0
    assert world.rendered == [{"folder": Path("some/where/drop"), "images": 70, "seed": 4}]
    assert world.events[2:] == [
        "check some/where", "ingest", "featurize", "train", "score", "report", "stop",
    ]  # fmt: skip
    config = world.jobs[0].config
    assert (config.paths.drop, config.paths.out) == ("some/where/drop", "some/where")
    assert config.backbone.weights == "untrained"
    assert config.policy.max_slip_rate == 0.05  # conf/demo.toml
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
