"""ONNX Runtime keeps to itself what it computes: it tells nobody and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from pcb_spark.core.pairs import Reading
from pcb_spark.lake import jars
from pcb_spark.network.graphs import FeatureSpec
from tests.models import features_graph

PYTHON = """
import sys, onnxruntime
onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
"""
JVM = """
import sys
from pathlib import Path
import pyspark
from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway
(py4j,) = (Path(pyspark.__file__).parent / "jars").glob("py4j-*.jar")
port = launch_gateway(jarpath=str(py4j), classpath=sys.argv[2], die_on_exit=True)
jvm = JavaGateway(gateway_parameters=GatewayParameters(port=port)).jvm
jvm.ai.onnxruntime.OrtEnvironment.getEnvironment().createSession(sys.argv[1]).close()
"""


def run_at_home(home: Path, program: str, *arguments: object) -> None:
    """Run a program that knows no variables but these: those of a test or of CI silence reports."""
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    path = tmp_path / "features.onnx"
    spec = FeatureSpec(levels=("layer1",), pooling=("max",), reading=Reading(difference=True))
    onnx.save(features_graph(spec), path)
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def test_a_session_in_python_leaves_nothing_at_home(graph: Path, home: Path) -> None:
    run_at_home(home, PYTHON, graph)
    assert list(home.iterdir()) == []


def test_a_session_on_the_jvm_leaves_nothing_at_home(graph: Path, home: Path) -> None:
    properties = jars.read_properties(jars.default_properties_file())
    found = jars.resolve(properties)
    (runtime,) = (path for path in found if "_onnxruntime-" in path.name)
    run_at_home(home, JVM, graph, runtime)
    assert list(home.iterdir()) == []
