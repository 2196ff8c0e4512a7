"""Images of verdicts that name a board and a position in place of a path.

A panel holds several boards, and IPC-CFX may name the panel in ``UnitIdentifier`` and its board in
``UnitPositionNumber``. An image says which board it shows by its ``board_id``, ``PANEL7_2``, or by
a folder, ``up=2``. A verdict that fits two boards labels none.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from pyspark.sql import Window
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.ingest.verdict_files import FILE, ROW
from pcb_spark.ingest.verdict_form import FAULT, FAULT_REASON, MESSAGE, OF_PANEL, UNIT_POSITION

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

#: Between a panel and the place of its board, in a ``board_id``.
_JOINTS: Final = ("_", "-", ".", ":", "#", "/")
#: A folder that says which board of its panel an image shows.
_UNIT_FOLDER: Final = r"(?i)(?:^|/)(?:up|unit|(?:unit|panel|board)_?position)=0*(\d+)/"
#: Parts have a letter in their names; ``1.2`` is a place in a grid, and no pin of ``1``.
_PINS_AFTER_DOT: Final = r"^([^.]*[A-Za-z][^.]*)\..+$"
_PINS_AFTER_HYPHEN: Final = r"^(.*?[A-Za-z].*?)-\d+(?:[,-]\d+)*$"

_BOARD, _PLACE, _UNIT, _SHOWN_UNIT = "asked_board", "asked_position", "asked_unit", "shown_unit"
_HITS, _SEVERAL, _BY_PART = "hits", "several", "by_part"


def find_images(placed: DataFrame, known: DataFrame, key: str) -> DataFrame:
    """Fill ``key``, the path, of rows that have a board and a position.

    A row with pins, ``U7.3``, speaks of its part where no image is of these pins; what one message
    or file says of several pins at one time becomes one verdict. A row that fits several pictures
    of one board in one folder labels all of them.

    Parameters
    ----------
    placed : rows of ``read_manifest`` without ``key``, each with a ``row_number`` of its own.
    known : ``key``, ``board_id`` and ``position`` of the images that there are.
    """
    shown = F.col(_SHOWN_UNIT)
    of_this_unit = shown.isNull() | F.col(_UNIT).isNull() | (shown == F.col(_UNIT))
    hits = _asked(placed).join(_shown(known, key), [_BOARD, _PLACE]).where(of_this_unit)
    by_row = hits.groupBy(ROW).agg(F.collect_set(_hit(key)).alias(_HITS))
    nearest = F.array_min(F.transform(_HITS, lambda hit: hit[_BY_PART]))
    kept = by_row.withColumn(_HITS, F.filter(_HITS, lambda hit: hit[_BY_PART] == nearest))
    boards = F.array_distinct(F.transform(_HITS, lambda hit: F.struct(hit["folder"], hit[_BOARD])))
    unsure = F.exists(_HITS, lambda hit: hit["unsure"])
    judged = kept.withColumn(_SEVERAL, (F.size(boards) > 1) | unsure)
    found = placed.drop(key).join(judged, ROW, "left")
    return _one_verdict_a_part(_labelled(found, key), key).select(*placed.columns)


class Boards:
    """Images by board and position, on the driver, found as ``find_images`` does it.

    Parameters
    ----------
    shown : path, board_id and position of each image.
    panels : the boards that rows name with several unit positions.
    """

    def __init__(
        self, shown: Iterable[tuple[str, str, str | None]], panels: Container[str]
    ) -> None:
        self._panels = panels
        self._paths: dict[tuple[str, str], list[tuple[str, str | None]]] = {}
        for path, board, position in shown:
            if position is not None:
                unit = re.search(_UNIT_FOLDER, path)
                found = self._paths.setdefault((board, position), [])
                found.append((path, unit[1] if unit else None))

    def find(self, row: Mapping[str, str | None]) -> tuple[list[str], bool]:
        """The images of a row with a board and a position, and whether they are several's."""
        board, position = row[names.BOARD_ID] or "", row[names.POSITION] or ""
        given = row.get(UNIT_POSITION)
        named = re.fullmatch(r"0*(\d+)", given or "")
        unit = named[1] if named else None
        of_panel = given is not None and (board in self._panels or bool(row.get(OF_PANEL)))
        boards = dict.fromkeys([board, *(f"{board}{joint}{unit}" for joint in _JOINTS if unit)])
        for places in ([position], _parts(position)):
            hits = [
                (path, asked, asked == board and of_panel and shown is None)
                for place in places
                for asked in boards
                for path, shown in self._paths.get((asked, place), ())
                if shown is None or unit is None or shown == unit
            ]
            if hits:
                asked_of = {(path.rpartition("/")[0], asked) for path, asked, _ in hits}
                several = len(asked_of) > 1 or any(unsure for _, _, unsure in hits)
                return sorted({path for path, _, _ in hits}), several
        return [], False


def panels(rows: Iterable[Mapping[str, str | None]]) -> set[str]:
    """The boards that rows name with several unit positions."""
    units: dict[str, set[str]] = {}
    for row in rows:
        board, unit = row.get(names.BOARD_ID), row.get(UNIT_POSITION)
        if board and unit:
            units.setdefault(board, set()).add(unit)
    return {board for board, found in units.items() if len(found) > 1}


