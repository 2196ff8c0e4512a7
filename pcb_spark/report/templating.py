"""The templates of pages that need no other file."""

from __future__ import annotations

from dataclasses import asdict
from importlib import resources
from typing import Any, Final

import jinja2

from pcb_spark.report.palette import DARK, LIGHT

_TEMPLATES: Final = ("layout.html", "report.html", "board.html", "parts.html", "style.css")
#: What ``style.css`` asks for.
COLOURS: Final[dict[str, Any]] = {"light": asdict(LIGHT), "dark": asdict(DARK)}


def template(name: str) -> jinja2.Template:
    """Templates come from the package, which may be a wheel that Spark put on sys.path."""
    folder = resources.files("pcb_spark.report").joinpath("templates")
    files = {name: folder.joinpath(name).read_text("utf-8") for name in _TEMPLATES}
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(files),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
