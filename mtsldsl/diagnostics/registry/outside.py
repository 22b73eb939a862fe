"""MTL6, MTL7 and MTL8: data, files and runs, where no text alone is at fault."""

from __future__ import annotations

from mtsldsl.diagnostics.registry.entry import Code, Family

DATA = Family(
    "data",
    (
        Code(
            "MTL601",
            "a data set that is not there",
            "Data are looked for when a network is trained or evaluated, where `root` or `path` says.",
            "Set `root` or `path` to where the data is; the remedy says how to get a public data set.",
            occurs='when `train` finds nothing at `root = "data/nyuv2"`',
            example="""\
data nyuv2 {
  root = "data/nyuv2"
}
task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
}
""",
            console="""\
# there is no folder data/nyuv2
$ mtsldsl train spec.mtl
""",
        ),
        Code(
            "MTL602",
            "a data set whose files are not as expected",
            "The files are there, but their format, their names or their sizes are not those of the data set.",
            "Compare the files with the documented layouts, or get them again.",
            occurs="when `train` reads a truncated archive, or arrays of other shapes than the spec says",
            example="""\
data arrays {
  input = image(3, 32, 32)
  path  = "rooms.npz"
}
""",
            console="""\
# rooms.npz was cut off while it was copied
$ mtsldsl train spec.mtl
""",
        ),
        Code(
            "MTL603",
            "a data set that lacks a task's target",
            "Every task but a reconstruction needs an array of targets.",
            "Add the array, or change the target to what the data holds.",
            occurs="when `train` finds no array `depth` in the file of `data arrays` for a task `depth`",
            example="""\
data arrays {
  input = image(3, 32, 32)
  path  = "rooms.npz"
}
""",
            console="""\
# rooms.npz has the arrays `image` and `depth`, and none for the task `edge`
$ mtsldsl train spec.mtl
""",
        ),
    ),
)

FILES = Family(
    "files",
    (
        Code(
            "MTL701",
            "a file that mtsldsl did not write",
            "Generated files begin with a line that says so. A file without it is somebody's own, and is not "
            "overwritten.",
            "Move your own file away, or compile into another folder with `-o`.",
            occurs="when `compile` would write over a `model.py` that a person wrote",
            console="""\
# generated/spec/model.py was written by a person
$ mtsldsl compile spec.mtl
""",
        ),
        Code(
            "MTL702",
            "generated code that is not up to date",
            "A generated `train.py` runs the network that was compiled; the spec has changed since, or the code was "
            "edited.",
            "Compile the spec again: the report shows the command.",
            occurs="when a generated `train.py` is run after its spec was edited, or its `model.py`",
            console="""\
$ mtsldsl compile spec.mtl
# then spec.mtl is edited
$ python -m generated.spec.train
""",
        ),
        Code(
            "MTL703",
            "a file that cannot be read or written",
            "The file is not there, is a folder, or may not be read or written by this user.",
            "Check the path, its permissions and the space on the disk.",
            occurs="when a command is given the path of a file that does not exist",
            console="""\
$ mtsldsl check spce.mtl
""",
        ),
        Code(
            "MTL704",
            "a rewrite that would lose text",
            "Commands that write into a person's text edit only what changes, and read it again before they save it. "
            "Where that would lose a comment or say something else than intended, nothing is written.",
            "Write the `sharing` block with one layer a line, each on a line of its own.",
            occurs="when a learned sharing is written into a text that cannot take it",
            example="""\
train {
  epoch = 4
}
""",
            console="""\
# while this runs, an editor saves spec.mtl
$ mtsldsl check --fix spec.mtl
""",
        ),
        Code(
            "MTL705",
            "a package of another spec",
            "Generated packages are called by the name of their spec. Two specs of one name, in different folders, "
            "would replace each other's package.",
            "Compile one of them into another folder with `-o`, or rename it. Where the other package is not wanted "
            "any more, remove its folder first.",
            occurs="when `compile` would write over the package of another spec, which is still there",
            console="""\
$ mtsldsl compile small/spec.mtl
$ mtsldsl compile large/spec.mtl
""",
        ),
    ),
)

