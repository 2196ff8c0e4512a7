"""One chart as a picture that a page carries inside itself, for light and for dark."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from pcb_spark.report.palette import DARK, LIGHT, Palette

#: Draws on matplotlib's axes in the colours of a palette.
Draw: TypeAlias = Callable[[Any, Palette], None]

#: Inches at 96 px: as wide as a phone shows it, so that letters stay readable there.
_WIDTH, _HEIGHT = 4.6, 3.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart: data URIs for either colour scheme, and the words for those who can't see it."""

    title: str
    alt: str
    caption: str
    light: str
    dark: str


def chart(draw: Draw, *, title: str, alt: str, caption: str, height: float = _HEIGHT) -> Chart:
    """Draw a chart, ``height`` inches high; ``alt`` says all of it in words."""
    drawn = _svg(draw, LIGHT, height)
    uris = [_data_uri(svg) for svg in (drawn, _in_dark(drawn))]
    return Chart(title=title, alt=alt, caption=caption, light=uris[0], dark=uris[1])


def _svg(draw: Draw, palette: Palette, height: float) -> str:
    with mpl.rc_context(_style(palette)):
        canvas = Canvas(figsize=(_WIDTH, height), layout="constrained")
        axes = canvas.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes, palette)
        file = io.StringIO()
        canvas.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return file.getvalue()


def _in_dark(svg: str) -> str:
    """Give every colour its counterpart, which takes a thousandth of drawing the chart again."""
    colours = dict(zip(asdict(LIGHT).values(), asdict(DARK).values(), strict=True))
    return re.sub("#[0-9a-f]{6}", lambda found: colours.get(found[0], found[0]), svg)


def _data_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _style(palette: Palette) -> Any:
    """Settings of one chart; the salt makes equal charts equal bytes."""
    return {
        "axes.edgecolor": palette.muted,
        "axes.labelcolor": palette.ink,
        "axes.labelsize": 10,
        "font.size": 10,
        "grid.color": palette.line,
        "legend.labelcolor": palette.ink,
        "lines.linewidth": 1.8,
        "svg.hashsalt": "pcb_spark",
        "text.color": palette.ink,
        "xtick.color": palette.muted,
        "xtick.labelcolor": palette.ink,
        "ytick.color": palette.muted,
        "ytick.labelcolor": palette.ink,
    }
