from __future__ import annotations

import io
import pickle
from datetime import UTC, datetime, timedelta, timezone

import pytest
from PIL import ExifTags, Image

from pcb_spark.core import exif
from pcb_spark.core.layouts import Layout, Traits, is_sidecar

PATTERN = (
    r"(?P<line>L\d)_(?P<lot>\w+?)_(?P<board_id>\d+)_(?P<position>[A-Z]+\d+)_(?P<captured_at>[\d-]+)"
)
SIX = datetime(2026, 1, 5, 6, tzinfo=UTC)


def picture(*, file_format: str = "JPEG", taken: str | None = None, offset: str = "") -> bytes:
    """A small picture with EXIF DateTimeOriginal and OffsetTimeOriginal."""
    image, file = Image.new("L", (20, 16)), io.BytesIO()
    if taken is None:
        image.save(file, file_format)
        return file.getvalue()
    tags = image.getexif()
    tags[ExifTags.Base.Make] = "camera"
    fields = tags.get_ifd(ExifTags.IFD.Exif)
    fields[ExifTags.Base.DateTimeOriginal] = taken
    if offset:
        fields[ExifTags.Base.OffsetTimeOriginal] = offset
    image.save(file, file_format, exif=tags.tobytes())
    return file.getvalue()


def test_partition_folders_and_name() -> None:
    assert Layout().read("images/line=L2/lot=B7/date=2026-01-05/board_12_R7.jpg") == Traits(
        line="L2", lot="B7", board_id="board_12", position="R7", captured_at=SIX.replace(hour=0)
    )


@pytest.mark.parametrize(
    ("name", "board", "position"),
    [
        ("b1.png", "b1", None),
        ("b1_", "b1_", None),
        ("b.1_P.2.png", "b.1", "P.2"),
        ("größe_P2.png", "größe", "P2"),
        ("a\nb_P1.png", "a\nb", "P1"),
    ],
)
def test_board_and_position_of_odd_names(name: str, board: str, position: str | None) -> None:
    found = Layout().read(f"images/{name}")
    assert (found.board_id, found.position, found.captured_at) == (board, position, None)


@pytest.mark.parametrize(
    "folders",
    ["date=2026-01-05", "Date=20260105", "DATE=2026-1-5", "2026/01/05", "20260105/L1",
     "2026-01-05", "L1/2026_01_05/night", "2026.01.05", "year=2026/month=1/day=5",
     "lot=20251230/20260105", "20260105/2026/01/05", "20251230/date=2026-01-05",
     "99990105/2026-01-05", "20261345/2026-01-05"],
)  # fmt: skip
def test_folders_that_are_a_day(folders: str) -> None:
    found = Layout().read(f"images/{folders}/b1_P1.png")
    assert (found.captured_at, found.time_fault) == (SIX.replace(hour=0), None)


@pytest.mark.parametrize(
    "folders", ["12345678", "260105", "05.01.2026", "2026-01", "2026/13/05", "2026-01-05_B7"]
)
def test_folder_that_is_no_day_tells_no_time(folders: str) -> None:
    found = Layout().read(f"images/{folders}/b1_P1.png")
    assert (found.captured_at, found.time_fault) == (None, None)


@pytest.mark.parametrize("day", ["2026-13-45", "today", "05.01.2026", "1899-12-30"])
def test_date_folder_that_is_no_day_is_unreadable(day: str) -> None:
    found = Layout().read(f"images/date={day}/b1_P1.png")
    assert found.captured_at is None
    assert day in str(found.time_fault)


def test_folders_of_two_days_are_none() -> None:
    found = Layout().read("images/20260105/2026-01-06/b1_P1.png")
    assert found.captured_at is None
    assert found.time_fault == "the folders name several days: 2026-01-05, 2026-01-06"


def test_line_and_lot_are_found_in_any_case() -> None:
    found = Layout().read("images/Line=L2/LOT=b7/b1_P1.png")
    assert (found.line, found.lot) == ("L2", "b7")


def test_pattern_tells_all_from_a_flat_name() -> None:
    layout = Layout(pattern=PATTERN, time_format="%Y%m%d-%H%M%S")
    assert layout.read("images/L1_B7_00041_R21_20260105-060000.jpg") == Traits(
        line="L1", lot="B7", board_id="00041", position="R21", captured_at=SIX
    )


def test_pattern_that_does_not_match_leaves_it_to_the_folders() -> None:
    found = Layout(pattern=PATTERN).read("images/line=L9/date=2026-01-05/b1_P1.png")
    assert (found.line, found.board_id, found.captured_at) == ("L9", "b1", SIX.replace(hour=0))


