"""Settings with which more of a drop can be read, found by trying them on the drop itself.

What the data decide is proposed; what they leave open is a question for the plant.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pcb_spark.core import names
from pcb_spark.core.layouts import Layout
from pcb_spark.ingest import column_guesses, habits, time_formats, verdict_files
from pcb_spark.ingest.settings import IngestConfig
from pcb_spark.ingest.table_facts import UNKNOWN_ENCODING, TableFacts
from pcb_spark.ingest.verdict_encoding import UnreadableTextError, recognise
from pcb_spark.ingest.verdict_form import FAULT, canonical, meanings

if TYPE_CHECKING:
    from pcb_spark.ingest.preview import Look, Preview

_PAGES: Final = (
    "cp1252", "cp1250", "cp1251", "cp1254", "gb18030", "cp932", "cp949", "big5hkscs",
)  # fmt: skip
_TABLES: Final = re.compile(r"\.(csv|tsv|txt|json|jsonl|ndjson|parquet)$", re.IGNORECASE)
_ROUNDS: Final = 8
_MOST_TABLES: Final = 20
#: Times in names, and how they are written.
_IN_NAMES: Final = (
    (r"\d{8}T\d{6}", ""), (r"\d{14}", "%Y%m%d%H%M%S"), (r"\d{8}_\d{6}", "%Y%m%d_%H%M%S"),
    (r"\d{8}-\d{6}", "%Y%m%d-%H%M%S"), (r"\d{4}-\d\d-\d\d[_T]\d\d-\d\d-\d\d", "%Y-%m-%d_%H-%M-%S"),
    (r"\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d", "%Y_%m_%d_%H_%M_%S"), (r"\d{12}", "%y%m%d%H%M%S"),
    (r"\d{4}-\d\d-\d\d", ""), (r"\d{8}", "%Y%m%d"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Proposal:
    """Settings of ``ingest`` that the data speak for, and why."""

    settings: dict[str, Any]
    why: str


@dataclass(frozen=True, slots=True)
class Question:
    """A setting of which the data leave open what it is; ``answers`` are those that they allow."""

    why: str
    answers: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is proposed and asked, the settings with all of it, and what they find."""

    proposals: list[Proposal]
    questions: list[Question]
    settings: IngestConfig
    found: Preview


def try_out(look: Look, settings: IngestConfig, found: Preview) -> Trial:
    """Propose settings until there is nothing more to propose.

    Parameters
    ----------
    found : what ``look`` finds with ``settings``.
    """
    proposals: list[Proposal] = []
    for _ in range(_ROUNDS):
        proposal = next(_proposals(look, settings, found), None)
        if proposal is None:
            break
        proposals.append(proposal)
        settings = changed(settings, proposal.settings)
        found = look.at(settings)
    questions = [
        answer for answer in _answers(look, settings, found) if isinstance(answer, Question)
    ]
    return Trial(proposals=proposals, questions=questions, settings=settings, found=found)


def changed(settings: IngestConfig, values: dict[str, Any]) -> IngestConfig:
    """The settings with some values in place of theirs, checked."""
    return IngestConfig.model_validate(settings.model_dump() | values)


def _proposals(look: Look, settings: IngestConfig, found: Preview) -> Iterator[Proposal]:
    return (each for each in _answers(look, settings, found) if isinstance(each, Proposal))


Answer = Proposal | Question


def _answers(look: Look, settings: IngestConfig, found: Preview) -> Iterator[Answer]:
    steps: tuple[Callable[[Look, IngestConfig, Preview], Iterator[Answer]], ...] = (
        _tables, _encoding, _separator, _columns, _formats, _names, _words,
    )  # fmt: skip
    for step in steps:
        yield from step(look, settings, found)


def _tables(look: Look, settings: IngestConfig, found: Preview) -> Iterator[Answer]:
    """Files that may hold verdicts, where none is found under the configured names."""
    if found.tables or any(row.texts.get(names.VERDICT) for row in found.rows):
        return
    for path, length in look.others()[:_MOST_TABLES]:
        if not length or not _TABLES.search(path) or path == settings.reference_windows:
            continue
        tried = changed(settings, {"verdicts": (path,)})
        with_it = look.at(tried)
        for answer in _encoding(look, tried, with_it):
            likely = answer.settings if isinstance(answer, Proposal) else answer.answers[0]
            tried = changed(tried, likely)
            with_it = look.at(tried)
        readable = any(row.images for row in with_it.rows)
        if readable or any(isinstance(a, Proposal) for a in _columns(look, tried, with_it)):
            why = f"no file of verdicts has the name that is configured; {path} reads as one"
            yield Proposal({"verdicts": path}, why)
            return


def _encoding(look: Look, settings: IngestConfig, found: Preview) -> Iterator[Answer]:
    dark = [table for table in found.tables if table.encoding == UNKNOWN_ENCODING]
    for table in dark[:1]:
        content = look.content(_uri(look, table))
        readings: dict[str, str] = {}
        for page in _PAGES:
            try:
                readings.setdefault(recognise(content, page)[0], page)
            except UnreadableTextError:
                continue
        if not readings:
            continue
        matched = {
            page: look.at(changed(settings, {"verdict_encoding": page})).matched
            for page in readings.values()
        }
        best = [page for page, count in matched.items() if count == max(matched.values())]
        if len(best) == 1:
            yield Proposal(
                {"verdict_encoding": best[0]},
                f"{table.name} names files of the drop in this encoding only",
            )
        else:
            words = {page: _first_word(text) for text, page in readings.items() if page in best}
            yield Question(
                f"{table.name} is in none that is certain: "
                + ", ".join(f"in {page} it reads {word}" for page, word in words.items()),
                tuple({"verdict_encoding": page} for page in best),
            )


