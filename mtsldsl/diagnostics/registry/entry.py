"""What is kept of a diagnostic code, and how its example becomes a whole text."""

from __future__ import annotations

import re

import attrs

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


@attrs.frozen
class Code:
    """A code, which keeps its meaning for ever, and all that is said of it.

    `title` is a phrase, `why` and `remedy` are sentences. `example` is what is reported with this code and no other:
    the blocks that differ from `FRAME`, or a whole text where it has a line `mtl 1`; `instead` is the same, mended.
    Where no text alone can be wrong in this way, `occurs` says when it is reported and `console` shows a command that
    fails so, in a folder with `spec.mtl`, whose text is that of the example; lines that begin with `#` say what else
    there is.
    """

    code: str
    title: str
    why: str
    remedy: str
    example: str = ""
    instead: str = ""
    occurs: str = ""
    console: str = ""


@attrs.frozen
class Family:
    """The codes that begin alike, and what they are about."""

    title: str
    codes: tuple[Code, ...]


def whole(example: str) -> str:
    """The example as a whole text: with the blocks of `FRAME` of which it has none, before it."""
    if re.search(r"^mtl\b", example, re.M):
        return example
    own = set(_KIND.findall(example))
    return "\n".join([*(text for kind, text in FRAME.items() if kind not in own), example])
