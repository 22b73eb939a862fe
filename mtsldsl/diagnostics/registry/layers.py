"""MTL3: layers, shapes and targets."""

from __future__ import annotations

from mtsldsl.diagnostics.registry.entry import Code, Family

LAYERS = Family(
    "layers, shapes and targets",
    (
        Code(
            "MTL301",
            "an operator that does not fit the shape it is given",
            "The shape of every value is computed from the table of operators, before any network exists.",
            "Put the operator where the value has the right form, or turn the value into it: `flatten`, `to_tokens`, "
            "`to_image`.",
            """\
backbone {
  stem = conv2d(8, 3) | relu
  enc1 = linear(16) | to_image(1, 1)
}
""",
            """\
backbone {
  stem = conv2d(8, 3) | relu
  enc1 = conv2d(16, 1)
}
""",
        ),
        Code(
            "MTL302",
            "shapes that cannot be combined",
            "`concat` needs one height and width, `add` and `residual` need equal shapes.",
            "Bring the values to one height and width with `resize_as`, or to the same channels with a 1x1 `conv2d`.",
            """\
backbone {
  stem = conv2d(8, 3) | relu
  enc1 = conv2d(8, 3, stride=2) | relu
  dec1 = concat(stem) | conv2d(8, 3) | relu
}
""",
            """\
backbone {
  stem = conv2d(8, 3) | relu
  enc1 = conv2d(8, 3, stride=2) | relu
  dec1 = resize_as(stem) | concat(stem) | conv2d(8, 3) | relu
}
""",
        ),
        Code(
            "MTL303",
            "a head whose output does not fit its target",
            "The loss compares the head's output with the target value by value, so both have one shape.",
            "End the head with as many channels as the target has, and with `resize_as(image)` where it answers for "
            "each pixel.",
            """\
task depth {
  target = values(1)
  head   = conv2d(2, 1) | resize_as(image)
}
""",
            """\
task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
}
""",
        ),
        Code(
            "MTL304",
            "a layer read before it is defined",
            "Layers are computed from top to bottom; what stands further down does not exist yet.",
            "Move the layer that is read above the one that reads it.",
            """\
backbone {
  enc1 = concat(stem) | conv2d(8, 3) | relu
  stem = conv2d(8, 3) | relu
}
""",
            """\
backbone {
  stem = conv2d(8, 3) | relu
  enc1 = concat(image) | conv2d(8, 3) | relu
}
""",
        ),
        Code(
            "MTL305",
            "a loss that does not fit the target",
            "Each kind of target has losses of its own: a cross entropy of metres means nothing.",
            "Take one of the target's losses, which the remedy lists.",
            """\
task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
  loss   = cross_entropy
}
""",
            """\
task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
  loss   = l1
}
""",
        ),
        Code(
            "MTL306",
            "a metric that does not fit the target",
            "Each kind of target has metrics of its own, and some need an answer for each pixel.",
            "Take one of the target's metrics, which the remedy lists.",
            """\
task depth {
  target  = values(1)
  head    = conv2d(1, 1) | resize_as(image)
  metrics = [miou]
}
""",
            """\
task depth {
  target  = values(1)
  head    = conv2d(1, 1) | resize_as(image)
  metrics = [rmse]
}
""",
        ),
        Code(
            "MTL307",
            "data that has no field for the target",
            "A data set has fields such as `label` and `depth`, each for one kind of target.",
            "Leave `field` out, or name a field that holds what the target predicts.",
            """\
task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
  field  = label
}
""",
            """\
task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
  field  = depth
}
""",
        ),
        Code(
            "MTL308",
            "a layer named in the middle of a pipeline",
            "A layer's name starts a pipeline. Further on it would throw away all that comes before it.",
            "Start the pipeline with the layer, or join both with `concat` or `add`.",
            """\
backbone {
  stem = conv2d(8, 3) | relu
  enc1 = conv2d(8, 3) | stem | relu
}
""",
            """\
backbone {
  stem = conv2d(8, 3) | relu
  enc1 = conv2d(8, 3) | add(stem) | relu
}
""",
        ),
    ),
)
