"""Heat maps of images that aren't cleared: files for people at the plant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pcb_spark.core import golden_book, heatmaps, policy
from pcb_spark.core.errors import BundleError, StorageFault
from pcb_spark.core.pictures import PictureMaker

if TYPE_CHECKING:
    from pcb_spark.core.decisions import Decision
    from pcb_spark.core.edge_bundle import EdgeBundle

SUFFIX: Final = ".heat.jpg"


class Explainer:
    """Writes them below a folder, each by its image's path.

    Raises
    ------
    BundleError : the bundle is of a version that had nothing for them.
    """

    def __init__(self, edge: EdgeBundle, to: Path) -> None:
        mapper = heatmaps.of_edge(edge.model)
        if mapper is None:
            what = "the bundle has nothing to make heat maps with"
            raise BundleError(what, hint="export it again with this version")
        self._to = to
        self._parts = edge.parts
        self._maker = PictureMaker(
            mapper, max_pixels=edge.manifest.habits.max_pixels, bit_depth=mapper.reading.bit_depth
        )

    def explain(self, root: Path, decision: Decision, reference: Path | None) -> None:
        """Write the heat map of an image; none where it is cleared, or nothing stands out.

        Parameters
        ----------
        root : the drop of the image, and of its golden image where ``reference`` is None.

        Raises
        ------
        StorageFault : it can't be written.
        """
        if decision.decision != policy.FAIL:
            return
        image = (root / decision.path).read_bytes()
        made = self._maker.make(image, self._golden(root, decision, reference))
        if made is not None and made.heat is not None:
            self._write(self._to / f"{decision.path}{SUFFIX}", made.heat)

    def _golden(self, root: Path, decision: Decision, reference: Path | None) -> bytes | None:
        """What the image was compared with: the file named, one of the bundle, or of the drop."""
        named = decision.reference
        if reference is not None or named is None:
            return None if reference is None else reference.read_bytes()
        if golden_book.is_own(named):
            return self._parts[golden_book.file_of(golden_book.own_hash(named))]
        return (root / named).read_bytes()

    def _write(self, path: Path, picture: bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture)
        except OSError as error:
            what = f"{path} can't be written"
            raise StorageFault(what, got=error.strerror, hint="name another --heat") from None
