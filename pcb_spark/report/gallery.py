"""The report's pictures: which images it shows, each with its reference and its heat map."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from pcb_spark.core import heatmaps, images, names, policy, registration
from pcb_spark.core.errors import ImageError
from pcb_spark.core.pairs import Pair, PairReader, Reading
from pcb_spark.network import pooled

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from pcb_spark.core.bundle import Bundle
    from pcb_spark.report.evidence import Evidence, PairFiles

    Pixels = NDArray[np.uint8]

_JPEG_QUALITY = 85
#: A map that is fainter than this share of the gallery's hottest one isn't stretched to full
#: colour: where the model saw nothing, nothing should glow.
_FAINTEST = 0.25
NOT_SHOWN = "The image can't be shown: it isn't in the table any more, or can't be decoded."


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A group of images; ``rows`` holds their traceability, score, threshold and decision."""

    title: str
    lead: str
    empty: str
    rows: pd.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture as a data URI, with its name and what it shows in words."""

    name: str
    uri: str
    alt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One image of the gallery."""

    heading: str
    verdict: str
    score: str
    facts: str
    pictures: tuple[Picture, ...]
    missing: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A decoded pair and its heat map."""

    image: Pixels
    reference: Pixels | None
    heat: heatmaps.Map | None
    golden: str


def choose(evidence: Evidence) -> list[Choice]:
    """Pick the images that tell most; at most ``evidence.gallery`` of each group."""
    most = evidence.gallery
    groups = []
    if evidence.night is not None and evidence.is_of_night:
        groups.append(
            Choice(
                title="Nearest to the threshold, this run",
                lead="Scored by the newest run of the score job.",
                empty="This run scored no image.",
                rows=evidence.night.nearest.head(most),
            )
        )
    rows = evidence.decided
    gap = (rows[names.PROBABILITY] - rows[names.THRESHOLD]).abs()
    cleared = rows[names.DECISION] == policy.PASS
    slips = rows[rows["is_fail"] & cleared].sort_values(names.PROBABILITY)
    false_calls = rows[~rows["is_fail"] & ~cleared].sort_values(names.PROBABILITY, ascending=False)
    return [
        *groups,
        Choice(
            title="Worst slips",
            lead="Defects that would have been cleared, the lowest scores first.",
            empty="No defect of the out-of-fold scores would have been cleared.",
            rows=slips.head(most),
        ),
        Choice(
            title="Nearest to the threshold",
            lead="Where a slightly different threshold would have decided otherwise.",
            empty="There are no out-of-fold scores.",
            rows=rows.loc[gap.sort_values(kind="stable").index].head(most),
        ),
        Choice(
            title="Worst false calls",
            lead="Good components that scored highest.",
            empty="Every good component of the out-of-fold scores would have been cleared.",
            rows=false_calls.head(most),
        ),
    ]


def wanted(evidence: Evidence) -> dict[str, date]:
    """Name the images to fetch, with the capture date of each."""
    rows = [choice.rows for choice in choose(evidence)]
    return {
        image_id: captured_at.date()
        for group in rows
        for image_id, captured_at in zip(
            group[names.IMAGE_ID], group[names.CAPTURED_AT], strict=True
        )
    }


def cards(evidence: Evidence) -> list[tuple[Choice, list[Card]]]:
    """Draw the groups of ``choose`` with the pairs that were fetched."""
    chosen = choose(evidence)
    called = {
        row[names.IMAGE_ID]: heading(row)
        for choice in chosen
        for row in choice.rows.to_dict("records")
    }
    made = drawn(evidence.model, evidence.pairs, called, max_pixels=evidence.max_pixels)
    return [
        (choice, [_card(row, made) for row in choice.rows.to_dict("records")]) for choice in chosen
    ]


def drawn(
    model: Bundle | None,
    pairs: Mapping[str, PairFiles],
    called: Mapping[str, str],
    *,
    max_pixels: int,
) -> dict[str, tuple[Picture, ...]]:
    """Draw images as one model sees them, hot by one scale; what can't be read is left out.

    Parameters
    ----------
    model : what explains the scores; None: there are no heat maps.
    pairs : the files of the images, by their ids.
    called : which of them to draw, and what each is called.
    """
    wanted = {image_id: pairs[image_id] for image_id in called if image_id in pairs}
    seen = dict(_look(model, wanted, max_pixels)) if wanted else {}
    heats = [each.heat.max() for each in seen.values() if each.heat is not None]
    floor = _FAINTEST * float(max(heats, default=0.0))
    return {name: tuple(_pictures(called[name], each, floor)) for name, each in seen.items()}


def _look(
    model: Bundle | None, files_of: Mapping[str, PairFiles], max_pixels: int
) -> Iterator[tuple[str, _Seen]]:
    mapper = pooled.mapper(model) if model else None
    as_told = mapper.reading if mapper else Reading(difference=True, alignment=registration.FILL)
    pairs = PairReader(replace(as_told, difference=True), max_pixels=max_pixels)
    for image_id, files in files_of.items():
        pair = _seen(pairs, files)
        if pair is None:
            continue
        explained = mapper and (pair.reference is not None or not mapper.reading.difference)
        heat = mapper.heat(pair.image, pair.reference) if mapper and explained else None
        # A laid image lies where its golden image does, which people see as it is.
        laid = as_told.alignment == registration.LAID
        golden = _decoded(files.reference, pairs) if laid else pair.reference
        yield (
            image_id,
            _Seen(image=pair.image, reference=golden, heat=heat, golden=files.golden),
        )


def _seen(pairs: PairReader, files: PairFiles) -> Pair | None:
    """Read a pair as the model saw it; what it couldn't use is shown as far as it can be read."""
    try:
        return pairs.read(files.image, files.reference)
    except ImageError:
        image, reference = (_decoded(data, pairs) for data in (files.image, files.reference))
        return None if image is None else Pair(image, reference)


