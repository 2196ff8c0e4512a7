"""The first look at a drop, in words: what is there, what of it can be read, and what to set.

Nothing is written: no tables, no checkpoint, no lease. A drop on a disk is read without Spark.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from pcb_spark.core import names
from pcb_spark.ingest import proposals
from pcb_spark.ingest.drop_files import DropFiles
from pcb_spark.ingest.places import OnDisk, OnStore, reading
from pcb_spark.ingest.preview import LOOKED_AT, Look
from pcb_spark.ingest.table_facts import TableFacts, quoted
from pcb_spark.ingest.verdict_form import names_images
from pcb_spark.lake import filesystem, stores

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pcb_spark.ingest.preview import Preview, Reason
    from pcb_spark.ingest.proposals import Trial
    from pcb_spark.pipeline.config import Config

_WORDS: Final = 12
_TABLES: Final = 8
_WIDEST: Final = 160
#: Files that may hold verdicts, in a form that isn't read.
_NO_TABLE: Final = re.compile(r"\.(xls[xmb]?|ods|xml|html?|mdb|accdb|db|sqlite3?|gz|zip|7z)$", re.I)
#: What to set, or to do, where a reason is left.
_REMEDIES: Final = {
    "empty_file": "nothing to set: they may still be being written, or the disk was full",
    "not_an_image": "--set ingest.images=FOLDER if others lie there, too",
    names.UNREADABLE_FILE: "give the identity that runs the job the right to read them",
    names.CAPTURE_TIME_MISSING: "say where the time stands: folders date=2026-01-05, a column "
    "captured_at (--set 'ingest.verdict_columns={captured_at=\"THEIR NAME\"}'), or the name "
    "(--set ingest.pattern=… with a group captured_at)",
    names.CAPTURE_TIME_UNREADABLE: "--set ingest.verdict_time_format=… for files that tell of "
    "images, --set ingest.time_format=… for names; --set ingest.earliest=… for times before it",
    names.CAPTURE_TIME_IN_FUTURE: "set the clock right, or --set ingest.timezone=… to the plant's",
    names.VERIFIED_AT_UNREADABLE: "--set 'ingest.verdict_time_format=\"…\"', as strptime has it; "
    "of a zone only an offset or Z can be read",
    names.VERDICT_UNKNOWN: '--set \'ingest.verdict_words={"WORD"="pass"}\', or fail, or unverified',
    names.VERDICT_WITHOUT_IMAGE: "bring the images, or correct the paths: they are relative to the "
    "drop; --set ingest.images=FOLDER if they lie elsewhere in it",
    names.VERDICT_AMBIGUOUS: "write the image's whole path below the drop, or the board's place in "
    "its panel",
    names.VERDICT_CONFLICT: "ask which of them is right; a later verified_at counts",
    names.VERDICT_SUPERSEDED: "nothing to set: a newer row of the same image counts",
    names.VERDICT_ROW_MALFORMED: "correct these rows, or let the tool put values that hold the "
    "separator into quotation marks",
    names.VERDICT_FILE_MALFORMED: "correct the file, or export it again",
    names.VERDICT_UNREADABLE: "export it as CSV in UTF-8, or --set ingest.verdict_columns={…}, "
    "ingest.verdict_encoding=… or ingest.verdict_separator=…",
    names.MESSAGE_WITHOUT_VERDICT: "nothing to set: these messages hold no verdict",
}


def run_preview(config: Config, start_session: Callable[[Config], SparkSession]) -> str:
    """Look at the drop, and return what to say of it.

    Raises
    ------
    InputError : there is no such drop.
    """
    drop = config.paths.drop
    if _is_local(config):
        files = DropFiles(config.ingest, OnDisk.qualified(drop), OnDisk())
        look = Look(files)
    else:
        spark = start_session(config)
        with reading(drop):
            root = filesystem.qualified(spark, drop)
            look = Look(DropFiles(config.ingest, root, OnStore(spark)), sidecars=LOOKED_AT)
            return _told(drop, look, config)
    return _told(drop, look, config)


def _told(drop: str, look: Look, config: Config) -> str:
    before = look.at(config.ingest)
    trial = proposals.try_out(look, config.ingest, before)
    return "\n".join(_lines(drop, look, before, trial))


def _is_local(config: Config) -> bool:
    elsewhere = any(key.endswith("fs.defaultFS") for key in config.spark.conf)
    scheme = stores.scheme(config.paths.drop)
    return scheme == "file" and (config.paths.drop.startswith("file:") or not elsewhere)


def _lines(drop: str, look: Look, before: Preview, trial: Trial) -> Iterator[str]:
    yield f"preview of {drop}; nothing is written"
    yield ""
    yield from _image_lines(look, before)
    yield from _table_lines(look, before)
    yield from _row_lines(before)
    if trial.proposals:
        yield ""
        yield "proposed, since the data speak for it:"
        for proposal in trial.proposals:
            yield f"  {_flags(proposal.settings)}"
            yield f"      {proposal.why}"
        yield ""
        yield "with these settings:"
        yield from _time_lines(trial.found)
        yield from _word_lines(trial.found)
        yield from _row_lines(trial.found)
    yield from _question_lines(trial)
    yield ""
    yield from _next_lines(drop, trial)


def _image_lines(look: Look, found: Preview) -> Iterator[str]:
    looked = f", {found.looked_at} of them looked at" if found.looked_at < found.images else ""
    references = f"; {len(look.golden)} golden images" if len(look.golden) else ""
    folder = look.files.relative(look.files.images_folder) or "the drop"
    yield f"{found.images} images in {folder}{looked}{references}"
    yield from (f"  {note}" for note in found.notes)
    yield from _time_lines(found)


def _time_lines(found: Preview) -> Iterator[str]:
    if found.sources:
        told = ", ".join(f"{count} {source}" for source, count in found.sources.most_common())
        yield f"  where their times come from: {told}"
    yield from _reason_lines(found.image_faults)


def _table_lines(look: Look, found: Preview) -> Iterator[str]:
    yield ""
    if not found.tables and not found.rows:
        names_told = ", ".join(look.files.settings.verdicts)
        yield f"no verdicts: no file {names_told}, and no sidecars"
        for path in [path for path, _ in look.others() if _NO_TABLE.search(path)][:_TABLES]:
            yield f"  {path} isn't read; if it holds verdicts, save them as CSV"
        return
    files = "file" if len(found.tables) == 1 else "files"
    yield f"{len(found.tables)} {files} of verdicts and manifests"
    by_form: dict[tuple[object, ...], list[TableFacts]] = {}
    for table in found.tables:
        by_form.setdefault(table.form, []).append(table)
    for same in list(by_form.values())[:_TABLES]:
        yield f"  {_described(same)}"
    if len(by_form) > _TABLES:
        yield f"  and {len(by_form) - _TABLES} other forms"
    yield from _word_lines(found)


def _described(same: list[TableFacts]) -> str:
    first = same[0]
    name = first.name if len(same) == 1 else f"{first.name} and {len(same) - 1} like it"
    separators = " or ".join("tab" if s == "\t" else s for s in first.separators)
    parts = [first.kind, first.encoding, f"separator {separators}" if separators else ""]
    pairs = zip(first.columns, first.read, strict=True)
    read = [a if a == b else f"{a} as {b}" for a, b in pairs if a and a not in first.unread]
    columns = f"; columns {', '.join(read)}" if read else ""
    unread = f"; not read: {', '.join(first.unread)}" if first.unread else ""
    rows = f"{sum(table.rows for table in same)} rows"
    if first.columns and not names_images(first.read):
        rows = "no column that says which image a row is of"
    return f"{name}: {', '.join(filter(None, [*parts, rows]))}{columns}{unread}"


def _word_lines(found: Preview) -> Iterator[str]:
    if found.words:
        told = [f"{n} {word} = {what}" for (word, what), n in found.words.most_common(_WORDS)]
        more = [f"{len(found.words) - _WORDS} others"] if len(found.words) > _WORDS else []
        yield f"  words: {', '.join([*told, *more])}"


def _row_lines(found: Preview) -> Iterator[str]:
    if not found.rows:
        return
    labels = ", ".join(f"{count} {verdict}" for verdict, count in sorted(found.labels.items()))
    yield (
        f"  {found.matched} of {len(found.rows)} rows match an image and can be read"
        f"; verdicts that count: {labels or 'none'}"
    )
    yield from _reason_lines(found.reasons)


def _reason_lines(reasons: dict[str, Reason]) -> Iterator[str]:
    for reason, found in sorted(reasons.items(), key=lambda pair: (-pair[1].count, pair[0])):
        yield f"    {found.count} {reason}"
        yield from (f"        {_shortened(example)}" for example in found.examples)
        if reason in _REMEDIES:
            yield f"      -> {_REMEDIES[reason]}"


def _question_lines(trial: Trial) -> Iterator[str]:
    asked = [
        (question.why, [_flags(answer) for answer in question.answers])
        for question in trial.questions
    ]
    if trial.settings.timezone == "UTC" and any(row.is_zoneless for row in trial.found.rows):
        zone = "--set ingest.timezone=Europe/Berlin, or where the plant is"
        asked.append(("times that name no zone are read in UTC; is that so?", [zone]))
    if asked:
        yield ""
        yield "for you to say:"
    for why, answers in asked:
        yield f"  {why}"
        yield from (f"      {answer}" for answer in answers)


def _next_lines(drop: str, trial: Trial) -> Iterator[str]:
    merged: dict[str, Any] = {}
    for proposal in trial.proposals:
        merged |= proposal.settings
    told = " ".join(f"ingest.{key}={_toml(value)}" for key, value in merged.items())
    yield "next, the whole job:"
    assigned = f" SET={shlex.quote(told)}" if told else ""
    yield f"  make run-local DATA={shlex.quote(drop)} OUT=out/run{assigned}"


def _flags(settings: dict[str, Any]) -> str:
    pairs = (f"ingest.{key}={_toml(value)}" for key, value in settings.items())
    return " ".join(f"--set {shlex.quote(pair)}" for pair in pairs)


def _toml(value: Any) -> str:
    """A value in TOML's notation, in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)}={_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, str):
        return quoted(value)
    several: Iterable[Any] = value
    listed = [_toml(each) for each in several]
    return listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]"


def _key(name: str) -> str:
    return name if name.isascii() and name.replace("_", "a").isalnum() else quoted(name)


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…"