@pytest.mark.parametrize(
    ("text", "time_format"), [("2026-99-05", ""), ("20260105", "%Y-%m-%d"), ("soon", "")]
)
def test_time_of_a_name_that_does_not_fit_its_format_is_unreadable(
    text: str, time_format: str
) -> None:
    layout = Layout(pattern=r"(?P<captured_at>[^/]+)\.png", time_format=time_format)
    found = layout.read(f"images/date=2026-01-05/{text}.png")
    assert found.captured_at is None
    assert f"in the file's name '{text}'" in str(found.time_fault)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_time_of_each_format(file_format: str) -> None:
    content = picture(file_format=file_format, taken="2026:01:05 06:00:00")
    assert exif.taken_at(content) == "2026:01:05 06:00:00"


def test_exif_offset_makes_the_time_one_everywhere() -> None:
    content = picture(taken="2026:01:05 08:00:00", offset="+02:00")
    taken = Layout(timezone="America/New_York").read("images/b1_P1.jpg", content).captured_at
    assert taken == SIX


def test_exif_time_without_offset_is_of_the_configured_zone() -> None:
    content = picture(taken="2026:01:05 07:00:00")
    assert Layout(timezone="Europe/Berlin").read("images/b1.jpg", content).captured_at == SIX


@pytest.mark.parametrize("offset", ["   :  ", "      ", "\0\0\0\0\0\0"])
def test_exif_offset_of_blanks_is_none(offset: str) -> None:
    content = picture(taken="2026:01:05 07:00:00", offset=offset)
    assert Layout(timezone="Europe/Berlin").read("images/b1.jpg", content).captured_at == SIX


@pytest.mark.parametrize(
    ("taken", "offset"),
    [
        ("no time", ""),
        ("2026:99:99 99:99:99", ""),
        ("2026:01:05 06:00:00", "later"),
        ("2026:01:05 06:00:00", "CET"),
        ("1970:01:01 00:00:00", ""),
        ("1767600000", ""),
    ],
)
def test_exif_time_that_cannot_be_read_is_not_replaced_by_the_folder(
    taken: str, offset: str
) -> None:
    content = picture(taken=taken, offset=offset)
    found = Layout().read("images/date=2026-01-05/b1_P1.jpg", content)
    assert found.captured_at is None
    assert taken in str(found.time_fault)
    assert offset in str(found.time_fault)


@pytest.mark.parametrize(
    "content",
    [
        picture(),
        picture(taken="    :  :     :  :  "),
        picture(taken="0000:00:00 00:00:00"),
        b"",
        b"no picture",
        picture(taken="2026:01:05 06:00:00")[:60],
    ],
)
def test_no_exif_time(content: bytes) -> None:
    assert exif.taken_at(content) is None


def test_name_counts_before_exif_and_exif_before_the_folder() -> None:
    content = picture(taken="2026:01:05 06:00:00")
    path = "images/date=2026-01-01/b1_20260105T070000.jpg"
    named = Layout(pattern=r"_(?P<captured_at>\d+T\d+)\.", time_format="%Y%m%dT%H%M%S")
    assert named.read(path, content).captured_at == SIX.replace(hour=7)
    assert Layout().read(path, content).captured_at == SIX
    assert Layout().read(path).captured_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_day_of_a_folder_begins_in_the_configured_zone() -> None:
    found = Layout(timezone="Europe/Berlin").read("images/date=2026-01-05/b1_P1.png")
    assert found.captured_at == SIX.replace(hour=0) - timedelta(hours=1)


def test_time_with_a_zone_keeps_it() -> None:
    layout = Layout(pattern=r"_(?P<captured_at>\S+)\.png", timezone="Europe/Berlin")
    east = timezone(timedelta(hours=9))
    found = layout.read("images/b1_2026-01-05T15:00:00+09:00.png").captured_at
    assert found == datetime(2026, 1, 5, 15, tzinfo=east)


def test_layout_travels_to_executors() -> None:
    layout = Layout(pattern=PATTERN, timezone="Europe/Berlin")
    layout.read("images/b1_P1.png")
    copy = pickle.loads(pickle.dumps(layout))
    assert copy.read("date=2026-01-05/b1_P1.png") == layout.read("date=2026-01-05/b1_P1.png")


@pytest.mark.parametrize(
    ("path", "answer"),
    [("images/b1.jpg.json", True), ("b1.PNG.JSON", True), ("b1.json", False), ("b1.jpg", False)],
)
def test_sidecar_is_named_like_its_image(path: str, answer: bool) -> None:
    assert is_sidecar(path) is answer
