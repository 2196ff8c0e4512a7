"""What the tables of a plant say of a loop: read as anybody may, without Spark."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pyarrow_hotfix  # noqa: F401  closes CVE-2023-47248 before pyarrow 13 reads

from faults.loop_checks import Model
from faults.loop_drop import place_of
from pcb_spark.core import names
from pcb_spark.pipeline import config, registry


def places(out: Path) -> dict[str, str]:
    """The place of each image, by its id."""
    columns = [names.IMAGE_ID, names.BOARD_ID, names.POSITION]
    return {row[names.IMAGE_ID]: place_of(row) for row in _rows(out / "images", columns)}


def scores(out: Path) -> list[Mapping[str, Any]]:
    """Rows of ``scores``: place on the board, decision, and why somebody looks."""
    columns = [names.BOARD_ID, names.POSITION, names.DECISION, names.REVIEW]
    return _rows(out / "scores", columns)


def decided_of(out: Path, wanted: AbstractSet[str]) -> list[tuple[str, str]]:
    """Line and decision of each image of places."""
    columns = [names.BOARD_ID, names.POSITION, names.LINE, names.DECISION]
    rows = _rows(out / "scores", columns)
    return [(row[names.LINE], row[names.DECISION]) for row in rows if place_of(row) in wanted]


def references(out: Path, wanted: AbstractSet[str]) -> list[str]:
    """What each image of places is compared with."""
    columns = [names.BOARD_ID, names.POSITION, names.REFERENCE_URI]
    rows = _rows(out / "images", columns)
    return [row[names.REFERENCE_URI] or "" for row in rows if place_of(row) in wanted]


def verdicts(out: Path) -> dict[str, str]:
    """Verdicts by place, of images that have one."""
    found, rows = places(out), _rows(out / "verdicts", [names.IMAGE_ID, names.VERDICT])
    return {found[row[names.IMAGE_ID]]: row[names.VERDICT] for row in rows if row[names.VERDICT]}


def newest(out: Path) -> Model:
    """The version that was trained last."""
    manifest = json.loads((out / "bundle" / "manifest.json").read_text(encoding="utf-8"))
    told = config.load(None, [f"paths.out={json.dumps(str(out))}"])
    version = registry.open_registry(told).versions()[-1]
    return Model(version=version.number, images=manifest["training_window"]["images"])


def last_promotion(out: Path) -> str:
    """The version of the last row of ``promotions``."""
    rows = _rows(out / "promotions", ["number", "to_version"])
    return str(max(rows, key=lambda row: int(row["number"]))["to_version"])


def _rows(table: Path, columns: Sequence[str]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = pq.read_table(table, columns=[*columns]).to_pylist()
    return found
