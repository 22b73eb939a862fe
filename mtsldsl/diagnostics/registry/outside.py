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
        ),
        Code(
            "MTL602",
            "a data set whose files are not as expected",
            "The files are there, but their format, their names or their sizes are not those of the data set.",
            "Compare the files with the documented layouts, or get them again.",
            occurs="when `train` reads a truncated archive, or arrays of other shapes than the spec says",
        ),
        Code(
            "MTL603",
            "a data set that lacks a task's target",
            "Every task but a reconstruction needs an array of targets.",
            "Add the array, or change the target to what the data holds.",
            occurs="when `train` finds no array `depth` in the file of `data arrays` for a task `depth`",
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
        ),
        Code(
            "MTL702",
            "generated code that is not up to date",
            "A generated `train.py` runs the network that was compiled; the spec has changed since.",
            "Compile the spec again: the report shows the command.",
            occurs="when a generated `train.py` is run after its spec was edited",
        ),
        Code(
            "MTL703",
            "a file that cannot be read or written",
            "The file is not there, is a folder, or may not be read or written by this user.",
            "Check the path, its permissions and the space on the disk.",
            occurs="when a command is given the path of a file that does not exist",
        ),
        Code(
            "MTL704",
            "a rewrite that would lose text",
            "Commands that write into a person's text edit only what changes, and read it again before they save it. "
            "Where that would lose a comment or say something else than intended, nothing is written.",
            "Write the `sharing` block with one layer a line, each on a line of its own.",
            occurs="when a learned sharing is written into a text that cannot take it",
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
        ),
        Code(
            "MTL802",
            "a device that is not there",
            "Devices are `auto`, `cpu`, `cuda` and `mps`, as far as PyTorch finds them on this machine.",
            "Choose a device that the machine has, or `--device auto`.",
            occurs="for `--device cuda` on a machine without such a device",
        ),
        Code(
            "MTL803",
            "training that diverged",
            "A loss or a feature is no longer a finite number, so every later step would be meaningless.",
            "Lower the learning rate, or look for targets that are not as they should be.",
            occurs="when a loss becomes infinite or not a number during `train`",
        ),
        Code(
            "MTL804",
            "too little data for the computation",
            "A batch needs as many samples as it has, a similarity at least four, a mean at least one.",
            "Give more samples, a smaller `batch`, or fewer `samples` for the similarity.",
            occurs="when there are fewer training samples than `batch`",
        ),
        Code(
            "MTL805",
            "weights that do not fit the spec",
            "Weights belong to the layers, tasks and sharing that they were trained with.",
            "Take the weights and the spec from the same run.",
            occurs="when `eval` is given the weights of another network",
        ),
        Code(
            "MTL806",
            "a module of one's own that cannot be made",
            '`module("package.file:Class", ...)` is imported when a network is built: the class was not found there, '
            "or it refused its arguments.",
            "Check the name of the class, that Python finds its package, and its arguments.",
            occurs="when `train` builds a network with a `module` whose class is not there",
        ),
        Code(
            "MTL807",
            "a module of one's own that is not as the spec declares it",
            "The spec declares the shape that a module gives, and its number of parameters; the rest of the network "
            "is checked against that.",
            "Correct the declaration, or the module.",
            occurs="when a `module` gives another shape, or has more parameters, than its line says",
        ),
    ),
)
