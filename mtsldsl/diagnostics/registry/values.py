"""MTL2: values and arguments."""

from __future__ import annotations

from mtsldsl.diagnostics.registry.entry import Code, Family

VALUES = Family(
    "values and arguments",
    (
        Code(
            "MTL201",
            "a value of the wrong type",
            "Every key and argument takes one kind of value, and nothing is converted: `3.0` is no whole number, and "
            "a quoted word is no name.",
            "Give a value of the kind that the remedy names.",
            """\
train {
  epochs = "4"
}
""",
            """\
train {
  epochs = 4
}
""",
        ),
        Code(
            "MTL202",
            "a value out of range",
            "Values that could only fail later, or mean something else than they seem to, are refused before anything "
            "runs.",
            "Give a value inside the range that the remedy names.",
            """\
train {
  epochs    = 4
  optimizer = adam(lr=-1e-3)
}
""",
            """\
train {
  epochs    = 4
  optimizer = adam(lr=1e-3)
}
""",
        ),
        Code(
            "MTL203",
            "an unknown argument",
            "Arguments have PyTorch's names, which a misspelt one is not.",
            "Check the argument's name; the remedy names the nearest one.",
            """\
backbone {
  stem = conv2d(8, 3, strid=2) | relu
}
""",
            """\
backbone {
  stem = conv2d(8, 3, stride=2) | relu
}
""",
        ),
        Code(
            "MTL204",
            "a required argument is missing",
            "Some arguments have no default, such as a convolution's channels and kernel.",
            "Add the argument.",
            """\
backbone {
  stem = conv2d(8) | relu
}
""",
            """\
backbone {
  stem = conv2d(8, 3) | relu
}
""",
        ),
        Code(
            "MTL205",
            "an argument given twice, or too many arguments",
            "As in Python, arguments without a name come first and in order, and each argument has one value.",
            "Leave one out, or name the arguments.",
            """\
backbone {
  stem = conv2d(8, 3, kernel_size=5) | relu
}
""",
            """\
backbone {
  stem = conv2d(8, kernel_size=5) | relu
}
""",
        ),
        Code(
            "MTL206",
            "a value that is not one of the choices",
            "Optimizers, schedules, losses, metrics and the like come from a fixed list, with their names in PyTorch.",
            "Take one of the choices that the remedy names.",
            """\
train {
  epochs    = 4
  optimizer = adan(lr=1e-3)
}
""",
            """\
train {
  epochs    = 4
  optimizer = adam(lr=1e-3)
}
""",
        ),
    ),
)
