"""What the fields of a data set are."""

from __future__ import annotations

from enum import StrEnum


class FieldKind(StrEnum):
    """What a field holds, which decides its type in a batch and how augmentations move it. Which of its entries count
    is the target's to say (`mtsldsl.runtime.data.masks.valid_entries`)."""

    IMAGE = "image"
    """`(n, c, h, w)`; float32 in a batch, uint8 divided by 255, interpolated bilinearly."""
    LABEL = "label"
    """Class indices `(n, h, w)` or `(n,)`; int64 in a batch."""
    DEPTH = "depth"
    """Metres along the optical axis, `(n, 1, h, w)`; a scale divides it."""
    NORMAL = "normal"
    """Unit vectors `(n, 3, h, w)`, x first, zero where invalid; a flip negates x."""
    EDGE = "edge"
    """0 or 1, `(n, c, h, w)` or `(n, c)`; float32 in a batch."""
    PLAIN = "plain"
    """Any other numbers, float32 in a batch; moved with the image where they are `(n, c, h, w)`."""
