from __future__ import annotations

import io
import logging
import re
import sys
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from pcb_spark.pipeline import logs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_run_ids_are_sortable_and_differ() -> None:
    first, second = logs.new_run_id(), logs.new_run_id()
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{6}", first)
    assert first != second
    assert first[:16] <= second[:16]


def test_line_names_level_run_and_module(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("run-7")
    logging.getLogger("pcb_spark.ingest").info("%d images", 3)
    logging.getLogger("pcb_spark.ingest").debug("not said")
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\S+ \S+ INFO run=run-7 pcb_spark\.ingest: 3 images", line)


def test_verbose_says_details(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("run-7", verbose=True)
    logging.getLogger("pcb_spark.ingest").debug("details")
    assert " DEBUG run=run-7 " in capsys.readouterr().err


def test_configured_twice_says_each_thing_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("first")
    logs.configure("second")
    logging.getLogger("pcb_spark").warning("once")
    assert [line.split()[3] for line in capsys.readouterr().err.splitlines()] == ["run=second"]


def test_secrets_are_hidden_in_messages_and_tracebacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLANT_STORAGE_KEY", "hunter2hunter2")
    logs.configure("run-7")
    try:
        raise OSError("https://host/x?sig=abc&se=1")
    except OSError:
        logging.getLogger("pcb_spark").exception("key %s", "hunter2hunter2")
    said = capsys.readouterr().err
    assert "pcb_spark: key ***\n" in said
    assert "OSError: https://host/x?sig=***&se=1" in said


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def fake_spark(polled: threading.Event) -> SparkSession:
    """A session with one stage that runs, 3 of its 8 tasks done."""

    def stage_info(stage: int) -> SimpleNamespace | None:
        polled.set()
        return SimpleNamespace(numTasks=8, numCompletedTasks=3) if stage == 1 else None

    tracker = SimpleNamespace(getActiveStageIds=lambda: [1, 2], getStageInfo=stage_info)
    context = SimpleNamespace(statusTracker=lambda: tracker)
    return cast("SparkSession", SimpleNamespace(sparkContext=context))


def test_progress_shows_finished_tasks_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, polled = Terminal(), threading.Event()
    monkeypatch.setattr(sys, "stderr", terminal)
    with logs.progress(fake_spark(polled), "featurize"):
        assert polled.wait(10)
        assert [thread for thread in threading.enumerate() if "_watch" in thread.name]
    assert "featurize" in terminal.getvalue()
    assert "3/8" in terminal.getvalue()


def test_progress_is_silent_in_a_file_and_ends_with_its_block(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ZeroDivisionError), logs.progress(fake_spark(threading.Event()), "train"):
        raise ZeroDivisionError
    assert capsys.readouterr().err == ""
    assert not [thread for thread in threading.enumerate() if "_watch" in thread.name]
