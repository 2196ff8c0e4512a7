"""How a plant names files and writes tables and times, as its configuration says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pcb_spark.core.layouts import Layout
from pcb_spark.core.times import Reader
from pcb_spark.ingest.verdict_form import Form

if TYPE_CHECKING:
    from pcb_spark.ingest.settings import IngestConfig


def layout(settings: IngestConfig) -> Layout:
    """How its files are named."""
    return Layout(
        pattern=settings.pattern, time_format=settings.time_format,
        timezone=settings.timezone, earliest=settings.earliest,
    )  # fmt: skip


def times(settings: IngestConfig) -> Reader:
    """How its tables write times."""
    return Reader(
        timezone=settings.timezone, formats=settings.verdict_time_format, earliest=settings.earliest
    )


def latest(settings: IngestConfig) -> datetime:
    """After this moment of now a time lies in the future."""
    return datetime.now(UTC) + timedelta(minutes=settings.future_tolerance_minutes)


def form(settings: IngestConfig) -> Form:
    """How its verdict files are written."""
    return Form(
        columns=settings.verdict_columns,
        separator=settings.verdict_separator,
        encoding=settings.verdict_encoding,
    )
