from __future__ import annotations

import io
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from PIL import Image

from pcb_spark.core import drops
from pcb_spark.core.drops import Drop, Habits
from tests.drops import picture, write

IMAGE = "images/line=L1/date=2026-01-05/b1_R1.png"


def reference(root: Path, path: str = IMAGE, habits: Habits | None = None) -> str | None:
    drop = Drop(root, habits or Habits())
    content = (root / path).read_bytes()
    found = drop.reference(path, drop.traits(path, content), content)
    return found[0] if found else None


def test_images_are_found_as_ingest_finds_them(tmp_path: Path) -> None:
    root = write(tmp_path, {
        IMAGE: picture(), "images/b2_R1.JPG": picture(), "images/.hidden.png": picture(),
        "images/_temporary/b3_R1.png": picture(), "images/b1_R1.png.json": "{}",
        "references/r.png": picture(), "other.png": picture(),
    })  # fmt: skip
    (root / "images" / "link.png").symlink_to(root / "other.png")
    assert list(Drop(root, Habits()).paths()) == ["images/b2_R1.JPG", IMAGE]


def test_a_drop_without_a_folder_of_images_is_searched_as_a_whole(tmp_path: Path) -> None:
    root = write(tmp_path, {"b1_R1.png": picture(), "references/r.png": picture(), "a.txt": ""})
    assert list(Drop(root, Habits()).paths()) == ["b1_R1.png"]


def test_an_image_is_called_as_ingest_calls_it() -> None:
    """sha2(path, 256), its first 32 digits."""
    assert drops.image_id("images/a.png") == "50edaf76ce4dfb9d6b331d4b2544406b"


def test_a_table_knows_better_than_folders_and_a_manifest_than_verdicts(tmp_path: Path) -> None:
    root = write(tmp_path, {
        IMAGE: picture(),
        "verdicts.csv": f"image,reference,line,lot,captured_at\n{IMAGE},v.png,L7,4711,"
        "2026-02-01T08:00:00+01:00\n",
        "manifest.csv": f"\ufeffImage, Reference ,line\n{IMAGE},references/m.png,L9\n",
        "references/m.png": picture(),
    })  # fmt: skip
    traits = Drop(root, Habits()).traits(IMAGE, picture())
    assert (traits.line, traits.lot, traits.board_id) == ("L9", "4711", "b1")
    assert traits.captured_at == datetime(2026, 2, 1, 7, tzinfo=UTC)
    assert reference(root) == "references/m.png"


def test_a_window_names_the_reference_where_no_table_does(tmp_path: Path) -> None:
    windows = (
        "reference,position,valid_from,valid_until\n"
        "references/old.png,R1,,2026-01-05\nreferences/new.png,R1,2026-01-05,\n"
    )
    golden_images = {f"references/{name}.png": picture() for name in ("old", "new")}
    root = write(tmp_path, {IMAGE: picture(), "references.csv": windows, **golden_images})
    assert reference(root) == "references/new.png"


@pytest.mark.parametrize(
    "named", ["references/gone.png", "../secret.png", "references/large.png", "/etc/hostname"]
)
def test_what_ingest_would_not_attach_is_none(tmp_path: Path, named: str) -> None:
    root = write(tmp_path / "drop", {
        IMAGE: picture(), "verdicts.csv": f"image,reference\n{IMAGE},{named}\n",
        "references/large.png": _wide(),
    })  # fmt: skip
    write(tmp_path, {"secret.png": picture()})
    assert reference(root) is None


def _wide() -> bytes:
    file = io.BytesIO()
    Image.new("L", (40, 16)).save(file, "PNG")
    return file.getvalue()


def test_a_plants_own_habits_count(tmp_path: Path) -> None:
    habits = Habits(
        images="Bilder", pattern=r"(?P<board_id>\d+)-(?P<position>\w+)-(?P<captured_at>\d{14})",
        time_format="%Y%m%d%H%M%S", timezone="Europe/Berlin",
    )  # fmt: skip
    path = "Bilder/0815-U7-20260105080000.png"
    drop = Drop(write(tmp_path, {path: picture()}), habits)
    assert list(drop.paths()) == [path]
    traits = drop.traits(path, picture())
    assert (traits.board_id, traits.position) == ("0815", "U7")
    assert traits.captured_at == datetime(2026, 1, 5, 7, tzinfo=UTC)


def test_habits_are_what_was_written() -> None:
    habits = Habits(earliest=date(2020, 1, 1), verdict_time_format=("%d.%m.%Y",), pattern="x")
    assert Habits.from_json(habits.to_json()) == habits


def test_a_sidecar_tells_what_no_table_does(tmp_path: Path) -> None:
    root = write(tmp_path, {
        IMAGE: picture(), "references/s.png": picture(),
        f"{IMAGE}.json": '{"reference": "references/s.png", "line": "L8", "lot": "4", "n": 3}',
        "verdicts.csv": f"image,line\n{IMAGE},L7\n",
    })  # fmt: skip
    traits = Drop(root, Habits()).traits(IMAGE, picture())
    assert (traits.line, traits.lot) == ("L7", "4")
    assert reference(root) == "references/s.png"


@pytest.mark.parametrize(
    "content",
    ["image;reference\na;b\n", "Bild,Referenz\na,b\n", b"image,reference\n\xe4,b\n", ""],
    ids=["separator", "names", "encoding", "empty"],
)
def test_a_table_in_another_form_is_named(tmp_path: Path, content: str | bytes) -> None:
    root = write(tmp_path, {IMAGE: picture(), "verdicts.csv": content, "references.csv": content})
    drop = Drop(root, Habits())
    assert drop.unread() == ["verdicts.csv", "references.csv"]
    assert drop.traits(IMAGE, picture()).line == "L1"
    assert reference(root) is None
    write(root, {"verdicts.csv": f"image,line\n{IMAGE},L7\n"})
    assert Drop(root, Habits()).unread() == ["references.csv"]
