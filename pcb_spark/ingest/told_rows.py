"""What rows of verdict files say, on the driver: the same readers as ingest's, without Spark."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from pcb_spark.core import names
from pcb_spark.ingest import habits, verdict_files, verdict_places
from pcb_spark.ingest.verdict_form import (
    FAULT,
    FAULT_REASON,
    TEXTS,
    UNVERIFIED,
    Form,
    Row,
    canonical,
    meanings,
)

if TYPE_CHECKING:
    from pcb_spark.ingest.settings import IngestConfig
    from pcb_spark.ingest.verdict_paths import Files

#: An offset or Z behind a clock.
_ZONE: Final = re.compile(r"\d *(?:[Zz]|[+-]\d\d?:?(?:\d\d)?)$")
_TIMES: Final = (names.CAPTURED_AT, names.VERIFIED_AT)


@dataclass(slots=True)
class Told:
    """A row of a file: its texts, the image it names, and why it says nothing of it."""

    file: str
    texts: Row
    images: list[str] = field(default_factory=list)
    reason: str | None = None
    detail: str | None = None
    verdict: str | None = None
    times: dict[str, datetime | None] = field(default_factory=dict)
    unread_times: dict[str, str] = field(default_factory=dict)
    unknown_word: str | None = None

    @property
    def is_zoneless(self) -> bool:
        """Whether it tells a time that was read, and names no zone."""
        return any(
            moment is not None and not _ZONE.search(self.texts[name] or "")
            for name, moment in self.times.items()
        )

    def reject(self, reason: str, detail: str | None) -> None:
        """Give it a reason, unless it has one."""
        if self.reason is None:
            self.reason, self.detail = reason, detail


def read(name: str, content: bytes, form: Form, *, image: str | None = None) -> list[Told]:
    """The rows of one file; those of a sidecar speak of ``image``."""
    if not content:
        return [_faulty(name, "no column named image: an empty file")]
    rows = []
    for row in verdict_files.parse(name, content, form):
        texts = {key: verdict_files.clean(row.get(key)) for key in TEXTS}
        if image is not None:
            texts[names.IMAGE] = image
        rows.append(Told(name, texts))
    return rows


def _faulty(name: str, what: str) -> Told:
    return Told(name, {FAULT: what})


def judge(
    rows: Sequence[Told], settings: IngestConfig, files: Files,
    shown: Iterable[tuple[str, str, str | None]],
) -> None:  # fmt: skip
    """Find the image of each row, and why it is rejected where it is; in the order of ingest's.

    Parameters
    ----------
    files : the images of the drop.
    shown : path, board_id and position that each image's own name tells.
    """
    reader, latest = habits.times(settings), habits.latest(settings)
    known = meanings(settings.verdict_words)
    for row in rows:
        if row.texts.get(FAULT) is not None:
            reason = row.texts.get(FAULT_REASON) or names.VERDICT_UNREADABLE
            row.reject(reason, row.texts[FAULT])
            continue
        for name in _TIMES:
            moment, fault = reader.judge(row.texts.get(name))
            if moment is not None and moment > latest:
                row.unread_times[name] = f"{row.texts[name]!r} lies in the future"
                continue
            row.times[name] = moment
            if fault is not None:
                row.unread_times[name] = fault
        _judge_word(row, known)
    _find_images(rows, files, shown)
    for row in rows:
        _judge_row(row)
    _settle(rows)


def _judge_word(row: Told, known: Mapping[str, str]) -> None:
    word = row.texts.get(names.VERDICT)
    if word is None:
        return
    meaning = known.get(canonical(word))
    if meaning is None:
        row.unknown_word = word
    elif meaning != UNVERIFIED:
        row.verdict = meaning


def _find_images(
    rows: Sequence[Told], files: Files, shown: Iterable[tuple[str, str, str | None]]
) -> None:
    placed = [row for row in rows if row.reason is None and _is_placed(row.texts)]
    for row in rows:
        written = row.texts.get(names.IMAGE)
        if row.reason is None and written is not None:
            row.images = files.find(written)
            if len(row.images) > 1:
                told = f"its image, {written}, may be {' or '.join(row.images[:3])}"
                row.reject(names.VERDICT_AMBIGUOUS, told)
    if not placed:
        return
    places = {path: (board, position) for path, board, position in shown}
    for row in rows:  # what a file says of its own counts before its name
        if row.reason is None and len(row.images) == 1:
            path = row.images[0]
            board, position = places.get(path, ("", None))
            told_board, told_position = row.texts.get(names.BOARD_ID), row.texts.get(names.POSITION)
            places[path] = told_board or board, told_position or position
    panels = verdict_places.panels(row.texts for row in placed)
    boards = verdict_places.Boards(((p, b, q) for p, (b, q) in places.items()), panels)
    for row in placed:
        row.images, several = boards.find(row.texts)
        if several:
            told = f"{_board(row)} may be {' or '.join(row.images[:3])}"
            row.reject(names.VERDICT_AMBIGUOUS, told)


def _is_placed(texts: Row) -> bool:
    return texts.get(names.IMAGE) is None and texts.get(names.POSITION) is not None and bool(
        texts.get(names.BOARD_ID)
    )  # fmt: skip


def _board(row: Told) -> str:
    return f"board {row.texts.get(names.BOARD_ID)} and position {row.texts.get(names.POSITION)}"


def _judge_row(row: Told) -> None:
    if row.reason is None and not row.images:
        written = row.texts.get(names.IMAGE)
        missing = f"no image of {_board(row)}" if _is_placed(row.texts) else "it names no image"
        row.reject(names.VERDICT_WITHOUT_IMAGE, f"no such file: {written}" if written else missing)
    if names.CAPTURED_AT in row.unread_times:
        fault = row.unread_times[names.CAPTURED_AT]
        future = fault.endswith("in the future")
        row.reject(names.CAPTURE_TIME_IN_FUTURE if future else names.CAPTURE_TIME_UNREADABLE, fault)
    if names.VERIFIED_AT in row.unread_times:
        row.reject(names.VERIFIED_AT_UNREADABLE, row.unread_times[names.VERIFIED_AT])
    if row.unknown_word is not None:
        row.reject(names.VERDICT_UNKNOWN, row.unknown_word)


def _settle(rows: Sequence[Told]) -> None:
    """Of several rows of one image the newest counts; contradictions of one time count none."""
    by_image: dict[str, list[Told]] = {}
    for row in rows:
        if row.reason is None and len(row.images) == 1:
            by_image.setdefault(row.images[0], []).append(row)
    for image, same in by_image.items():
        if len(same) > 1:
            _choose(image, same)


def _choose(image: str, rows: Sequence[Told]) -> None:
    moments = [row.times.get(names.VERIFIED_AT) for row in rows if row.verdict]
    newest = max(filter(None, moments), default=None)
    current = [row for row in rows if newest is None or row.times.get(names.VERIFIED_AT) == newest]
    opinions = Counter(row.verdict for row in current if row.verdict)
    if len(opinions) > 1:
        for row in current:
            if row.verdict:
                row.reject(names.VERDICT_CONFLICT, f"{image}: one of several of one time")
    kept = [row for row in current if row.reason is None and row.verdict] or list(rows)
    for row in rows:
        if row is not kept[-1]:
            row.reject(names.VERDICT_SUPERSEDED, f"{image}: another row counts")
