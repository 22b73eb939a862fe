"""NYUv2 (Silberman et al., 2012): 1449 indoor images with labels and depth; normals and edges are derived from these.

The official test set is the test set. The validation set is a seeded part of the training images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtsldsl.datasets.kind import UNLABELLED, made
from mtsldsl.datasets.nyuv2.labeled_mat import MAPPING, SPLITS, open_labeled_mat
from mtsldsl.datasets.nyuv2.language import FILE, KIND, Settings
from mtsldsl.datasets.nyuv2.recordings import (
    CAMERA,
    CROP,
    CROPPED_SIZE,
    Recording,
    files_below,
    open_files,
    recording_of,
)
from mtsldsl.diagnostics import MtlError
from mtsldsl.division import divided, trained_on
from mtsldsl.ir.task_record import Task
from mtsldsl.runtime.data.boundaries import boundaries
from mtsldsl.runtime.data.demand import Demand
from mtsldsl.runtime.data.dense import image_size, samples_of, wanted_fields
from mtsldsl.runtime.data.fields_read import readers, target_of
from mtsldsl.runtime.data.geometry import normals_from_depth
from mtsldsl.runtime.data.kept_splits import kept_splits
from mtsldsl.runtime.data.pictures import nearest, resized_image
from mtsldsl.runtime.data.samples import Samples, Splits

_COARSEST_FOCAL_LENGTH = 100.0


def load(spec: Demand, place: Path, cache: bool) -> Splits[Samples]:
    """The data set at `place`, decoded, or with `cache` as it was kept. Raises MtlError as `nyuv2` does."""
    fields, size, chosen = wanted_fields(spec), image_size(spec), made(Settings, spec.data.options)
    channels = {"image": 3} | {name: target.channels for name, target in fields.items()}
    source = source_of(place)

    def decoded() -> dict[str, dict[str, Tensor]]:
        return nyuv2(source, size, channels, tasks=readers(spec), **sizes)

    sizes: dict[str, Any] = {"validation": chosen.validation, "seed": chosen.seed}
    if chosen.train_samples is not None:
        sizes["train_samples"] = chosen.train_samples
    facts = ("nyuv2", size, channels, *sizes.values())
    loaded = kept_splits(facts, decoded, lambda: files_of(source)) if cache else decoded()
    return samples_of(spec, fields, loaded)


def nyuv2(
    place: Path,
    size: tuple[int, int],
    fields: Mapping[str, int],
    *,
    validation: float = 0.1,
    seed: int = 0,
    train_samples: int | None = None,
    tasks: Mapping[str, Task] = {},
) -> dict[str, dict[str, Tensor]]:
    """Split (`train`, `validation`, `test`) to field to tensor, resized to `size` (height, width).

    `fields` are those to load, of image, label, depth, normal and edge, with the number of channels or classes wanted:
    image uint8 `(n, 3, h, w)`, label uint8 `(n, h, w)`, 255 for none, depth float16 `(n, 1, h, w)` metres, normal
    float16 `(n, 3, h, w)`, edge bool `(n, 1, h, w)`: where the finest labels there are change. Images are interpolated
    (averaged where they shrink), all else takes the nearest pixel. Raises MTL602 for a layout that is not known, MTL603
    for classes it does not have. What is wrong with a field is said with the first of `tasks` that reads it.
    """
    with open_recording(place) as recording:
        if "label" in fields and fields["label"] not in recording.classes:
            known = " or ".join(map(str, recording.classes))
            cause = f"`{place}` has {known} classes, not {fields['label']}"
            raise MtlError.of("MTL603", cause, f"write target = classes({recording.classes[0]}, ignore={UNLABELLED})")
        rest, kept = (_those(recording.train, numbers) for numbers in divided(len(recording.train), validation, seed))
        train = _those(rest, trained_on(len(rest), train_samples, seed, f"`{place}`"))
        splits = {"train": train, "validation": kept, "test": recording.test}
        return {name: _load(recording, keys, size, fields, tasks) for name, keys in splits.items()}


@contextmanager
def open_recording(place: Path) -> Iterator[Recording]:
    """The copy of the data set at `place` or in it: `train` and `val`, a zip archive or the official file."""
    source = source_of(place)
    if source.suffix == ".mat":
        with open_labeled_mat(source) as recording:
            yield recording
    else:
        with open_files(source) as files:
            yield recording_of(files)


def source_of(place: Path) -> Path:
    """The folder of `train` and `val`, the archive or the official file that `place` is or holds. Raises MTL602."""
    if place.suffix == ".mat" or place.is_file() or (place / "train").is_dir():
        return place
    if (place / FILE).is_file():
        return place / FILE
    archives = sorted(place.glob("*.zip"))
    if len(archives) != 1:
        found = f"{len(archives)} zip archives" if archives else "nothing of the data set"
        cause = f"`{place}` holds {found}: it should hold `train` and `val`, {FILE} or one zip archive"
        raise MtlError.of("MTL602", cause, "name the archive itself in `root`" if archives else KIND.remedy)
    return archives[0]


def files_of(source: Path) -> dict[str, Path]:
    """All files that the samples of a source may come from, by their names in it."""
    if source.suffix == ".mat":
        return {path.name: path for path in (source, source.with_name(SPLITS), source.with_name(MAPPING))}
    return files_below(source) if source.is_dir() else {source.name: source}


def _those(keys: tuple[str, ...], numbers: NDArray[np.int64]) -> tuple[str, ...]:
    return tuple(keys[number] for number in numbers)


def _load(
    recording: Recording,
    keys: tuple[str, ...],
    size: tuple[int, int],
    fields: Mapping[str, int],
    tasks: Mapping[str, Task],
) -> dict[str, Tensor]:
    count = len(keys)
    shapes = {
        "image": ((count, 3, *size), torch.uint8),
        "label": ((count, *size), torch.uint8),
        "depth": ((count, 1, *size), torch.float16),
        "normal": ((count, 3, *size), torch.float16),
        "edge": ((count, 1, *size), torch.bool),
    }
    loaded = {name: torch.empty(shapes[name][0], dtype=shapes[name][1]) for name in fields}
    for index, key in enumerate(keys):
        for name, tensor in loaded.items():
            with target_of(tasks.get(name)):
                tensor[index] = _field(recording, key, name, size, fields[name])
    return loaded


def _field(recording: Recording, key: str, name: str, size: tuple[int, int], channels: int) -> Tensor:
    if name == "image":
        return resized_image(torch.from_numpy(recording.read(key, name, channels).transpose(2, 0, 1).copy()), size)
    if name == "edge":
        regions = nearest(torch.from_numpy(recording.read(key, "regions", channels).astype(np.int32)), size)
        return torch.from_numpy(boundaries(regions.numpy()))[None]
    if name == "normal" and recording.has_normals:
        return nearest(torch.from_numpy(recording.read(key, name, channels).transpose(2, 0, 1).copy()), size)
    if name == "normal":
        return derived_normals(torch.from_numpy(recording.read(key, "depth", channels)), size, recording.depth_step)
    values = nearest(torch.from_numpy(recording.read(key, name, channels).copy()), size)
    return values[None] if name == "depth" else values


def derived_normals(depth: Tensor, size: tuple[int, int], depth_step: float = 0.0) -> Tensor:
    """Normals `(3, *size)` of a depth image `(h, w)` in metres that shows what `CROP` does.

    They are fitted at the resolution of the depth, or at a whole fraction of it that is still at least `size`.
    """
    height, width = depth.shape
    camera = CAMERA.cropped(CROP[0].start, CROP[1].start)
    camera = camera.resized(height / CROPPED_SIZE[0], width / CROPPED_SIZE[1])
    step = min(height // size[0], width // size[1], int(camera.fx / _COARSEST_FOCAL_LENGTH))
    if step > 1:
        smaller = (height // step, width // step)
        depth = nearest(depth, smaller)
        camera = camera.resized(smaller[0] / height, smaller[1] / width)
    return nearest(normals_from_depth(depth, camera, quantum=depth_step), size)