def _parts(position: str) -> list[str]:
    """What is left of a position without its pins."""
    found = (re.match(pins, position) for pins in (_PINS_AFTER_DOT, _PINS_AFTER_HYPHEN))
    return [match[1] for match in found if match]


def _asked(placed: DataFrame) -> DataFrame:
    """One row for each board and position that a row may mean."""
    position, unit = F.col(names.POSITION), F.regexp_extract(UNIT_POSITION, r"^0*(\d+)$", 1)
    units = F.size(F.collect_set(UNIT_POSITION).over(Window.partitionBy(names.BOARD_ID)))
    parts = [
        F.when(position.rlike(pins), F.regexp_extract(position, pins, 1))
        for pins in (_PINS_AFTER_DOT, _PINS_AFTER_HYPHEN)
    ]
    boards = [F.concat(names.BOARD_ID, F.lit(joint), F.col(_UNIT)) for joint in _JOINTS]
    rows = placed.withColumns({
        _UNIT: F.when(unit != "", unit),
        OF_PANEL: F.col(UNIT_POSITION).isNotNull() & ((units > 1) | F.col(OF_PANEL).isNotNull()),
    })  # fmt: skip
    either = rows.withColumn(_BOARD, F.explode(_known_ones(F.col(names.BOARD_ID), *boards)))
    either = either.withColumn(_PLACE, F.explode(_known_ones(position, *parts)))
    return either.select(
        ROW, _BOARD, _PLACE, _UNIT,
        ((F.col(_BOARD) == F.col(names.BOARD_ID)) & F.col(OF_PANEL)).alias(OF_PANEL),
        (F.col(_PLACE) != position).cast("int").alias(_BY_PART),
    )  # fmt: skip


def _known_ones(*values: Column) -> Column:
    return F.array_distinct(F.array_compact(F.array(*values)))


def _shown(known: DataFrame, key: str) -> DataFrame:
    """What board and position the images show."""
    unit = F.regexp_extract(key, _UNIT_FOLDER, 1)
    images = known.where(F.col(names.POSITION).isNotNull())
    return images.select(
        F.col(key), F.col(names.BOARD_ID).alias(_BOARD), F.col(names.POSITION).alias(_PLACE),
        F.when(unit != "", unit).alias(_SHOWN_UNIT),
        F.regexp_extract(key, r"(?s)^.*/", 0).alias("folder"),
    )  # fmt: skip


def _hit(key: str) -> Column:
    """An image that a row may mean; unsure where the row names a panel and it no board of it."""
    unsure = F.col(OF_PANEL) & F.col(_SHOWN_UNIT).isNull()
    return F.struct(
        _BY_PART, F.col(key).alias("path"), _BOARD, _PLACE, "folder", unsure.alias("unsure")
    )


def _labelled(found: DataFrame, key: str) -> DataFrame:
    """One row for each image of a row; one without an image where there is none, or several."""
    several = F.coalesce(F.col(_SEVERAL), F.lit(False))
    hit = found.withColumn("hit", F.explode_outer(F.when(~several, F.col(_HITS))))
    board = F.concat(F.lit("board "), names.BOARD_ID, F.lit(" and position "), names.POSITION)
    paths = F.array_sort(F.transform(_HITS, lambda each: each["path"]))
    what = F.concat_ws(" ", board, F.lit("may be"), F.concat_ws(" or ", F.slice(paths, 1, 3)))
    return hit.withColumns({
        FAULT: F.when(several, what).otherwise(F.col(FAULT)),
        FAULT_REASON: F.when(several, names.VERDICT_AMBIGUOUS).otherwise(F.col(FAULT_REASON)),
        key: F.col("hit.path"),
        names.BOARD_ID: F.coalesce(F.col(f"hit.{_BOARD}"), names.BOARD_ID),
        names.POSITION: F.coalesce(F.col(f"hit.{_PLACE}"), names.POSITION),
        _BY_PART: F.coalesce(F.col(f"hit.{_BY_PART}"), F.lit(0)),
    })  # fmt: skip


def _one_verdict_a_part(found: DataFrame, key: str) -> DataFrame:
    """Fail where one of a part's pins does, pass where all do, else not yet verified."""
    moment = F.concat(F.lit("at "), F.col(names.VERIFIED_AT).cast("string"))
    together = Window.partitionBy(key, FILE, F.coalesce(MESSAGE, moment, F.lit("")))
    verdict = F.col(names.VERDICT)
    pinned = F.col(key).isNotNull() & (F.max(_BY_PART).over(together) > 0)
    fails = F.coalesce(F.max(verdict == names.VERDICT_FAIL).over(together), F.lit(False))
    passes = F.min(F.coalesce(verdict == names.VERDICT_PASS, F.lit(False))).over(together)
    one = F.when(fails, names.VERDICT_FAIL).when(passes, names.VERDICT_PASS)
    understood = verdict.isNull() | verdict.isin(names.VERDICT_PASS, names.VERDICT_FAIL)
    named = F.collect_set(F.when(verdict == names.VERDICT_FAIL, F.col(names.DEFECTS))).over(
        together
    )
    merged = pinned & understood
    codes = F.array_join(F.array_sort(named), "|")
    return found.withColumns({
        names.VERDICT: F.when(merged, one).otherwise(verdict),
        names.DEFECTS: F.when(merged & fails & (codes != ""), codes).otherwise(
            F.when(~merged, F.col(names.DEFECTS))
        ),
    })  # fmt: skip
