"""A measured figure, and how figures are summarised, printed and kept."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

#: The stage of rows that tell the whole way from file bytes to Parquet.
SCORE = "score"

#: Up to which spread a rate is told.
MAX_SPREAD = 1 / 3

_HEADINGS = {
    "images_per_s": "images/s",
    "ratio_to_limit": "of limit",
    "ratio_to_textbook": "x textbook",
    "megabytes": "MB",
    "seconds": "s",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure: the median of ``repeats`` measurements over ``n`` component images.

    ``images_per_s`` counts component images: an image and its reference are one. ``spread`` is
    (highest - lowest) / median of the repeats. ``ratio_to_limit`` and ``ratio_to_textbook`` are
    medians of the ratios within a round. ``megabytes`` is memory (the peak of PSS over the
    processes) or, for ingest, file bytes a second.
    """

    way: str
    stage: str
    model: str = "-"
    precision: str = "-"
    images_per_s: float | None = None
    ratio_to_limit: float | None = None
    ratio_to_textbook: float | None = None
    seconds: float | None = None
    megabytes: float | None = None
    n: int
    repeats: int = 1
    spread: float | None = None
    note: str = ""


def median(values: Iterable[float]) -> float | None:
    """Median of what is a number; None of nothing."""
    kept = [value for value in values if math.isfinite(value)]
    return statistics.median(kept) if kept else None


def spread(values: Sequence[float]) -> float | None:
    """(highest - lowest) / median, for two values or more."""
    kept = [value for value in values if math.isfinite(value)]
    return (max(kept) - min(kept)) / statistics.median(kept) if len(kept) > 1 else None


def ratios(values: Sequence[float], others: Sequence[float]) -> float | None:
    """Median of the ratios round by round, which drifting clock speeds leave alone."""
    return median(a / b for a, b in zip(values, others, strict=True))


def borne_out(row: Row) -> Row:
    """Leave out a rate whose rounds differ by more than ``MAX_SPREAD``, and say so."""
    if row.images_per_s is None or row.spread is None or row.spread <= MAX_SPREAD:
        return row
    why = f"no rate: rounds differ by {row.spread:.0%}"
    note = "; ".join(part for part in (why, row.note) if part)
    return replace(row, images_per_s=None, ratio_to_limit=None, ratio_to_textbook=None, note=note)


def machine() -> str:
    """Return cores, processor, memory and the versions that figures depend on."""
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    libraries = (f"{name} {metadata.version(name)}" for name in ("onnxruntime", "pyspark"))
    return (
        f"{os.cpu_count()} cores, {_processor()}, {pages / 2**30:.0f} GiB, "
        f"Python {platform.python_version()}, {', '.join(libraries)}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def save(rows: Iterable[Row], path: Path) -> None:
    """Write a JSON list with one object a row; each says machine and date."""
    about = {"machine": machine(), "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M}Z"}
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = [asdict(row) | about for row in rows]
    path.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def markdown(rows: Sequence[Row]) -> str:
    """Return a table of ``rows``; columns in which nothing stands are left out."""
    names = [field.name for field in fields(Row)]
    used = [n for n in names if any(getattr(row, n) not in (None, "-", "") for row in rows)]
    lines = [
        f"| {' | '.join(_HEADINGS.get(name, name) for name in used)} |",
        f"|{' --- |' * len(used)}",
    ]
    lines += [f"| {' | '.join(_cell(name, getattr(r, name)) for name in used)} |" for r in rows]
    return "\n".join(lines)


def _cell(name: str, value: object) -> str:
    if value is None:
        return "-"
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    if name == "spread":
        return f"{value:.0%}"
    return (
        f"{value:.2f}" if abs(value) < 10 else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
    )
