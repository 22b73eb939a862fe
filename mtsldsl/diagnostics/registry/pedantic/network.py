"""MTL9: warnings about layers and heads."""

from __future__ import annotations

from mtsldsl.diagnostics.registry.entry import Code

NETWORK: tuple[Code, ...] = (
    Code(
        "MTL911",
        "a layer that no head reads",
        "The layer costs parameters and time, and changes no prediction. Often the name of another layer is misspelt.",
        "Read the layer in a head or in a later layer, or leave it out.",
        """\
backbone {
  stem = conv2d(8, 3) | relu
  side = conv2d(8, 3) | relu
  main = concat(stem, stem) | conv2d(8, 3) | relu
}
""",
        """\
backbone {
  stem = conv2d(8, 3) | relu
  side = conv2d(8, 3) | relu
  main = concat(stem) | conv2d(8, 3) | relu
}
""",
    ),
    Code(
        "MTL912",
        "a head larger than the layers it reads",
        "Only the layers of `backbone` can be shared. Where most of a task's parameters are in its head, sharing "
        "has little to gain.",
        "Move layers of the head into the backbone.",
        """\
task depth {
  target = values(1)
  head   = conv2d(64, 3) | relu | conv2d(1, 1) | resize_as(image)
}
""",
        """\
task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
}

backbone {
  stem = conv2d(8, 3, stride=2) | batch_norm | relu
  enc1 = conv2d(16, 3, stride=2) | batch_norm | relu
  dec1 = conv2d(64, 3) | relu
}
""",
    ),
    Code(
        "MTL913",
        "a head that reads no layer",
        "The head starts from the input itself, so the task shares nothing with any other.",
        "Let the head start from a layer.",
        """\
task depth {
  target = values(1)
  head   = image | conv2d(1, 3)
}

task edge {
  target = binary(1)
  head   = conv2d(1, 1) | resize_as(image)
}
""",
        """\
task depth {
  target = values(1)
  head   = conv2d(1, 3) | resize_as(image)
}

task edge {
  target = binary(1)
  head   = conv2d(1, 1) | resize_as(image)
}
""",
    ),
    Code(
        "MTL914",
        "a head that ends in an activation its loss does not expect",
        "Losses of `classes` and `binary` take logits, any real numbers, and apply softmax or sigmoid themselves; "
        "a direction of `unit_vectors` needs both signs.",
        "Leave the activation out.",
        """\
task edge {
  target = binary(1)
  head   = conv2d(1, 1) | resize_as(image) | sigmoid
}
""",
        """\
task edge {
  target = binary(1)
  head   = conv2d(1, 1) | resize_as(image)
}
""",
    ),
    Code(
        "MTL915",
        "a bias directly before batch norm",
        "Batch norm subtracts the mean, and with it any bias: the parameters are trained to no effect.",
        "Leave `bias` out: it is off where `batch_norm` follows.",
        """\
backbone {
  stem = conv2d(8, 3, bias=true) | batch_norm | relu
}
""",
        """\
backbone {
  stem = conv2d(8, 3) | batch_norm | relu
}
""",
    ),
    Code(
        "MTL916",
        "an operator that changes nothing",
        "A `relu` after `relu`, a dropout of 0, an upsampling by 1 or a pooling of single pixels gives what it is "
        "given; a dropout of 1 gives zeros.",
        "Leave the operator out, or correct its argument.",
        """\
backbone {
  stem = conv2d(8, 3) | batch_norm | relu | dropout(0)
}
""",
        """\
backbone {
  stem = conv2d(8, 3) | batch_norm | relu | dropout(0.1)
}
""",
    ),
    Code(
        "MTL917",
        "two linear layers with nothing between them",
        "Two convolutions or linear maps in a row are one linear map: the second adds cost, and can express "
        "nothing new unless it makes the value narrower in between.",
        "Put an activation between them.",
        """\
backbone {
  stem = conv2d(8, 3) | batch_norm | conv2d(8, 3) | batch_norm | relu
}
""",
        """\
backbone {
  stem = conv2d(8, 3) | batch_norm | relu | conv2d(8, 3) | batch_norm | relu
}
""",
    ),
    Code(
        "MTL918",
        "batch norm with a batch of one",
        "The mean and variance over a batch are then those of a single sample, which differ from the running ones "
        "that are used when the network is evaluated.",
        "Take a larger `batch`, or `group_norm` in the place of `batch_norm`.",
        """\
data scenes {
  input = image(3, 32, 32)
  batch = 1
}
""",
        """\
data scenes {
  input = image(3, 32, 32)
  batch = 1
}

backbone {
  stem = conv2d(8, 3, stride=2) | group_norm(4) | relu
}
""",
    ),
)
