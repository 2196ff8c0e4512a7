from __future__ import annotations

import asyncio
import dataclasses
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pcb_spark.core import bundle, edge_bundle
from pcb_spark.core.errors import BundleError
from pcb_spark.core.share_cap import Cap
from pcb_spark.serving import served
from pcb_spark.serving.champion import Champion
from pcb_spark.serving.metrics import Metrics
from pcb_spark.serving.settings import Settings
from tests import edge
from tests.rows import rendered_pairs
from tests.serving import services

if TYPE_CHECKING:
    from pcb_spark.core.pairs import Pair
    from pcb_spark.core.scorer import Scorer

PAIRS = services.pairs(2)


def load(path: Path) -> served.Served:
    return services.load(path, settings=Settings(batch=2))


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """A link to the first of two bundles, and the second."""
    old = services.write(tmp_path / "old", services.model(model_version="old"))
    new = services.write(tmp_path / "new", services.model(seed=6, model_version="new"), hours=1)
    link = tmp_path / "champion"
    link.symlink_to(old)
    return link, new


def turn(link: Path, target: Path) -> None:
    """Turn a link at once, as a release does."""
    other = link.with_name("turned")
    other.symlink_to(target)
    other.replace(link)


def watched_until(champion: Champion, condition: Any) -> None:
    async def watch() -> None:
        watching = asyncio.create_task(champion.watch(0.01))
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.01)
        watching.cancel()

    asyncio.run(watch())


def test_turned_link_is_noticed(two: tuple[Path, Path]) -> None:
    link, new = two
    champion = Champion(link, load, Metrics())
    assert champion.current.manifest.model_version == "old"
    turn(link, new)
    watched_until(champion, lambda: champion.current.manifest.model_version == "new")
    assert champion.refused is None


@pytest.mark.parametrize("is_sound", [True, False])
def test_what_a_model_leaves_behind_is_given_back(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, is_sound: bool
) -> None:
    link, new = two
    given_back: list[str] = []
    monkeypatch.setattr("pcb_spark.serving.champion.SETTLED", 0.01)
    monkeypatch.setattr("pcb_spark.core.memory.give_back", lambda: given_back.append("all"))
    if not is_sound:
        (new / "graph.onnx").write_bytes(b"no graph")
    champion = Champion(link, load, Metrics())
    assert given_back == []
    turn(link, new)
    watched_until(champion, lambda: given_back == ["all"])
    assert (champion.refused is None) == is_sound


@pytest.mark.parametrize(
    "name", ["graph.onnx", "manifest.json", "manifest.json.minisig", "self_test/0_image"]
)
def test_tampered_bundle_is_refused_and_the_old_one_goes_on(
    two: tuple[Path, Path], name: str
) -> None:
    link, new = two
    metrics = Metrics()
    champion = Champion(link, load, metrics)
    content = (new / name).read_bytes()
    (new / name).write_bytes(content[:-9] + b"tampered!")
    turn(link, new)
    watched_until(champion, lambda: champion.refused is not None)
    assert champion.current.manifest.model_version == "old"
    assert metrics.registry.get_sample_value("pcb_model_swaps_total", {"outcome": "refused"})

    (new / name).write_bytes(content)  # put right, it is taken without a word
    watched_until(champion, lambda: champion.current.manifest.model_version == "new")
    assert champion.refused is None


def test_fault_while_loading_leaves_the_model_in_charge(two: tuple[Path, Path]) -> None:
    def fail(path: Path) -> served.Served:
        if path.resolve() == two[1]:
            raise MemoryError
        return load(path)

    champion = Champion(two[0], fail, Metrics())
    turn(*two)
    with pytest.raises(BundleError, match="MemoryError"):
        asyncio.run(champion.exchange())
    assert champion.current.manifest.model_version == "old"


def test_bundle_that_was_removed_leaves_the_model_in_charge(two: tuple[Path, Path]) -> None:
    link, _ = two
    champion = Champion(link, load, Metrics())
    shutil.rmtree(link.resolve())
    with pytest.raises(BundleError, match="there is no edge bundle"):
        asyncio.run(champion.exchange())
    assert champion.current.scorer.score(*PAIRS[0]).probability is not None


