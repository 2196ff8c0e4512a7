from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest

from pcb_spark.core import bundle, edge_bundle
from pcb_spark.core.errors import BundleError, InputError
from pcb_spark.serving import edge_doctor, edge_home
from tests import edge as made

LATER = made.EXPORTED + timedelta(days=1)


@pytest.fixture
def home(tmp_path: Path) -> edge_home.Home:
    (tmp_path / "plant.pub").write_text(made.PLANT.public.text())
    found = edge_home.made(tmp_path / "home")
    found.trust(tmp_path / "plant.pub")
    return found


def opened(
    path: Path, edge: edge_bundle.EdgeBundle, home: edge_home.Home
) -> edge_bundle.EdgeBundle:
    return edge_bundle.open_bundle(made.folder(path, edge), home.trusted())


def decides(home: edge_home.Home) -> str:
    return bundle.sha256(home.open().signed)


def wrong(edge: edge_bundle.EdgeBundle) -> edge_bundle.EdgeBundle:
    """The same, but for one bit of what an image has to get."""
    first, *others = edge.manifest.self_test
    value = float.fromhex(first.probability)
    other = dataclasses.replace(first, probability=(value + 2**-26).hex())
    manifest = dataclasses.replace(
        edge.manifest, self_test=(other, *others), created_at=LATER + timedelta(days=1)
    )
    return edge_bundle.sealed(manifest, edge.parts, made.PLANT)


def test_a_bundle_decides_once_it_has_passed_its_test(home: edge_home.Home, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no model"):
        home.open()
    first = opened(tmp_path / "1", made.sealed(), home)
    assert home.install(first) is None
    assert home.open() == first
    second = opened(tmp_path / "2", made.sealed(created_at=LATER, seed=6), home)
    assert home.install(second) == bundle.sha256(first.signed)[:16]
    assert home.open() == second
    assert edge_bundle.open_bundle(home.folder / "previous", home.trusted()) == first


def test_one_bit_in_a_self_test_leaves_the_old_model(home: edge_home.Home, tmp_path: Path) -> None:
    first = opened(tmp_path / "1", made.sealed(), home)
    home.install(first)
    other = opened(tmp_path / "2", wrong(made.sealed(seed=6)), home)
    with pytest.raises(BundleError, match=r"(?s)answers otherwise here.*1 of 3 images.*processor"):
        home.install(other)
    assert home.open() == first
    assert len(list((home.folder / "bundles").iterdir())) == 1


def test_going_back_has_to_be_said(home: edge_home.Home, tmp_path: Path) -> None:
    newer = opened(tmp_path / "1", made.sealed(created_at=LATER), home)
    older = opened(tmp_path / "2", made.sealed(), home)
    home.install(newer)
    with pytest.raises(BundleError, match=r"(?s)older than the one.*--allow-older"):
        home.install(older)
    assert home.open() == newer
    home.install(older, allow_older=True)
    assert home.open() == older


def test_two_bundles_are_kept_and_no_more(home: edge_home.Home, tmp_path: Path) -> None:
    for day in range(4):
        edge = made.sealed(created_at=made.EXPORTED + timedelta(days=day))
        home.install(opened(tmp_path / str(day), edge, home))
    assert len(list((home.folder / "bundles").iterdir())) == 2


def test_installing_it_again_mends_a_damaged_one(home: edge_home.Home, tmp_path: Path) -> None:
    edge = opened(tmp_path / "1", made.sealed(), home)
    home.install(edge)
    (home.current / "graph.onnx").write_bytes(b"damaged")
    with pytest.raises(BundleError, match="not the file that was signed"):
        home.open()
    home.install(edge)
    assert home.open() == edge


def test_a_bundle_of_a_key_that_is_trusted_no_more_stops_deciding(
    home: edge_home.Home, tmp_path: Path
) -> None:
    home.install(opened(tmp_path / "1", made.sealed(), home))
    (tmp_path / "other.pub").write_text(made.STRANGER.public.text())
    home.trust(tmp_path / "other.pub")
    assert len(home.trusted()) == 2
    assert decides(home)
    (home.folder / "trusted" / f"{made.PLANT.public.name}.pub").unlink()
    with pytest.raises(BundleError, match="isn't trusted here"):
        home.open()


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be made"):
        edge_home.made(tmp_path / "file" / "home")


def test_doctor_says_what_is_missing_and_what_is_well(home: edge_home.Home, tmp_path: Path) -> None:
    found = {check.name: check for check in edge_doctor.checks(home)}
    assert not found["bundle"].ok
    assert "pcb-edge update" in found["bundle"].found
    home.install(opened(tmp_path / "1", made.sealed(), home))
    found = {check.name: check for check in edge_doctor.checks(home)}
    assert all(check.ok for check in found.values()), found
    assert found["self-test"].found == "3 images, bit for bit"
    assert made.PLANT.public.name in found["trusted keys"].found