def _decoded(data: bytes | None, pairs: PairReader) -> Pixels | None:
    try:
        return pairs.decode(data) if data else None
    except ImageError:
        return None


def heading(row: Mapping[str, Any]) -> str:
    """What an image is called: its board and its position."""
    return _joined(row.get(names.BOARD_ID), row.get(names.POSITION))


def _card(row: dict[str, Any], made: Mapping[str, tuple[Picture, ...]]) -> Card:
    pictures = made.get(row[names.IMAGE_ID], ())
    return Card(
        heading=heading(row),
        verdict=_verdict(row),
        score=f"score {row[names.PROBABILITY]:.3g}, threshold {row[names.THRESHOLD]:.3g}",
        facts=_joined(
            row.get(names.PART_NUMBER),
            f"line {row[names.LINE]}" if row.get(names.LINE) else None,
            f"lot {row[names.LOT]}" if row.get(names.LOT) else None,
            f"{row[names.CAPTURED_AT]:%Y-%m-%d}",
        ),
        pictures=pictures,
        missing="" if pictures else NOT_SHOWN,
    )


def _pictures(name: str, seen: _Seen, floor: float) -> Iterator[Picture]:
    yield _picture("image", f"Component image of {name}", _as_image(seen.image))
    if seen.reference is not None:
        what = f"golden image, {seen.golden}" if seen.golden else "reference"
        yield _picture(what, f"Golden reference of {name}", _as_image(seen.reference))
    if seen.heat is not None:
        hottest = heatmaps.hottest(seen.heat)
        where = f"hottest {_place(*hottest)}" if hottest else "nothing is hot"
        shown = heatmaps.overlay(seen.image, seen.heat, full=max(floor, float(seen.heat.max())))
        yield _picture("heat map", f"Heat map of {name}: {where}", shown)


def _place(row: int, column: int) -> str:
    """Name a place of the image in words: ``at the upper left``."""
    third = images.SIDE / 3
    vertical = ("upper ", "", "lower ")[int(row // third)]
    horizontal = ("left", "middle", "right")[int(column // third)]
    return (
        "in the middle"
        if not vertical and horizontal == "middle"
        else (f"at the {vertical}{horizontal}")
    )


def _picture(name: str, alt: str, image: Image.Image) -> Picture:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_JPEG_QUALITY)
    uri = f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
    return Picture(name=name, uri=uri, alt=alt)


def _as_image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def _verdict(row: Mapping[str, Any]) -> str:
    verdict = row.get(names.VERDICT)
    if not verdict:
        return f"decision: {row[names.DECISION]}"
    kinds = (row.get(names.DEFECTS) or "").replace("|", ", ").replace("_", " ")
    return f"verdict: {verdict}" + (f" ({kinds})" if kinds else "")


def _joined(*parts: str | None) -> str:
    return " · ".join(str(part) for part in parts if part)
