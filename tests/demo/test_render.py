"""The rendered drop and the rendered pairs."""

from __future__ import annotations

import csv
import itertools
import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageChops

from pcb_spark.core.errors import ConfigError
from pcb_spark.demo.camera_drop import DropSummary, render_drop
from pcb_spark.demo.parts import PARTS
from pcb_spark.demo.render import RenderedPair, render_pair
from pcb_spark.demo.schedule import plan_boards
from pcb_spark.demo.units import STEADY, WILD, good_unit

Rows = list[dict[str, str]]

TWELVE_IMAGES = [
    "images/line=L1/date=2026-01-05/A7L01-001_C1.jpg",
    "images/line=L1/date=2026-01-05/A7L01-001_C2.jpg",
    "images/line=L1/date=2026-01-05/A7L01-001_C3.jpg",
    "images/line=L1/date=2026-01-05/A7L01-001_C4.jpg",
    "images/line=L1/date=2026-01-05/A7L01-001_Q1.jpg",
    "images/line=L1/date=2026-01-05/A7L01-001_Q2.jpg",
    "images/line=L1/date=2026-01-05/A7L01-001_R1.jpg",
    "images/line=L1/date=2026-01-05/A7L01-001_R2.jpg",
    "images/line=L1/date=2026-01-05/A7L01-001_U1.jpg",
    "images/line=L1/date=2026-01-05/A7L01-001_U2.jpg",
    "images/line=L2/date=2026-01-07/B2L01-001_R1.jpg",
    "images/line=L2/date=2026-01-07/B2L01-001_R2.jpg",
]
REFERENCES = [
    f"references/{product}_{position}.jpg"
    for product in ("A7", "B2", "C5", "D1")
    for position in ("C1", "C2", "C3", "C4", "Q1", "Q2", "R1", "R2", "U1", "U2")
]
KINDS = {"missing", "shifted", "rotated", "tombstone", "bridge", "insufficient_solder"}
PART_DEFECTS = [
    *(("chip_resistor", kind) for kind in sorted(KINDS - {"bridge"})),
    *(("chip_capacitor", kind) for kind in sorted(KINDS - {"bridge"})),
    *(("tantalum", kind) for kind in sorted(KINDS - {"bridge", "tombstone"})),
    *(("electrolytic", kind) for kind in sorted(KINDS - {"bridge", "tombstone"})),
    *(("sot23", kind) for kind in sorted(KINDS - {"tombstone"})),
    *(("soic8", kind) for kind in sorted(KINDS - {"tombstone"})),
]


@pytest.fixture(scope="module")
def drop(tmp_path_factory: pytest.TempPathFactory) -> DropSummary:
    return render_drop(tmp_path_factory.mktemp("drop"), images=300, seed=0, unverified=0.1)


@pytest.fixture(scope="module")
def rows(drop: DropSummary) -> Rows:
    return read_verdicts(drop.folder)


def read_verdicts(folder: Path) -> Rows:
    with (folder / "verdicts.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != ".rendered")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def pair(part: str, defect: str | None, severity: float, seed: int) -> RenderedPair:
    rng = np.random.default_rng(seed)
    return render_pair(rng, part=part, defect=defect, severity=severity, day=10)


def difference(one: Image.Image, other: Image.Image) -> npt.NDArray[np.uint8]:
    levels: npt.NDArray[np.uint8] = np.asarray(ImageChops.difference(one, other)).max(axis=2)
    return levels


def test_layout_of_a_drop_with_a_broken_off_board(tmp_path: Path) -> None:
    summary = render_drop(tmp_path, images=12, weeks=1, fail_rate=0.0)
    assert sorted(files(tmp_path)) == [*TWELVE_IMAGES, *REFERENCES, "verdicts.csv"]
    assert (summary.images, summary.boards, summary.references) == (12, 2, 40)
    assert (summary.fails, summary.unverified, dict(summary.defects)) == (0, 0, {})
    assert summary.first_captured_at == datetime(2026, 1, 5, 6, 0, 0, tzinfo=UTC)
    assert summary.last_captured_at == datetime(2026, 1, 7, 6, 0, 2, tzinfo=UTC)


def test_verdicts_file_as_text(tmp_path: Path) -> None:
    render_drop(tmp_path, images=2, fail_rate=0.0)
    assert (tmp_path / "verdicts.csv").read_bytes().decode() == (
        "image,reference,board_id,position,lot,line,captured_at,verdict,defects\n"
        "images/line=L1/date=2026-01-05/A7L01-001_R1.jpg,references/A7_R1.jpg,"
        "A7L01-001,R1,A7L01,L1,2026-01-05T06:00:00Z,pass,\n"
        "images/line=L1/date=2026-01-05/A7L01-001_R2.jpg,references/A7_R2.jpg,"
        "A7L01-001,R2,A7L01,L1,2026-01-05T06:00:02Z,pass,\n"
    )


def test_same_seed_gives_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        render_drop(tmp_path / name, images=20, seed=seed)
    first = files(tmp_path / "a")
    assert files(tmp_path / "b") == first
    other = files(tmp_path / "c")
    assert all(other[path] != first[path] for path in first)


def test_every_listed_file_is_an_rgb_jpeg_of_one_size(drop: DropSummary, rows: Rows) -> None:
    listed = {row["image"] for row in rows} | {row["reference"] for row in rows}
    assert listed == set(files(drop.folder)) - {"verdicts.csv"}
    for path in sorted(listed):
        with Image.open(drop.folder / path) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (144, 144))


