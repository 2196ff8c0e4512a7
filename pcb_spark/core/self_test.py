"""What an edge bundle has to answer before it may decide: its own images, to the last bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pcb_spark.core.edge_bundle import EdgeBundle, Known
    from pcb_spark.core.scorer import Score, Scorer


def differences(edge: EdgeBundle, scorer: Scorer) -> list[str]:
    """Score the bundle's images, and say of each that gets another answer which.

    Parameters
    ----------
    scorer : ``decisions.scorer_of`` the bundle.
    """
    pairs = ((known, answer(edge, scorer, known)) for known in edge.manifest.self_test)
    return [
        f"{known.image}: expected {_told(known.probability, known.decision)}, got {_shown(score)}"
        for known, score in pairs
        if (known.probability, known.decision) != (written(score.probability), score.decision)
    ]


def answer(edge: EdgeBundle, scorer: Scorer, known: Known) -> Score:
    """Score one image of the self-test."""
    reference = None if known.reference is None else edge.parts[known.reference]
    traceability = {"line": known.line, "part_number": known.part_number}
    return scorer.score(edge.parts[known.image], reference, traceability=traceability)


def written(probability: float | None) -> str:
    """A probability to its last bit; empty where there is none."""
    return "" if probability is None else probability.hex()


def _shown(score: Score) -> str:
    if score.probability is None:
        return f"{score.decision} ({score.reason}: {score.detail})"
    return _told(written(score.probability), score.decision)


def _told(probability: str, decision: str) -> str:
    return f"{float.fromhex(probability)!r} ({probability}, {decision})"
