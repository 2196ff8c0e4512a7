"""What conf/schedulers/ hands to Databricks, Synapse and the Kubernetes operator for Spark."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from databricks.bundles.jobs import Job

from pcb_spark.lake import jars
from pcb_spark.pipeline import config

FOLDER = Path(__file__).resolve().parents[2] / "conf" / "schedulers"
DATABRICKS = json.loads((FOLDER / "databricks-night.json").read_text())
SYNAPSE = json.loads((FOLDER / "synapse-night.json").read_text())
OPERATOR = {
    each["kind"]: each for each in yaml.safe_load_all((FOLDER / "spark-operator.yaml").read_text())
}
DEFAULTS = jars.read_properties(jars.default_properties_file())
#: Where a platform brings the jars in another way.
WITHOUT_JARS = {key: value for key, value in DEFAULTS.items() if not key.startswith("spark.jars.")}
#: A fit hangs where executors come later.
ALL_AT_ONCE = {"spark.scheduler.minRegisteredResourcesRatio": "1.0"}

#: Fields of sparkoperator.k8s.io/v1beta2 and their types; its schema is a cluster's.
_POD: dict[str, type] = {
    "affinity": dict, "annotations": dict, "coreLimit": str, "coreRequest": str, "cores": int,
    "dnsConfig": dict, "env": list, "envFrom": list, "gpu": dict, "hostAliases": list,
    "hostNetwork": bool, "image": str, "initContainers": list, "javaOptions": str, "labels": dict,
    "lifecycle": dict, "memory": str, "memoryOverhead": str, "nodeSelector": dict,
    "podSecurityContext": dict, "priorityClassName": str, "schedulerName": str,
    "secrets": list, "securityContext": dict, "serviceAccount": str, "shareProcessNamespace": bool,
    "sidecars": list, "terminationGracePeriodSeconds": int, "tolerations": list,
    "volumeMounts": list,
}  # fmt: skip
FIELDS: dict[str, dict[str, type]] = {
    "schedule": {
        "concurrencyPolicy": str, "failedRunHistoryLimit": int, "schedule": str,
        "successfulRunHistoryLimit": int, "suspend": bool, "template": dict,
    },
    "template": {
        "arguments": list, "batchScheduler": str, "deps": dict, "driver": dict,
        "dynamicAllocation": dict, "executor": dict, "failureRetries": int, "hadoopConf": dict,
        "hadoopConfigMap": str, "image": str, "imagePullPolicy": str, "imagePullSecrets": list,
        "mainApplicationFile": str, "mainClass": str, "memoryOverheadFactor": str, "mode": str,
        "monitoring": dict, "nodeSelector": dict, "proxyUser": str, "pythonVersion": str,
        "restartPolicy": dict, "retryInterval": int, "sparkConf": dict, "sparkConfigMap": str,
        "sparkUIOptions": dict, "sparkVersion": str, "timeToLiveSeconds": int, "type": str,
        "volumes": list,
    },
    "driver": _POD | {"kubernetesMaster": str, "podName": str, "serviceAnnotations": dict},
    "executor": _POD | {"deleteOnTermination": bool, "instances": int, "ports": list},
}  # fmt: skip


def parts_of_operator() -> dict[str, dict[str, Any]]:
    spec = OPERATOR["ScheduledSparkApplication"]["spec"]
    template = spec["template"]
    return {
        "schedule": spec, "template": template, "driver": template["driver"],
        "executor": template["executor"],
    }  # fmt: skip


def validated(manifests: list[dict[str, Any]], folder: Path) -> str:
    """What kubernetes-validate objects to."""
    file = folder / "manifests.yaml"
    file.write_text(yaml.safe_dump_all(manifests))
    program = Path(sys.executable).with_name("kubernetes-validate")
    done = subprocess.run([program, "--strict", file], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_databricks_knows_every_field() -> None:
    job = Job.from_dict(DATABRICKS)
    assert job.max_concurrent_runs == 1
    misspelt: Any = {**DATABRICKS, "nme": "another"}
    with pytest.raises(ValueError, match="nme"):
        Job.from_dict(misspelt)


def test_databricks_gets_our_settings_and_jars() -> None:
    (cluster,) = (each["new_cluster"] for each in DATABRICKS["job_clusters"])
    (task,) = DATABRICKS["tasks"]
    assert cluster["spark_conf"] == WITHOUT_JARS
    assert cluster["spark_env_vars"]["ORT_LOAD_CONFIG_FROM_MODEL"] == "1"
    assert "autoscale" not in cluster
    excludes = DEFAULTS[jars.EXCLUDES].split(",")
    assert [each["maven"] for each in task["libraries"]] == [
        {"coordinates": each, "exclusions": excludes} for each in DEFAULTS[jars.PACKAGES].split(",")
    ]


def test_synapse_gets_our_settings() -> None:
    job = SYNAPSE["properties"]["jobProperties"]
    assert job["conf"] == DEFAULTS | ALL_AT_ONCE | {
        "spark.yarn.appMasterEnv.ORT_LOAD_CONFIG_FROM_MODEL": "1",
        "spark.yarn.user.classpath.first": "true",
    }
    assert set(job) <= {
        "archives", "args", "className", "conf", "driverCores", "driverMemory", "executorCores",
        "executorMemory", "file", "files", "jars", "name", "numExecutors", "pyFiles",
    }  # fmt: skip
    assert set(SYNAPSE["properties"]) <= {
        "description", "folder", "jobProperties", "language", "requiredSparkVersion",
        "targetBigDataPool", "targetSparkConfiguration",
    }  # fmt: skip


def test_synapse_names_keys_that_there_are() -> None:
    words = SYNAPSE["properties"]["jobProperties"]["args"]
    assert words[::2] == ["--config", "--set", "--set", "--set"]
    read = config.load(Path(words[1]), words[3::2])
    assert read.paths.out.startswith("abfss://")
    assert read.registry.uri


@pytest.mark.parametrize("part", FIELDS)
def test_the_operator_knows_every_field(part: str) -> None:
    found = parts_of_operator()[part]
    assert {name: type(value) for name, value in found.items()}.items() <= FIELDS[part].items()


def test_the_operator_gets_what_it_can_not_do_without() -> None:
    template = parts_of_operator()["template"]
    assert {"driver", "executor", "sparkVersion", "type"} <= set(template)
    assert (template["type"], template["mode"], template["pythonVersion"]) == (
        "Python",
        "cluster",
        "3",
    )
    assert template["restartPolicy"]["type"] in {"Never", "OnFailure", "Always"}
    assert all(isinstance(value, str) for value in template["sparkConf"].values())


def test_the_operator_gets_our_settings() -> None:
    template = parts_of_operator()["template"]
    assert template["sparkConf"] == WITHOUT_JARS | ALL_AT_ONCE
    assert template["mainApplicationFile"] == "local:///opt/pcb_spark/jobs/nightly.py"


def test_the_api_server_knows_what_the_operator_hands_on(tmp_path: Path) -> None:
    beside = [each for kind, each in OPERATOR.items() if kind != "ScheduledSparkApplication"]
    parts = parts_of_operator()
    pods = [
        {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {
                "volumes": parts["template"]["volumes"],
                "containers": [{
                    "name": name, "image": parts["template"]["image"],
                    **{key: parts[name][key] for key in ("volumeMounts", "securityContext")},
                }],
            },
        }
        for name in ("driver", "executor")
    ]  # fmt: skip
    assert len(beside) == 4
    assert validated([*beside, *pods], tmp_path) == ""


def test_the_operators_night_is_configured(tmp_path: Path) -> None:
    (tmp_path / "nightly.toml").write_text(OPERATOR["ConfigMap"]["data"]["nightly.toml"])
    read = config.load(tmp_path / "nightly.toml")
    assert read.registry.uri
    assert read.ingest.timezone == DATABRICKS["schedule"]["timezone_id"]
