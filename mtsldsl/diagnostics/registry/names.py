"""MTL1: blocks and names."""

from __future__ import annotations

from mtsldsl.diagnostics.registry.entry import Code, Family

NAMES = Family(
    "blocks and names",
    (
        Code(
            "MTL101",
            "an unknown block",
            "A text has the blocks `data`, `task`, `backbone`, `train`, `structure`, `sharing` and `history`, and the "
            "definitions `let` and `block`.",
            "Check the spelling; the remedy names the nearest block.",
            """\
structur mtsl {
  phases = [1, 2]
}
""",
            """\
structure mtsl {
  phases = [1, 2]
}
""",
        ),
        Code(
            "MTL102",
            "a block given twice",
            "Only `task` may stand several times. Of any other block a second one would leave open which of them "
            "holds.",
            "Leave one of the two blocks out, or bring them together.",
            """\
train {
  epochs = 4
}

train {
  seed = 1
}
""",
            """\
train {
  epochs = 4
  seed   = 1
}
""",
        ),
        Code(
            "MTL103",
            "a required block is missing",
            "A specification says at least what the data are, what is predicted, with which layers, and how they are "
            "trained.",
            "Add the block: `data`, `task`, `backbone` and `train` are needed.",
            """\
mtl 1

data scenes {
  input = image(3, 32, 32)
}

task depth {
  target = values(1)
  head   = conv2d(1, 1)
}

backbone {
  stem = conv2d(8, 3) | relu
}
""",
            """\
mtl 1

data scenes {
  input = image(3, 32, 32)
}

task depth {
  target = values(1)
  head   = conv2d(1, 1)
}

backbone {
  stem = conv2d(8, 3) | relu
}

train {
  epochs = 4
}
""",
        ),
        Code(
            "MTL104",
            "an unknown key",
            "Every block but `backbone` and `sharing` has a fixed list of keys. A key that is silently passed over "
            "would be a setting that has no effect.",
            "Check the spelling of the key; the remedy names the nearest one.",
            """\
train {
  epochs   = 4
  optimzer = adam
}
""",
            """\
train {
  epochs    = 4
  optimizer = adam
}
""",
        ),
        Code(
            "MTL105",
            "a key given twice",
            "Two lines for one key leave open which of them holds.",
            "Leave one of the two lines out.",
            """\
train {
  epochs = 4
  epochs = 8
}
""",
            """\
train {
  epochs = 8
}
""",
        ),
        Code(
            "MTL106",
            "a required key is missing",
            "Some keys have no sensible default, such as the number of epochs.",
            "Add the line that the remedy shows.",
            """\
train {
  seed = 1
}
""",
            """\
train {
  epochs = 4
  seed   = 1
}
""",
        ),
        Code(
            "MTL107",
            "an unknown name",
            "A name in a pipeline is an operator, a block, an earlier layer or the input; anywhere else it is a "
            "constant.",
            "Check the spelling; the remedy names the nearest known name.",
            """\
backbone {
  stem = conv2d(8, 3) | batch_nrm | relu
}
""",
            """\
backbone {
  stem = conv2d(8, 3) | batch_norm | relu
}
""",
        ),
        Code(
            "MTL108",
            "a name used twice",
            "Constants, blocks, tasks, layers and the input share one space of names, so that a name means one thing.",
            "Give each thing a name of its own.",
            """\
let stem = 8
""",
            """\
let stem_width = 8

backbone {
  stem = conv2d(stem_width, 3) | relu
}
""",
        ),
        Code(
            "MTL109",
            "a name that is reserved",
            "Operators, words of the language and, for layers and tasks, names that the generated Python code needs "
            "cannot be given to anything else; nor can such a name have more than 100 letters.",
            "Choose another name.",
            """\
backbone {
  stem  = conv2d(8, 3) | relu
  class = conv2d(8, 3) | relu
}
""",
            """\
backbone {
  stem  = conv2d(8, 3) | relu
  trunk = conv2d(8, 3) | relu
}
""",
        ),
        Code(
            "MTL110",
            "a block with the wrong labels",
            "The word after the kind of a block names a task, the data set or the method; other blocks have none.",
            "Write the label that the remedy shows, such as `data scenes` or `task depth`.",
            """\
data scene {
  input = image(3, 32, 32)
}
""",
            """\
data scenes {
  input = image(3, 32, 32)
}
""",
        ),
        Code(
            "MTL111",
            "a block that uses itself, or a network that is too large",
            "Blocks are written out where they are used. One that leads back to itself has no end, and one that "
            "becomes tens of thousands of operators is refused before it takes all memory. So are hundreds of tasks, "
            "and operators with more numbers than a machine holds.",
            "Leave out the use that leads back; to repeat a pipeline write `pipeline * 3`.",
            """\
block deep(channels) =
    conv2d(channels, 3) | relu | deep(channels)
""",
            """\
block deep(channels) =
    conv2d(channels, 3) | relu

backbone {
  stem = deep(8) * 3
}
""",
        ),
        Code(
            "MTL112",
            "an override that names nothing in the spec",
            "`--set` changes a constant of `let`, or a key by its path, such as `train.epochs` or "
            "`task.depth.weight`. One that is misspelt would otherwise leave the spec as it was, unnoticed.",
            "Check the key; the remedy names the nearest one.",
            occurs="for `--set train.epoch=2`, where the key is `train.epochs`",
            console="""\
$ mtsldsl check --set train.epoch=2 spec.mtl
""",
        ),
        Code(
            "MTL113",
            "an import of a file that cannot be read",
            "`import` brings the blocks, constants and backbone of another `.mtl` file, whose path is relative to the "
            "folder of the file that imports it.",
            "Check the path; the remedy names the nearest file.",
            """\
import "no_such_file.mtl"
""",
        ),
        Code(
            "MTL114",
            "an import that leads out of the project",
            "A spec can read only files of its own project, the nearest folder with `pyproject.toml` or `.git`, or "
            "else the folder of the spec: so a spec from elsewhere cannot reach into the disk.",
            "Copy the file into the project, and write its path relative to the folder of this file.",
            """\
import "/blocks.mtl"
""",
        ),
        Code(
            "MTL115",
            "files that import each other",
            "Of two files that import each other, or one that imports itself, neither could be read before the other.",
            "Leave out one of the imports; what both need may lie in a third file.",
            """\
# in the file spec.mtl
import "spec.mtl"
""",
        ),
    ),
)
