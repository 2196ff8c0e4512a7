"""What a score depends on besides the image and the model: the processor, and four versions."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import numpy as np
import onnxruntime as ort
import PIL


def describe() -> dict[str, str]:
    """Name processor and versions of this machine.

    int8 kernels differ between families of processors, and decoders between versions of Pillow:
    where a self-test fails, the difference usually stands here.
    """
    return {
        "processor": _processor(),
        "python": platform.python_version(),
        "onnxruntime": ort.__version__,
        "numpy": np.__version__,
        "pillow": PIL.__version__,
    }


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1] if named else platform.processor() or platform.machine()
