"""What Ivy, Spark and Java really print where jars can't be resolved, shortened in the middle."""

from __future__ import annotations

import pytest

from pcb_spark.lake import ivy

PYTHON = """Traceback (most recent call last):
  File "<string>", line 6, in <module>
pyspark.errors.exceptions.base.PySparkRuntimeError: [JAVA_GATEWAY_EXITED] Java gateway process exited before sending its port number.
"""  # noqa: E501
UNRESOLVED = """Exception in thread "main" java.lang.RuntimeException: [unresolved dependency: org.apache.hadoop#hadoop-aws;3.3.4: not found]
	at org.apache.spark.deploy.SparkSubmitUtils$.resolveMavenCoordinates(SparkSubmit.scala:1613)
"""  # noqa: E501
NO_NAMES = f"""Picked up JAVA_TOOL_OPTIONS: -Djdk.net.hosts.file=/tmp/hosts
26/11/26 14:41:37 WARN Utils: Set SPARK_LOCAL_IP if you need to bind to another address
:: problems summary ::
:::: WARNINGS
	Host repo.example not found. url=https://repo.example/maven2/org/apache/hadoop/hadoop-aws/3.3.4/hadoop-aws-3.3.4.pom

	Host repo.example not found. url=https://repo.example/maven2/org/apache/hadoop/hadoop-aws/3.3.4/hadoop-aws-3.3.4.jar

		module not found: org.apache.hadoop#hadoop-aws;3.3.4

		:: org.apache.hadoop#hadoop-aws;3.3.4: not found

{UNRESOLVED}{PYTHON}"""
NO_PROXY = f"""		:: org.apache.hadoop#hadoop-aws;3.3.4: not found

:::: ERRORS
	Server access error at url https://repo.example/maven2/hadoop-aws-3.3.4.pom (java.net.ConnectException: Connection refused)

	Server access error at url https://repo.example/maven2/hadoop-aws-3.3.4.jar (java.net.ConnectException: Connection refused)

{UNRESOLVED}{PYTHON}"""  # noqa: E501
BROKEN_OFF = f"""		[FAILED     ] org.example#tool;1.0!tool.jar: Downloaded file size (19) doesn't match expected Content Length (42) for https://name:secret@repo.example/tool-1.0.jar. Please retry. (23ms)
	SERVER ERROR: Service Unavailable url=https://repo.example/tool-1.0.jar
Exception in thread "main" java.lang.RuntimeException: [download failed: org.example#tool;1.0!tool.jar, download failed: org.example#other;1.0!other.jar]
{PYTHON}"""  # noqa: E501
MISTYPED = f"""26/11/26 14:42:13 WARN Utils: Your hostname, vm resolves to a loopback address
Exception in thread "main" java.lang.IllegalArgumentException: requirement failed: Provided Maven Coordinates must be in the form 'groupId:artifactId:version'. The coordinate provided is: org.example:nothing
	at scala.Predef$.require(Predef.scala:281)
{PYTHON}"""  # noqa: E501
NO_JAVA = f"""/opt/pyspark/bin/spark-class: line 71: /none/bin/java: No such file or directory
/opt/pyspark/bin/spark-class: line 97: CMD: bad array subscript
{PYTHON}"""


@pytest.mark.parametrize(
    ("stderr", "reason", "may_pass"),
    [
        pytest.param(
            NO_NAMES,
            "org.apache.hadoop#hadoop-aws;3.3.4: not found; Host repo.example not found",
            True,
            id="no names",
        ),
        pytest.param(
            NO_PROXY,
            "org.apache.hadoop#hadoop-aws;3.3.4: not found; "
            "Server access error at repo.example (java.net.ConnectException: Connection refused)",
            True,
            id="no proxy",
        ),
        pytest.param(
            BROKEN_OFF,
            "org.example#tool;1.0!tool.jar; org.example#other;1.0!other.jar; "
            "[FAILED     ] org.example#tool;1.0!tool.jar: Downloaded file size (19) doesn't match "
            "expected Content Length (42) for repo.example Please retry. (23ms); "
            "SERVER ERROR: Service Unavailable repo.example",
            True,
            id="broken off",
        ),
        pytest.param(
            UNRESOLVED + PYTHON,
            "org.apache.hadoop#hadoop-aws;3.3.4: not found",
            False,
            id="no such version",
        ),
        pytest.param(
            MISTYPED,
            "java.lang.IllegalArgumentException: requirement failed: Provided Maven Coordinates "
            "must be in the form 'groupId:artifactId:version'. The coordinate provided is: "
            "org.example:nothing",
            False,
            id="mistyped",
        ),
        pytest.param(
            NO_JAVA,
            "/opt/pyspark/bin/spark-class: line 71: /none/bin/java: No such file or directory",
            False,
            id="no Java",
        ),
        pytest.param(
            "Traceback (most recent call last):\n  File ...\nImportError: no pyspark\n",
            "ImportError: no pyspark",
            False,
            id="no Spark",
        ),
        pytest.param("", "", False, id="silence"),
    ],
)
def test_reason_is_ivys_own_in_a_line(stderr: str, reason: str, may_pass: bool) -> None:
    assert ivy.reason(stderr) == reason
    assert ivy.may_pass(stderr) is may_pass
