"""What goes with an image: its size, what is in it, and its way through a registry."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from faults import images, podman

_REGISTRY = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


def described(image: str) -> str:
    """Write an image's bill of materials (SPDX) below out/images, and say what is in it."""
    out = images.ROOT / "out" / "images"
    out.mkdir(parents=True, exist_ok=True)
    name = images.name_of(image)
    size = podman.inspected(name)["Size"] / 1e6
    file = out / f"pcb-{image}.spdx.json"
    root = podman.call("podman", "image", "mount", name).strip()
    try:
        _list_contents(root, f"pcb-{image}", file)
    finally:
        podman.call("podman", "image", "unmount", name)
    packages = len(json.loads(file.read_text(encoding="utf-8"))["packages"])
    return f"{size:.0f} MB, {packages} packages in {file.relative_to(images.ROOT)}"


def _list_contents(root: str, name: str, file: Path) -> None:
    podman.call(
        "syft", "scan", f"dir:{root}", "--quiet", "--source-name", name, "--output",
        f"spdx-json={file}",
    )  # fmt: skip


def pushed_and_pulled(image: str, work: Path) -> str:
    """Push an image to a registry on loopback and fetch it again: the same, by its digest."""
    name = images.name_of(image)
    with _registry(work) as address:
        there = f"docker://{address}/pcb-{image}:latest"
        podman.call(
            "skopeo", "copy", "--dest-tls-verify=false", f"containers-storage:{name}", there
        )
        digest = json.loads(podman.call("skopeo", "inspect", "--tls-verify=false", there))["Digest"]
        back = work / "back"
        podman.call("skopeo", "copy", "--src-tls-verify=false", there, f"dir:{back}")
    own = podman.inspected(name)["Id"]
    config = json.loads((back / "manifest.json").read_text(encoding="utf-8"))["config"]["digest"]
    if config != f"sha256:{own}":
        msg = f"pushed {own}, got {config} back"
        raise AssertionError(msg)
    return f"pcb-{image} pushed and fetched again, {digest[:19]}..."


@contextlib.contextmanager
def _registry(work: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = work / "registry.yml"
    settings.write_text(_REGISTRY.format(folder=work / "registry", port=port), encoding="utf-8")
    log = work / "registry.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(settings)], stdout=output, stderr=output
        )
    try:
        podman.wait_for(lambda: _answers(port), "docker-registry")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=5).close()
    except urllib.error.URLError:
        return False
    return True
