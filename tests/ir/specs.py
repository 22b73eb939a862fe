"""A specification for tests: a small network."""

from __future__ import annotations

from mtsldsl.sharing import Backbone

LAYERS = ("stem", "enc1", "enc2", "dec1", "dec2")
READS = {"enc1": ("stem",), "enc2": ("enc1",), "dec1": ("enc2", "enc1"), "dec2": ("dec1", "stem")}
BACKBONE = Backbone(LAYERS, READS)
TASKS = ("segment", "depth", "edge", "normal")

BODY = """\
mtl 1

data scenes {
  input = image(3, 32, 32)
}

task segment {
  target = classes(5)
  head   = conv2d(5, 1) | resize_as(image)
}

task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
}

task edge {
  target = binary(1)
  head   = conv2d(1, 1) | resize_as(image)
}

task normal {
  target = unit_vectors(3)
  head   = conv2d(3, 1) | resize_as(image)
}

backbone {
  stem = conv2d(8, 3, stride=2) | batch_norm | relu
  enc1 = conv2d(8, 3, stride=2) | batch_norm | relu
  enc2 = conv2d(16, 3) | batch_norm | relu
  dec1 = concat(enc1) | conv2d(8, 3) | batch_norm | relu
  dec2 = resize_as(stem) | concat(stem) | conv2d(8, 3) | relu
}

train {
  epochs = 4
}
"""


def text(*blocks: str) -> str:
    """The small network with further blocks."""
    return "\n".join([BODY, *blocks])