def test_graph_that_cannot_be_run_is_no_model(tmp_path: Path) -> None:
    made, graph = edge.sealed(), b"no graph"
    model = dataclasses.replace(made.manifest.model, model_sha256=bundle.sha256(graph))
    manifest = dataclasses.replace(made.manifest, model=model)
    broken = edge_bundle.sealed(manifest, {**made.parts, bundle.GRAPH: graph}, edge.PLANT)
    with pytest.raises(BundleError, match="can't be run"):
        load(edge.folder(tmp_path / "bundle", broken))


def test_bundle_whose_images_get_another_score_here_is_refused(tmp_path: Path) -> None:
    made = edge.sealed()
    known = dataclasses.replace(made.manifest.self_test[0], probability=(0.25).hex())
    manifest = dataclasses.replace(made.manifest, self_test=(known,))
    other = edge_bundle.sealed(manifest, made.parts, edge.PLANT)
    with pytest.raises(BundleError, match="get another score on this machine"):
        load(edge.folder(tmp_path / "bundle", other))


def test_bundle_of_a_stranger_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="trust"):
        load(edge.folder(tmp_path / "bundle", edge.sealed(key=edge.STRANGER)))


def test_older_bundle_is_refused_unless_it_is_asked_for(tmp_path: Path) -> None:
    link = tmp_path / "champion"
    link.symlink_to(services.write(tmp_path / "new", services.model(model_version="new"), hours=1))
    champion = Champion(link, load, Metrics())
    asked = Champion(link, load, Metrics(), allow_older=True)
    turn(link, services.write(tmp_path / "old", services.model(model_version="old")))

    with pytest.raises(BundleError, match="older than the one that is served"):
        asyncio.run(champion.exchange())
    assert champion.current.manifest.model_version == "new"
    assert asyncio.run(asked.exchange()).manifest.model_version == "old"


def test_service_says_which_model_it_has_and_which_it_refused(two: tuple[Path, Path]) -> None:
    link, new = two
    with services.client(link) as asking:
        first = asking.get("/v1/model").json()
        (new / bundle.GRAPH).write_bytes(b"tampered")
        turn(link, new)
        refused = asking.post("/v1/model/reload")
        after = asking.get("/v1/model").json()
        (new / bundle.GRAPH).write_bytes(services.model(seed=6).parts[bundle.GRAPH])
        served = asking.post("/v1/model/reload")
    assert (first["model_version"], first["refused"]) == ("old", None)
    assert refused.status_code == 409
    assert "is not the file that was signed for" in refused.json()["error"]["what"]
    assert after["model_version"] == "old"
    assert after["refused"]["what"] == refused.json()["error"]["what"]
    assert served.status_code == 200
    assert (served.json()["model_version"], served.json()["refused"]) == ("new", None)


def test_service_says_by_which_share_cap_it_decides(tmp_path: Path) -> None:
    capped = edge.sealed(cap=Cap(0.3, 0.0))
    link = edge.folder(tmp_path / "edge", capped)
    (image, reference), *_ = rendered_pairs(1)
    with services.client(link) as asking:
        about = asking.get("/v1/model").json()
        files = {"image": image, "reference": reference}
        answer = asking.post("/v1/inspect", files=files).json()
    record = capped.manifest.share_cap
    assert record is not None
    told = {"night": "2026-02-28", "sha256": record.sha256}
    assert (about["threshold"], about["share_cap"], answer["share_cap"]) == (0.0, told, told)
    assert (answer["results"][0]["threshold"], answer["results"][0]["decision"]) == (0.0, "fail")


def test_batches_grow_only_as_far_as_every_image_keeps_its_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scorer = load_scorer()
    assert served.agreeing_batch(scorer, 8) == 8

    def alike_up_to_three(pairs: list[Pair]) -> list[float]:
        return [0.5 if len(pairs) < 4 else 0.5000001] * len(pairs)

    monkeypatch.setattr(scorer, "probabilities", alike_up_to_three)
    assert served.agreeing_batch(scorer, 8) == 3


def load_scorer() -> Scorer:
    from pcb_spark.core.scorer import Scorer

    return Scorer(services.model(services.ALONE))
