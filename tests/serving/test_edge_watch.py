from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from faults.kill_watch import Found, kill_watch
from pcb_spark.core import bundle, names
from pcb_spark.core.errors import Busy, StorageFault
from pcb_spark.core.scorer import Scorer
from pcb_spark.serving import edge_home, edge_watch
from pcb_spark.serving.edge_spool import Spool
from tests import edge as made
from tests.rows import rendered_pairs

DAY = "images/line=L1/date=2026-01-05"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> edge_home.Home:
    folder = tmp_path_factory.mktemp("plant")
    (folder / "plant.pub").write_text(made.PLANT.public.text())
    found = edge_home.made(folder / "home")
    found.trust(folder / "plant.pub")
    found.install(made.sealed())
    return found


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    root = tmp_path / "drop"
    rows = ["image,reference,captured_at"]
    for number, (image, reference) in enumerate(rendered_pairs(made.PAIRS)):
        arrives(root / DAY / f"b{number}_P1.png", image)
        arrives(root / "references" / f"{number}.png", reference)
        rows.append(f"{DAY}/b{number}_P1.png,references/{number}.png,2026-01-05T06:00:0{number}Z")
    arrives(root / "verdicts.csv", "\n".join(rows).encode())
    return root


def arrives(path: Path, content: bytes, *, age: float = 100.0) -> None:
    """A file that was written so many seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    then = time.time() - age
    os.utime(path, (then, then))


def look(home: edge_home.Home, drop: Path, out: Path, **pace: Any) -> list[dict[str, Any]]:
    """One look: what was decided in it."""
    told: list[dict[str, Any]] = []
    edge_watch.Watch(home, drop, out, edge_watch.Pace(**pace), told.append).run(once=True)
    return told


def below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_each_image_is_decided_once_and_comes_back_as_a_drop(
    home: edge_home.Home, drop: Path, tmp_path: Path
) -> None:
    told = look(home, drop, tmp_path / "out")
    assert [each["path"] for each in told] == [f"{DAY}/b{n}_P1.png" for n in range(made.PAIRS)]
    assert look(home, drop, tmp_path / "out") == []

    spooled = below(tmp_path / "out" / "spool")
    decisions = {path for path in spooled if path.startswith("decisions/")}
    assert spooled - decisions == below(drop)
    assert decisions == {f"decisions/{each}" for each in below(tmp_path / "out" / "decisions")}
    for path in spooled - decisions:
        assert (tmp_path / "out" / "spool" / path).read_bytes() == (drop / path).read_bytes()
    written = [json.loads(p.read_bytes()) for p in (tmp_path / "out" / "decisions").rglob("*.json")]
    assert sorted(each["path"] for each in written) == [each["path"] for each in told]


def test_own_golden_images_come_with_the_bundle_and_stay_out_of_the_spool(
    tmp_path: Path, drop: Path
) -> None:
    (tmp_path / "plant.pub").write_text(made.PLANT.public.text())
    home = edge_home.made(tmp_path / "home")
    home.trust(tmp_path / "plant.pub")
    model = made.model()
    manifest = dataclasses.replace(model.manifest, references=names.OWN)
    golden = rendered_pairs(1)[0][1]
    home.install(
        made.sealed(made=bundle.Bundle(manifest=manifest, parts=model.parts), own={"P1": golden})
    )

    told = look(home, drop, tmp_path / "out")

    expected = [Scorer(model).score(image, golden) for image, _ in rendered_pairs(made.PAIRS)]
    alike = [each for each in told if each["reference"] is not None]
    assert alike[0]["probability"] == expected[0].probability
    assert {each["reference"] for each in alike} == {f"goldens/{bundle.sha256(golden)}"}
    assert {each["reason"] for each in told if each not in alike} <= {names.GOLDEN_MISSING}
    assert all(each["spooled"] for each in told)
    assert not (tmp_path / "out" / "spool" / "goldens").exists()
    assert not (tmp_path / "out" / "spool" / "references").exists()


def test_what_waits_goes_when_the_share_is_there_and_nothing_is_decided_anew(
    home: edge_home.Home, drop: Path, tmp_path: Path
) -> None:
    share, out = tmp_path / "share", tmp_path / "out"
    assert len(look(home, drop, out, to=share)) == made.PAIRS
    waiting = below(out / "spool")
    assert waiting
    share.mkdir()
    assert look(home, drop, out, to=share) == []
    assert below(share) == waiting
    assert below(out / "spool") == set()
    with (drop / "verdicts.csv").open("a") as file:
        file.write(f"\n{DAY}/b0_P1.png,,")
    os.utime(drop / "verdicts.csv", (1, 1))
    look(home, drop, out, to=share)
    assert (share / "verdicts.csv").read_bytes() == (drop / "verdicts.csv").read_bytes()


def test_another_version_of_a_file_is_decided_and_the_same_one_is_not(
    home: edge_home.Home, drop: Path, tmp_path: Path
) -> None:
    look(home, drop, tmp_path / "out")
    image = drop / DAY / "b0_P1.png"
    arrives(image, image.read_bytes(), age=50)
    assert look(home, drop, tmp_path / "out") == []
    arrives(image, rendered_pairs(made.PAIRS)[1][0], age=40)
    (told,) = look(home, drop, tmp_path / "out")
    assert told["path"] == f"{DAY}/b0_P1.png"
    assert len(below(tmp_path / "out" / "decisions")) == made.PAIRS + 1


def test_a_file_that_is_being_written_waits(
    home: edge_home.Home, drop: Path, tmp_path: Path
) -> None:
    image, _ = rendered_pairs(made.PAIRS)[0]
    arrives(drop / DAY / "young_P1.png", image, age=0.0)
    arrives(drop / DAY / "half_P1.png", image[: len(image) // 2], age=10.0)
    arrives(drop / DAY / "broken_P1.png", image[: len(image) // 2], age=200.0)
    told = {each["path"]: each for each in look(home, drop, tmp_path / "out", settle=5.0)}
    assert f"{DAY}/young_P1.png" not in told
    assert f"{DAY}/half_P1.png" not in told
    assert told[f"{DAY}/broken_P1.png"]["reason"] == "truncated_image"
    arrives(drop / DAY / "half_P1.png", image, age=10.0)
    again = [each["path"] for each in look(home, drop, tmp_path / "out", settle=5.0)]
    assert again == [f"{DAY}/half_P1.png"]


def test_without_its_ledger_nothing_is_decided_twice(
    home: edge_home.Home, drop: Path, tmp_path: Path
) -> None:
    look(home, drop, tmp_path / "out")
    ledger = tmp_path / "out" / "ledger.jsonl"
    whole = ledger.read_bytes()
    for cut in (0, 10, len(whole) // 2, len(whole) - 3):
        ledger.write_bytes(whole[:cut])
        assert look(home, drop, tmp_path / "out") == []
    assert len(ledger.read_bytes().splitlines()) == len(whole.splitlines())


def test_a_power_cut_anywhere_decides_each_image_once(
    home: edge_home.Home, drop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ends at each of the writes that reach the disk, one after the other."""

    class PowerCut(BaseException):
        pass

    fsync, out, cuts = os.fsync, tmp_path / "out", 0
    for last in range(1, 200, 3):
        shutil.rmtree(out, ignore_errors=True)
        calls = iter(range(1, last + 1))

        def cut(descriptor: int, calls: Any = calls) -> None:
            if next(calls, None) is None:
                raise PowerCut
            fsync(descriptor)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", cut)
            try:
                told = look(home, drop, out)
                break
            except PowerCut:
                cuts += 1
        look(home, drop, out)
        assert len(below(out / "decisions")) == made.PAIRS
        spooled = below(out / "spool")
        assert {p for p in spooled if not p.startswith("decisions/")} == below(drop)
        assert {p for p in spooled if p.startswith("decisions/")} == {
            f"decisions/{each}" for each in below(out / "decisions")
        }
    assert len(told) == made.PAIRS
    assert cuts >= 10


