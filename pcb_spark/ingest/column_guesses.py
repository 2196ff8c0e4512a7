"""Which of a plant's columns says what, by what stands in it and by what it is called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

from pcb_spark.core import names
from pcb_spark.ingest import habits, time_formats, verdict_files
from pcb_spark.ingest.verdict_form import COLUMNS, FAULT, Form, canonical, column_name, meanings

if TYPE_CHECKING:
    from pcb_spark.ingest.settings import IngestConfig
    from pcb_spark.ingest.table_facts import TableFacts
    from pcb_spark.ingest.verdict_paths import Files

_ROWS: Final = 2000
_FEW_WORDS: Final = 20
_PICTURE: Final = re.compile(r"\.(jpe?g|png|tiff?|bmp|webp)$", re.IGNORECASE)
#: What columns are called, in part.
_HINTS: Final = {
    names.IMAGE: r"image|bild|picture|photo|file|datei|path|pfad|图|画像",
    names.VERDICT: r"verdict|result|ergebnis|urteil|bewert|befund|judg|classif|decision|entscheid"
    r"|review|status|判定|结果",
    names.CAPTURED_AT: r"captur|taken|aufnahm|aufgenommen|shot|snap|inspect|拍",
    names.VERIFIED_AT: r"verif|gepr|prüfz|prüfd|pruefz|pruefd|review|judg|checked|confirm|date"
    r"|datum|time|zeit|stamp|时间|日時",
    names.OPERATOR_ID: r"operator|prüfer|pruefer|bediener|user|inspector|reviewer|employee"
    r"|mitarbeiter|作業者|操作",
    names.DEFECTS: r"defect|fehler|fault|failure|error|code|不良|缺陷",
}
_TIMES: Final = (names.CAPTURED_AT, names.VERIFIED_AT)


@dataclass(slots=True)
class Guesses:
    """Columns that are clear, by our names of them, and what may be several of theirs."""

    clear: dict[str, str] = field(default_factory=dict)
    open: dict[str, list[str]] = field(default_factory=dict)

    def take(self, ours: str, candidates: Sequence[str]) -> None:
        """Note what may be this column: one, or one of several by its name."""
        free = [name for name in candidates if name not in self.clear.values()]
        hinted = [name for name in free if is_called(ours, name)]
        chosen = hinted if len(free) > 1 and hinted else free
        if len(chosen) == 1:
            self.clear[ours] = chosen[0]
        elif chosen:
            self.open[ours] = chosen


def is_called(ours: str, theirs: str) -> bool:
    """Say whether a plant's name of a column speaks for this one of ours."""
    return re.search(_HINTS.get(ours, "$^"), column_name(theirs)) is not None


def guess(
    table: TableFacts, content: bytes, settings: IngestConfig, files: Files,
    places: tuple[set[str], set[str]],
) -> Guesses:  # fmt: skip
    """Guess what the columns of a file are that nothing is read from.

    Parameters
    ----------
    places : the boards, and the positions, that the images' names tell.
    """
    values = _values(table, content, settings)
    has = set(table.read)
    guesses = Guesses()
    if not has & {names.IMAGE, names.BOARD_ID}:
        _guess_key(guesses, values, files, places)
    words = meanings(settings.verdict_words)
    if names.VERDICT not in has:
        few = [c for c, v in values.items() if 0 < len(set(v)) <= _FEW_WORDS]
        known = [c for c in few if _share(v in words for v in map(canonical, values[c])) > 0.5]
        guesses.take(names.VERDICT, known or [c for c in few if is_called(names.VERDICT, c)])
    timed = [
        c for c in values if c not in guesses.clear.values() and _is_timed(values[c], settings)
    ]
    for ours in _TIMES:
        named = [c for c in timed if is_called(ours, c)]
        if ours not in has and (named or (len(timed) == 1 and ours == names.VERIFIED_AT)):
            guesses.take(ours, named or timed)
    for ours in (names.OPERATOR_ID, names.DEFECTS):
        if ours not in has:
            guesses.take(ours, [c for c in values if c not in timed and is_called(ours, c)])
            guesses.open.pop(ours, None)
    return guesses


def _guess_key(
    guesses: Guesses, values: Mapping[str, list[str]], files: Files,
    places: tuple[set[str], set[str]],
) -> None:  # fmt: skip
    """By which column a row names its image: a path, or else a board and a position."""
    found = {c: _share(bool(files.find(v)) for v in several) for c, several in values.items()}
    if max(found.values(), default=0) > 0.0:
        guesses.take(names.IMAGE, [c for c in found if found[c] == max(found.values())])
        return
    for ours, known in zip((names.BOARD_ID, names.POSITION), places, strict=True):
        inside = {c: _share(v in known for v in several) for c, several in values.items()}
        most = max(inside.values(), default=0)
        if most > 0.5:
            guesses.take(ours, [c for c in inside if inside[c] == most])
    if not {names.BOARD_ID, names.POSITION} <= set(guesses.clear):
        guesses.clear.clear()
        pictures = [
            c for c, v in values.items() if _share(map(bool, map(_PICTURE.search, v))) > 0.5
        ]
        guesses.take(names.IMAGE, pictures)


def _values(table: TableFacts, content: bytes, settings: IngestConfig) -> dict[str, list[str]]:
    """What stands in the columns that nothing is read from, read as if they were ours."""
    unread = [name for name in table.unread if list(table.columns).count(name) == 1]
    found: dict[str, list[str]] = {name: [] for name in unread}
    separator = table.separators[0] if len(table.separators) == 1 else settings.verdict_separator
    for first in range(0, len(unread), len(COLUMNS)):
        theirs = dict(zip(COLUMNS, unread[first:], strict=False))
        form = Form(columns=theirs, separator=separator, encoding=habits.form(settings).encoding)
        for row in islice(verdict_files.parse(table.name, content, form), _ROWS):
            if row.get(FAULT) is None:
                for ours, name in theirs.items():
                    found[name] += filter(None, [verdict_files.clean(row.get(ours))])
    return {name: values for name, values in found.items() if values}


def _is_timed(values: Sequence[str], settings: IngestConfig) -> bool:
    reader, latest = habits.times(settings), habits.latest(settings)
    unread = [text for text in values if reader.judge(text)[0] is None]
    if 2 * len(unread) < len(values):
        return not all(text.isdigit() for text in values)
    found = time_formats.find(unread[:200], reader, latest=latest)
    return bool(found.formats or found.open) and not all(text.isdigit() for text in values)


def _share(several: Iterator[bool]) -> float:
    all_of_them = list(several)
    return sum(all_of_them) / len(all_of_them) if all_of_them else 0.0
