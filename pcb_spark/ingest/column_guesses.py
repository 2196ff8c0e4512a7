"""Which of a plant's columns says what, by what stands in it and by what it is called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from pcb_spark.core import names
from pcb_spark.core.layouts import is_picture
from pcb_spark.ingest import column_words, habits, time_formats, verdict_files
from pcb_spark.ingest.verdict_form import COLUMNS, FAULT, Form, canonical, column_name, meanings

if TYPE_CHECKING:
    from pcb_spark.core.layouts import Traits
    from pcb_spark.ingest.settings import IngestConfig
    from pcb_spark.ingest.table_facts import TableFacts
    from pcb_spark.ingest.verdict_paths import Files

_ROWS: Final = 2000
_FEW_WORDS: Final = 20
#: The share of a column's values that has to fit where one by itself could be chance.
_CERTAIN: Final = 0.9
_DESIGNATOR: Final = re.compile(r"[A-Za-z]{1,3}\d{1,4}[A-Za-z]?")
#: What columns are called, in part, of those that what stands in them tells apart first.
_HINTS: Final = {
    names.IMAGE: r"image|imagen|bild|picture|photo|file|datei|path|pfad|fichier|archivo|图|画像",
    names.VERDICT: r"verdict|result|ergebnis|urteil|bewert|befund|judg|classif|decision|entscheid"
    r"|review|status|esito|判定|结果",
    names.CAPTURED_AT: r"captur|taken|aufnahm|aufgenommen|shot|snap|inspect|拍|撮影",
    names.VERIFIED_AT: r"verif|gepr|prüfz|prüfd|pruefz|pruefd|review|judg|checked|confirm|date"
    r"|datum|time|zeit|stamp|fecha|时间|日時",
}
_PLACE: Final = (names.BOARD_ID, names.POSITION)
_TIMES: Final = (names.CAPTURED_AT, names.VERIFIED_AT)
#: What an image's own name may tell besides.
_TRAITS: Final = (names.BOARD_ID, names.POSITION, names.LINE, names.LOT, names.PART_NUMBER)
_CALLED: Final = (*_TRAITS, names.OPERATOR_ID, names.DEFECTS)

Values = Mapping[str, Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Drop:
    """What there is for rows to name.

    Parameters
    ----------
    images, references : the pictures, and the golden ones.
    strays : pictures that are neither.
    traits : what the path of each image tells.
    """

    images: Files
    references: Files
    strays: Files
    traits: Mapping[str, Traits]


@dataclass(slots=True)
class Guesses:
    """Columns that are clear, by our names of them, and what may be several of theirs.

    ``references`` is the folder of the golden images, where that isn't the configured one.
    """

    clear: dict[str, str] = field(default_factory=dict)
    open: dict[str, list[str]] = field(default_factory=dict)
    references: str = ""

    def take(self, ours: str, candidates: Iterable[str]) -> None:
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
    if ours in _HINTS:
        other = column_words.known(theirs) not in (None, ours)
        return not other and re.search(_HINTS[ours], column_name(theirs)) is not None
    return column_words.known(theirs) == ours


def guess(table: TableFacts, content: bytes, settings: IngestConfig, drop: Drop) -> Guesses:
    """Guess what the columns of a file are that nothing is read from."""
    values = _values(table, content, settings)
    has = set(table.read)
    guesses = Guesses()
    if names.IMAGE not in has and not set(_PLACE) <= has:
        _guess_key(guesses, values, has, drop)
    if names.VERDICT not in has:
        _guess_verdict(guesses, values, settings)
    timed = [
        c for c in values if c not in guesses.clear.values() and _is_timed(values[c], settings)
    ]
    for ours in _TIMES:
        named = [c for c in timed if is_called(ours, c)]
        if ours not in has and (named or (len(timed) == 1 and ours == names.VERIFIED_AT)):
            guesses.take(ours, named or timed)
    others = {c: several for c, several in values.items() if c not in timed}
    if names.REFERENCE not in has:
        _guess_reference(guesses, others, drop)
    key = dict(zip(table.read, table.columns, strict=True)).get(names.IMAGE)
    key = key or guesses.clear.get(names.IMAGE)
    told = _told(_rows(table, content, settings, list(others), key), key, drop) if key else {}
    for ours in _CALLED:
        if ours not in has and ours not in guesses.clear:
            by_name = [c for c in others if is_called(ours, c) or _is_place(ours, c, others[c])]
            guesses.take(ours, told.get(ours) or by_name)
    return guesses


def _guess_key(guesses: Guesses, values: Values, has: set[str], drop: Drop) -> None:
    """By which column a row names its image: a path, or else a board and a position."""
    found = _shares(values, lambda text: bool(drop.images.find(text)))
    most = max(found.values(), default=0.0)
    if most > 0.0:
        paths = [c for c in found if found[c] == most]
        golden = [c for c in paths if is_called(names.REFERENCE, c)]
        guesses.take(names.IMAGE, [c for c in paths if c not in golden] or golden)
        return
    boards = {each.board_id for each in drop.traits.values()}
    positions = {each.position for each in drop.traits.values() if each.position}
    for ours, known in zip(_PLACE, (boards, positions), strict=True):
        inside = _shares(values, known.__contains__)
        most = max(inside.values(), default=0)
        if most > 0.5 and ours not in has:
            guesses.take(ours, [c for c in inside if inside[c] == most])
    if not set(_PLACE) <= has | set(guesses.clear):
        guesses.clear.clear()
        guesses.open.clear()
        pictures = _shares(values, is_picture)
        guesses.take(names.IMAGE, [c for c in pictures if pictures[c] > 0.5])


def _guess_verdict(guesses: Guesses, values: Values, settings: IngestConfig) -> None:
    words = meanings(settings.verdict_words)
    few = {c: v for c, v in values.items() if 0 < len(set(v)) <= _FEW_WORDS}
    shares = _shares(few, lambda text: canonical(text) in words)
    known = [c for c in few if shares[c] > 0.5]
    guesses.take(names.VERDICT, known or [c for c in few if is_called(names.VERDICT, c)])


def _guess_reference(guesses: Guesses, values: Values, drop: Drop) -> None:
    """The column whose values are golden images: by the files, else by its name.

    Pictures that lie elsewhere may show whole boards, too; there the name has to say it.
    """
    most = _likeliest(values, drop.references)
    if most:
        guesses.take(names.REFERENCE, most)
        return
    apart = {c: v for c, v in values.items() if _lies_apart(c, guesses, values, drop)}
    elsewhere = ((_likeliest(values, drop.strays), drop.strays),
                 (_likeliest(apart, drop.images), drop.images))  # fmt: skip
    for candidates, files in elsewhere:
        if candidates:
            called = [c for c in candidates if is_called(names.REFERENCE, c)]
            guesses.take(names.REFERENCE, called)
            if not called:
                guesses.open[names.REFERENCE] = candidates
            named = [text for c in called or candidates for text in values[c]]
            guesses.references = _folder(named, files)
            return
    pictures = _shares(values, is_picture)
    called = [c for c in values if is_called(names.REFERENCE, c) and pictures[c] > 0.5]
    guesses.take(names.REFERENCE, called)


def _likeliest(values: Values, files: Files) -> list[str]:
    """The columns that name most files, each one file in most rows."""
    found = _shares(values, partial(_is_one_of, files))
    most = max(found.values(), default=0.0)
    return [c for c in found if found[c] == most] if most > 0.5 else []


def _lies_apart(column: str, guesses: Guesses, values: Values, drop: Drop) -> bool:
    """Whether a column's pictures lie in a folder in which those of the rows don't."""
    own, folder = guesses.clear.get(names.IMAGE), _folder(values[column], drop.images)
    if own is None or own not in values or not folder:
        return False
    paths = (path for text in values[own] for path in drop.images.find(text))
    return column != own and not any(path.startswith(f"{folder}/") for path in paths)


def _is_one_of(files: Files, written: str) -> bool:
    return len(files.find(written)) == 1


def _folder(written: Sequence[str], files: Files) -> str:
    """The first folder of all these files; empty where they have none in common."""
    tops = {path.partition("/")[0] for text in written for path in files.find(text) if "/" in path}
    return tops.pop() if len(tops) == 1 else ""


def _is_place(ours: str, name: str, several: Sequence[str]) -> bool:
    """Whether a column of components holds their positions, as U7 or R113."""
    if ours != names.POSITION or not column_words.is_part_or_place(name):
        return False
    return _share(_DESIGNATOR.fullmatch(text) is not None for text in several) >= _CERTAIN


def _told(rows: Iterable[dict[str, str]], key: str, drop: Drop) -> dict[str, list[str]]:
    """Which columns say what the names of their rows' images say, for each of ``_TRAITS``.

    A column of which every row says the same proves nothing.
    """
    seen: dict[str, set[str]] = {}
    counts: Counter[str] = Counter()
    hits: Counter[tuple[str, str]] = Counter()
    for row in rows:
        found = drop.images.find(row.get(key, ""))
        if len(found) != 1:
            continue
        traits = drop.traits[found[0]]
        for column, text in row.items():
            seen.setdefault(column, set()).add(text)
            counts[column] += 1
            hits.update((ours, column) for ours in _TRAITS if getattr(traits, ours) == text)
    return {
        ours: [c for c in seen if len(seen[c]) > 1 and hits[ours, c] >= _CERTAIN * counts[c]]
        for ours in _TRAITS
    }


def _values(table: TableFacts, content: bytes, settings: IngestConfig) -> Values:
    """What stands in the columns that nothing is read from, read as if they were ours."""
    unread = [name for name in table.unread if list(table.columns).count(name) == 1]
    found: dict[str, list[str]] = {name: [] for name in unread}
    for row in _rows(table, content, settings, unread, None):
        for name, text in row.items():
            found[name].append(text)
    return {name: values for name, values in found.items() if values}


def _rows(
    table: TableFacts, content: bytes, settings: IngestConfig, columns: Sequence[str],
    key: str | None,
) -> Iterator[dict[str, str]]:  # fmt: skip
    """The texts of rows by their columns, some columns at a time, each time with the key."""
    separator = table.separators[0] if len(table.separators) == 1 else settings.verdict_separator
    first, rest = [key] if key else [], [c for c in columns if c != key]
    width = len(COLUMNS) - len(first)
    for place in range(0, len(rest), width):
        theirs = dict(zip(COLUMNS, first + rest[place : place + width], strict=False))
        form = Form(columns=theirs, separator=separator, encoding=habits.form(settings).encoding)
        for row in islice(verdict_files.parse(table.name, content, form), _ROWS):
            if row.get(FAULT) is None:
                texts = {name: verdict_files.clean(row.get(ours)) for ours, name in theirs.items()}
                yield {name: text for name, text in texts.items() if text}


def _is_timed(values: Sequence[str], settings: IngestConfig) -> bool:
    reader, latest = habits.times(settings), habits.latest(settings)
    unread = [text for text in values if reader.judge(text)[0] is None]
    if 2 * len(unread) < len(values):
        return not all(text.isdigit() for text in values)
    found = time_formats.find(unread[:200], reader, latest=latest)
    return bool(found.formats or found.open) and not all(text.isdigit() for text in values)


def _shares(values: Values, fits: Callable[[str], bool]) -> dict[str, float]:
    """Which share of each column's values fits."""
    return {column: _share(map(fits, several)) for column, several in values.items()}


def _share(several: Iterable[bool]) -> float:
    all_of_them = list(several)
    return sum(all_of_them) / len(all_of_them) if all_of_them else 0.0
