"""The ``ingest`` section of the configuration."""

from __future__ import annotations

import re
from datetime import date
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from pcb_spark.core import times
from pcb_spark.core.names import GROUPS
from pcb_spark.ingest import verdict_form
from pcb_spark.lake.settings import Section


class IngestConfig(Section):
    """How a camera drop is laid out, and how ingest goes through it; names are relative to it."""

    images: str = "images"
    """Folder of the images inside the drop; a drop without it is searched as a whole."""
    references: str = "references"
    """Folder of the golden images inside the drop."""
    reference_windows: str = "references.csv"
    """File inside the drop that says which reference is good for which part, and when."""
    reference_size_tolerance: float = Field(default=0.02, ge=0, lt=1)
    """How far width and height of a reference may be from the image's, as a share."""
    manifest: tuple[str, ...] = ("manifest.csv", "manifest.parquet")
    """Files, folders or globs inside the drop that say what images are; one name will do too."""
    verdicts: tuple[str, ...] = ("verdicts.csv", "verdicts")
    """Files, folders or globs inside the drop with verdicts; one name will do too."""
    verdict_store: str = ""
    """Where the review page keeps verdicts, which count as those of files do: a URL such as
    ``sqlite:////var/lib/pcb/verdicts.db`` or ``postgresql://host/database``, with the password in
    ``~/.pgpass``; empty reads none."""
    pattern: str = ""
    """Python regex with named groups, searched for in an image's path, for flat names."""
    time_format: str = ""
    """How ``strptime`` reads the pattern's ``captured_at``; empty is ISO 8601."""
    timezone: str = "UTC"
    """IANA name of the zone of times that name none, and of capture dates."""
    earliest: date = times.DEFAULT_EARLIEST
    """A time before this day, from whatever source, can't be true and is rejected."""
    verdict_time_format: tuple[str, ...] = ()
    """How ``strptime`` reads the times of verdict files, manifests, sidecars and reference windows
    that aren't ISO 8601: one format, or several that read no text differently."""
    future_tolerance_minutes: int = Field(default=60, ge=0)
    """How far ahead of the clock an image or a verdict may be, in minutes."""
    verdict_words: dict[str, Literal["pass", "fail", "unverified"]] = Field(default_factory=dict)
    """What the plant's own words in ``verdict`` mean, e.g. ``{TRUE = "fail"}``; case, blanks,
    hyphens and underscores don't count."""
    verdict_columns: dict[str, str] = Field(default_factory=dict)
    """What the plant calls our columns, e.g. ``{image = "Bild"}``; a column that isn't named here
    has our name."""
    verdict_separator: str = ""
    """One character between the values of CSV files without a ``sep=`` line, or ``tab``; empty is
    found in the header."""
    verdict_encoding: str = ""
    """Encoding of CSV files without a byte order mark, and of JSON that is no UTF-8, e.g.
    ``cp1252``; empty is what the bytes leave no doubt of."""
    max_pixels: int = Field(default=50_000_000, gt=0)
    """Largest width x height in pixels; larger images are rejected before they are decompressed."""
    bit_depth: int = Field(default=16, ge=8, le=16)
    """How many bits of a 16-bit file the camera uses, the lowest ones: 12 for Mono12."""
    settle_seconds: int = Field(default=0, ge=0)
    """Files younger than so many seconds may still be being written and are left for later."""
    files_per_batch: int = Field(default=5000, gt=0)
    """Most files of a micro-batch."""
    trigger_seconds: int = Field(default=10, ge=0)
    """How often the service asks for new files, in seconds."""
    look_seconds: int = Field(default=300, gt=0)
    """How often the service compares the whole listing, references and verdicts, in seconds."""
    checkpoint: str = ""
    """Folder of Spark's memory of files; empty is below ``paths.out``. With tables on S3 name one
    on a disk, HDFS or Azure.
    """

    @field_validator("manifest", "verdicts", "verdict_time_format", mode="before")
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

    @field_validator("verdict_time_format", "time_format")
    @classmethod
    def _usable_formats(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for form in (value,) if isinstance(value, str) and value else value:
            fault = times.why_unusable(form)
            if fault:
                msg = f"{form!r} can't be used: {fault}"
                raise ValueError(msg)
        return value

    @field_validator("verdict_words")
    @classmethod
    def _each_word_means_one_thing(cls, value: dict[str, str]) -> dict[str, str]:
        return verdict_form.checked_words(value)

    @field_validator("verdict_columns")
    @classmethod
    def _each_column_is_one(cls, value: dict[str, str]) -> dict[str, str]:
        return verdict_form.checked_columns(value)

    @field_validator("verdict_separator")
    @classmethod
    def _one_separator(cls, value: str) -> str:
        return verdict_form.checked_separator(value)

    @field_validator("verdict_encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        return verdict_form.checked_encoding(value)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            msg = "is no time zone; expected an IANA name such as Europe/Berlin"
            raise ValueError(msg) from None
        return value
