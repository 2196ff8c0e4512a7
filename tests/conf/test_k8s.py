"""What conf/k8s comes to: as kubectl renders it, as the API server reads it, as our programs do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from faults import play
from pcb_spark.core import errors
from pcb_spark.pipeline import config
from pcb_spark.serving import edge, service

OVERLAYS = ("local", "aks")
#: Made by hand, since they are secrets or the plant's own.
BY_HAND = {"pcb-trusted", "pcb-serve-keys", "pcb-serve-tls", "pcb-stores"}
NOT_AGAIN = {1} | {
    each.exit_code for each in errors.PcbSparkError.__subclasses__() if each.remedy != "again"
}
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}

Manifest = dict[str, Any]


@pytest.fixture(scope="module", params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> list[Manifest]:
    return play.rendered(request.param)


def of_kind(overlay: list[Manifest], kind: str, name: str = "") -> list[Manifest]:
    found = [each for each in overlay if each["kind"] == kind]
    return [each for each in found if name in ("", each["metadata"]["name"])]


def pods(overlay: list[Manifest]) -> Iterator[Manifest]:
    """Templates of pods, whatever starts them."""
    for each in of_kind(overlay, "Deployment"):
        yield each["spec"]["template"]
    for each in of_kind(overlay, "CronJob"):
        yield each["spec"]["jobTemplate"]["spec"]["template"]


def values(found: object, key: str) -> Iterator[Any]:
    """What stands under a key, however deep."""
    if isinstance(found, dict):
        if key in found:
            yield found[key]
        for each in found.values():
            yield from values(each, key)
    elif isinstance(found, list):
        for each in found:
            yield from values(each, key)


def rejected(manifests: list[Manifest], folder: Path) -> str:
    """What kubernetes-validate objects to."""
    file = folder / "manifests.yaml"
    file.write_text(yaml.safe_dump_all(manifests))
    program = Path(sys.executable).with_name("kubernetes-validate")
    done = subprocess.run([program, "--strict", file], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_api_server_knows_every_field(overlay: list[Manifest], tmp_path: Path) -> None:
    assert rejected(overlay, tmp_path) == ""
    assert len(of_kind(overlay, "Deployment")) == len(of_kind(overlay, "CronJob")) == 2


def test_sparks_own_pods_are_restricted_too(tmp_path: Path) -> None:
    pod = yaml.safe_load((play.K8S / "spark-pod.yaml").read_text())
    assert rejected([pod | {"metadata": {"name": "driver"}}], tmp_path) == ""
    (container,) = pod["spec"]["containers"]
    assert container["name"] == "spark"
    assert container["securityContext"] == RESTRICTED
    assert pod["spec"]["securityContext"]["runAsNonRoot"]


def test_pods_are_restricted(overlay: list[Manifest]) -> None:
    for pod in pods(overlay):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        for container in spec["containers"]:
            assert container["securityContext"] == RESTRICTED
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]


def test_every_image_comes_from_a_place_and_has_a_tag(overlay: list[Manifest]) -> None:
    names = {container["image"] for pod in pods(overlay) for container in pod["spec"]["containers"]}
    assert {name.rpartition("/")[2].partition(":")[0] for name in names} == {
        "pcb-service", "pcb-edge", "pcb-etl", "pcb-spark",
    }  # fmt: skip
    assert all("/" in name and ":" in name for name in names)


def test_what_a_pod_names_is_there_or_made_by_hand(overlay: list[Manifest]) -> None:
    there = {each["metadata"]["name"] for each in overlay}
    named = {
        *values(overlay, "claimName"), *values(overlay, "secretName"),
        *values(overlay, "serviceAccountName"),
        *(each["name"] for key in ("configMap", "secretRef") for each in values(overlay, key)),
        *(each["scaleTargetRef"]["name"] for each in values(overlay, "spec")
          if "scaleTargetRef" in each),
    }  # fmt: skip
    assert named - there == BY_HAND


def test_no_secret_lies_in_a_repository(overlay: list[Manifest]) -> None:
    assert of_kind(overlay, "Secret") == []


def test_selectors_find_their_pods(overlay: list[Manifest]) -> None:
    labels = [pod["metadata"]["labels"] for pod in pods(overlay)]
    matched = [each for key in ("matchLabels", "selector") for each in values(overlay, key)]
    own = [each for each in matched if any("app.kubernetes.io" in key for key in each)]
    assert len(own) > 6
    for selector in own:
        assert any(selector.items() <= found.items() for found in labels), selector


def test_whoever_lacks_a_rule_talks_to_nobody(overlay: list[Manifest]) -> None:
    (policy,) = of_kind(overlay, "NetworkPolicy", "pcb-spark")
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy["spec"]
    assert "egress" not in policy["spec"]
    wanted = policy["spec"]["podSelector"]["matchLabels"]
    assert all(wanted.items() <= pod["metadata"]["labels"].items() for pod in pods(overlay))


def test_our_programs_understand_their_arguments(
    overlay: list[Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    started = {each["image"].rpartition("/")[2].partition(":")[0]: each["args"]
               for pod in pods(overlay) for each in pod["spec"]["containers"]}  # fmt: skip
    # An unknown flag would end them with SystemExit; here nothing lies where they look.
    assert service.main(started["pcb-service"]) == 4
    assert edge.main(["--home", str(tmp_path), *started["pcb-edge"]]) in {2, 4}
    assert started["pcb-etl"][:3] == ["pcb-spark", "ingest", "--continuous"]
    assert started["pcb-spark"][:3] == ["pcb-spark", "nightly", "--no-ingest"]


def test_jobs_are_configured_alike(overlay: list[Manifest], tmp_path: Path) -> None:
    read = {}
    for each in of_kind(overlay, "ConfigMap"):
        for name, text in each["data"].items():
            (tmp_path / name).write_text(text)
            read[name] = config.load(tmp_path / name)
    night, etl = read["nightly.toml"], read["service.toml"]
    (job,) = of_kind(overlay, "CronJob", "pcb-night")
    assert night.ingest.timezone == etl.ingest.timezone == job["spec"]["timeZone"]
    assert (night.paths.drop, night.paths.out) == (etl.paths.drop, etl.paths.out)
    assert night.registry.uri or not night.paths.out.startswith("abfss")


def test_a_night_is_tried_again_where_that_may_help(overlay: list[Manifest]) -> None:
    (job,) = of_kind(overlay, "CronJob", "pcb-night")
    (rule,) = job["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    assert set(rule["onExitCodes"]["values"]) == NOT_AGAIN
    assert rule["action"] == "FailJob"
    assert job["spec"]["concurrencyPolicy"] == "Forbid"


def test_the_tables_have_one_writer(overlay: list[Manifest]) -> None:
    (etl,) = of_kind(overlay, "Deployment", "pcb-etl")
    assert etl["spec"]["replicas"] == 1
    assert etl["spec"]["strategy"] == {"type": "Recreate"}


def test_the_service_ends_later_than_its_requests(overlay: list[Manifest]) -> None:
    (serve,) = of_kind(overlay, "Deployment", "pcb-serve")
    spec = serve["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    seconds = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert spec["terminationGracePeriodSeconds"] >= seconds + 30