def test_a_full_spool_lets_go_of_what_nobody_looks_at_and_keeps_decisions(
    home: edge_home.Home, drop: Path, tmp_path: Path
) -> None:
    told = look(home, drop, tmp_path / "all")
    cleared = [each["path"] for each in told if each["decision"] == "pass"]
    others = [each["path"] for each in told if each["decision"] != "pass"]
    assert cleared
    assert others
    size = sum(path.stat().st_size for path in (tmp_path / "all" / "spool").rglob("*.*"))
    smallest = min((drop / path).stat().st_size for path in cleared)
    look(home, drop, tmp_path / "out", most=size - smallest)
    spooled = below(tmp_path / "out" / "spool")
    assert len(below(tmp_path / "out" / "decisions")) == made.PAIRS
    assert set(others) <= spooled
    look(home, drop, tmp_path / "none", most=10)
    kept = {path for path in below(tmp_path / "none" / "spool") if "decisions" not in path}
    assert kept == set()
    decisions = (tmp_path / "none" / "decisions").rglob("*.json")
    assert {json.loads(path.read_bytes())["spooled"] for path in decisions} == {False}


def test_the_oldest_picture_that_nobody_looks_at_goes_first(tmp_path: Path) -> None:
    spool = Spool(tmp_path, most=100)
    for name in ("a", "b", "c"):
        assert spool.keep(name, bytes(30))
    spool.may_go("b")
    spool.may_go("a")
    assert spool.keep("d", bytes(30))
    assert below(tmp_path) == {"a", "c", "d"}
    assert spool.keep("e", bytes(30))
    assert not spool.keep("f", bytes(30))
    assert below(tmp_path) == {"c", "d", "e"}


