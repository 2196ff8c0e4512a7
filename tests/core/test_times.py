"""Times as plants write them, each with the moment that it is, or why it is none."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta

import pytest

from pcb_spark.core.errors import ConfigError
from pcb_spark.core.times import Reader, TimeFault, why_unusable
from pcb_spark.pipeline import config

SIX = datetime(2026, 1, 5, 6, tzinfo=UTC)
BERLIN = Reader(timezone="Europe/Berlin")


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-05T06:00:00Z", "2026-01-05t06:00:00z", "20260105T060000Z", "20260105T0600Z",
        "2026-01-05 06:00", "2026-1-5 6:00", " 2026-01-05T06 ", "2026-01-05T06:00:00.0000001",
        "2026-01-05 06:00:00,0", "20260105T080000+0200", "2026-01-05T08:00:00 +02",
        "2026-01-05 11:30:00+5:30", "2026-01-05T01:00:00-05:00", "2026-01-05T01:00:00\u221205:00",
        "2026:01:05 06:00:00", "2026:01:05 08:00:00 +02:00", "2026-01-05  06:00:00",
        "2026-W02-1T06:00", "2026W021T0600Z", "2026-005 06:00", "2026-01-04T24:00:00-06:00",
    ],
)  # fmt: skip
def test_iso_8601_in_both_forms(text: str) -> None:
    assert Reader().read(text) == SIX


@pytest.mark.parametrize("text", ["2026-01-05", "20260105", "2026-1-5"])
def test_a_day_begins_at_midnight_of_the_plant(text: str) -> None:
    assert BERLIN.read(text) == datetime(2026, 1, 4, 23, tzinfo=UTC)


def test_parts_of_a_second_are_cut_off_behind_the_microsecond() -> None:
    assert Reader().read("2026-01-05T06:00:00.1234567").microsecond == 123_456


@pytest.mark.parametrize(
    "text",
    [
        "", "soon", "06:00:00", "2026", "2026-01", "2026-02-30", "2026-01-05T25:00",
        "2026-01-05T06:60", "05.01.2026 08:00", "1/5/2026 8:00 AM", "2026/01/05 08:00",
        "2026-01-05 8:00:00 AM", "2026-01-05 2:00:00 PM", "1767600000", "1767600000000",
        "1.7676E9", "46027.33", "12026-01-05", "+12026-01-05", "20260105208", "2026-01-05 800",
        "2026-W02", "2026-W54-1", "2026-366", "2026005", "2026-01-05T24:01",
        "2026-01-05T06:00+24:00", "2026-01-05T06:00+01:75", "20260105080000",
        "\uff12026-01-05", "2026-01-05Z", "NaT", "null", "0",
    ],
)  # fmt: skip
def test_what_is_no_time_is_quoted(text: str) -> None:
    with pytest.raises(TimeFault) as caught:
        Reader().read(text)
    assert str(caught.value) == f"{text!r} is no time in ISO 8601"


@pytest.mark.parametrize(
    "zone", ["CET", "CEST", "BST", "CST", "EST", "IST", "UTC", "GMT", "Asia/Tokyo", "(MEZ)"]
)
def test_names_are_no_zones(zone: str) -> None:
    with pytest.raises(TimeFault, match=r"names a zone as .*; expected an offset or Z"):
        Reader().read(f"2026-01-05 08:00:00 {zone}")


@pytest.mark.parametrize(
    "text",
    ["0001-01-01T00:00:00", "1899-12-30", "1900-01-01 00:00", "1970-01-01", "1999-12-31T23:59:59"],
)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/New_York"])
def test_what_lies_before_the_earliest_day_is_no_time(text: str, zone: str) -> None:
    with pytest.raises(TimeFault, match="lies before 2000-01-01"):
        Reader(timezone=zone).read(text)


@pytest.mark.parametrize("text", ["9999-12-31", "9999-12-31T23:59:59.9999999-12:00"])
def test_the_last_year_means_never(text: str) -> None:
    with pytest.raises(TimeFault, match="means never"):
        Reader().read(text)
    assert Reader(earliest=None).read(text).year == 9999


def test_the_earliest_day_begins_in_the_plants_zone() -> None:
    first = datetime(1999, 12, 31, 23, tzinfo=UTC)
    assert BERLIN.read("2000-01-01") == first
    assert BERLIN.read(first.isoformat()) == first
    with pytest.raises(TimeFault):
        BERLIN.read((first - timedelta(seconds=1)).isoformat())


def test_of_an_hour_that_comes_twice_the_first_counts() -> None:
    assert BERLIN.read("2026-10-25 02:30") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert BERLIN.read("2026-10-25 02:30+01:00") == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_an_hour_that_the_clock_leaves_out_is_as_far_on_as_it_says() -> None:
    assert BERLIN.read("2026-03-29 02:30") == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("05.01.2026 08:15", datetime(2026, 1, 5, 7, 15, tzinfo=UTC)),
        ("1/5/2026 8:15 PM", datetime(2026, 1, 5, 19, 15, tzinfo=UTC)),
        ("20260105081500", datetime(2026, 1, 5, 7, 15, tzinfo=UTC)),
        ("20260105081500 UTC", datetime(2026, 1, 5, 8, 15, tzinfo=UTC)),
        ("2026-01-05T08:15:00Z", datetime(2026, 1, 5, 8, 15, tzinfo=UTC)),
    ],
)
def test_formats_of_the_plant_count_beside_iso_8601(text: str, moment: datetime) -> None:
    formats = "%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p", "%Y%m%d%H%M%S", "%Y%m%d%H%M%S UTC"
    assert Reader(timezone="Europe/Berlin", formats=formats).read(text) == moment


def test_formats_that_read_a_text_differently_leave_it_unread() -> None:
    reader = Reader(formats=("%d/%m/%Y", "%m/%d/%Y"))
    assert reader.read("05/05/2026") == datetime(2026, 5, 5, tzinfo=UTC)
    assert reader.read("13/05/2026") == datetime(2026, 5, 13, tzinfo=UTC)
    with pytest.raises(TimeFault, match="different time in each"):
        reader.read("05/01/2026")


def test_a_time_that_fits_no_format_says_so() -> None:
    assert Reader(formats=("%d.%m.%Y",)).judge("1/5/2026") == (
        None, "'1/5/2026' fits none of %d.%m.%Y nor ISO 8601",
    )  # fmt: skip


def test_no_text_is_no_time_and_no_fault() -> None:
    assert Reader().judge(None) == (None, None)


def test_a_reader_travels_to_executors() -> None:
    BERLIN.read("2026-01-05")
    assert pickle.loads(pickle.dumps(BERLIN)).read("2026-01-05 07:00") == SIX


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ("%d.%m. %H:%M", "no year, month and day"),
        ("", "no year, month and day"),
        ("%d.%m.%Y %I:%M", "%I is half a day without %p"),
        ("%d.%m.%Y %H:%M %Z", "write %z"),
        ("%Q", "bad directive"),
    ],
)
def test_a_format_that_cannot_tell_a_time_is_refused(form: str, why: str) -> None:
    assert why in str(why_unusable(form))
    with pytest.raises(ConfigError):
        config.load(None, [f"ingest.verdict_time_format='{form}'"])


@pytest.mark.parametrize("form", ["%d.%m.%Y %H:%M", "%m/%d/%y %I:%M %p", "%Y%m%d", "%c", "%Y-%j"])
def test_a_format_that_tells_a_day_is_taken(form: str) -> None:
    assert why_unusable(form) is None
    loaded = config.load(None, [f"ingest.verdict_time_format='{form}'"])
    assert loaded.ingest.verdict_time_format == (form,)
