"""What the samples of an array should look like, and what to do about those that look otherwise."""

from __future__ import annotations

from math import prod
from typing import Any, TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from mtsldsl.diagnostics import MtlError, Span
from mtsldsl.ir.task_record import Target
from mtsldsl.runtime.data.fields import FieldKind

Array: TypeAlias = NDArray[Any]
Shape: TypeAlias = tuple[int, ...]


@attrs.frozen
class Expected:
    """What the arrays of a field should hold: their kind, the shape of one sample, the target (none for the input), and
    whether it is something for each token, where channels come last; in memory they come first."""

    kind: FieldKind
    shape: Shape
    target: Target | None = None
    by_token: bool = False
    ids: int | None = None
    """Of an input of ids, how many there may be."""
    ids_from: Span | None = attrs.field(default=None, eq=False)
    """The place in the spec that says how many."""
    alone: bool = False
    """Whether what a person has in hand is one sample, and no array of several: then no axis is that of the samples."""

    @property
    def first(self) -> int:
        """The first axis of a sample."""
        return 0 if self.alone else 1

    @property
    def every(self) -> str:
        """What takes all samples where an array is indexed."""
        return "" if self.alone else ":, "

    def reshape(self, shape: Shape) -> str:
        """What gives the samples this shape."""
        return f"array.reshape({', '.join(map(str, shape if self.alone else (-1, *shape)))})"


def shaped(name: str, array: Array, expected: Expected, *, alone: bool = False) -> Array:
    """The array with the samples' own shape; channels may be left out where they are 1, and be 1 for labels. With
    `alone` it is the only sample that a person has in hand.

    Raises MTL602 for one of another shape, or that holds no numbers.
    """
    if array.dtype.kind not in "biuf":
        raise MtlError.of("MTL602", f"{name} holds {array.dtype}, not numbers", _as_numbers(array, expected))
    shape, found = expected.shape, array.shape[1:]
    labels = expected.kind is FieldKind.LABEL
    left_out, single = (shape[:-1], (*shape, 1)) if expected.by_token else (shape[1:], (1, *shape))
    if (found == left_out and prod(shape) == prod(left_out)) or (labels and found == single):
        array = array.reshape(len(array), *shape)
    if array.shape[1:] != shape:
        cause = f"a sample of {name} is {_sizes(found)}, but the spec's is {_sizes(shape)}"
        raise MtlError.of("MTL602", cause, _reshaping(found, attrs.evolve(expected, alone=alone)))
    return np.moveaxis(array, -1, 1) if expected.by_token and not labels else array


def as_one_array(expected: Expected) -> str:
    """What to do about samples that are objects: they differ in size, or are no numbers."""
    if (padded := of_one_length(expected)) is not None:
        return f"{padded}, and save `numpy.stack(samples)`"
    if len(expected.shape) > 1:
        return (
            "resize or pad its samples to one size, take nan for one that is missing, and save `numpy.stack(samples)`"
        )
    if expected.kind is FieldKind.LABEL:
        return "give each name a number, as `numpy.unique` does, and take nan for what is missing"
    missing = "" if expected.target is None else ", with nan for what is missing"
    return f"save numbers{missing}, and samples that are padded or cut to one length"


def of_one_length(expected: Expected) -> str | None:
    """What to do about sequences of several lengths, or of another one; None where a sample is no sequence."""
    given = expected.target is None
    if not (expected.ids is not None or expected.by_token or (given and len(expected.shape) == 2)):
        return None
    what, filled = "sequences" if given else "array", ""
    if expected.ids is not None:
        filled = ", with an id of its own where they are padded"
    elif not given:
        filled = ", with what stands for a missing label where it is padded"
    return f"pad or cut the {what} to a length of {expected.shape[0]}{filled}"


def _as_numbers(array: Array, expected: Expected) -> str:
    if array.dtype.kind in "SU":
        return "give each name a number: `names, numbers = numpy.unique(array, return_inverse=True)`"
    if array.dtype.kind in "mM":
        return "save a time as a number, such as the seconds since the first one"
    return "save its real numbers" if array.dtype.kind == "c" else as_one_array(expected)


def _sizes(shape: Shape) -> str:
    return " x ".join(map(str, shape)) if shape else "a single number"


def _reshaping(found: Shape, expected: Expected) -> str:
    """What people do about samples of a shape who want another."""
    target = expected.target
    return (
        _of_one_hot(found, expected)
        or _moved(found, expected)
        or _without_ones(found, expected)
        or _gray(found, expected)
        or (_of_other_answers(found, expected) if target is not None else None)
        or _flattened(found, expected)
        or _of_another_size(found, expected)
        or ("write the shape of a sample into `input`" if target is None else "change the head, or the array")
    )


