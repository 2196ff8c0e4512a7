from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pcb_spark.core.times import Reader
from pcb_spark.ingest import time_formats
from pcb_spark.ingest.time_formats import Found

LATEST = datetime(2026, 2, 1, tzinfo=UTC)


def find(*texts: str) -> Found:
    return time_formats.find(texts, Reader(), latest=LATEST)


@pytest.mark.parametrize(
    ("texts", "formats"),
    [
        (["05.01.2026 08:15"], ("%d.%m.%Y %H:%M",)),
        (["05.01.2026 08:15:30", "6.1.2026 9:05:00"], ("%d.%m.%Y %H:%M:%S",)),
        (["05.01.2026, 08:15 Uhr"], ("%d.%m.%Y, %H:%M Uhr",)),
        (["05.01.26 08:15"], ("%d.%m.%y %H:%M",)),
        (["05/01/2026 08:15", "13/01/2026 08:15"], ("%d/%m/%Y %H:%M",)),
        (["01/05/2026 08:15 AM", "01/13/2026 11:15 PM"], ("%m/%d/%Y %I:%M %p",)),
        (["2026/01/05 08:15:30"], ("%Y/%m/%d %H:%M:%S",)),
        (["5 Jan 2026 08:15"], ("%d %b %Y %H:%M",)),
        (["20260105081530"], ("%Y%m%d%H%M%S",)),
        (["05.01.2026 08:15 +0100"], ("%d.%m.%Y %H:%M %z",)),
        # In February the month can't come first: that day is still to come.
        (["05/02/2025 08:15", "01/12/2025 08:15", "30/01/2026 08:15"], ("%d/%m/%Y %H:%M",)),
    ],
)
def test_certain_formats(texts: list[str], formats: tuple[str, ...]) -> None:
    assert find(*texts) == Found(formats=formats)


def test_two_shapes_take_two_formats() -> None:
    assert set(find("05.01.2026 08:15", "05.01.2026").formats) == {"%d.%m.%Y %H:%M", "%d.%m.%Y"}


def test_what_may_be_two_days_is_left_open() -> None:
    ((example, formats),) = find("05/01/2025 08:15", "06/01/2025 09:15", "01/02/2025 09:15").open

    assert example == "01/02/2025 09:15"
    assert formats == ("%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M")


def test_both_ways_in_one_file_are_left_open() -> None:
    found = find("13/01/2026 08:15", "01/14/2026 08:15", "01/02/2025 08:15", "02/01/2025 08:15")

    assert found.formats == ()


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-01-05 08:15 CET", "1767600900", "00.00.0000 00:00", "31.12.1899"]
)
def test_what_no_format_reads(text: str) -> None:
    assert find(text) == Found()
