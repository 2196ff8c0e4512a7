"""What a decoded image says of its camera: sharpness, exposure, and a hash of what it shows.

All are taken of the 224 x 224 pixels that the network sees, so that they are comparable between
cameras of different resolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS, _COLUMNS = 16, 17
_STEP = 8  # grey levels


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Measures of one image.

    Attributes
    ----------
    sharpness : variance of the Laplacian of the grey image (Pech-Pacheco et al., "Diatom
        autofocusing in brightfield microscopy", 2000), grey levels squared; small where blurred.
    brightness : mean grey, 0..255.
    clipped : share of pixels that are 0 or 255 in every channel.
    darkest, brightest : grey, 0..255.
    """

    sharpness: float
    brightness: float
    clipped: float
    darkest: float
    brightest: float


def measure(pixels: NDArray[np.uint8]) -> Measures:
    """Measure uint8 (C, H, W)."""
    grey = pixels.mean(axis=0, dtype=np.float32)
    inner = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    dark, bright = (pixels == 0).all(axis=0), (pixels == 255).all(axis=0)
    return Measures(
        sharpness=float(laplacian.var()),
        brightness=float(grey.mean()),
        clipped=float((dark | bright).mean()),
        darkest=float(grey.min()),
        brightest=float(grey.max()),
    )


def difference_hash(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Hash what uint8 (C, H, W) shows, so that copies of another size or quality differ little.

    Krawetz's dHash, "Kind of like that", 2013, of 16 x 17 cells: bit 16 r + c says whether cell
    (r, c) is darker than its right neighbour, by more than noise is. Of copies at JPEG quality 30,
    half the size, with noise of 5 grey levels or 15 % brighter, 90 % differ in 3 bits of 256 or
    fewer (80 tiles each). Few bits are set where there is little to see.

    Returns
    -------
    int64, (4,), bit 0 first.
    """
    grey = pixels.mean(axis=0, dtype=np.float32)
    height, width = grey.shape
    rows = np.linspace(0, height, _ROWS, endpoint=False).astype(int)
    columns = np.linspace(0, width, _COLUMNS, endpoint=False).astype(int)
    sums = np.add.reduceat(np.add.reduceat(grey, rows, axis=0), columns, axis=1)
    areas = np.outer(np.diff(rows, append=height), np.diff(columns, append=width))
    cells = sums / areas
    return np.packbits(cells[:, 1:] - cells[:, :-1] > _STEP).view(">i8").astype(np.int64)
