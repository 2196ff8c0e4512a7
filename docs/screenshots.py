"""Photograph the report with headless Chromium, as a desk and a phone show it; or the OpenAPI page.

    python docs/screenshots.py out/demo/report.html
    python docs/screenshots.py --board board.html
    python docs/screenshots.py --service http://127.0.0.1:8080

Chromium's window is never narrower than 500 px, so that the phone is a frame inside a wider one.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_NARROWEST = 500
_DARK = "--blink-settings=preferredColorScheme=0"
_FOLDER = Path(__file__).resolve().parent / "pictures"


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: its name, its size in px, whether it is dark, and the section it shows."""

    name: str
    width: int
    height: int
    dark: bool = False
    section: str = ""


SHOTS = (
    Shot("report-desktop", 1400, 1650),
    Shot("report-desktop-dark", 1400, 1650, dark=True),
    Shot("report-gallery", 1400, 830, section="gallery"),
    Shot("report-phone", 360, 1500),
    Shot("report-phone-dark", 360, 1500, dark=True),
)
BOARD = Shot("board", 1400, 1500)
PAGE = Shot("service-openapi", 1200, 900)
#: The page is drawn by scripts, which get so many ms; any other host is as if it weren't there.
_ALONE = ("--virtual-time-budget=15000", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")


def take(program: str, report: Path, shot: Shot) -> Path:
    """Write one picture into ``pictures/`` and return its path."""
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch) / "shot.png"
        page = _alone(report, shot, Path(scratch)) if shot.section else report
        if shot.width < _NARROWEST:
            page = _framed(page, shot, Path(scratch))
        return _photograph(program, page.as_uri(), shot, raw)


def take_page(program: str, service: str) -> Path:
    """Write the picture of a running service's OpenAPI page, for which no other host is reached."""
    with tempfile.TemporaryDirectory() as scratch:
        return _photograph(program, f"{service}/docs", PAGE, Path(scratch) / "shot.png", *_ALONE)


def _photograph(program: str, url: str, shot: Shot, raw: Path, *more: str) -> Path:
    flags = [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        f"--user-data-dir={raw.parent}/profile", f"--screenshot={raw}",
        f"--window-size={max(shot.width, _NARROWEST)},{shot.height}",
        *([_DARK] if shot.dark else []), *more,
    ]  # fmt: skip
    subprocess.run([program, *flags, url], check=True, capture_output=True)
    target = _FOLDER / f"{shot.name}.png"
    with Image.open(raw) as picture:
        cut = picture.convert("RGB").crop((0, 0, shot.width, shot.height))
    cut.save(target, optimize=True)
    return target


def _alone(report: Path, shot: Shot, scratch: Path) -> Path:
    """Hide all but one section: Chromium paints nothing of what it would have to scroll to."""
    style = f"header, footer, section:not(#{shot.section}) {{ display: none; }}</style>"
    page = scratch / "section.html"
    page.write_text(report.read_text("utf-8").replace("</style>", style, 1), "utf-8")
    return page


def _framed(report: Path, shot: Shot, scratch: Path) -> Path:
    style = f"border:0;width:{shot.width}px;height:{shot.height}px"
    page = scratch / "frame.html"
    page.write_text(
        f'<body style="margin:0"><iframe src="{report.as_uri()}" style="{style}"></iframe></body>'
    )
    return page


def main() -> int:
    """Take every picture, or say what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path, nargs="?", default=Path("out/demo/report.html"))
    parser.add_argument("--board", type=Path, metavar="FILE", help="of `pcb-spark explain`")
    parser.add_argument("--service", metavar="URL", help="of a running `pcb-serve start`")
    options = parser.parse_args()
    report = options.report.resolve()
    program = next((found for name in _PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        sys.stderr.write(f"no Chromium found (looked for {', '.join(_PROGRAMS)}): install one\n")
        return 3
    if options.service:
        sys.stdout.write(f"{take_page(program, options.service)}\n")
        return 0
    if options.board:
        sys.stdout.write(f"{take(program, options.board.resolve(), BOARD)}\n")
        return 0
    if not report.is_file():
        sys.stderr.write(f"no report at {report}: run `make demo` first\n")
        return 4
    for shot in SHOTS:
        path = take(program, report, shot)
        sys.stdout.write(f"{path}  {path.stat().st_size // 1024} KiB\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
