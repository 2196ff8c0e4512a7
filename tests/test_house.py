"""What keeps the house in order: sizes, what lies at the top, who may import whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {
    "core", "demo", "golden", "ingest", "lake", "learning", "monitor", "network", "pipeline",
    "report", "review", "serving",
}  # fmt: skip


def sources(folder: str) -> list[Path]:
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found
    return found


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def importing(folder: str, package: str) -> list[str]:
    """The files below ``folder`` that import ``package``, or something in it."""
    return [
        path.relative_to(ROOT).as_posix()
        for path in sources(folder)
        if any(name.partition(".")[0] == package for name in imported(path))
    ]


@pytest.mark.parametrize(
    ("folder", "most"),
    [("pcb_spark", 300), ("jobs", 60), ("benchmarks", 300), ("faults", 300), ("tests", 400)],
)
def test_files_are_short(folder: str, most: int) -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in sources(folder)
    }
    assert {name: length for name, length in lengths.items() if length > most} == {}


def test_rooms_alone_lie_at_the_top_of_the_package() -> None:
    entries = {path.name for path in (ROOT / "pcb_spark").iterdir()} - {"__pycache__"}
    assert entries - ROOMS <= {"__init__.py", "cli.py", "py.typed", "conf"}
    assert {"__init__.py", "cli.py", "py.typed"} <= entries


@pytest.mark.parametrize("folder", ["pcb_spark", "jobs", "benchmarks", "faults"])
def test_nothing_but_tests_imports_tests(folder: str) -> None:
    assert importing(folder, "tests") == []


@pytest.mark.parametrize("package", ["benchmarks", "faults"])
def test_the_package_stands_without_what_measures_and_breaks_it(package: str) -> None:
    assert importing("pcb_spark", package) == []
    assert importing("jobs", package) == []


def test_benchmarks_are_imported_by_their_own_tests_only() -> None:
    assert [
        name for name in importing("tests", "benchmarks") if not name.startswith("tests/benchmarks")
    ] == []


def patched_private(path: Path) -> Iterator[str]:
    """Names with an underscore first that a test puts something else in the place of."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if node.func.attr not in ("setattr", "setitem", "patch", "object"):
            continue
        for argument in node.args[:2]:
            name = argument.attr if isinstance(argument, ast.Attribute) else None
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                name = argument.value.rpartition(".")[2]
            if name and name.startswith("_") and not name.startswith("__"):
                yield f"{path.relative_to(ROOT).as_posix()}: {name}"


def test_tests_patch_no_private_name() -> None:
    assert [found for path in sources("tests") for found in patched_private(path)] == []
