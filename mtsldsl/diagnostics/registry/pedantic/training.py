"""MTL9: warnings about sharing, structure, training and tasks."""

from __future__ import annotations

from mtsldsl.diagnostics.registry.entry import Code

TRAINING: tuple[Code, ...] = (
    Code(
        "MTL921",
        "a sharing block that shares nothing",
        "A layer without a line is each task's own, so the block says what its absence would say.",
        "Leave the block out; training writes it when something is shared.",
        """\
sharing {
  stem..enc1 = each
}
""",
        """\
sharing {
  stem = all
  enc1 = each
}
""",
    ),
    Code(
        "MTL922",
        "a history that the sharing contradicts",
        "A decision says that tasks came to share a layer, and `sharing` keeps them apart there.",
        "Share the layer, or leave the decision out.",
        """\
sharing {
  stem = all
}

history {
  merge(epoch=1, layer=stem, tasks=depth + edge, similarity=0.93)
  merge(epoch=2, layer=enc1, tasks=depth + edge, similarity=0.91)
}
""",
        """\
sharing {
  stem = all
  enc1 = all
}

history {
  merge(epoch=1, layer=stem, tasks=depth + edge, similarity=0.93)
  merge(epoch=2, layer=enc1, tasks=depth + edge, similarity=0.91)
}
""",
    ),
    Code(
        "MTL931",
        "a phase that can never find a frontier",
        "A structural phase looks for tasks that share all that a layer reads but not the layer. Where there is "
        "one task, or where the sharing leaves no such place, no phase will ever find one.",
        "Leave `structure` out, or start from a sharing that leaves something to decide.",
        """\
structure mtsl {
  phases = [1, 2]
}

sharing {
  stem..enc1 = all
}
""",
        """\
structure mtsl {
  phases = [1, 2]
}

sharing {
  stem = all
}
""",
    ),
    Code(
        "MTL932",
        "a phase at the last epoch",
        "What is merged at the end of the last epoch is never trained for the tasks it now serves.",
        "Let the last phase come earlier, or train for longer.",
        """\
structure mtsl {
  phases = [2, 4]
}
""",
        """\
structure mtsl {
  phases = [2, 3]
}
""",
    ),
    Code(
        "MTL933",
        "a threshold that cannot bind",
        "A similarity is at most 1, at least -1, and without `debiased` at least 0. Above the largest value "
        "nothing ever merges, below the least everything does, whatever the data say.",
        "Take a threshold between the bounds; 0.8 is usual.",
        """\
structure mtsl {
  phases    = [1, 2]
  threshold = 1
}
""",
        """\
structure mtsl {
  phases    = [1, 2]
  threshold = 0.8
}
""",
    ),
    Code(
        "MTL934",
        "more samples than there are",
        "The similarity is estimated from the training images, and there are fewer of them than it asks for.",
        "Ask for fewer `samples`, or render more `images`.",
        """\
data scenes {
  input  = image(3, 32, 32)
  images = 256
}

structure mtsl {
  phases     = [1, 2]
  similarity = cka(samples=800)
}
""",
        """\
data scenes {
  input  = image(3, 32, 32)
  images = 256
}

structure mtsl {
  phases     = [1, 2]
  similarity = cka(samples=128)
}
""",
    ),
    Code(
        "MTL941",
        "an unusually high learning rate",
        "Adam and its kin rarely train above 0.1, plain gradient descent rarely above 1. Often the minus of an "
        "exponent was forgotten.",
        "Lower the learning rate: 1e-3 is usual for `adam`, 1e-2 for `sgd`.",
        """\
train {
  epochs    = 4
  optimizer = adam(lr=1)
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
        "MTL942",
        "a schedule that does not fit the epochs",
        "A milestone that is never reached has no effect; a cosine longer than the training ends at a high rate, "
        "and one that is shorter rises again; a `gamma` above 1 raises the rate.",
        "Fit the schedule to `epochs`.",
        """\
train {
  epochs    = 4
  scheduler = multistep([2, 6])
}
""",
        """\
train {
  epochs    = 4
  scheduler = multistep([2, 3])
}
""",
    ),
    Code(
        "MTL943",
        "nothing to balance",
        "A balance weighs the losses or gradients of several tasks; with one there is nothing to weigh.",
        "Leave `balance` out.",
        """\
task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
}

train {
  epochs  = 4
  balance = pcgrad
}
""",
        """\
task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
}

train {
  epochs = 4
}
""",
    ),
    Code(
        "MTL944",
        "a batch larger than the training set",
        "Every batch is full, so training does not begin where there are fewer samples than `batch`. How many rooms "
        "are rendered is known beforehand; of other data sets it is not.",
        "Take a smaller `batch`, or render more `images`.",
        """\
data scenes {
  input  = image(3, 32, 32)
  images = 32
  batch  = 24
}
""",
        """\
data scenes {
  input  = image(3, 32, 32)
  images = 32
  batch  = 16
}
""",
    ),
    Code(
        "MTL951",
        "metrics that say the same",
        "`accuracy` and `pixel_accuracy` are one number, and `error` is 1 minus it. A task with both counts twice "
        "in its mean gain.",
        "Leave one of them out.",
        """\
task segment {
  target  = classes(5)
  head    = conv2d(5, 1) | resize_as(image)
  metrics = [accuracy, error]
}
""",
        """\
task segment {
  target  = classes(5)
  head    = conv2d(5, 1) | resize_as(image)
  metrics = [accuracy, miou]
}
""",
    ),
    Code(
        "MTL952",
        "a weight of zero",
        "The task's loss counts for nothing: its head is never trained, though it is computed and reported.",
        "Give the task a weight, or leave the task out.",
        """\
task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
  weight = 0
}
""",
        """\
task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
  weight = 0.5
}
""",
    ),
    Code(
        "MTL953",
        "an augmentation without effect",
        "A `random_scale` whose only factor is 1 scales nothing, a mirroring with probability 0 never happens, "
        "and one with probability 1 happens to every sample alike.",
        "Leave the augmentation out, or give it something to choose from.",
        """\
data scenes {
  input   = image(3, 32, 32)
  augment = [random_scale(1.0)]
}
""",
        """\
data scenes {
  input   = image(3, 32, 32)
  augment = [random_scale(1.0, 1.2)]
}
""",
    ),
)
