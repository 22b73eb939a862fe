"""MTL9: warnings about names and definitions."""

from __future__ import annotations

from mtsldsl.diagnostics.registry.entry import Code

DEFINITIONS: tuple[Code, ...] = (
    Code(
        "MTL901",
        "a constant that nothing uses",
        "A constant that no block, layer or key needs has no effect, also when `--set` changes it. Often a number "
        "was written where the constant was meant.",
        "Use the constant, or leave it out.",
        """\
let width = 8

backbone {
  stem = conv2d(8, 3) | relu
}
""",
        """\
let width = 8

backbone {
  stem = conv2d(width, 3) | relu
}
""",
    ),
    Code(
        "MTL902",
        "a block that nothing uses",
        "A block that is used by no layer and no head, or only by blocks that are not used themselves.",
        "Use the block, or leave it out.",
        """\
block step(channels) =
    conv2d(channels, 3) | batch_norm | relu
""",
        """\
block step(channels) =
    conv2d(channels, 3) | batch_norm | relu

backbone {
  stem = step(8)
}
""",
    ),
    Code(
        "MTL903",
        "a parameter that its block does not use",
        "What is given for the parameter has no effect.",
        "Use the parameter, or leave it out.",
        """\
block step(channels, stride=1) =
    conv2d(channels, 3) | relu

backbone {
  stem = step(8)
}
""",
        """\
block step(channels, stride=1) =
    conv2d(channels, 3, stride=stride) | relu

backbone {
  stem = step(8)
}
""",
    ),
    Code(
        "MTL904",
        "a parameter that hides another name",
        "Inside the block the name means the parameter; a reader may take it for the constant, block or layer.",
        "Give the parameter another name.",
        """\
let width = 8

block step(width) =
    conv2d(width, 3) | relu

backbone {
  stem = step(width)
}
""",
        """\
let width = 8

block step(channels) =
    conv2d(channels, 3) | relu

backbone {
  stem = step(width)
}
""",
    ),
    Code(
        "MTL905",
        "an `ignore` that suppresses nothing",
        "`# mtl: ignore MTL911` holds for what is reported with that code in the entry that it stands in or behind, "
        "and behind a `}` for the whole block. One without effect hides the next real one, or was meant for another "
        "line.",
        "Leave the comment out, or put it on the line of the report.",
        """\
backbone {
  stem = conv2d(8, 3) | relu  # mtl: ignore MTL911
}
""",
        """\
backbone {
  stem = conv2d(8, 3) | relu
}
""",
    ),
)
