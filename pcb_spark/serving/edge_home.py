"""Where an edge machine keeps its model: one folder, exchanged as a whole or not at all.

::

    trusted/*.pub        keys whose bundles are believed
    bundles/<hash>/      edge bundles, by the first digits of their manifest's hash
    current              a link to the one that decides
    previous             a link to the one that did before

``current`` is moved over by one rename: whoever reads it gets the old bundle or the new one, and a
power cut leaves one of both.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pcb_spark.core import bundle, decisions, durable, edge_bundle, self_test, signatures
from pcb_spark.core.errors import BundleError, InputError, StorageFault

_NAME = 16  # digits of a hash that name a bundle's folder


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of an edge machine."""

    folder: Path

    @property
    def current(self) -> Path:
        """The bundle that decides."""
        return self.folder / "current"

    def trusted(self) -> list[signatures.PublicKey]:
        """Read the keys whose bundles are believed; raises as ``signatures.read_public``."""
        return signatures.read_public([self.folder / "trusted"])

    def trust(self, key: Path) -> signatures.PublicKey:
        """Believe a public key from now on, beside those that are."""
        (found,) = signatures.read_public([key])
        folder = self.folder / "trusted"
        folder.mkdir(parents=True, exist_ok=True)
        durable.write(folder / f"{found.name}.pub", found.text().encode())
        return found

    def open(self) -> edge_bundle.EdgeBundle:
        """Read and check the bundle that decides.

        Raises
        ------
        BundleError : there is none yet, or it was changed.
        """
        if not self.current.exists():
            what = f"no model in {self.folder}"
            raise BundleError(what, hint="fetch one with `pcb-edge update PLACE`")
        return edge_bundle.open_bundle(self.current, self.trusted())

    def install(self, edge: edge_bundle.EdgeBundle, *, allow_older: bool = False) -> str | None:
        """Let a verified bundle decide; answer which one did before.

        Its self-test is scored from what lies on this disk. Where one bit differs, the bundle is
        removed again and the one before stays.

        Raises
        ------
        BundleError : it is older than the one that decides, or fails its self-test.
        StorageFault : the disk is full, or refuses.
        """
        before = self._before(edge, allow_older=allow_older)
        name = bundle.sha256(edge.signed)[:_NAME]
        folder = self.folder / "bundles" / name
        was_there = folder.exists()
        try:
            durable.write_folder(folder, edge.files())
            self._test(folder)
            self._link("current", folder)
        except BundleError:
            if not was_there:
                shutil.rmtree(folder)
            raise
        except OSError as error:
            what = f"the bundle can't be written to {folder}"
            raise StorageFault(
                what, got=error.strerror, hint="free space, or give rights"
            ) from None
        if before is not None and before != name:
            self._link("previous", folder.with_name(before))
        self._forget(keep={name, before})
        return before

    def _before(self, edge: edge_bundle.EdgeBundle, *, allow_older: bool) -> str | None:
        """The name of the bundle that decides now, if it can be read; refuse an older one."""
        if not self.current.exists():
            return None
        name = self.current.resolve().name
        try:
            own = edge_bundle.open_bundle(self.current, self.trusted()).manifest.created_at
        except BundleError:  # damaged: anything that is whole is better
            return name
        if edge.manifest.created_at < own and not allow_older:
            raise BundleError(
                "the bundle is older than the one that decides here",
                expected=f"exported {own} or later",
                got=edge.manifest.created_at,
                hint="take the newest one, or say --allow-older to go back",
            )
        return name

    def _test(self, folder: Path) -> None:
        edge = edge_bundle.open_bundle(folder, self.trusted())
        wrong = self_test.differences(edge, decisions.scorer_of(edge))
        if wrong:
            made_with = ", ".join(f"{k} {v}" for k, v in edge.manifest.made_with.items())
            raise BundleError(
                f"the bundle answers otherwise here than where it was made ({len(wrong)} of "
                f"{len(edge.manifest.self_test)} images)",
                expected=f"the scores of {made_with}",
                got=wrong[0],
                hint="compare `pcb-edge doctor`: same versions, and the same kind of processor",
            )

    def _link(self, name: str, folder: Path) -> None:
        beside = self.folder / f".{name}.{os.getpid()}"
        beside.unlink(missing_ok=True)
        beside.symlink_to(folder.relative_to(self.folder))
        beside.replace(self.folder / name)
        durable.sync_folder(self.folder)

    def _forget(self, keep: set[str | None]) -> None:
        """Remove bundles that neither decide nor did before."""
        for folder in (self.folder / "bundles").iterdir():
            if folder.name not in keep:
                shutil.rmtree(folder, ignore_errors=True)


def made(folder: Path) -> Home:
    """Give the folder of this machine, made if it isn't there.

    Raises
    ------
    InputError : it can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"the folder {folder} can't be made"
        raise InputError(what, got=error.strerror, hint="name another one with --home") from None
    return Home(folder)
