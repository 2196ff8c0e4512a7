"""What a verdict file says in each row, and how a plant's own names and words are read as ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pcb_spark.core import names

#: The columns of a verdict file.
COLUMNS: Final = (
    names.IMAGE, names.REFERENCE, names.BOARD_ID, names.POSITION, names.PART_NUMBER, names.LOT,
    names.LINE, names.CAPTURED_AT,
    names.VERDICT, names.DEFECTS, names.OPERATOR_ID, names.VERIFIED_AT,
)  # fmt: skip
#: What an IPC-CFX message says besides: the board's place in its panel, whether ``board_id`` is
#: that of a panel of several, and which message of its file it was.
UNIT_POSITION: Final = "unit_position"
OF_PANEL: Final = "of_panel"
MESSAGE: Final = "message"
#: Why a row or a file can't be used: the reason of its reject, and what was found where.
FAULT_REASON: Final = "fault_reason"
FAULT: Final = "fault"
NO_IMAGE_COLUMN: Final = "no column named image"
TEXTS: Final = (*COLUMNS, UNIT_POSITION, OF_PANEL, MESSAGE, FAULT_REASON, FAULT)

UNVERIFIED: Final = "unverified"
#: Words of which no two plants mean opposite things, as ``canonical`` writes them. TRUE, 1, Y,
#: accepted, rejected, confirmed and repaired are none: true what, accepted as what? OK and NG come
#: in the wide letters of Chinese and Japanese keyboards, too.
KNOWN_WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("pass", "passed", "ok", "good", "falsecall", "falsealarm", "falsefail", "falsefailure",
         "falsedefect", "falsepositive", "falseerror", "falsereject", "pseudoerror", "nodefect",
         "notadefect", "defectrejected", "defectaccepted", "io", "i.o.",
         "\uff4f\uff4b", "合格", "良品"),
        names.VERDICT_PASS,
    ),
    **dict.fromkeys(
        ("fail", "failed", "ng", "nok", "notok", "nogood", "notgood", "bad", "truedefect",
         "truecall", "truealarm", "truefail", "truefailure", "truepositive", "trueerror",
         "realdefect", "defect", "defective", "faulty", "defectconfirmed", "confirmeddefect",
         "defectrepaired", "defectclosed", "nio", "n.i.o.", "\uff4e\uff47", "不合格", "不良"),
        names.VERDICT_FAIL,
    ),
    **dict.fromkeys(
        ("unverified", "notverified", "notverifiedyet", "notyetverified", "unreviewed",
         "notreviewed", "notyetreviewed", "pending", "tobeverified"),
        UNVERIFIED,
    ),
}  # fmt: skip

Row = dict[str, str | None]


class Malformed(ValueError):
    """A value of another kind than its place asks for; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What the configuration says of a plant's verdict files.

    Parameters
    ----------
    columns : a plant's name of each of ``COLUMNS`` that it calls otherwise.
    separator, encoding : of CSV files that don't say themselves; empty means found.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    separator: str = ""
    encoding: str = ""

    def names(self, header: Iterable[object]) -> list[str]:
        """Our names of a file's columns; where a plant's name is there, ours stands aside."""
        given = [column_name(name) for name in header]
        ours = {column_name(theirs): name for name, theirs in self.columns.items()}
        taken = {ours[name] for name in given if name in ours}
        return [ours.get(name, f"{name}, unused" if name in taken else name) for name in given]


def column_name(name: object) -> str:
    """A column's name without what tools put around it, in lower case."""
    return str(name).strip("\ufeff \t\r\n\xa0").lower()


def canonical(word: str) -> str:
    """A verdict's word in lower case, without blanks, hyphens and underscores."""
    return re.sub(r"[\s_-]+", "", word).lower()


def meanings(words: Mapping[str, str]) -> dict[str, str]:
    """What each canonical word means: those that are known, and a plant's own before them."""
    return {**KNOWN_WORDS, **{canonical(word): meaning for word, meaning in words.items()}}


def names_images(header: Iterable[str]) -> bool:
    """Say whether these columns tell which image a row speaks of."""
    found = set(header)
    return names.IMAGE in found or {names.BOARD_ID, names.POSITION} <= found


def doubled(header: Iterable[str]) -> str | None:
    """The first of our columns that stands twice in ``header``."""
    given = list(header)
    return next((name for name in COLUMNS if given.count(name) > 1), None)


def faulty_row(what: str) -> Row:
    """A row that can't be used."""
    return {FAULT_REASON: names.VERDICT_ROW_MALFORMED, FAULT: what}


def faulty_file(what: str) -> Row:
    """A file, or what is left of it, that isn't what it says."""
    return {FAULT_REASON: names.VERDICT_FILE_MALFORMED, FAULT: what}


def unreadable(what: str) -> Row:
    """A file or line that nobody can read; ``verdict_unreadable``, as without a reason."""
    return {FAULT: what}


def checked_words(words: dict[str, str]) -> dict[str, str]:
    """Let words pass of which each means one thing, and none the opposite of ours.

    Raises
    ------
    ValueError : they contradict themselves.
    """
    meant: dict[str, str] = {
        names.VERDICT_PASS: names.VERDICT_PASS,
        names.VERDICT_FAIL: names.VERDICT_FAIL,
    }
    for word, meaning in words.items():
        plain = canonical(word)
        if not plain:
            raise ValueError("has an empty word; an empty verdict is always unverified")
        if meant.setdefault(plain, meaning) != meaning:
            raise ValueError(f"says that {word} is {meaning}, and {meant[plain]} as well")
    return words


def checked_columns(columns: dict[str, str]) -> dict[str, str]:
    """Let names pass of which each stands for one of our columns.

    Raises
    ------
    ValueError : one of ours isn't known, or one of theirs is empty or stands for two.
    """
    unknown = [name for name in columns if name not in COLUMNS]
    if unknown:
        raise ValueError(f"names {', '.join(unknown)}; our columns are {', '.join(COLUMNS)}")
    theirs = [column_name(name) for name in columns.values()]
    for name in theirs:
        if not name or theirs.count(name) > 1:
            raise ValueError(f"takes {name or 'an empty name'} for more than one column")
    return columns


def checked_separator(separator: str) -> str:
    """Let one character pass that can stand between values.

    Raises
    ------
    ValueError : it is none.
    """
    found = {"tab": "\t", "\\t": "\t"}.get(separator.lower(), separator)
    if len(found) > 1 or found in tuple('"\r\n') or found.isalnum():
        raise ValueError("is no separator; expected one character, as ; or tab")
    return found


def checked_encoding(encoding: str) -> str:
    """Let the name of a text encoding pass.

    Raises
    ------
    ValueError : Python doesn't know it.
    """
    try:
        "".encode(encoding or "utf-8")
    except LookupError:
        raise ValueError("is no encoding; expected a name such as cp1252 or utf-16") from None
    return encoding
