"""Augmentations that move every field of a sample alike: image, labels, depth, normals and edges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mtsldsl.diagnostics import MtlError
from mtsldsl.language import schema
from mtsldsl.language.constants import Named
from mtsldsl.language.holding import hold
from mtsldsl.language.operators.arguments import number
from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.to_device import send

Batch = dict[str, Tensor]


def augment_batch(
    batch: Mapping[str, Tensor], layout: Mapping[str, FieldKind], steps: Sequence[Named], generator: torch.Generator
) -> Batch:
    """The batch after the augmentations `steps`, in their order, with random numbers of `generator` (on the host).

    Fields that have no height and width (labels `(n,)`, values `(n, c)`) stay as they are. Raises MTL202 for one that
    no spec may have, as a training script may that was edited.
    """
    augmented = dict(batch)
    for step in steps:
        _check(step)
        augmented = AUGMENTATIONS[step.name](augmented, layout, step, generator)
    return augmented


def hflip(
    batch: Mapping[str, Tensor], layout: Mapping[str, FieldKind], step: Named, generator: torch.Generator
) -> Batch:
    """Mirrors each sample left and right with probability `p`; a mirrored normal's x changes sign."""
    probability = number(step.arguments, "p")
    flips = torch.rand(_count(batch), generator=generator) < probability
    moved = dict(batch)
    for name, tensor in batch.items():
        if not _is_dense(tensor, layout[name]):
            continue
        chosen = send(flips, tensor.device).view(-1, *[1] * (tensor.dim() - 1))
        mirrored = tensor.flip(-1)
        if layout[name] is FieldKind.NORMAL:
            # subtracting from zero, not negating, keeps an invalid normal at +0
            mirrored = torch.cat([0.0 - mirrored[:, :1], mirrored[:, 1:]], dim=1)
        moved[name] = torch.where(chosen, mirrored, tensor)
    return moved


def random_scale(
    batch: Mapping[str, Tensor], layout: Mapping[str, FieldKind], step: Named, generator: torch.Generator
) -> Batch:
    """Enlarges each sample by one of `factors` (each at least 1) and crops it to its size at a random place.

    Images are interpolated bilinearly. All else takes the nearest pixel, so that classes, invalid depths and unlike
    normals never mix. Depth is divided by the factor: what looks `f` times as large is `f` times as near. Normals keep
    their direction, as is usual with this augmentation (Eigen and Fergus, 2015).
    """
    factors = torch.tensor(step.arguments["factors"], dtype=torch.float64)
    count = _count(batch)
    factor = factors[torch.randint(len(factors), (count,), generator=generator)]
    corner = torch.rand(count, 2, generator=generator, dtype=torch.float64) * (1 - 1 / factor)[:, None]
    if bool((factor == 1).all()):
        return dict(batch)
    moved = dict(batch)
    for name, tensor in batch.items():
        kind = layout[name]
        if not _is_dense(tensor, layout[name]):
            continue
        if kind is FieldKind.IMAGE:
            moved[name] = _enlarge_bilinear(tensor, factor, corner)
        else:
            moved[name] = _enlarge_nearest(tensor, factor, corner)
        if kind is FieldKind.DEPTH:
            moved[name] = moved[name] / send(factor.to(tensor.dtype), tensor.device).view(-1, 1, 1, 1)
    return moved


AUGMENTATIONS: dict[str, Callable[[Mapping[str, Tensor], Mapping[str, FieldKind], Named, torch.Generator], Batch]] = {
    "hflip": hflip,
    "random_scale": random_scale,
}
"""Every augmentation of the language: a batch, its layout, the arguments and the random numbers to the new batch."""


def _enlarge_nearest(tensor: Tensor, factor: Tensor, corner: Tensor) -> Tensor:
    rows = send(_source_pixels(tensor.shape[-2], factor, corner[:, 0]), tensor.device)
    columns = send(_source_pixels(tensor.shape[-1], factor, corner[:, 1]), tensor.device)
    samples = torch.arange(tensor.shape[0], device=tensor.device).view(-1, 1, 1)
    if tensor.dim() == 3:
        return tensor[samples, rows[:, :, None], columns[:, None, :]]
    return tensor[samples, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _source_pixels(size: int, factor: Tensor, corner: Tensor) -> Tensor:
    """The nearest source pixel of each target pixel, `(n, size)`; `corner` is the crop's start as part of `size`."""
    centres = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    return ((corner[:, None] + centres / factor[:, None]) * size).floor().long().clamp_(0, size - 1)


def _enlarge_bilinear(tensor: Tensor, factor: Tensor, corner: Tensor) -> Tensor:
    # grid_sample counts from -1 to 1 over the image, columns first
    theta = torch.zeros(len(factor), 2, 3, dtype=torch.float64)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / factor
    theta[:, :, 2] = 2 * corner.flip(1) + (1 / factor - 1)[:, None]
    grid = F.affine_grid(send(theta.to(tensor.dtype), tensor.device), list(tensor.shape), align_corners=False)
    return F.grid_sample(tensor, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _check(step: Named) -> None:
    try:
        hold(schema.AUGMENTATIONS, step, "augmentation")
    except ValueError as wrong:
        cause, _, remedy = str(wrong).partition(": ")
        raise MtlError.of("MTL202", cause, remedy or f"write it as in a spec: {step.name}(...)", step.span) from None


def _is_dense(tensor: Tensor, kind: FieldKind) -> bool:
    return tensor.dim() == 4 or (kind is FieldKind.LABEL and tensor.dim() == 3)


def _count(batch: Mapping[str, Tensor]) -> int:
    return next(iter(batch.values())).shape[0]
