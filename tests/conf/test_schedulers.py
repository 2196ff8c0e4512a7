"""What conf/schedulers/ hands to cron and systemd is what these understand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pcb_spark.core import errors

FOLDER = Path(__file__).resolve().parents[2] / "conf" / "schedulers"
AGAIN = {each.exit_code for each in errors.PcbSparkError.__subclasses__() if each.remedy == "again"}
NOT_AGAIN = {1, *(each.exit_code for each in errors.PcbSparkError.__subclasses__())} - AGAIN


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine whose pcb-spark notes its words and ends with the next code of a file."""
    program = tmp_path / ".venv" / "bin" / "pcb-spark"
    program.parent.mkdir(parents=True)
    program.write_text(
        '#!/bin/sh\necho "$@" >> words\ncode=$(head -n 1 codes); sed -i 1d codes\nexit $code\n'
    )
    program.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("codes", "code", "tries"),
    [
        ([0], 0, 1),
        ([9, 12, 0], 0, 3),
        ([10, 13], 13, 2),
        ([4], 4, 1),
        ([9] * 6, 9, 6),
    ],
)
def test_a_night_is_tried_again_where_that_may_help(
    codes: list[int], code: int, tries: int, machine: Path
) -> None:
    (machine / "codes").write_text("\n".join(map(str, codes)) + "\n")
    environment = {**os.environ, "PCB_SPARK_HOME": str(machine), "PCB_SPARK_PAUSE": "0"}
    done = subprocess.run(
        [FOLDER / "run-night", "--date", "2026-02-16"], env=environment, check=False
    )

    assert done.returncode == code
    words = (machine / "words").read_text().splitlines()
    assert words == ["nightly --config nightly.toml --date 2026-02-16"] * tries


def test_the_crontab_names_a_time_a_user_and_the_script() -> None:
    lines = (FOLDER / "crontab").read_text().splitlines()
    (line,) = [each for each in lines if each and not re.match(r"#|[A-Z]+=", each)]
    assert re.match(r"15 2 \* \* \* pcb /opt/pcb_spark/conf/schedulers/run-night ", line)


def test_systemd_tries_again_where_that_may_help() -> None:
    text = (FOLDER / "pcb-spark-night.service").read_text()
    (codes,) = re.findall(r"^RestartPreventExitStatus=(.*)$", text, re.MULTILINE)
    assert set(map(int, codes.split())) == NOT_AGAIN


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd isn't on this machine")
def test_systemd_understands_both_units(tmp_path: Path) -> None:
    for name in ("pcb-spark-night.service", "pcb-spark-night.timer"):
        text = (FOLDER / name).read_text()
        # The program isn't installed here.
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE)
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *tmp_path.iterdir()],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