def _first_word(text: str) -> str:
    found = re.search(r"[^\W_]*[^\x00-\x7f][^\W_]*", text)
    return found[0] if found else ""


def _separator(look: Look, settings: IngestConfig, found: Preview) -> Iterator[Answer]:
    for table in [table for table in found.tables if len(table.separators) > 1][:1]:
        content = look.content(_uri(look, table))
        good = {}
        for separator in table.separators:
            form = habits.form(changed(settings, {"verdict_separator": separator}))
            rows = list(verdict_files.parse(table.name, content, form))
            good[separator] = sum(row.get(FAULT) is None for row in rows) - len(rows) - 1
        best = [separator for separator, count in good.items() if count == max(good.values())]
        spelled = [{"verdict_separator": "tab" if s == "\t" else s} for s in best]
        if len(best) == 1:
            yield Proposal(spelled[0], f"with it the fewest rows of {table.name} are malformed")
        else:
            yield Question(f"{table.name} reads alike with several separators", tuple(spelled))


def _columns(look: Look, settings: IngestConfig, found: Preview) -> Iterator[Answer]:
    seen = set()
    for table in found.tables:
        if table.form in seen or not table.unread:
            continue
        seen.add(table.form)
        content = look.content(_uri(look, table))
        guesses = column_guesses.guess(table, content, settings, _drop(look, settings))
        had = settings.verdict_columns
        new = {
            ours: theirs for ours, theirs in guesses.clear.items()
            if ours not in had and theirs not in had.values()
        }  # fmt: skip
        folder = {"references": guesses.references} if guesses.references else {}
        if new:
            why = ", ".join(f"{theirs} holds {ours}" for ours, theirs in new.items())
            beside = folder if names.REFERENCE in new else {}
            yield Proposal({"verdict_columns": {**had, **new}} | beside, f"in {table.name} {why}")
        for ours, several in guesses.open.items():
            beside = folder if ours == names.REFERENCE else {}
            columns = [{**had, **new, ours: each} for each in several]
            answers = tuple({"verdict_columns": each} | beside for each in columns)
            yield Question(f"which column of {table.name} holds {ours}?", answers)


def _drop(look: Look, settings: IngestConfig) -> column_guesses.Drop:
    return column_guesses.Drop(
        images=look.known, references=look.golden, strays=look.strays, traits=look.traits(settings)
    )


def _formats(_look: Look, settings: IngestConfig, found: Preview) -> Iterator[Answer]:
    texts = [row.texts[name] or "" for row in found.rows for name in row.unread_times]
    had = settings.verdict_time_format
    new = time_formats.find(texts, habits.times(settings), latest=habits.latest(settings))
    fresh = tuple(form for form in new.formats if form not in had)
    if fresh:
        yield Proposal(
            {"verdict_time_format": (*had, *fresh)},
            f"{len(texts)} times can't be read as they are, e.g. {texts[0]}",
        )
    for example, formats in new.open:
        answers = tuple({"verdict_time_format": (*had, *fresh, form)} for form in formats)
        yield Question(f"{example} may be several days, and no other time rules one out", answers)


def _names(_look: Look, settings: IngestConfig, found: Preview) -> Iterator[Answer]:
    """A pattern for times in names, where most of the images have none."""
    untimed = found.untimed
    if settings.pattern or 2 * len(untimed) <= found.looked_at:
        return
    for digits, form in _IN_NAMES:
        pattern = rf"(?<!\d)(?P<captured_at>{digits})(?!\d)"
        layout = Layout(
            pattern=pattern, time_format=form, timezone=settings.timezone,
            earliest=settings.earliest,
        )  # fmt: skip
        moments = [layout.read(path).captured_at for path in untimed]
        latest = habits.latest(settings)
        if all(moment is not None and moment <= latest for moment in moments):
            values = {"pattern": pattern} | ({"time_format": form} if form else {})
            yield Proposal(values, f"the images' names hold their time, e.g. {untimed[0]}")
            return


def _words(_look: Look, settings: IngestConfig, found: Preview) -> Iterator[Answer]:
    unknown = Counter(row.unknown_word for row in found.rows if row.unknown_word)
    known = meanings(settings.verdict_words)
    words = {canonical(word): word for word in unknown if canonical(word) not in known}
    if words:
        listed = ", ".join(f"{count} {word}" for word, count in unknown.most_common(10))
        filled = {**settings.verdict_words, **dict.fromkeys(list(words.values())[:10], "?")}
        yield Question(
            f"what do these words mean: {listed}? Put pass (false call), fail (true defect) or "
            "unverified in place of each ?",
            ({"verdict_words": filled},),
        )


def _uri(look: Look, table: TableFacts) -> str:
    return f"{look.files.root.rstrip('/')}/{table.name}"
