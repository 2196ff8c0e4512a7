"""Which files of a drop are images, references and tables of verdicts, wherever the drop lies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Final

from pcb_spark.ingest import listing, named_files
from pcb_spark.lake import tables

if TYPE_CHECKING:
    from pyspark.sql import Column

    from pcb_spark.ingest.listing import Listed
    from pcb_spark.ingest.places import Places
    from pcb_spark.ingest.settings import IngestConfig

_PICTURES: Final = r"(?i)\.(jpe?g|png|tiff?|bmp|webp)(\.json)?$"


@dataclass(frozen=True)
class DropFiles:
    """The files of a camera drop below ``root``, a qualified URI.

    ``links`` are the symbolic links that were seen and not followed, ``unread`` the files that only
    their capitals keep from being read beside one that has the configured name.
    """

    settings: IngestConfig
    root: str
    places: Places
    links: set[str] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)

    def list_images(self) -> list[Listed]:
        """Every image file and sidecar that lies there now.

        Raises whatever ``Places.list_files`` raises where the folder can't be listed.
        """
        found = self._list(self.images_folder)
        return [file for file in found if self._is_wanted(file.uri)]

    def settled_images(self) -> listing.Settled:
        """Those of them that are old enough to be whole, and how many wait."""
        seconds = self.settings.settle_seconds
        return listing.settled(self.list_images(), now=datetime.now(UTC), seconds=seconds)

    def list_references(self) -> list[Listed]:
        """Every golden image."""
        folder = self.references_folder
        return self._list(folder) if self.places.exists(folder) else []

    def list_tables(self) -> list[tuple[str, int]]:
        """URI and length of manifests, then of verdict files, each once."""
        wanted = (*self.settings.manifest, *self.settings.verdicts)
        return list(dict.fromkeys(file for name in wanted for file in self._match(name)))

    def relative(self, uri: str) -> str:
        """The path below the drop."""
        return uri[len(self.root.rstrip("/")) + 1 :]

    def passed_over(self) -> list[str]:
        """What was seen and not read, as lines to read."""
        kinds = {
            "symbolic links are not followed": self.links,
            "files are not read, others have their names in the capitals that are configured":
            self.unread,
        }  # fmt: skip
        return [
            f"{len(uris)} {what}: {_some(sorted(map(self.relative, uris)))}"
            for what, uris in kinds.items()
            if uris
        ]

    def place(self, name: str) -> str | None:
        """The file or folder of a configured name, in other capitals where that one isn't there."""
        uri = tables.locate(self.root, name)
        if self.places.exists(uri):
            return uri
        found = named_files.find_among(self.places.entries, self.root, name).found
        return found[0].uri if len(found) == 1 else None

    @cached_property
    def images_folder(self) -> str:
        """The folder that is searched for images: the drop itself where it has none."""
        return self.place(self.settings.images) or self.root

    @cached_property
    def references_folder(self) -> str:
        """The folder of golden images, whether it is there or not."""
        name = self.settings.references
        return self.place(name) or tables.locate(self.root, name)

    def wanted(self, path: Column) -> Column:
        """``_is_wanted`` for Spark."""
        from pyspark.sql import functions as F

        if self.images_folder != self.root:
            return F.lit(True)
        return path.rlike(_PICTURES) & ~path.startswith(self.references_folder + "/")

    def _is_wanted(self, uri: str) -> bool:
        if self.images_folder != self.root:
            return True
        below = uri.startswith(self.references_folder + "/")
        return re.search(_PICTURES, uri) is not None and not below

    def _list(self, folder: str) -> list[Listed]:
        found = self.places.list_files(folder)
        self.links.update(found.links)
        return found.files

    def _match(self, name: str) -> list[tuple[str, int]]:
        """The files that a configured name stands for: itself, those in its folder, or a glob's."""
        matches = named_files.find_among(self.places.entries, self.root, name)
        self.unread.update(other.uri for other in matches.others)
        found: list[tuple[str, int]] = []
        for named in matches.found:
            files = self._list(named.uri) if named.is_folder else [named]
            found += [(file.uri, file.length) for file in files]
        return sorted(found)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