def _of_one_hot(found: Shape, expected: Expected) -> str | None:
    """Labels that have a dimension with a place for each class, or for no and yes."""
    shape, target = expected.shape, expected.target
    if target is not None and expected.kind is FieldKind.LABEL:
        space, classes, what = shape, target.channels, "class numbers"
    elif target is not None and expected.kind is FieldKind.EDGE and target.channels == 1:
        space, classes, what = (shape[:-1] if expected.by_token else shape[1:]), 2, "the answers"
    else:
        return None
    if found not in ((classes, *space), (*space, classes)):
        return None
    first = found == (classes, *space) and not (expected.by_token and found == (*space, classes))
    axis = expected.first if first else -1
    return f"save {what} in place of one-hot labels: `array.argmax(axis={axis})`"


def _without_ones(found: Shape, expected: Expected) -> str | None:
    """Dimensions of size 1 too many, or too few."""
    shape = expected.shape
    if [size for size in found if size != 1] != [size for size in shape if size != 1]:
        return None
    if expected.kind is FieldKind.LABEL and found == (*shape, 1):
        return "leave the last dimension out: `array[..., 0]`"
    if len(found) > len(shape) and 1 not in shape:
        axes = tuple(axis for axis, size in enumerate(found, expected.first) if size == 1)
        written = axes[0] if len(axes) == 1 else axes
        return f"leave out what has size 1: `array.squeeze(axis={written})`"
    return f"save `{expected.reshape(shape)}`, which has dimensions of size 1 where they belong"


def _moved(found: Shape, expected: Expected) -> str | None:
    """Channels at the other end."""
    shape, first = expected.shape, expected.first
    if len(shape) == 3 and found == (*shape[1:], shape[0]):
        return f"put the channels first: `numpy.moveaxis(array, -1, {first})`"
    if len(shape) == 2 and found == shape[::-1]:
        sizes = ", ".join(map(str, found))
        other = f", or write `({sizes})` as the sizes of `input`" if expected.target is None else ""
        return f"put the channels last: `numpy.moveaxis(array, {first}, -1)`{other}"
    return None


def _gray(found: Shape, expected: Expected) -> str | None:
    """Gray pictures for an input of several channels."""
    shape = expected.shape
    if expected.target is not None or len(shape) != 3 or found not in (shape[1:], (1, *shape[1:])):
        return None
    gray = f"array[{expected.every}None]" if found == shape[1:] else "array"
    repeated = f"numpy.repeat({gray}, {shape[0]}, axis={expected.first})"
    return f"write an input of one channel, or save each channel: `{repeated}`"


def _of_other_answers(found: Shape, expected: Expected) -> str | None:
    """A target for a sample where the head answers for places of it, or the other way round."""
    shape, target = expected.shape, expected.target
    assert target is not None
    labels = expected.kind is FieldKind.LABEL
    answer = () if labels else (target.channels,)
    dense = len(shape) > len(answer)
    if dense and found in (answer, () if target.channels == 1 else answer):
        end = "mean_tokens" if expected.by_token else "adaptive_avg_pool2d(1) | flatten"
        return f"where a sample has one answer, end the head with `{end} | linear({target.channels})`"
    if not dense and len(found) == 2 + len(answer) and found[: len(answer)] == answer:
        size = " x ".join(map(str, found[len(answer) :]))
        return (
            f"where each of {size} pixels has an answer, end the head with `conv2d({target.channels}, 1) | resize(...)`"
        )
    if not dense and labels and len(found) == 1:
        return f"where each of {found[0]} tokens has an answer, end the head with `linear({target.channels})` on tokens"
    if not dense and not labels and len(found) == 1:
        few = f", or save some of its columns: `array[{expected.every}:{shape[0]}]`" if found[0] > shape[0] else ""
        return f"write `{target.kind}({found[0]})` with a head of {found[0]}{few}"
    return None


def _flattened(found: Shape, expected: Expected) -> str | None:
    """As many numbers, in other dimensions."""
    if prod(found) != prod(expected.shape) or len(found) == len(expected.shape):
        return None
    return f"save `{expected.reshape(expected.shape)}`"


def _of_another_size(found: Shape, expected: Expected) -> str | None:
    """The same dimensions, of other sizes."""
    shape, given = expected.shape, expected.target is None
    if len(found) != len(shape):
        return None
    if len(shape) == 1 and expected.kind is FieldKind.PLAIN and given:
        few = f", or save some of its columns: `array[{expected.every}:{shape[0]}]`" if found[0] > shape[0] else ""
        return f"write {found[0]} as the size of `input`{few}"
    padded = of_one_length(expected)
    if padded is not None and (expected.kind is FieldKind.LABEL or found[1:] == shape[1:]):
        return f"{padded}{f', or write {found[0]} as the length of `input`' if given else ''}"
    if len(shape) >= 2 and found[:-2] == shape[:-2]:
        size = _sizes(shape[-2:])
        if given:
            return f"resize or pad the images to {size}, or write their size into `input`"
        return f"resize the array to {size}, or end the head with `resize_as(image)`, `image` being the input's name"
    return None
