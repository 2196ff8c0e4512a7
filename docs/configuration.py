"""Writes docs/reference/configuration.md from the configuration's own fields, for `make docs`.

    python docs/configuration.py

Types, defaults, bounds and descriptions are read off ``Config``; the page is committed, so that it
can be read as a file, and a test compares it with the code.
"""

from __future__ import annotations

import json
import re
import types
import typing
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel

from pcb_spark.pipeline.config import Config

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

PAGE = Path(__file__).resolve().parent / "reference" / "configuration.md"

_HEAD = """\
# Configuration

<!-- Written by docs/configuration.py from the code; change descriptions there. -->

TOML, one section a stage; an unknown key stops the job before Spark starts and names the nearest
known one. `--config FILE` names the file, and `--set section.key=value` overrides one key of it:

```
[features]
levels = ["layer1", "layer2"]

[folds]
n = 5
```

```
pcb-spark run --config my.toml --set folds.n=5 \\
  --set 'features.levels=["layer1","layer2"]'
```

Without a file every key has its default. [Stores](../how-to/stores.md) says what a place may be.
"""

_WORDS = {
    str: "text", int: "whole number", float: "number", bool: "true or false", date: "date",
}  # fmt: skip
_SIGNS = {Ge: "≥", Gt: ">", Le: "≤", Lt: "<"}


class Key(NamedTuple):
    """One key in dotted form, as the page shows it."""

    name: str
    kind: str
    default: str
    meaning: str


def every_key(model: type[BaseModel] = Config, prefix: str = "") -> Iterator[Key]:
    """Give every key of a section and of those below it, in the order of definition."""
    for name, field in model.model_fields.items():
        section = _section(field)
        if section is not None:
            yield from every_key(section, f"{prefix}{name}.")
        else:
            meaning = _markdown(field.description or "")
            yield Key(f"{prefix}{name}", _kind(field), _default(field), meaning)


def page() -> str:
    """Return the whole page as Markdown."""
    top = [key for key in every_key() if "." not in key.name]
    parts = [_HEAD, _table(top)]
    for name, field in Config.model_fields.items():
        section = _section(field)
        if section is not None:
            about = _markdown((section.__doc__ or "").partition("\n\n")[0])
            parts.append(f"## {name}\n\n{about}\n\n{_table(every_key(section, f'{name}.'))}")
    return "\n".join(parts)


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _table(found: Iterable[Key]) -> str:
    rows = [f"| `{key.name}` | {key.kind} | {key.default} | {key.meaning} |" for key in found]
    return "\n".join(["| key | type | default | meaning |", "| --- | --- | --- | --- |", *rows, ""])


def _kind(field: FieldInfo) -> str:
    """Name a field's type and its bounds, e.g. ``number, ≥ 0, < 1``."""
    bounds = [
        f"{_SIGNS[type(bound)]} {_number(getattr(bound, type(bound).__name__.lower()))}"
        for bound in field.metadata
        if type(bound) in _SIGNS
    ]
    return ", ".join([_type(field.annotation), *bounds])


def _type(annotation: Any) -> str:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return "one of " + ", ".join(f"`{value}`" for value in inner)
    if origin is types.UnionType:
        return _type(next(one for one in inner if one is not type(None)))
    if origin is tuple:
        return f"list of {_type(inner[0])}".replace("one of ", "")
    if origin is dict:
        return f"table of {_type(inner[1])}".replace("one of ", "")
    return _WORDS[annotation]


def _default(field: FieldInfo) -> str:
    """A default in TOML's notation, or a word where there is nothing to write."""
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    return f"`{_toml(value)}`" if value not in ("", (), {}) else "empty"


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(one) for one in value)}]"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value)
    return value.isoformat() if isinstance(value, date) else json.dumps(value)


def _number(value: float) -> str:
    return f"{value:_}" if isinstance(value, int) and value >= 10_000 else f"{value}"


def _markdown(text: str) -> str:
    """One line, with a docstring's ``code`` as Markdown's."""
    return re.sub(r"``(.+?)``", r"`\1`", " ".join(text.split())).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
