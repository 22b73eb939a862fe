"""How alike what tasks ask of a layer's input is: the cosine of the gradients of their losses.

A task's gradient is taken with respect to what the layer reads, as far as it goes through the task's own copy of the
layer (of all that it reads, side by side); for the first layer that is the image. Of each sample the cosine of two
tasks' gradients is taken, and of these the mean: a sample without a label of one of the two, or with a gradient of
zero, has none, and tasks that have no sample in common have a similarity of 0. The gradient with respect to shared
features as what tasks ask of them: Sener, Koltun: Multi-Task Learning as Multi-Objective Optimization, NeurIPS 2018,
section 3.3, arXiv 1810.04650; its cosine as the similarity of tasks: Du, Czarnecki, Jayakumar, Farajtabar, Pascanu,
Lakshminarayanan: Adapting Auxiliary Losses Using Gradient Similarity, 2018, arXiv 1812.02224.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtsldsl.methods.similarities import Gradient
from mtsldsl.runtime.network.execution import evaluating
from mtsldsl.runtime.network.places import located
from mtsldsl.runtime.structure.similarities import Place
from mtsldsl.runtime.structure.similarities.beyond import Beyond, Seen, seen
from mtsldsl.runtime.structure.view import View


def matrices(view: View, chosen: Gradient, places: Sequence[Place]) -> list[Tensor]:
    """Of the copies' tasks, whose losses are added where a copy has several, each with its weight."""
    sums = [torch.zeros(len(place), len(place), dtype=torch.float64) for place in places]
    counts = [torch.zeros_like(each) for each in sums]
    with located(view.model, view.spec), evaluating(view.model):
        for turn in seen(view, (value for place in places for value in place), chosen.samples):
            for part in turn:
                found = {way.value: _directions(way, part) for way in part.ways}
                for place, total, count in zip(places, sums, counts, strict=True):
                    own = [(index, found[value]) for index, value in enumerate(place) if value in found]
                    for i, one in own:
                        for j, other in own:
                            total[i, j] += float((one * other).sum())
                            count[i, j] += float((one.any(1) & other.any(1)).sum())
    return [(total / count.clamp_min(1)).clamp(-1.0, 1.0) for total, count in zip(sums, counts, strict=True)]


def _directions(way: Beyond, part: Seen) -> Tensor:
    """The gradient of the loss with respect to what a copy reads, a row of length 1 for each sample (n, ...); zeros
    where it is zero."""
    reads = [each.detach().requires_grad_() for each in way.read(part)]
    with torch.enable_grad():
        loss = way.loss(way.module(*reads), part)
        found = [None] * len(reads) if loss is None else torch.autograd.grad(loss, reads, allow_unused=True)
    gradients = [torch.zeros_like(read) if each is None else each for read, each in zip(reads, found, strict=True)]
    way.require_finite(gradients, "the gradient of a loss")
    rows = torch.cat([each.flatten(1) for each in gradients], 1)
    rows = rows / rows.abs().amax(1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
    lengths: Tensor = rows.norm(dim=1, keepdim=True)
    return rows / lengths.clamp_min(torch.finfo(rows.dtype).tiny)
