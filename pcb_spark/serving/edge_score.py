"""Images on this disk to decisions, one after another."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pcb_spark.core import drops
from pcb_spark.core.errors import InputError

if TYPE_CHECKING:
    from pcb_spark.core.decisions import Decider, Decision

log = logging.getLogger(__name__)

_COLUMNS: Final = ("decision", "review", "probability", "threshold", "reason", "path")


def decide(
    drop: drops.Drop,
    decider: Decider,
    path: str,
    *,
    content: bytes | None = None,
    reference: Path | None = None,
) -> Decision:
    """Decide one image of a drop.

    Parameters
    ----------
    path : of the image, below the drop.
    content : of the image, where somebody has read it.
    reference : a golden image in place of the one that the drop names.

    Raises
    ------
    OSError : the image can't be read.
    """
    content = (drop.root / path).read_bytes() if content is None else content
    traits = drop.traits(path, content)
    if reference is not None:
        golden: tuple[str, bytes] | None = (str(reference), reference.read_bytes())
    else:
        handed_over = decider.takes_handed_over
        golden = drop.reference(path, traits, content) if handed_over else None
    named, pixels = golden or (None, None)
    return decider.decide(
        content, pixels, path=path, image_id=drops.image_id(path), traits=traits,
        content_sha256=hashlib.sha256(content).hexdigest(), reference_path=named,
        now=datetime.now(UTC),
    )  # fmt: skip


def places(named: Iterable[Path], habits: drops.Habits) -> Iterator[tuple[drops.Drop, str]]:
    """Give the images that are meant: a folder is a drop, a file lies in one of its own.

    Raises
    ------
    InputError : there is no such file or folder.
    """
    for place in named:
        if place.is_dir():
            drop = drops.Drop(place, habits)
            for name in drop.unread():
                log.warning("%s/%s isn't read: no plain CSV in UTF-8 with our columns", place, name)
            yield from ((drop, path) for path in drop.paths())
        elif place.is_file():
            yield drops.Drop(place.parent, habits), place.name
        else:
            raise InputError(f"there is no {place}", hint="name images, or a camera drop")


def as_json(decision: Decision) -> str:
    """One line of JSON."""
    return json.dumps(decision.to_json(), ensure_ascii=False, sort_keys=True)


def as_row(decision: Decision) -> str:
    """One line of the table that ``header`` begins."""
    shown = replace(decision, reason=decision.reason or "")
    cells = [
        shown.decision,
        shown.review or "",
        "" if shown.probability is None else f"{shown.probability:.6f}",
        f"{shown.threshold:.6f}",
        shown.reason or "",
        shown.path,
    ]
    return _line(cells)


def header() -> str:
    """The names of the table's columns; ``review`` says why an operator looks."""
    return _line(_COLUMNS)


def _line(cells: Iterable[str]) -> str:
    widths = (10, 10, 11, 9, 20, 0)
    return "  ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
