"""Samples of MNIST and Fashion-MNIST, and of pairs of their images: the official test set is the test set, and a seeded
part of the images for training is for validation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtsldsl.datasets.kind import made
from mtsldsl.datasets.mnist_like import CANVAS, CLASSES, SHIFT, SIDE, PairSettings, Settings
from mtsldsl.datasets.registry import data_kind
from mtsldsl.diagnostics import MtlError
from mtsldsl.division import divided, trained_on
from mtsldsl.ir.task_record import Task
from mtsldsl.runtime.data.demand import Demand
from mtsldsl.runtime.data.fields_read import field_of_task
from mtsldsl.runtime.data.gray_images import area_averaged, gray_samples, gray_size, misfits
from mtsldsl.runtime.data.mnist_files import Items, mnist_items
from mtsldsl.runtime.data.samples import Samples, Splits


def turned_images(spec: Demand, place: Path) -> dict[str, Splits[Samples]]:
    """The samples of each task, by its name: the same images and classes, the classes under the name of its field.

    Raises MtlError: MTL602 for files that are not the data set's, MTL603 for a task that asks for anything but classes.
    """
    size, chosen = gray_size(spec), made(Settings, spec.data.options)
    require_ten_classes(spec)
    items = items_of(spec, place, chosen.validation, chosen.seed, chosen.train_samples)
    turned = {split: Items(_turned(each.images, chosen.rotate, size), each.classes) for split, each in items.items()}
    return {task.name: _splits(spec, task, turned) for task in spec.tasks}


def require_ten_classes(spec: Demand) -> None:
    """Raises MTL603 where a task asks for anything but the ten classes of an image, or the image itself."""
    faults = [fault for task in spec.tasks for fault in misfits(task, f"`{spec.data.kind}`", CLASSES)]
    if faults:
        raise MtlError(faults)


def items_of(
    spec: Demand, place: Path, validation: float, seed: int, train_samples: int | None = None
) -> dict[str, Items]:
    """The items of each split (`train`, `validation`, `test`), in the order of the files."""
    train, test = mnist_items(place, data_kind(spec.data.kind).remedy)
    rest, held = divided(len(train.images), validation, seed)
    used = rest[trained_on(len(rest), train_samples, seed, f"`{place}`")]
    return {"train": train.take(used), "validation": train.take(held), "test": test}


def _turned(images: NDArray[np.uint8], degrees: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    return area_averaged(np.ascontiguousarray(np.rot90(images, degrees // 90, axes=(1, 2))), size)


def _splits(spec: Demand, task: Task, items: dict[str, Items]) -> Splits[Samples]:
    labelled = task.target.kind != "reconstruct"
    parts = {
        split: gray_samples(
            spec.data.input, each.images, {field_of_task(spec.data, task): each.classes} if labelled else {}
        )
        for split, each in items.items()
    }
    return Splits(parts["train"], parts["validation"], parts["test"])


def paired_images(spec: Demand, place: Path) -> Splits[Samples]:
    """Samples of two images each, with the classes of both, `left` and `right`.

    Both are images of the same split, drawn by the seed, so that no image is in two splits. Raises as `turned_images`
    does.
    """
    size, chosen = gray_size(spec), made(PairSettings, spec.data.options)
    require_ten_classes(spec)
    items = items_of(spec, place, chosen.validation, chosen.seed)
    read = {field_of_task(spec.data, task) for task in spec.tasks}
    parts = []
    for number, (each, count) in enumerate(zip(items.values(), chosen.pairs(), strict=True)):
        random = np.random.default_rng((chosen.seed, number))
        images, left, right = _pairs(each, count, random)
        labels = {name: classes for name, classes in (("left", left), ("right", right)) if name in read}
        parts.append(gray_samples(spec.data.input, area_averaged(images, size), labels))
    train, kept, test = parts
    return Splits(train, kept, test)


def _pairs(
    items: Items, count: int, random: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.integer], NDArray[np.integer]]:
    """Pictures with an image at the top left and one at the bottom right, each moved towards the other by up to `SHIFT`
    pixels down and across, the larger value of both where they overlap; and the classes of the two."""
    # a pair a row, so that the first ones are the same however many there are
    drawn = random.integers(0, [*[len(items.images)] * 2, *[SHIFT + 1] * 4], size=(count, 6))
    first, second = drawn[:, 0], drawn[:, 1]
    images = np.zeros((count, CANVAS, CANVAS), dtype=np.uint8)
    for chosen, corner in ((first, drawn[:, 2:4]), (second, CANVAS - SIDE - drawn[:, 4:6])):
        for row, column in np.unique(corner, axis=0):
            rows = np.flatnonzero((corner == (row, column)).all(axis=1))
            window = (rows, slice(row, row + SIDE), slice(column, column + SIDE))
            images[window] = np.maximum(images[window], items.images[chosen[rows]])
    return images, items.classes[first], items.classes[second]
