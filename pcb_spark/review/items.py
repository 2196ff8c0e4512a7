"""Folders of images to review: what ``pcb-spark review-queue`` writes and the page reads.

Every folder has pictures that a browser shows, and ``items.jsonl`` with a line an image, which is
written last: a folder with it is whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from pcb_spark.core import durable
from pcb_spark.core.errors import InputError

LIST: Final = "items.jsonl"
IMAGE: Final = "image"
REFERENCE: Final = "reference"
HEAT: Final = "heat"
PICTURES: Final = (IMAGE, REFERENCE, HEAT)
ORIGINAL: Final = "original"
_ID_LENGTH: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """The pictures of an item: files below the folder of all queues, and where to look.

    Attributes
    ----------
    width, height : px of the image as it is shown.
    right, down : where the image lies on its reference, as shares of its sides.
    x, y : the suspect place, as shares of its sides; None where there is none.
    original : the camera's own file, where a browser is shown another one; never sent to it.
    """

    image: str
    reference: str | None
    heat: str | None
    width: int
    height: int
    right: float = 0.0
    down: float = 0.0
    x: float | None = None
    y: float | None = None
    original: str | None = None

    def file(self, which: str) -> str | None:
        """The file of one of ``PICTURES``."""
        found: str | None = getattr(self, which) if which in PICTURES else None
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An image that an operator is asked about.

    Attributes
    ----------
    certainty : how far its score lies from the threshold, 0 and up; 0 where it has none.
    known_defect : it is a defect that people have agreed on, to be mixed in.
    """

    item_id: str
    image_id: str
    source_uri: str
    line: str | None
    lot: str | None
    board_id: str
    position: str | None
    part_number: str | None
    captured_at: str
    decision: str
    review: str
    certainty: float
    model_version: str
    pictures: Pictures
    known_defect: bool = False


def item_id(image_id: str, content_sha256: str) -> str:
    """Name an item: an image whose file was replaced is another one, and is asked about again."""
    return hashlib.sha256(f"{image_id}:{content_sha256}".encode()).hexdigest()[:_ID_LENGTH]


def write(folder: Path, items: Sequence[Item]) -> None:
    """Write the list of a folder whose pictures are there."""
    lines = [json.dumps(asdict(item), ensure_ascii=False) for item in items]
    durable.write(folder / LIST, "".join(f"{line}\n" for line in lines).encode())


def folders(root: Path) -> Iterator[Path]:
    """Whole folders below ``root``, by name."""
    yield from (found.parent for found in sorted(root.glob(f"*/{LIST}")))


def read(folder: Path) -> list[Item]:
    """Read the list of a folder.

    Raises
    ------
    InputError : it holds something else.
    """
    path = folder / LIST
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [_item(json.loads(line)) for line in lines]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path} isn't a list of images to review", got=f"{type(error).__name__}: {error}",
            hint="remove the folder, and run `pcb-spark review-queue` again",
        ) from None  # fmt: skip


def _item(raw: Mapping[str, Any]) -> Item:
    return Item(**{**raw, "pictures": Pictures(**raw["pictures"])})
