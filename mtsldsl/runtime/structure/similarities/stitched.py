"""What it costs a task to go on from another task's features: the loss of the stitched network.

On half of the samples each task's features of the layer are fitted by each other's, with a linear map of the channels
that is the same in all places (`readout`). On the other half task j's layer is taken to give what the map makes of task
i's, while all else of the network of j stays as it is, and

    S(i -> j) = L_j / L_j(stitched),    no more than 1,

which is exp(-d) of the rise d of the logarithm of j's loss. So the scale of a loss does not count, as with the balance
`relative`, whose sum of logarithms is what a merge is to leave low; 0.9 is a loss that rises by a ninth, and no rise,
however large, leads out of 0 to 1. The similarity is the mean of both ways; on the diagonal it is what the map itself
costs. A direction without a label on the second half is left out; without both, two tasks have a similarity of 0.

Lenc, Vedaldi: Understanding Image Representations by Measuring Their Equivariance and Equivalence, CVPR 2015, arXiv
1411.5908; Bansal, Nakkiran, Barak: Revisiting Model Stitching to Compare Neural Representations, NeurIPS 2021, arXiv
2106.07682. There the map is trained by the loss itself; here it is the ridge regression, in closed form.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtsldsl.ir.wiring import Value
from mtsldsl.methods.similarities import Stitched
from mtsldsl.runtime.network.execution import evaluating
from mtsldsl.runtime.network.places import located
from mtsldsl.runtime.structure.similarities import Place
from mtsldsl.runtime.structure.similarities.beyond import Beyond, Seen, seen
from mtsldsl.runtime.structure.similarities.compared_features import in_double_precision
from mtsldsl.runtime.structure.similarities.readout import Map, Rows, maps, rows_of
from mtsldsl.runtime.structure.view import View


def matrices(view: View, chosen: Stitched, places: Sequence[Place]) -> list[Tensor]:
    """Of the copies' tasks, whose losses are added where a copy has several, each with its weight."""
    through = _through(view, chosen, places)
    stitched = [torch.zeros(len(place), len(place), dtype=torch.float64) for place in places]
    own = [torch.zeros(len(place), dtype=torch.float64) for place in places]
    known = [torch.zeros(len(place), dtype=torch.bool) for place in places]
    with located(view.model, view.spec), evaluating(view.model):
        for turn in seen(view, (value for place in places for value in place), chosen.samples, second_half=True):
            for part in turn:
                outputs = {way.value: way.module(*way.read(part)) for way in part.ways}
                for way in part.ways:
                    loss = _loss(way, outputs[way.value], part)
                    at = next(number for number, place in enumerate(places) if way.value in place)
                    j = places[at].index(way.value)
                    if loss is None:
                        continue
                    known[at][j] = True
                    own[at][j] += loss
                    for i, source in enumerate(places[at]):
                        other = _loss(way, _mapped(through[at][i][j], outputs[source]), part)
                        assert other is not None  # there was a label
                        stitched[at][i, j] += other
    return [_both_ways(*each) for each in zip(stitched, own, known, strict=True)]


def _through(view: View, chosen: Stitched, places: Sequence[Place]) -> list[list[list[Map]]]:
    """For each place the maps between the features of its copies. Those of a place read samples of one source."""
    rows: dict[Value, Rows] = {}
    for stream in view.spec.streams:
        own = [value for place in places for value in place if value.tasks.issubset(stream.tasks)]
        rows |= rows_of(view, own, chosen.samples)
    return [maps(in_double_precision([rows[value].all[: rows[value].fitted] for value in place])) for place in places]


def _loss(way: Beyond, output: Tensor, part: Seen) -> float | None:
    loss = way.loss(output, part)
    if loss is None:
        return None
    way.require_finite([loss], "the loss of a stitched network")
    return float(loss)


def _mapped(through: Map, activation: Tensor) -> Tensor:
    """An activation with the map in all its places."""
    if activation.ndim == 4:
        return through(activation.movedim(1, -1)).movedim(-1, 1).contiguous()
    return through(activation)


def _both_ways(stitched: Tensor, own: Tensor, known: Tensor) -> Tensor:
    """The mean of the directions that are known, of sums of losses (from, to) and (to)."""
    ratio = torch.where(stitched > own, own / stitched, 1.0) * known
    count = known.to(ratio) + known.to(ratio)[:, None]
    return (ratio + ratio.T) / count.clamp_min(1)
