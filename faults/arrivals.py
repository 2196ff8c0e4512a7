"""Files that arrive in a camera drop: small pictures, some in halves, some no pictures at all."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

DAYS = 3
TICKS = 20


def picture(number: int) -> bytes:
    """A small JPEG that no other number has."""
    file = io.BytesIO()
    Image.new("RGB", (24, 24), (number % 256, number // 256 % 256, 77)).save(file, "JPEG")
    return file.getvalue()


def name(number: int) -> str:
    """Where image ``number`` goes below the drop."""
    return f"images/line=L1/date=2026-01-0{5 + number % DAYS}/b{number:06d}_P1.jpg"


def is_picture(number: int) -> bool:
    """Every 50th file is text."""
    return number % 50 != 49


def arrive(drop: Path, numbers: Sequence[int], seconds: float) -> None:
    """Write files over ``seconds``; those that come in halves are completed a moment later."""
    waiting: list[tuple[Path, bytes]] = []
    size = -(-len(numbers) // TICKS)
    for first in range(0, len(numbers), size):
        for path, content in waiting:
            path.write_bytes(content)
        waiting.clear()
        for number in numbers[first : first + size]:
            path = drop / name(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            content = picture(number) if is_picture(number) else b"no picture %d" % number
            part = {0: 0, 1: len(content) // 2}.get(number % 20, len(content))
            path.write_bytes(content[:part])
            if part < len(content):
                waiting.append((path, content))
        time.sleep(seconds / TICKS)
    for path, content in waiting:
        path.write_bytes(content)
