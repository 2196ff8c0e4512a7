"""Writes a camera drop of rendered component images: images, references, verdicts.csv."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from pcb_spark.core.errors import ConfigError
from pcb_spark.demo.camera import GOLDEN_CAMERA, camera_on_day, jpeg
from pcb_spark.demo.product import Product, draw_defect
from pcb_spark.demo.schedule import LINES, POSITIONS, PRODUCTS, Board, plan_boards
from pcb_spark.demo.units import STEADY, Process

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class DropSummary:
    """What was written; ``defects`` counts images by defect kind, times are UTC."""

    folder: Path
    images: int
    boards: int
    references: int
    fails: int
    unverified: int
    defects: Mapping[str, int]
    first_captured_at: datetime
    last_captured_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    image: str
    reference: str
    board_id: str
    position: str
    lot: str
    line: str
    captured_at: str
    verdict: str
    defects: str


def render_drop(
    folder: Path,
    *,
    images: int = 1500,
    seed: int = 0,
    weeks: int = 6,
    fail_rate: float = 0.3,
    unverified: float = 0.0,
    process: Process = STEADY,
) -> DropSummary:
    """Write a camera drop of two lines and four board designs over working days from 2026-01-05 on.

    Parameters
    ----------
    folder : made if need be; an earlier rendering in it is deleted first.
    images : number of component images, 1 or more; ten positions a board.
    seed : same seed and options, same bytes in every file.
    weeks : of five working days, 1 or more.
    fail_rate : share of images with a defect, 0..1, in expectation.
    unverified : share of images whose verdict is left empty, 0..1, in expectation.
    process : how much good images of a position differ.

    Raises
    ------
    ConfigError : fewer than one image or week, or ``folder`` holds something else.
    """
    if images < 1 or weeks < 1:
        raise ConfigError(
            "a drop of no images", expected="images and weeks of 1 or more",
            got=f"images={images}, weeks={weeks}",
        )  # fmt: skip
    _start_afresh(folder)
    rng = np.random.default_rng(seed)
    product_rng, camera_rng, image_rng, verdict_rng = rng.spawn(4)
    products = [Product(product_rng, mask=mask, process=process) for _, mask in PRODUCTS]
    cameras = [[camera_on_day(camera_rng, day) for day in range(5 * weeks)] for _ in LINES]
    _write_references(folder, products)
    rows: list[_Row] = []
    truths: list[str | None] = []
    for board in plan_boards(images, weeks=weeks):
        for position in range(board.positions):
            defect = draw_defect(image_rng, position, fail_rate)
            camera, product = cameras[board.line][board.day], products[board.product]
            pair = product.photograph(image_rng, camera, board.lot, position, defect)
            row = _row(board, position, defect, verified=verdict_rng.random() >= unverified)
            _write(folder / row.image, pair.image, pair.quality)
            rows.append(row)
            truths.append(defect)
    _write_verdicts(folder / "verdicts.csv", rows)
    return _summary(folder, rows, truths)


def _start_afresh(folder: Path) -> None:
    """Delete an earlier rendering, and only that: a mark tells it from somebody's camera drop."""
    mark = folder / ".rendered"
    if folder.exists() and any(folder.iterdir()):
        if not mark.exists():
            what = f"{folder} holds files that were not rendered"
            raise ConfigError(what, hint="name another folder with --out")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mark.touch()


def _row(board: Board, position: int, defect: str | None, *, verified: bool) -> _Row:
    line, product = LINES[board.line], PRODUCTS[board.product][0]
    refdes = POSITIONS[position][0]
    moment = board.started_at + timedelta(seconds=2 * position)
    verdict = "pass" if defect is None else "fail"
    return _Row(
        image=f"images/line={line}/date={moment:%Y-%m-%d}/{board.board_id}_{refdes}.jpg",
        reference=_reference_path(product, refdes),
        board_id=board.board_id,
        position=refdes,
        lot=board.lot,
        line=line,
        captured_at=f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        verdict=verdict if verified else "",
        defects=(defect or "") if verified else "",
    )


def _reference_path(product: str, refdes: str) -> str:
    return f"references/{product}_{refdes}.jpg"


def _write_references(folder: Path, products: list[Product]) -> None:
    for (name, _), product in zip(PRODUCTS, products, strict=True):
        for (refdes, _), reference in zip(POSITIONS, product.references, strict=True):
            _write(folder / _reference_path(name, refdes), reference, GOLDEN_CAMERA.quality)


def _write(path: Path, image: Image.Image, quality: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpeg(image, quality))


def _write_verdicts(path: Path, rows: list[_Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(_Row.__slots__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def _summary(folder: Path, rows: list[_Row], truths: list[str | None]) -> DropSummary:
    times = [datetime.fromisoformat(row.captured_at) for row in rows]
    defects = Counter(kind for kind in truths if kind is not None)
    return DropSummary(
        folder=folder,
        images=len(rows),
        boards=len({row.board_id for row in rows}),
        references=len(PRODUCTS) * len(POSITIONS),
        fails=defects.total(),
        unverified=sum(row.verdict == "" for row in rows),
        defects=MappingProxyType(dict(sorted(defects.items()))),
        first_captured_at=min(times),
        last_captured_at=max(times),
    )
