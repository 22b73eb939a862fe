"""How the example of a diagnostic code becomes a whole text."""

from __future__ import annotations

import re

FRAME = {
    "mtl": "mtl 1\n",
    "data": """\
data scenes {
  input = image(3, 32, 32)
}
""",
    "task": """\
task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
}

task edge {
  target = binary(1)
  head   = conv2d(1, 1) | resize_as(image)
}
""",
    "backbone": """\
backbone {
  stem = conv2d(8, 3, stride=2) | batch_norm | relu
  enc1 = conv2d(16, 3, stride=2) | batch_norm | relu
}
""",
    "train": """\
train {
  epochs = 4
}
""",
}
"""A sound specification, block by block. What an example leaves out is as it is here."""

_KIND = re.compile(r"^(\w+)\b", re.M)


def whole(example: str) -> str:
    """The example as a whole text: with the blocks of `FRAME` of which it has none, before it."""
    if re.search(r"^mtl\b", example, re.M):
        return example
    own = set(_KIND.findall(example))
    return "\n".join([*(text for kind, text in FRAME.items() if kind not in own), example])
