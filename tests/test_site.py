"""README and docs/: links, the ways that a newcomer goes, and the site that is made of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs import configuration

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, *sorted(DOCS.rglob("*.md"))]
FIRST = [README, DOCS / "index.md"]


def prose(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """File and anchor that each link or picture of a page leads to."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, anchor = target.partition("#")
        yield (page.parent / path).resolve() if path else page, anchor


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", text).strip().lower().replace(" ", "-") for text in headings}


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(target)],
        cwd=source,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    done = build(ROOT, target)
    assert done.returncode == 0, done.stderr
    return target


def test_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = [
        (path.relative_to(ROOT), anchor)
        for path, anchor in links(page)
        if not path.is_file() or (anchor and anchor not in anchors(path))
    ]

    assert dead == []


@pytest.mark.parametrize("first", FIRST, ids=lambda page: page.name)
@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("Your own images", "tutorials/own-images.md"),
        ("Verdict formats", "how-to/verdicts.md"),
        ("Exit codes", "reference/exit-codes.md"),
    ],
)
def test_a_newcomer_is_there_in_one_click(first: Path, words: str, page: str) -> None:
    prefix = "docs/" if first == README else ""

    assert f"[{words}]({prefix}{page})" in prose(first)


@pytest.mark.parametrize("first", FIRST, ids=lambda page: page.name)
def test_every_page_is_two_clicks_away(first: Path) -> None:
    once = {path for path, _ in links(first)}
    twice = {path for page in once if page.suffix == ".md" for path, _ in links(page)}

    assert set(DOCS.rglob("*.md")) - once - twice - {first} == set()


def test_readme_prints_what_the_demo_tutorial_prints() -> None:
    (printed,) = re.findall(r"```\n(score .*?)```", README.read_text("utf-8"), re.DOTALL)
    tutorial = (DOCS / "tutorials" / "demo.md").read_text(encoding="utf-8").splitlines()

    assert [line for line in printed.splitlines() if line not in tutorial] == []


@pytest.mark.parametrize("key", [*configuration.every_key()], ids=lambda key: key.name)
def test_every_key_says_what_it_means(key: configuration.Key) -> None:
    assert re.fullmatch(r"[^|\n]{10,}\.", key.meaning)


def test_a_key_shows_its_type_bounds_and_default() -> None:
    keys = {key.name: (key.kind, key.default) for key in configuration.every_key()}

    assert keys["policy.confidence"] == ("number, > 0.5, < 1", "`0.95`")
    assert keys["ingest.max_pixels"] == ("whole number, > 0", "`50_000_000`")
    assert keys["features.pooling"] == ("list of `mean`, `max`", "empty")
    assert keys["folds.group"] == ("one of `board`, `lot`", '`"board"`')
    assert keys["scoring.since"] == ("date", "none")
    assert keys["ingest.earliest"] == ("date", "`2000-01-01`")
    assert keys["ingest.verdict_words"] == ("table of `pass`, `fail`, `unverified`", "empty")
    assert keys["ingest.verdict_columns"] == ("table of text", "empty")
    assert keys["scoring.reuse_features"] == ("true or false", "`true`")


def test_the_page_of_keys_is_up_to_date() -> None:
    assert configuration.PAGE.read_text(encoding="utf-8") == configuration.page(), "run `make docs`"


def test_the_site_has_every_page_and_nothing_else(site: Path) -> None:
    pages = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}

    assert {path.relative_to(site) for path in site.rglob("*.html")} == pages | {Path("404.html")}
    assert list(site.rglob("*.py")) == []


def test_the_site_needs_no_network(site: Path) -> None:
    loaded = r"<(?:script|img|iframe)[^>]+src=\"([^\"]+)|<link[^>]+href=\"([^\"]+)"
    pages = sorted(site.rglob("*.html"))
    sources = [
        (page.name, "".join(found))
        for page in pages
        for found in re.findall(loaded, page.read_text(encoding="utf-8"))
    ]

    assert len(sources) > len(pages)
    assert [each for each in sources if each[1].startswith(("http", "//"))] == []


def test_the_search_works_from_the_disk(site: Path) -> None:
    index = (site / "index.html").read_text(encoding="utf-8")

    assert '<script src="javascripts/iframe-worker.js"></script>' in index
    assert (site / "javascripts" / "iframe-worker.js").is_file()
    assert (site / "search" / "search_index.js").read_text("utf-8").startswith("var __index = ")


@pytest.mark.parametrize("link", ["gone.md", "index.md#gone"])
def test_a_dead_link_ends_the_build(tmp_path: Path, link: str) -> None:
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[0]
    (tmp_path / "mkdocs.yml").write_text(settings, encoding="utf-8")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(f"# Start\n\n[there]({link})\n", encoding="utf-8")

    done = build(tmp_path, tmp_path / "site")

    assert done.returncode == 1
    assert "gone" in done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_of_the_project_that_a_page_names_exists(page: Path) -> None:
    pattern = r"(?<![\w/])(?:pcb_spark|tests|jobs|notebooks)/[\w/.-]*\w\.(?:py|toml|conf|ipynb)\b"
    named = set(re.findall(pattern, page.read_text(encoding="utf-8")))

    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []
