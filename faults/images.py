"""Build the images of conf/docker, by buildah.

``python -m faults.images [--base IMAGE] [IMAGE ...]``

Without a base there is one from Debian's own packages: debootstrap, as small as Debian's slim one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from faults import podman

ROOT = Path(__file__).resolve().parent.parent
#: In the order in which they are built: etl is made of spark.
IMAGES = ("edge", "service", "spark", "etl", "mlflow")
BASE = "localhost/debian:bookworm-slim"
#: Files of certificate authorities that the network may want, by the variable that names them here,
#: and how a build hears of them.
_AUTHORITIES = {
    "PIP_CERT": "PIP_CERT=/run/PIP_CERT",
    "JAVA_CACERTS": "JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore=/run/JAVA_CACERTS",
}
#: What a base needs not: documentation, translations, lists of packages.
_LEFT_OUT = (
    "usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian",
    "var/lib/apt/lists", "var/cache/apt",
)  # fmt: skip


def name_of(image: str) -> str:
    """The name that an image of conf/docker gets."""
    return f"localhost/pcb-{image}:latest"


def make_base() -> str:
    """Make a base out of Debian's packages unless there is one, and return its name."""
    if subprocess.run(["buildah", "inspect", BASE], capture_output=True, check=False).returncode:
        with tempfile.TemporaryDirectory() as folder:
            podman.call("debootstrap", "--variant=minbase", "bookworm", folder)
            for place in _LEFT_OUT:
                podman.call("find", f"{folder}/{place}", "-mindepth", "1", "-delete")
            container = podman.call("buildah", "from", "scratch").strip()
            podman.call("buildah", "add", "--quiet", container, folder, "/")
            podman.call("buildah", "commit", "--quiet", "--rm", container, BASE)
    return BASE


def build(image: str, base: str) -> None:
    """Build one image.

    Raises
    ------
    RuntimeError : buildah failed.
    """
    command = [
        "buildah", "build", "--quiet", "--layers", "--network", "host", "--format", "docker",
        "--build-arg", f"BASE={base}", "--build-arg", f"SPARK={name_of('spark')}", *_authorities(),
        "--file", str(ROOT / "conf" / "docker" / f"{image}.Dockerfile"),
        "--tag", name_of(image), str(ROOT),
    ]  # fmt: skip
    podman.call(*command)


def _authorities() -> list[str]:
    words = []
    for variable, argument in _AUTHORITIES.items():
        if os.environ.get(variable):
            words += ["--volume", f"{os.environ[variable]}:/run/{variable}:ro"]
            words += ["--build-arg", argument]
    return words


def main() -> None:
    """Build, and print each image's size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", nargs="*", default=IMAGES, help=", ".join(IMAGES))
    parser.add_argument("--base", default="", help=f"a Debian 12; without one {BASE} is made")
    options = parser.parse_args()
    with podman.settings():
        base = options.base or make_base()
        for image in options.images:
            build(image, base)
            size = podman.inspected(name_of(image))["Size"] / 1e6
            sys.stdout.write(f"{name_of(image)}  {size:.0f} MB\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
