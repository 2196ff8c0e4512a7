"""Which formats read a plant's times, found by trying the common ones on all of them.

A format is certain where it reads more of the texts of one shape than any other does, each text
that another reads among them: one 13/01/2026 rules out that the month comes first. Where the texts
leave it open, the plant has to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pcb_spark.core.times import Reader

_DATES: Final = (
    "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d",
    "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%y/%m/%d", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d %Y",
    "%b %d, %Y", "%d %B %Y", "%d. %B %Y", "%B %d, %Y", "%a %b %d %Y", "%Y-%m-%d", "%Y%m%d",
    "%Y年%m月%d日", "%d_%m_%Y", "%Y_%m_%d", "%d%m%Y",
)  # fmt: skip
_CLOCKS: Final = (
    "%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%H:%M:%S,%f", "%I:%M %p", "%I:%M:%S %p", "%H.%M",
    "%H.%M.%S", "%H-%M-%S", "%H_%M_%S", "%H%M%S", "%H%M%S%f", "%H%M", "%H:%M Uhr", "%H:%M:%S Uhr",
    "%Hh%M",
)  # fmt: skip
_BETWEEN: Final = (" ", ", ", "T", "-", "_")
_ZONES: Final = ("", " %z", "%z")
_FORMATS: Final = (
    *_DATES,
    *(
        f"{day}{between}{clock}{zone}"
        for day, between, clock, zone in product(_DATES, _BETWEEN, _CLOCKS, _ZONES)
    ),
    *(f"{day}{clock}" for day in ("%Y%m%d", "%d%m%Y", "%y%m%d") for clock in ("%H%M", "%H%M%S")),
    "%c", "%a %b %d %H:%M:%S %Y",
)  # fmt: skip
_MOST_SHAPES: Final = 12
_OFFSET: Final = re.compile(r" ?[+-]\d\d:?\d\d$")


def _skeleton(text: str) -> str:
    """What stands between the letters and digits of a text or format, its offset left out."""
    without = _OFFSET.sub("%z", text)
    return re.sub(r"\w+", "", re.sub(r"%[A-Za-z]", "", re.sub(" ?%z", "z", without)))


_BY_SKELETON: Final[dict[str, list[str]]] = {}
for _form in _FORMATS:
    _BY_SKELETON.setdefault(_skeleton(_form), []).append(_form)


@dataclass(frozen=True, kw_only=True)
class Found:
    """Formats that are certain, and of each shape that isn't an example with those that read it."""

    formats: tuple[str, ...] = ()
    open: tuple[tuple[str, tuple[str, ...]], ...] = ()


def find(texts: Iterable[str], reader: Reader, *, latest: datetime) -> Found:
    """Find formats for times that ``reader`` can't read.

    Parameters
    ----------
    latest : a format that takes a text for a time after it reads it wrongly.
    """
    shapes: dict[str, set[str]] = {}
    for text in texts:
        shapes.setdefault(re.sub(r"\d+", "0", text.strip()), set()).add(text.strip())
    by_words: dict[str, set[str]] = {}
    for shape, same in shapes.items():
        words = re.sub(r"[^\W\d]+", "a", shape)
        by_words.setdefault(words, set()).update(same)
    certain: dict[str, None] = {}
    unsure = []
    for same in list(by_words.values())[:_MOST_SHAPES]:
        best = _best(sorted(same), reader, latest)
        if len(best) == 1:
            certain |= dict.fromkeys(best)
        elif best:
            unsure.append((min(same), tuple(best)))
    return Found(formats=tuple(certain), open=tuple(unsure))


def _best(texts: Sequence[str], reader: Reader, latest: datetime) -> list[str]:
    """The formats of which no other reads all that they read, and more; equal ones once."""
    read: dict[frozenset[tuple[str, datetime]], str] = {}
    for form in _plausible(texts, reader, latest):
        moments = frozenset(_read(texts, form, reader, latest))
        read.setdefault(moments, form)
    kept = [
        (form, moments)
        for moments, form in read.items()
        if not any(_texts(moments) < _texts(other) for other in read)
    ]
    return [form for form, moments in kept if 2 * len(moments) > len(texts)]


def _plausible(texts: Sequence[str], reader: Reader, latest: datetime) -> list[str]:
    """The formats that read one of a few of the texts."""
    few = [texts[n * len(texts) // 8] for n in range(8)]
    forms = dict.fromkeys(form for text in few for form in _BY_SKELETON.get(_skeleton(text), ()))
    return [form for form in forms if _read(few, form, reader, latest)]


def _read(
    texts: Sequence[str], form: str, reader: Reader, latest: datetime
) -> list[tuple[str, datetime]]:
    alone = replace(reader, formats=(form,), iso=False)
    judged = ((text, alone.judge(text)[0]) for text in texts if _is_whole(text, form))
    return [(text, moment) for text, moment in judged if moment and moment <= latest]


def _is_whole(text: str, form: str) -> bool:
    """Say whether digits that nothing separates are as many as the format has."""
    if not re.search("%[A-Za-z]%[A-Za-z]", form.replace("%z", "")):
        return True
    try:
        return datetime.strptime(text, form).strftime(form) == text
    except ValueError:
        return False


def _texts(moments: frozenset[tuple[str, datetime]]) -> set[str]:
    return {text for text, _ in moments}
