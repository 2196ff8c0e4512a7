"""The ``ingest`` section of the configuration."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from pcb_spark.core.names import GROUPS
from pcb_spark.lake.settings import Section


class IngestConfig(Section):
    """How a camera drop is laid out, and how ingest goes through it.

    ``images``, ``references``, ``manifest`` and ``verdicts`` are relative to ``paths.drop``; the
    last two name files, folders or globs, and those that aren't there are left out. A drop without
    an ``images`` folder is searched as a whole. ``pattern`` is a Python regex with named groups.
    ``checkpoint`` left empty is a folder below ``paths.out``.
    ``reference_windows`` says which reference is good for which part and when; one whose sides
    differ by more than the tolerance, a share, is not used.
    """

    images: str = "images"
    references: str = "references"
    reference_windows: str = "references.csv"
    reference_size_tolerance: float = Field(default=0.02, ge=0, lt=1)
    manifest: tuple[str, ...] = ("manifest.csv", "manifest.parquet")
    verdicts: tuple[str, ...] = ("verdicts.csv", "verdicts")
    pattern: str = ""
    time_format: str = ""
    timezone: str = "UTC"
    future_tolerance_minutes: int = Field(default=60, ge=0)
    max_pixels: int = Field(default=50_000_000, gt=0)
    settle_seconds: int = Field(default=0, ge=0)
    files_per_batch: int = Field(default=5000, gt=0)
    trigger_seconds: int = Field(default=10, ge=0)
    look_seconds: int = Field(default=300, gt=0)
    checkpoint: str = ""

    @field_validator("manifest", "verdicts", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("pattern")
    @classmethod
    def _known_groups(cls, value: str) -> str:
        try:
            unknown = set(re.compile(value).groupindex) - set(GROUPS)
        except re.error as error:
            msg = f"is no regular expression: {error}"
            raise ValueError(msg) from None
        if unknown:
            msg = f"has groups that nothing is called: {', '.join(sorted(unknown))}"
            raise ValueError(msg)
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            msg = "is no time zone; expected an IANA name such as Europe/Berlin"
            raise ValueError(msg) from None
        return value
