from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest

from pcb_spark.core.errors import BackboneError
from pcb_spark.network import backbone, pretrained, resnet50
from tests import graphs

if TYPE_CHECKING:
    from pcb_spark.network.backbone import Backbone
    from pcb_spark.network.pretrained import WeightsSource

SHARED_SHA256 = "f2c2bb826568a77ea124e7c0a6430baa5d547c96b38915f5e7fcf373128ab914"
Maps = list[npt.NDArray[np.float32]]


@pytest.fixture(scope="module")
def untrained() -> Backbone:
    return backbone.load("untrained", cache_dir=Path("unused"), seed=2)


def run(model: onnx.ModelProto | Path, outputs: list[str]) -> Maps:
    """Outputs for one random image."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    content = model if isinstance(model, Path) else model.SerializeToString()
    session = ort.InferenceSession(content, options)
    image = np.random.default_rng(11).normal(size=(1, 3, 224, 224)).astype(np.float32)
    maps: Maps = session.run(outputs, {"data": image})
    return maps


def test_untrained_network_is_marked(untrained: Backbone) -> None:
    assert untrained.source == "untrained"
    assert untrained.trained is False
    assert list(untrained.levels) == ["layer1", "layer2", "layer3", "layer4"]


def test_file_gives_what_the_built_network_gives(tmp_path: Path, untrained: Backbone) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(resnet50.build(seed=2).SerializeToString(deterministic=True))
    loaded = backbone.load(
        str(path), cache_dir=Path("unused"), input_name="data", sha256=untrained.sha256.upper()
    )
    assert loaded.source == str(path)
    assert loaded.trained is True
    assert loaded.sha256 == untrained.sha256
    assert backbone.fingerprint(loaded.model) == backbone.fingerprint(untrained.model)


def test_zoo_style_file_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "zoo.onnx"
    path.write_bytes(graphs.zoo_style(resnet50.build(batch_norm=True)).SerializeToString())
    loaded = backbone.load(str(path), cache_dir=Path("unused"))
    assert loaded.levels["layer1"] == "resnetv17_relu_35_fwd"
    assert [value.name for value in backbone.cut(loaded, ["layer1"]).graph.output] == ["layer1"]


def test_other_hash_than_pinned_is_refused_before_parsing(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"not even a model")
    with pytest.raises(BackboneError, match=r"aren't those that backbone\.sha256 pins") as caught:
        backbone.load(str(path), cache_dir=Path("unused"), sha256="0" * 64)
    assert caught.value.expected == "sha256 " + "0" * 64


def test_pin_that_contradicts_the_named_download_is_refused_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fetch(*_: object, **__: object) -> None:
        pytest.fail("downloaded")

    monkeypatch.setattr(pretrained, "fetch", fetch)
    with pytest.raises(BackboneError, match="sha256 3f03fdef724b22947eed826f1eef1dc5c34151bb4c3"):
        backbone.load("resnet50-v1-12", cache_dir=Path("unused"), sha256="0" * 64)


def test_name_is_downloaded_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "resnet50-v1-12.onnx"
    path.write_bytes(graphs.basic_blocks(1).SerializeToString())
    asked = []

    def fetch(source: WeightsSource, *, cache_dir: Path, timeout_s: float) -> Path:
        asked.append((source.name, cache_dir, timeout_s))
        return path

    monkeypatch.setattr(pretrained, "fetch", fetch)
    with pytest.raises(BackboneError, match="resnet50-v1-12 is no ResNet-50"):
        backbone.load("resnet50-v1-12", cache_dir=tmp_path, timeout_s=3)
    assert asked == [("resnet50-v1-12", tmp_path, 3)]


@pytest.mark.parametrize(
    ("model", "found"),
    [
        (
            graphs.basic_blocks(8),
            "8 residual blocks with widths 8 x 8 (8 of them not 1x1, 3x3, 1x1",
        ),
        (graphs.mlp(), "0 residual blocks, 0 convolutions"),
    ],
    ids=["basic blocks", "mlp"],
)
def test_file_that_is_no_resnet50(tmp_path: Path, model: onnx.ModelProto, found: str) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(BackboneError, match=r"other\.onnx is no ResNet-50") as caught:
        backbone.load(str(path), cache_dir=Path("unused"))
    assert found in str(caught.value)
    assert caught.value.exit_code == 5


def test_cut_keeps_only_what_the_levels_need(untrained: Backbone) -> None:
    model = backbone.cut(untrained, ["layer2", "layer1"])
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == ["data"]
    assert [value.name for value in model.graph.output] == ["layer2", "layer1"]
    # One convolution in the stem, 3 x 3 + 4 x 3 in the blocks, 2 in the shortcuts.
    assert [node.op_type for node in model.graph.node].count("Conv") == 24
    assert len(model.graph.initializer) == 48
    assert len(backbone.cut(untrained, ["layer1"]).graph.initializer) == 22


def test_cut_gives_the_same_maps_as_the_whole(untrained: Backbone) -> None:
    whole = run(untrained.model, [untrained.levels["layer1"], untrained.levels["layer3"]])
    part = run(backbone.cut(untrained, ["layer1", "layer3"]), ["layer1", "layer3"])
    assert [maps.shape for maps in part] == [(1, 256, 56, 56), (1, 1024, 14, 14)]
    for expected, found in zip(whole, part, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_cut_leaves_the_backbone_as_it_was(untrained: Backbone) -> None:
    before = backbone.fingerprint(untrained.model)
    backbone.cut(untrained, ["layer1"])
    assert backbone.fingerprint(untrained.model) == before


@pytest.mark.parametrize(
    ("levels", "got"),
    [([], "none"), (["layer9"], "layer9"), (["layer1", "layer1"], "layer1, layer1")],
)
def test_cut_refuses_other_levels(untrained: Backbone, levels: list[str], got: str) -> None:
    with pytest.raises(BackboneError, match="can't be cut at these levels") as caught:
        backbone.cut(untrained, levels)
    assert caught.value.got == got
    assert caught.value.expected == "one or more of layer1, layer2, layer3, layer4, each once"


def test_fingerprint_tells_models_apart(untrained: Backbone) -> None:
    first = backbone.fingerprint(backbone.cut(untrained, ["layer1"]))
    assert first == backbone.fingerprint(backbone.cut(untrained, ["layer1"]))
    assert first != backbone.fingerprint(backbone.cut(untrained, ["layer2"]))
    # printf '' | sha256sum
    assert backbone.fingerprint(onnx.ModelProto()) == (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )


def test_preprocessing_is_imagenets() -> None:
    assert resnet50.MEAN == (0.485, 0.456, 0.406)
    assert resnet50.STD == (0.229, 0.224, 0.225)


@pytest.mark.shared
def test_pretrained_file_with_unnamed_nodes(shared: Path) -> None:
    path = shared / "weights" / "resnet50_imagenet.onnx"
    loaded = backbone.load(str(path), cache_dir=Path("unused"), sha256=SHARED_SHA256)
    assert loaded.trained is True
    assert all(node.name for node in loaded.model.graph.node)

    levels = ["layer1", "layer2", "layer3"]
    part = backbone.cut(loaded, levels)
    for expected, found in zip(run(path, levels), run(part, levels), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.shared
def test_pretrained_file_that_was_cut_short(shared: Path, tmp_path: Path) -> None:
    path = tmp_path / "short.onnx"
    path.write_bytes((shared / "weights" / "resnet50_imagenet.onnx").read_bytes()[:50_000_000])
    with pytest.raises(BackboneError, match="got: 50,000,000 bytes, truncated or damaged"):
        backbone.load(str(path), cache_dir=Path("unused"))