def test_references_are_shared_by_position_and_product(rows: Rows) -> None:
    assert {row["reference"] for row in rows} == set(REFERENCES)
    products = {"L1": {"A7", "C5"}, "L2": {"B2", "D1"}}
    for row in rows:
        product = row["lot"][:2]
        assert product in products[row["line"]]
        assert row["reference"] == f"references/{product}_{row['position']}.jpg"


def test_dates_run_forward_over_thirty_working_days(rows: Rows) -> None:
    moments = [datetime.fromisoformat(row["captured_at"]) for row in rows]
    assert all(row["captured_at"].endswith("Z") for row in rows)
    assert all(a < b for a, b in itertools.pairwise(moments))
    days = sorted({moment.date() for moment in moments})
    assert (len(days), str(days[0]), str(days[-1])) == (30, "2026-01-05", "2026-02-13")
    assert all(day.weekday() < 5 for day in days)


def test_boards_span_neither_days_nor_lots_nor_lines(rows: Rows) -> None:
    homes = {(r["board_id"], r["captured_at"][:10], r["lot"], r["line"]) for r in rows}
    assert len(homes) == len({row["board_id"] for row in rows}) == 30


def test_lots_last_days_and_the_path_names_line_and_date(rows: Rows) -> None:
    days = {(row["lot"], row["captured_at"][:10]) for row in rows}
    assert len(days) > len({row["lot"] for row in rows}) == 20
    for row in rows:
        name = f"line={row['line']}/date={row['captured_at'][:10]}/"
        assert row["image"] == f"images/{name}{row['board_id']}_{row['position']}.jpg"


def test_two_boards_a_day_start_half_a_minute_under_six_apart() -> None:
    boards = list(plan_boards(95, weeks=1))
    assert [(b.board_id, b.day, f"{b.started_at:%d %H:%M:%S}", b.positions) for b in boards] == [
        ("A7L01-001", 0, "05 06:00:00", 10),
        ("B2L01-001", 0, "05 06:05:30", 10),
        ("A7L01-002", 1, "06 06:00:00", 10),
        ("B2L01-002", 1, "06 06:05:30", 10),
        ("A7L01-003", 2, "07 06:00:00", 10),
        ("B2L01-003", 2, "07 06:05:30", 10),
        ("C5L02-001", 3, "08 06:00:00", 10),
        ("D1L02-001", 3, "08 06:05:30", 10),
        ("C5L02-002", 4, "09 06:00:00", 10),
        ("D1L02-002", 4, "09 06:05:30", 5),
    ]


def test_a_thousand_boards_a_day_still_end_before_the_next() -> None:
    boards = list(plan_boards(50_000, weeks=1))
    assert len(boards) == 5_000
    assert f"{boards[999].started_at:%Y-%m-%d %H:%M:%S}" == "2026-01-05 21:59:02"
    assert f"{boards[1000].started_at:%Y-%m-%d %H:%M:%S}" == "2026-01-06 06:00:00"


def test_all_kinds_occur_and_about_thirty_percent_fail(drop: DropSummary, rows: Rows) -> None:
    assert set(drop.defects) == KINDS
    assert sum(drop.defects.values()) == drop.fails
    # Four standard deviations of a binomial share of 300 around .3, on each side.
    assert abs(drop.fails / 300 - 0.3) < 4 * math.sqrt(0.3 * 0.7 / 300)
    assert {row["defects"] for row in rows if row["verdict"] == "fail"} <= KINDS
    assert {row["defects"] for row in rows if row["verdict"] == "pass"} == {""}


def test_some_images_are_not_yet_verified(drop: DropSummary, rows: Rows) -> None:
    empty = [row for row in rows if row["verdict"] == ""]
    assert len(empty) == drop.unverified
    assert 10 <= len(empty) <= 55
    assert {row["defects"] for row in empty} == {""}


def test_leaving_verdicts_out_changes_no_image(tmp_path: Path) -> None:
    for name, unverified in (("all", 0.0), ("none", 1.0)):
        render_drop(tmp_path / name, images=3, unverified=unverified)
    all_, none = files(tmp_path / "all"), files(tmp_path / "none")
    assert {row["verdict"] for row in read_verdicts(tmp_path / "none")} == {""}
    assert all_.pop("verdicts.csv") != none.pop("verdicts.csv")
    assert all_ == none


