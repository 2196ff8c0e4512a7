from __future__ import annotations

from pathlib import Path

import pytest

from pcb_spark.core.errors import EnvironmentFault
from pcb_spark.lake import session
from pcb_spark.lake.session import locale_of_names
from pcb_spark.pipeline import config


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, {"LC_ALL": "C.UTF-8"}),
        ({"LANG": "C"}, {"LC_ALL": "C.UTF-8"}),
        ({"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, {"LC_ALL": "C.UTF-8"}),
        ({"LC_ALL": "", "LANG": "C.UTF-8"}, {}),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, {}),
        ({"LANG": "de_DE.ISO-8859-1"}, {}),
    ],
)
def test_java_finds_names_that_are_not_ascii(
    environ: dict[str, str], expected: dict[str, str]
) -> None:
    assert locale_of_names(environ) == expected


def test_no_jar_is_fetched_where_nothing_needs_synapseml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty cache, and no leave to fill it."""
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    alone = config.load(None, ["inference.engine=onnxruntime"])
    settings, class_path = session._local_settings(alone)
    assert class_path == ()
    assert not [key for key in settings if key.startswith("spark.jars")]
    with pytest.raises(EnvironmentFault, match="jars can't be resolved"):
        session._local_settings(alone, fits=True)


@pytest.mark.parametrize(
    ("master", "of_job", "expected"),
    [
        ("local[2]", {}, True),
        ("local[2]", {"fits": True}, False),
        ("local[2]", {"lasts": True}, False),
        ("spark://driver:7077", {}, False),
    ],
)
def test_java_has_its_first_compiler_alone_for_what_is_soon_done(
    master: str, of_job: dict[str, bool], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    wanted = config.load(None, [f'spark.master="{master}"'])
    settings, _ = session._local_settings(wanted, **of_job)
    options = settings["spark.driver.extraJavaOptions"].split()
    assert ("-XX:TieredStopAtLevel=1" in options) is expected
    assert "-XX:+UseParallelGC" in options