RUNS = Family(
    "runs",
    (
        Code(
            "MTL801",
            "a run that cannot be resumed",
            "A run goes on from the checkpoint of its last finished epoch, with the spec that it was started with.",
            "Name a run folder that has a checkpoint, or start anew.",
            occurs="when `train --resume` names a folder without a checkpoint",
            console="""\
# runs/spec/1 was stopped in its first epoch
$ mtsldsl train --resume runs/spec/1
""",
        ),
        Code(
            "MTL802",
            "a device that is not there",
            "Devices are `auto`, `cpu`, `cuda` and `mps`, as far as PyTorch finds them on this machine.",
            "Choose a device that the machine has, or `--device auto`.",
            occurs="for `--device cuda` on a machine without such a device",
            console="""\
$ mtsldsl train --device abacus spec.mtl
""",
        ),
        Code(
            "MTL803",
            "training that diverged",
            "A loss or an activation is no longer a finite number, so every later step would be meaningless. The "
            "report names the layer, head or loss that is the first to compute such numbers; that step is not made.",
            "Lower the learning rate, or look at what is named, and at the targets of its task.",
            occurs="when a loss becomes infinite or not a number during `train` or `eval`",
            example="""\
data scenes {
  input  = image(3, 32, 32)
  images = 32
}
train {
  epochs    = 4
  optimizer = sgd(lr=1e30)
}
""",
            console="""\
$ mtsldsl train --device cpu spec.mtl
""",
        ),
        Code(
            "MTL804",
            "too little data for the computation",
            "A batch needs as many samples as it has, a task a label to learn from, `batch_norm` two values of each "
            "channel, a similarity four samples, a mean one.",
            "Give more samples or labels, a smaller `batch`, or fewer `samples` for the similarity.",
            occurs="when there are fewer training samples than `batch`",
            example="""\
data scenes {
  input  = image(3, 32, 32)
  images = 32
  batch  = 64
}
""",
            console="""\
$ mtsldsl train spec.mtl
""",
        ),
        Code(
            "MTL805",
            "weights that do not fit the spec",
            "Weights belong to the layers, tasks and sharing that they were trained with.",
            "Take the weights and the spec from the same run.",
            occurs="when `eval` is given the weights of another network",
            example="""\
data scenes {
  input  = image(3, 32, 32)
  images = 32
}
train {
  epochs = 1
}
""",
            console="""\
$ mtsldsl train --device cpu spec.mtl
# then the weights in runs/spec/1/best are replaced by those of another network
$ mtsldsl eval runs/spec/1
""",
        ),
        Code(
            "MTL806",
            "a module of one's own that cannot be made",
            '`module("package.file:Class", ...)` is imported when a network is built: the class was not found there, '
            "it refused its arguments, or it has parameters that get their shapes only later.",
            "Check the name of the class, that Python finds its package, and its arguments.",
            occurs="when `train` builds a network with a `module` whose class is not there",
            example="""\
backbone {
  stem = module("own_layers:Gone", out=[8, 32, 32])
}
""",
            console="""\
# own_layers.py has no class `Gone`
$ mtsldsl train spec.mtl
""",
        ),
        Code(
            "MTL807",
            "a module of one's own that is not as the spec declares it",
            "The spec declares the values that a module takes, the shape that it gives, and its number of parameters; "
            "the rest of the network is checked against that, and computes with numbers of one type.",
            "Correct the declaration, or the module.",
            occurs="when a `module` gives another shape, or has more parameters, than its line says",
            example="""\
backbone {
  stem = module("own_layers:Half", out=[3, 32, 32])
}
""",
            console="""\
# the class `Half` gives images of 16 x 16
$ mtsldsl train spec.mtl
""",
        ),
        Code(
            "MTL808",
            "a library that cannot be imported",
            "What a run needs for metrics, curves and the balance of its tasks is imported before it begins. A library "
            "that is broken, or does not fit the others, may be one that is needed by another alone: torchmetrics "
            "imports torchvision where that is installed.",
            "Install the version that fits, or remove the library where nothing needs it: the report names it.",
            occurs="when `train` or `eval` finds a torchvision that was built for another torch",
            console="""\
# the torchvision that is installed was built for another torch
$ mtsldsl train spec.mtl
""",
        ),
    ),
)
