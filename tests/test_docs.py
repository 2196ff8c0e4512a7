from __future__ import annotations

import re
from pathlib import Path

import pytest

from pcb_spark.cli import JOBS, main
from pcb_spark.core import errors, names
from pcb_spark.lake import catalogue
from pcb_spark.learning import metrics
from pcb_spark.pipeline import config
from pcb_spark.pipeline.jobs import MODEL, ORDERS

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
_FILES = (".csv", ".html", ".md", ".onnx", ".parquet", ".py", ".txt")
COMMANDS = [
    *JOBS, "preview", "demo", "doctor", "jars", "conf", "key", "audit-plan", "model",
    *ORDERS,
    *(f"model {action}" for action in MODEL),
]  # fmt: skip
TABLES = {
    table.name: table.schema
    for table in catalogue.TABLES
    if table.schema and table.name not in catalogue.TUNE_FEATURES.values()
}


def reference(name: str) -> str:
    return (DOCS / "reference" / f"{name}.md").read_text(encoding="utf-8")


def flags(command: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    with pytest.raises(SystemExit, match=r"^0$"):
        main([*command.split(), "--help"])
    return set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}


@pytest.mark.parametrize("job", COMMANDS)
def test_every_command_is_documented(job: str) -> None:
    assert f"`pcb-spark {job}`" in reference("commands")


@pytest.mark.parametrize("path", sorted(path.name for path in (ROOT / "jobs").glob("*.py")))
def test_every_job_file_is_documented(path: str) -> None:
    assert f"`jobs/{path}`" in reference("commands")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_flag_is_documented(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    named = set(re.findall(r"^\| `(--[a-z-]+)", reference("commands"), re.MULTILINE))

    assert flags(command, capsys) <= named


def test_no_flag_is_documented_that_no_command_takes(capsys: pytest.CaptureFixture[str]) -> None:
    named = re.findall(r"^\| `(--[a-z-]+)", reference("commands"), re.MULTILINE)

    assert set(named) <= set().union(*(flags(command, capsys) for command in ["", *COMMANDS]))


@pytest.mark.parametrize(
    "error",
    [
        each
        for each in vars(errors).values()
        if isinstance(each, type)
        and issubclass(each, errors.PcbSparkError)
        and each not in (errors.PcbSparkError, errors.ImageError)
    ],
)
def test_every_exit_code_is_documented(error: type[errors.PcbSparkError]) -> None:
    assert f"\n| {error.exit_code} | `{error.__name__}` |" in reference("exit-codes")


@pytest.mark.parametrize("error", errors.PcbSparkError.__subclasses__())
def test_a_scheduler_finds_what_to_do(error: type[errors.PcbSparkError]) -> None:
    found = re.search(rf"`{error.__name__}` \| ([a-z ]+) \|", reference("exit-codes"))

    assert found is not None
    assert found[1].removeprefix("start ") == error.remedy


@pytest.mark.parametrize("job", JOBS)
def test_upkeep_says_which_jobs_go_together(job: str) -> None:
    text = (DOCS / "how-to" / "upkeep.md").read_text(encoding="utf-8").partition("## Leases")[2]
    rows = [row.split("|") for row in re.findall(r"^\|(.*)\|$", text, re.MULTILINE)[2:]]
    (others,) = [others for own, others in rows if f"`{job}`" in own]
    named = set(JOBS) if "any other" in others else set(re.findall(r"`([\w-]+)`", others))

    assert named == {each for each in JOBS if JOBS[job].claim.excludes(JOBS[each].claim)}


@pytest.mark.parametrize("reason", [*names.IMAGE_REASONS, *names.REJECT_REASONS])
def test_every_reason_of_a_reject_is_documented(reason: str) -> None:
    assert f"\n| `{reason}` |" in reference("reasons").partition("## In scores")[0]


@pytest.mark.parametrize("reason", names.SUSPECT_REASONS)
def test_every_reason_of_a_suspect_is_documented(reason: str) -> None:
    assert f"\n| `{reason}` |" in reference("reasons").partition("## In suspects")[2]


@pytest.mark.parametrize("table", TABLES)
def test_every_table_and_column_is_documented(table: str) -> None:
    (row,) = re.findall(rf"^\| `{table}` \|(.*)$", reference("tables"), re.MULTILINE)
    shared = re.search(r"^Traceability, in (.*?):(.*?)\n\n", reference("tables"), re.M | re.S)
    assert shared is not None
    named = row + (shared[2] if f"`{table}`" in shared[1] else "")

    assert f"| `{table}/` |" in reference("tables") or f"`{table}/` keeps" in reference("tables")
    assert set(TABLES[table].fieldNames()) <= set(re.findall(r"`(\w+)`", named))


@pytest.mark.parametrize("metric", metrics.METRICS)
def test_every_metric_is_documented(metric: str) -> None:
    assert f"`{metric}`" in reference("metrics")


@pytest.mark.parametrize("target", re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
def test_every_make_target_is_documented(target: str) -> None:
    assert f"`make {target}`" in reference("commands")


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.name)
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.M))

    assert named <= set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.name)
def test_every_job_and_key_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    sections = {key.partition(".")[0] for key in config.known_keys() if "." in key}
    keys = re.findall(rf"`((?:{'|'.join(sections)})\.[a-z_0-9]+)\b(?![.(/])", text)
    keys = [key for key in keys if not key.endswith(_FILES)]

    assert set(re.findall(r"`pcb-spark ([a-z-]+)", text)) <= set(COMMANDS)
    assert [key for key in keys if key not in config.known_keys()] == []
