"""The registry, with a real MLflow in SQLite: what is registered is what is opened again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark.core import bundle
from pcb_spark.core.errors import (
    BundleError,
    ConfigError,
    InputError,
    PcbSparkError,
    StorageFault,
    StoreUnreachable,
)
from pcb_spark.pipeline import config, registry
from tests import registries
from tests.registries import entry

if TYPE_CHECKING:
    from pcb_spark.pipeline.registry import Registry


@pytest.fixture
def opened(tmp_path: Path) -> Registry:
    return registries.opened(tmp_path / "out")


def test_a_version_is_opened_as_it_was_registered(opened: Registry, tmp_path: Path) -> None:
    one = opened.register(entry(tmp_path / "one"))

    (found,) = opened.versions()
    assert (found.number, found.aliases) == ("1", ("challenger",))
    assert found.bundle_sha256 == bundle.identity(tmp_path / "one" / "bundle")
    assert opened.read(found, one.bundle_sha256).parts[bundle.GRAPH] == b"graph"
    params, metrics = opened.about(found)
    assert (len(params), params["section.key119"]) == (120, "119")
    assert metrics == {"folds_mean roc_auc": 0.91}
    with opened.files(found) as folder:
        assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == [
            "classifier.txt", "features.onnx", "graph.onnx", "manifest.json", "report.html",
        ]  # fmt: skip


def test_the_newest_is_challenger_and_the_same_bundle_is_one_version(
    opened: Registry, tmp_path: Path
) -> None:
    opened.register(entry(tmp_path / "one"))
    two = opened.register(entry(tmp_path / "two", b"another graph"))

    assert opened.register(entry(tmp_path / "again")).number == "1"
    assert opened.require("challenger").number == two.number == "2"
    assert [each.number for each in opened.versions()] == ["1", "2"]


def test_a_bundle_that_was_changed_is_not_opened(opened: Registry, tmp_path: Path) -> None:
    made = opened.register(entry(tmp_path / "one"))
    with opened.files(made) as folder:
        (folder / "bundle" / "graph.onnx").write_bytes(b"other")

    with pytest.raises(BundleError, match=r"version 1 of pcb_spark/graph\.onnx is not the file"):
        opened.read(made, made.bundle_sha256)


def test_a_bundle_that_was_exchanged_as_a_whole_is_not_opened(
    opened: Registry, tmp_path: Path
) -> None:
    """Its own hashes are right; that of the version isn't."""
    made = opened.register(entry(tmp_path / "one"))
    with opened.files(made) as folder:
        entry(folder, b"other")

    with pytest.raises(BundleError, match="not the bundle that was registered"):
        opened.read(made, made.bundle_sha256)


def test_a_registry_that_was_moved_goes_on(opened: Registry, tmp_path: Path) -> None:
    made = opened.register(entry(tmp_path / "one"))
    shutil.move(tmp_path / "out", tmp_path / "restored")
    moved = registries.opened(tmp_path / "restored")

    assert moved.read(made, made.bundle_sha256).parts[bundle.GRAPH] == b"graph"
    two = moved.register(entry(tmp_path / "two", b"another graph"))
    assert moved.read(two, two.bundle_sha256).parts[bundle.GRAPH] == b"another graph"
    assert not (tmp_path / "out").exists()


def test_models_of_one_registry_are_kept_apart(opened: Registry, tmp_path: Path) -> None:
    other = registries.opened(tmp_path / "out", "registry.model=plant_two")
    opened.register(entry(tmp_path / "one"))

    assert other.versions() == []
    assert other.register(entry(tmp_path / "two")).number == "1"


def test_a_version_that_is_not_there_is_named(opened: Registry, tmp_path: Path) -> None:
    opened.register(entry(tmp_path / "one"))

    with pytest.raises(InputError, match=r"no version 7(.|\n)*expected: 1\n"):
        opened.require("7")


@pytest.mark.parametrize("out", ["abfss://c@a.dfs.core.windows.net/out", "s3a://b/out"])
def test_tables_on_a_store_need_a_server(out: str) -> None:
    with pytest.raises(ConfigError, match=r"registry\.uri is not set"):
        registry.require_place(config.load(None, [f"paths.out='{out}'"]))
    named = [f"paths.out='{out}'", "registry.uri=https://mlflow.plant.example"]
    registry.require_place(config.load(None, named))


def test_a_password_in_the_address_is_refused() -> None:
    with pytest.raises(ConfigError, match="user and a password") as caught:
        config.load(None, ["registry.uri=https://me:secret12@mlflow.plant.example"])
    assert "secret12" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("http://127.0.0.1:9", StoreUnreachable),
        ("file:///mlruns", StorageFault),  # MLflow gives its file store up
        ("nonsense://x", StorageFault),
    ],
)
def test_a_registry_that_cannot_be_used_is_named(
    uri: str, error: type[PcbSparkError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    settings = [f"paths.out='{tmp_path}'", f"registry.uri={uri}"]

    with pytest.raises(error, match=f"the registry {uri} can't be used"):
        registry.open_registry(config.load(None, settings)).versions()