@pytest.mark.parametrize(("images", "weeks"), [(0, 6), (10, 0)])
def test_an_empty_drop_is_refused(tmp_path: Path, images: int, weeks: int) -> None:
    with pytest.raises(ConfigError, match=f"images={images}, weeks={weeks}"):
        render_drop(tmp_path, images=images, weeks=weeks)


@pytest.mark.parametrize(("part", "defect"), PART_DEFECTS)
@pytest.mark.parametrize("severity", [0.0, 1.0])
def test_defect_box_holds_all_that_the_defect_changes(
    part: str, defect: str, severity: float
) -> None:
    good, bad = pair(part, None, severity, 5), pair(part, defect, severity, 5)
    assert good.defect_box is None
    assert bad.defect_box is not None
    left, top, right, bottom = bad.defect_box
    assert 0 <= left < right <= 144
    assert 0 <= top < bottom <= 144
    assert difference(good.reference, bad.reference).max() == 0
    changed = difference(good.image, bad.image)
    assert changed[top:bottom, left:right].max() >= 25
    changed[top:bottom, left:right] = 0
    assert changed.max() < 13


def test_severity_grows_the_change() -> None:
    good = pair("soic8", None, 0.0, 1).image
    mild = difference(good, pair("soic8", "shifted", 0.0, 1).image).mean()
    severe = difference(good, pair("soic8", "shifted", 1.0, 1).image).mean()
    assert mild < severe


def test_missing_part_uncovers_the_board_where_the_body_was() -> None:
    box = pair("tantalum", "missing", 0.5, 2).defect_box
    assert box is not None
    # The body is 74 x 46 pixels around the middle of the image, along x or along y.
    assert max(box[:2]) < 55
    assert min(box[2:]) > 89


def test_good_pairs_differ_from_their_reference_but_by_less_than_missing_ones() -> None:
    for part in PARTS:
        good, missing = pair(part, None, 0.0, 7), pair(part, "missing", 0.5, 7)
        tolerated = difference(good.image, good.reference).mean()
        assert 1 < tolerated < difference(missing.image, missing.reference).mean()


def test_lamp_fades_over_the_weeks() -> None:
    levels = [
        np.mean([np.asarray(render_pair(np.random.default_rng(s), part="sot23", day=day).image)
                 .mean() for s in range(4)])
        for day in (0, 29)
    ]  # fmt: skip
    assert levels[1] < 0.95 * levels[0]


@pytest.mark.parametrize(
    ("part", "defect", "said"),
    [("chip_resistor", "bridge", "tombstone"), ("qfn", None, "soic8"),
     ("soic8", "tombstone", "bridge")],
)  # fmt: skip
def test_unknown_part_or_impossible_defect_names_the_choices(
    part: str, defect: str | None, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        pair(part, defect, 0.5, 0)


def test_a_smaller_rendering_leaves_nothing_of_a_larger_one(tmp_path: Path) -> None:
    render_drop(tmp_path, images=12, weeks=1)
    render_drop(tmp_path, images=2, weeks=1)
    assert len(list((tmp_path / "images").rglob("*.jpg"))) == 2


def test_somebody_elses_drop_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "verdicts.csv").write_text("image\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="files that were not rendered"):
        render_drop(tmp_path, images=2, weeks=1)
    assert [path.name for path in tmp_path.iterdir()] == ["verdicts.csv"]


def test_a_wild_process_spreads_good_units_within_the_same_tolerance() -> None:
    rng = np.random.default_rng(0)
    steady, wild = (
        [good_unit(rng, PARTS["soic8"], supplier=0, mask_tone=1.0, process=process)
         for _ in range(200)]
        for process in (STEADY, WILD)
    )  # fmt: skip
    assert np.std([unit.dx for unit in wild]) > 1.2 * np.std([unit.dx for unit in steady])
    assert np.std([unit.volumes for unit in wild]) > 1.2 * np.std([unit.volumes for unit in steady])
    assert all(abs(unit.dx) <= 2.2 and abs(unit.turn) <= 2.0 for unit in wild)
    assert all(0.82 <= volume <= 1.2 for unit in wild for volume in unit.volumes)


def test_a_process_changes_images_and_neither_references_nor_the_plan(tmp_path: Path) -> None:
    for name, process in (("steady", STEADY), ("wild", WILD)):
        render_drop(tmp_path / name, images=20, weeks=1, fail_rate=0.0, process=process)
    steady, wild = files(tmp_path / "steady"), files(tmp_path / "wild")
    assert steady.pop("verdicts.csv") == wild.pop("verdicts.csv")
    assert all(wild[path] != steady[path] for path in steady if path.startswith("images/"))
    assert all(wild[path] == steady[path] for path in steady if path.startswith("references/"))