def test_two_watches_of_one_folder_are_one_too_many(
    home: edge_home.Home, drop: Path, tmp_path: Path
) -> None:
    refused: list[str] = []

    def tell(_: dict[str, Any]) -> None:
        with pytest.raises(Busy, match="another watch works"):
            look(home, drop, tmp_path / "out")
        refused.append("once")

    edge_watch.Watch(home, drop, tmp_path / "out", edge_watch.Pace(), tell).run(once=True)
    assert len(refused) == made.PAIRS
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFault):
        look(home, drop, tmp_path / "file")


def test_an_update_in_between_decides_the_next_images(
    home: edge_home.Home, drop: Path, tmp_path: Path
) -> None:
    """Each by one model as a whole."""
    shutil.copytree(home.folder, tmp_path / "home", symlinks=True)
    own = edge_home.Home(tmp_path / "home")
    told: list[dict[str, Any]] = []
    watch = edge_watch.Watch(own, drop, tmp_path / "out", edge_watch.Pace(every=0), told.append)

    def tell(decision: dict[str, Any]) -> None:
        told.append(decision)
        if len(told) == made.PAIRS:
            own.install(made.sealed(seed=6), allow_older=True)
            arrives(drop / DAY / "next_P1.png", rendered_pairs(1)[0][0])
        if len(told) > made.PAIRS:
            watch.stop.set()

    watch.tell = tell
    watch.run()
    old, new = (made.model(seed).manifest.model_sha256 for seed in (5, 6))
    assert [each["model_sha256"] for each in told] == [old] * made.PAIRS + [new]


def test_decisions_are_forgotten_after_their_time(
    home: edge_home.Home, drop: Path, tmp_path: Path
) -> None:
    look(home, drop, tmp_path / "out")
    first = sorted((tmp_path / "out" / "decisions").rglob("*.json"))[0]
    os.utime(first, (1, 1))
    assert look(home, drop, tmp_path / "out", keep_days=30) == []
    assert not first.exists()


def test_killed_at_random_moments_it_decides_each_image_once(
    home: edge_home.Home, drop: Path, tmp_path: Path
) -> None:
    """`make kill-watch` does so twenty times."""
    found = kill_watch(home.folder, drop, tmp_path / "work", images=made.PAIRS, kills=3, seed=1)
    assert found == Found(kills=3, images=made.PAIRS, wrong=())
