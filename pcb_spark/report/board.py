"""One board: its images, what was decided of each and why, and what operators found.

``pipeline.explain`` reads it off the tables; a page and JSON say the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from pcb_spark.core import names, policy
from pcb_spark.report import explained, gallery, templating
from pcb_spark.report.words import NONE

if TYPE_CHECKING:
    from pcb_spark.core.bundle import Bundle
    from pcb_spark.report.evidence import PairFiles
    from pcb_spark.report.explained import Circumstances


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One image of the board; all but ``published`` are rows of tables as they are now.

    Attributes
    ----------
    image : traceability and hashes; of an image that was pruned what its decision kept.
    published : its rows of ``decisions``, the oldest first; none where only ``run`` scored it.
    then : what held when it was decided.
    """

    image: Mapping[str, Any]
    score: Mapping[str, Any] | None
    published: Sequence[Mapping[str, Any]]
    verdict: Mapping[str, Any] | None
    then: Circumstances

    @property
    def why(self) -> list[str]:
        """Why it was decided so, and why somebody looks or nobody does."""
        return explained.sentences(self.score, self.then)

    @property
    def outcome(self) -> str:
        """What an operator found."""
        return explained.outcome(self.score, self.verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """All that is known of a board.

    Attributes
    ----------
    models : that decided, by ``model_sha256``; those that can't be had any more are left out.
    registered : the registry's number of each, where it has one.
    pairs : the files of images and references, by ``image_id``.
    notes : what couldn't be found.
    """

    board_id: str
    where: str
    made_at: datetime
    flags: Sequence[Flag]
    models: Mapping[str, Bundle]
    registered: Mapping[str, str]
    pairs: Mapping[str, PairFiles]
    notes: Sequence[str] = ()
    max_pixels: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """A flag as the page shows it."""

    heading: str
    facts: list[tuple[str, str]]
    why: list[str]
    pictures: tuple[gallery.Picture, ...]
    published: list[dict[str, str]] = field(default_factory=list)


def render(board: Board) -> str:
    """Return the page as HTML, which needs no other file."""
    pictures = _pictures(board)
    cleared, looked = _counts(board)
    return templating.template("board.html").render(
        **templating.COLOURS,
        board=board,
        cleared=cleared,
        looked=looked,
        rows=[_row(flag) for flag in board.flags],
        shown=[_shown(flag, pictures) for flag in board.flags],
        models=_models(board),
        missing=gallery.NOT_SHOWN,
    )


def to_json(board: Board) -> str:
    """Return the same as JSON; times are in UTC, pictures are data URIs."""
    pictures = _pictures(board)
    found = {
        names.BOARD_ID: board.board_id,
        "tables": board.where,
        "made_at": board.made_at,
        "notes": list(board.notes),
        "models": [dict(model) for model in _models(board)],
        "images": [_record(flag, pictures) for flag in board.flags],
    }
    return json.dumps(found, default=_plain, ensure_ascii=False, indent=2) + "\n"


def _record(flag: Flag, pictures: Mapping[str, Sequence[gallery.Picture]]) -> dict[str, Any]:
    drawn = pictures.get(flag.image[names.IMAGE_ID], ())
    return {
        **flag.image,
        "score": flag.score,
        "why": flag.why,
        "published": list(flag.published),
        names.VERDICT: flag.verdict,
        "outcome": flag.outcome,
        "pictures": [asdict(each) for each in drawn],
    }


def _plain(value: object) -> str:
    if isinstance(value, date | datetime):
        return value.isoformat()
    msg = f"{type(value).__name__} can't be written as JSON"
    raise TypeError(msg)


def _pictures(board: Board) -> dict[str, tuple[gallery.Picture, ...]]:
    """Each image as the model that decided it saw it; without that model, there is no heat map."""
    by_model: dict[str, dict[str, str]] = {}
    for flag in board.flags:
        model = flag.score[names.MODEL_SHA256] if flag.score else ""
        called = by_model.setdefault(model, {})
        called[flag.image[names.IMAGE_ID]] = gallery.heading(flag.image)
    found: dict[str, tuple[gallery.Picture, ...]] = {}
    for sha256, called in by_model.items():
        model = board.models.get(sha256)
        found |= gallery.drawn(model, board.pairs, called, max_pixels=board.max_pixels)
    return found


def _counts(board: Board) -> tuple[int, int]:
    """How many flags were cleared, and at how many an operator looks."""
    scores = [flag.score for flag in board.flags]
    cleared = sum(bool(row) and row[names.DECISION] == policy.PASS for row in scores if row)
    looked = sum(row is None or row[names.REVIEW] is not None for row in scores)
    return cleared, looked


def _row(flag: Flag) -> dict[str, str]:
    score = flag.score or {}
    return {
        names.POSITION: flag.image.get(names.POSITION) or flag.image[names.IMAGE_ID],
        names.PART_NUMBER: flag.image.get(names.PART_NUMBER) or NONE,
        names.PROBABILITY: explained.number(score.get(names.PROBABILITY)),
        names.THRESHOLD: explained.number(score.get(names.THRESHOLD)),
        names.DECISION: score.get(names.DECISION) or "not scored",
        names.REVIEW: (score.get(names.REVIEW) or "nobody") if score else NONE,
        names.VERDICT: flag.outcome,
    }


def _shown(flag: Flag, pictures: Mapping[str, tuple[gallery.Picture, ...]]) -> _Shown:
    return _Shown(
        heading=gallery.heading(flag.image),
        facts=[*_traceability(flag), *_scored(flag)],
        why=flag.why,
        pictures=pictures.get(flag.image[names.IMAGE_ID], ()),
        published=[_published(row) for row in flag.published],
    )


def _traceability(flag: Flag) -> list[tuple[str, str]]:
    told = (names.LINE, names.LOT, names.PART_NUMBER, names.CAPTURED_AT, names.SOURCE_URI)
    found = [(name.replace("_", " "), flag.image.get(name)) for name in told]
    return [(n, explained.moment(v) if isinstance(v, datetime) else v) for n, v in found if v]


def _scored(flag: Flag) -> list[tuple[str, str]]:
    verdict = flag.verdict or {}
    told = [("operator found", flag.outcome)]
    if verdict.get(names.VERIFIED_AT):
        told.append(("verified at", explained.moment(verdict[names.VERIFIED_AT])))
    if flag.score is None:
        return told
    return [
        ("decision", flag.score[names.DECISION]),
        ("model", flag.score[names.MODEL_VERSION]),
        ("scored at", explained.moment(flag.score[names.SCORED_AT])),
        *told,
    ]


def _published(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "published_at": explained.moment(row["published_at"]),
        names.PROBABILITY: explained.number(row[names.PROBABILITY]),
        names.DECISION: row[names.DECISION],
        names.REVIEW: row[names.REVIEW] or "nobody",
        names.REGISTRY_VERSION: row[names.REGISTRY_VERSION],
        names.RUN_ID: row[names.RUN_ID],
    }


def _models(board: Board) -> list[dict[str, Any]]:
    """Each model that decided, with its hash, and what is known of its threshold."""
    decided = {
        flag.score[names.MODEL_SHA256]: flag.score[names.MODEL_VERSION]
        for flag in board.flags
        if flag.score
    }
    return [
        {
            names.MODEL_VERSION: version,
            names.MODEL_SHA256: sha256,
            names.REGISTRY_VERSION: board.registered.get(sha256),
            names.THRESHOLD: _evidence(board.models.get(sha256)),
        }
        for sha256, version in decided.items()
    ]


def _evidence(model: Bundle | None) -> dict[str, Any] | None:
    if model is None:
        return None
    told = model.manifest.threshold
    return {"value": told["value"], "reason": told.get("reason", "")}
