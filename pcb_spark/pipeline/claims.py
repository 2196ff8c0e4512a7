"""Which tables each job reads, appends to, replaces or brings up to date: what its lease says."""

from __future__ import annotations

from typing import Final

from pcb_spark.lake import catalogue
from pcb_spark.lake.claims import Claim


def _tables(*names: str) -> frozenset[str]:
    return frozenset(names)


_BOOKS: Final = _tables(catalogue.RUNS)
_FIGURES: Final = _tables(catalogue.RUNS, catalogue.METRICS)
_JUDGED: Final = _tables(catalogue.IMAGES, catalogue.VERDICTS)
_TRAINED: Final = _tables(catalogue.BUNDLE, catalogue.OUT_OF_FOLD, catalogue.SUSPECTS)

INGEST: Final = Claim(
    updates=_tables(
        catalogue.IMAGES, catalogue.VERDICTS, catalogue.REJECTS, catalogue.FILES, catalogue.SIDECARS
    ),
    appends=_BOOKS,
)
FEATURIZE: Final = Claim(
    reads=_tables(catalogue.IMAGES, catalogue.GOLDENS),
    replaces=_tables(catalogue.FEATURES, catalogue.FEATURE_SET),
    appends=_BOOKS | {catalogue.REJECTS},
)
GOLDEN: Final = Claim(reads=_JUDGED, updates=_tables(catalogue.GOLDENS), appends=_BOOKS)
REPORT: Final = Claim(
    reads=_JUDGED
    | _tables(catalogue.REJECTS, catalogue.SCORES, catalogue.REVIEWS, catalogue.GOLDENS)
    | _TRAINED
    | _FIGURES,
    replaces=_tables(catalogue.REPORT, catalogue.REPORTS),
)
#: It makes features anew where int8 doesn't do.
TRAIN: Final = Claim(
    reads=_JUDGED | {catalogue.REVIEWS, catalogue.GOLDENS, catalogue.REJECTS},
    replaces=_TRAINED | {catalogue.FEATURES, catalogue.FEATURE_SET},
    appends=_FIGURES,
)
SCORE: Final = Claim(
    reads=_JUDGED
    | _tables(catalogue.BUNDLE, catalogue.FEATURES, catalogue.CLEARING, catalogue.GOLDENS),
    replaces=_tables(catalogue.SCORES, catalogue.REVIEWS),
    appends=_BOOKS,
)
EXPORT: Final = Claim(
    reads=_tables(
        catalogue.IMAGES,
        catalogue.BUNDLE,
        catalogue.PROMOTIONS,
        catalogue.GOLDENS,
        catalogue.SCORES,
    ),
    appends=_tables(catalogue.REGISTRY, catalogue.SHARE_CAPS),
)
_MODELS: Final = _tables(catalogue.BUNDLE, catalogue.REGISTRY, catalogue.PROMOTIONS)
REVIEW_QUEUE: Final = Claim(
    reads=_JUDGED | _MODELS | _tables(catalogue.SCORES, catalogue.GOLDENS), appends=_BOOKS
)
EXPLAIN: Final = Claim(
    reads=_JUDGED
    | _MODELS
    | _tables(
        catalogue.SCORES,
        catalogue.DECISIONS,
        catalogue.CLEARING,
        catalogue.SHARE_CAPS,
        catalogue.GOLDENS,
    )
)
DECISIONS: Final = Claim(reads=_tables(catalogue.DECISIONS, catalogue.SCORES))
REGISTER: Final = Claim(
    reads=_JUDGED | _tables(catalogue.BUNDLE, catalogue.OUT_OF_FOLD, catalogue.REPORTS),
    appends=_tables(catalogue.REGISTRY),
)
#: It scores, but by the champion, not by the bundle that training left here.
NIGHT: Final = Claim(
    reads=_JUDGED
    | _tables(
        catalogue.FEATURES,
        catalogue.REJECTS,
        catalogue.REGISTRY,
        catalogue.PROMOTIONS,
        catalogue.CLEARING,
        catalogue.GOLDENS,
    ),
    replaces=_tables(catalogue.SCORES, catalogue.REVIEWS),
    appends=_FIGURES
    | {catalogue.DECISIONS, catalogue.SHARE_CAPS, catalogue.MONITOR, catalogue.CLEARING},
)
VERSIONS: Final = Claim(reads=_tables(catalogue.REGISTRY, catalogue.PROMOTIONS))
COMPARE: Final = VERSIONS | Claim(reads=_JUDGED | {catalogue.REVIEWS, catalogue.GOLDENS})
LOOKS: Final = Claim(reads=_tables(catalogue.MONITOR))
RETRAIN: Final = GOLDEN | FEATURIZE | TRAIN | REPORT | REGISTER | COMPARE | LOOKS
DESCRIBE: Final = Claim(reads=_JUDGED | {catalogue.GOLDENS}, appends=_FIGURES)
TUNE: Final = Claim(
    reads=_JUDGED | {catalogue.REVIEWS, catalogue.GOLDENS},
    replaces=_tables(*catalogue.TUNE_FEATURES.values()),
    appends=_FIGURES | {catalogue.TRIALS},
)
COMPACT: Final = Claim(replaces=_tables(catalogue.IMAGES, *catalogue.flat()), asks=True)
PRUNE: Final = Claim(
    reads=_MODELS,
    replaces=frozenset(catalogue.retained("days", "rows", "images", "ledger")),
    appends=_BOOKS,
    asks=True,
)
WHOLE: Final = INGEST | GOLDEN | FEATURIZE | TRAIN | SCORE | REPORT | REGISTER
PROMOTE: Final = Claim(updates=_tables(catalogue.PROMOTIONS))
BRAKE: Final = Claim(updates=_tables(catalogue.CLEARING))
#: Of a review queue that keeps whom edge machines asked.
QUEUE_OF_DECISIONS: Final = REVIEW_QUEUE | Claim(replaces=_tables(catalogue.REVIEWS))
#: Of a night where a service takes in what arrives.
NIGHT_ALONE: Final = NIGHT | REPORT
