from __future__ import annotations

from dataclasses import asdict

import pytest

from pcb_spark.report.palette import DARK, LIGHT, Palette


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.1."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lower, upper = sorted((luminance(one), luminance(other)))
    return (upper + 0.05) / (lower + 0.05)


def test_contrast_of_black_and_white_is_21() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("ink", ["ink", "muted", "accent", "second", "good", "warn"])
@pytest.mark.parametrize("ground", ["page", "surface"])
def test_text_keeps_its_contrast(palette: Palette, ink: str, ground: str) -> None:
    colours = asdict(palette)
    assert contrast(colours[ink], colours[ground]) >= 4.5
