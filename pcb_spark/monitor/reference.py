"""The training reference: what nights are held against, a small record in the model bundle.

It is made of rows of images of the training window, a sample of each line and day, and of counts a
day. Numbers of an image are its score, measures of its pixels, and a few features.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pcb_spark.core import names
from pcb_spark.core.errors import BundleError
from pcb_spark.monitor import cells
from pcb_spark.monitor.cells import Cell
from pcb_spark.monitor.spread import Counts, Spread

if TYPE_CHECKING:
    import pandas as pd

FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What the days of a training window were like.

    Attributes
    ----------
    numbers : names of the numbers of an image.
    features : index of each feature that is watched, 0 is the first.
    cells : by line, then by number.
    volumes : of the logarithm of a day's images, by line.
    unscorable : images without a score, by line; ``unreadable`` files, of all.
    lag : of the logarithm of the hours until a verdict, medians of the days of verdicts.
    known : the lines, part numbers and kinds of defects that were seen.
    """

    numbers: tuple[str, ...]
    features: tuple[int, ...] = ()
    cells: Mapping[str, Mapping[str, Cell]]
    volumes: Mapping[str, Spread]
    unscorable: Mapping[str, Counts]
    unreadable: Counts | None
    lag: Spread | None
    known: Mapping[str, tuple[str, ...]]

    def to_json(self) -> str:
        """Give the record's text."""
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Reference:
        """Read a record.

        Raises
        ------
        BundleError : the text is no such record.
        """
        try:
            raw = json.loads(text)
            if raw.pop("format") != FORMAT:
                raise BundleError("the training reference is of another format", hint=_HINT)
            return cls(
                numbers=tuple(raw["numbers"]),
                features=tuple(raw["features"]),
                cells={
                    line: {number: _cell(each) for number, each in own.items()}
                    for line, own in raw["cells"].items()
                },
                volumes={line: Spread(**each) for line, each in raw["volumes"].items()},
                unscorable={line: _counts(each) for line, each in raw["unscorable"].items()},
                unreadable=_counts(raw["unreadable"]) if raw["unreadable"] else None,
                lag=_spread(raw["lag"]),
                known={name: tuple(values) for name, values in raw["known"].items()},
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            what = "the training reference can't be read"
            got = f"{type(error).__name__}: {error}"
            raise BundleError(what, got=got, hint=_HINT) from None


_HINT: Final = "train again with this version, or set monitor.enabled = false"


def learn(
    images: pd.DataFrame,
    counts: pd.DataFrame,
    *,
    numbers: Sequence[str],
    features: Sequence[int] = (),
    unreadable: Mapping[Any, int],
    lag_hours: Sequence[float],
    known: Mapping[str, Sequence[str]] | None = None,
) -> Reference:
    """Learn what the days of training were like.

    Parameters
    ----------
    images : a sample of each line and day, (rows of ``cells.PLACES`` and ``numbers``).
    counts : by day and line ``count`` images, and ``unscorable`` ones.
    unreadable : files that are no images, by day; days without any may be left out.
    lag_hours : medians of the days of verdicts.
    """
    total = counts.groupby(names.CAPTURE_DATE)["count"].sum()
    lost = np.array([unreadable.get(day, 0) for day in total.index])
    unscorable = (
        (line, Counts.of(rows["unscorable"], rows["count"])) for line, rows in cells.by_line(counts)
    )
    return Reference(
        numbers=tuple(numbers),
        features=tuple(features),
        cells=cells.learn(images, numbers),
        volumes=_volumes(counts),
        unscorable={line: each for line, each in unscorable if each is not None},
        unreadable=Counts.of(lost, total.to_numpy() + lost),
        lag=Spread.of(np.log(np.maximum(lag_hours, 1e-3))),
        known={name: tuple(values) for name, values in (known or {}).items()},
    )


def _volumes(counts: pd.DataFrame) -> dict[str, Spread]:
    """A day without any image of a line counts."""
    table = counts.fillna({names.LINE: cells.NO_LINE}).pivot_table(
        index=names.CAPTURE_DATE, columns=names.LINE, values="count", aggfunc="sum", fill_value=0
    )
    made = ((str(line), Spread.of(log_count(table[line].to_numpy()))) for line in table)
    return {line: each for line, each in made if each is not None}


def log_count(images: Any) -> Any:
    """The logarithm of numbers of images, of which there may be none."""
    return np.log(np.maximum(images, 0.5))


def _spread(raw: Mapping[str, Any] | None) -> Spread | None:
    return None if raw is None else Spread(**raw)


def _counts(raw: Mapping[str, Any]) -> Counts:
    return Counts(**{**raw, "by_day": Spread(**raw["by_day"])})


def _cell(raw: Mapping[str, Any]) -> Cell:
    spreads = {name: _spread(raw[name]) for name in ("ks", "psi", "against", "lots", "by_position")}
    wanted = {each.name: raw[each.name] for each in fields(Cell)} | spreads
    return Cell(**(wanted | {
        "days": Spread(**raw["days"]),
        "grid": tuple(raw["grid"]),
        "cumulated": tuple(raw["cumulated"]),
    }))  # fmt: skip
