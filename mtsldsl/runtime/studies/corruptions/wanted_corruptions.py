"""Which corruptions are asked for, and how severe. Nothing here loads the library that makes them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from mtsldsl.records import Record

CORRUPTIONS: Mapping[str, tuple[str, ...]] = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}
"""The 15 of Hendrycks and Dietterich (ICLR 2019), in their order."""

EVERY = "all"
SEVERITIES = (1, 2, 3, 4, 5)


@attrs.frozen(eq=False, repr=False)
class Wanted(Record):
    """What is done to the pictures of which split."""

    split: str
    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    seed: int


def wanted_corruptions(given: str) -> tuple[str, ...]:
    """Those that are listed, or all, each once and in the paper's order. Raises ValueError for another name."""
    known = [name for names in CORRUPTIONS.values() for name in names]
    names = known if given == EVERY else [name.strip() for name in given.split(",")]
    for name in names:
        if name not in known:
            raise ValueError(f"`{name}` is no corruption: there are {', '.join(known)}, and {EVERY}")
    return tuple(name for name in known if name in names)


def wanted_severities(given: str) -> tuple[int, ...]:
    """Such as `3`, `1,3,5` or `1..5`, each once and in order. Raises ValueError for what is none of 1 to 5."""
    found: set[int] = set()
    for part in given.split(","):
        ends = re.fullmatch(r"\s*([1-5])(?:\.\.([1-5]))?\s*", part)
        own = range(int(ends[1]), int(ends[2] or ends[1]) + 1) if ends else range(0)
        if not own:
            raise ValueError(f"`{part}` is no severity of 1 to 5, such as 3, or 1,3,5, or 1..5")
        found.update(own)
    return tuple(sorted(found))
