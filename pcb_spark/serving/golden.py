"""Golden images by part number and position, from a folder that has them as a camera drop does."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pcb_spark.core import validity
from pcb_spark.core.drops import Drop, Habits
from pcb_spark.core.errors import InputError
from pcb_spark.core.layouts import Traits
from pcb_spark.serving import champion

if TYPE_CHECKING:
    from pcb_spark.serving.wire import Trace

log = logging.getLogger(__name__)


class GoldenImages:
    """What ``references.csv`` below ``root`` names; a changed file is read again.

    Threads may share it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: tuple[object, Drop] | None = None

    def check(self, habits: Habits) -> None:
        """See that there is a file that says what is good for what.

        Raises
        ------
        InputError : there is none, or it isn't in the plain form.
        """
        table = self._root / habits.reference_windows
        if not table.is_file():
            raise InputError(
                f"there is no {table}", hint="name the folder that has golden images and this file"
            )
        if habits.reference_windows in self._drop(habits).unread():
            raise validity.missing_column(str(table), [])

    def find(self, habits: Habits, trace: Trace, image: bytes) -> bytes | None:
        """Give the golden image's file; None where ingest would attach none.

        Parameters
        ----------
        habits : how the plant writes its files.
        image : the file of the image, whose size it has to have.
        """
        traits = Traits(
            line=trace.line, board_id=trace.board_id or "", position=trace.position,
            part_number=trace.part_number, captured_at=trace.captured_at or datetime.now(UTC),
        )  # fmt: skip
        found = self._drop(habits).golden(traits, image)
        return found[1] if found else None

    def _drop(self, habits: Habits) -> Drop:
        stamp = champion.stamp(self._root / habits.reference_windows)
        if self._read is None or self._read[0] != (habits, stamp):
            self._read = (habits, stamp), Drop(self._root, habits)
            for name in self._read[1].unread():
                log.error("%s/%s isn't read: no plain CSV with our columns", self._root, name)
        return self._read[1]
