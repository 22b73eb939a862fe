"""Splits a copy of a layer where the gradients of the tasks that share it conflict for long: MTSL the other way round.

After Lu et al., Fully-adaptive Feature Sharing in Multi-Task Networks, CVPR 2017, arXiv 1611.05377, whose network grows
branches from its heads towards its input; they part tasks by which samples are hard for both, this by gradients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from mtsldsl.ir import Decision, Spec
from mtsldsl.ir.wiring import reading_tasks
from mtsldsl.language.constants import Constant
from mtsldsl.methods.split.cutting import Cosines, Cuts, decide_cuts
from mtsldsl.methods.split.language import Disagreement, Settings
from mtsldsl.runtime.learning.probe import Probe
from mtsldsl.runtime.learning.step import Position
from mtsldsl.runtime.structure.learner import Learner, Proposal
from mtsldsl.runtime.structure.view import View
from mtsldsl.sharing import Component, Partition, Sharing
from mtsldsl.sharing.partition import in_order

__all__ = ["Settings", "Split"]


class Split(Learner):
    """Keeps the cosines of the last `patience` epochs, and splits at the end of the epochs `settings.phases`.

    Both copies get weights, statistics and the optimizer's state of the one that they come from, so that the outputs
    stay what they are. `sums` and `counts` (patience, layers, tasks, tasks) are of the cosines of an epoch, which takes
    the place of its number modulo `patience`; `epochs` (patience,) says which has it, -1 for none.
    """

    exact = True
    sums: Tensor
    counts: Tensor
    epochs: Tensor

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self._tasks: tuple[str, ...] = ()
        self._layers: tuple[str, ...] = ()

    def begin(self, spec: Spec) -> None:
        """Nothing is measured yet."""
        self._tasks, self._layers = spec.sharing.tasks, spec.backbone.layers
        size = self.settings.patience, len(self._layers), len(self._tasks), len(self._tasks)
        self.register_buffer("sums", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("counts", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("epochs", torch.full(size[:1], -1))

    def observing(self, position: Position) -> bool:
        """At every so many steps of the run, beginning with the first."""
        return position.step % self.settings.every == 0

    def observe(self, probe: Probe) -> None:
        """Take the cosines of a step, copy by copy."""
        slot = probe.position.epoch % self.settings.patience
        if self.epochs[slot] != probe.position.epoch:
            self.epochs[slot] = probe.position.epoch
            self.sums[slot] = 0
            self.counts[slot] = 0
        for copy, cosines in probe.cosines().items():
            places = torch.tensor([self._tasks.index(task) for task in cosines.tasks], device=self.sums.device)
            at = slot, self._layers.index(copy.layer), places[:, None], places
            known = cosines.values.isfinite()
            self.sums[at] += cosines.values.where(known, 0)
            self.counts[at] += known

    def due(self, position: Position) -> bool:
        """At the end of the epochs of its phases."""
        return position.epoch in self.settings.phases

    def decide(self, view: View) -> Proposal:
        """Split what conflicted in each of the last epochs, from the heads to the input."""
        spec, cosines = view.spec, self.cosines(view.position.epoch)
        costs = spec.cost()
        weightless = [name for name, cost in costs.layers.items() if not cost.one.parameters or name in spec.frozen]
        cuts = decide_cuts(
            spec.sharing,
            cosines,
            self.settings.threshold,
            weightless=weightless,
            read_by=reading_tasks(spec),
            affordable=lambda sharing: self._affordable(spec, sharing),
        )
        shared = [(layer, tasks) for layer, tasks in _shared(spec) if layer not in weightless]
        for layer, tasks in shared:
            self._tell(view, layer, tasks, cosines[layer], cuts)
        decisions = []
        for cut in cuts.made:
            fields: dict[str, Constant] = {
                "layer": cut.layer,
                "tasks": in_order(cut.tasks, self._tasks),
                "cosine": round(cut.cosine, 4),
            }
            decisions.append(Decision("split", view.decided, fields))
        return Proposal(cuts.sharing, tuple(decisions), {"places": len(shared)})

    def cosines(self, epoch: int) -> dict[str, Cosines]:
        """Of every layer the mean cosines (patience, tasks, tasks) in each of the epochs up to that one; NaN: none."""
        wanted = range(epoch - self.settings.patience, epoch)
        slots = [each % self.settings.patience for each in wanted]
        there = [[float(self.epochs[slot] == each)] for slot, each in zip(slots, wanted, strict=True)]
        means = (self.sums / self.counts)[slots].cpu()
        means[torch.tensor(there).squeeze(1) == 0] = math.nan
        return {layer: means[:, place].numpy() for place, layer in enumerate(self._layers)}

    def _affordable(self, spec: Spec, sharing: Sharing) -> bool:
        if self.settings.budget is None:
            return True
        apart, after = (attrs.evolve(spec, sharing=each).cost() for each in (sharing.apart(), sharing))
        return after.parameters <= self.settings.budget * apart.parameters

    def _tell(self, view: View, layer: str, together: Component, cosines: Cosines, cuts: Cuts) -> None:
        tasks = in_order(together, self._tasks)
        places = [self._tasks.index(task) for task in tasks]
        means = torch.from_numpy(cosines).nanmean(0)[places][:, places].tolist()
        view.say(
            Disagreement.kind,
            layer=layer,
            tasks=tasks,
            cosines=[[None if math.isnan(value) else value for value in row] for row in means],
            threshold=self.settings.threshold,
            sets=[in_order(both, self._tasks) for each in cuts.sharing.partition(layer) if (both := each & together)],
            beyond_budget=layer in cuts.beyond,
        )


def _shared(spec: Spec) -> Sequence[tuple[str, Component]]:
    """The layers with the tasks that share a copy there and read it, of each copy that has several."""
    rows, read_by = spec.sharing.components, reading_tasks(spec)
    parts = [(layer, row) for layer, row in rows.items() if isinstance(row, Partition)]
    return [(layer, both) for layer, row in parts for each in row if len(both := each & read_by[layer]) > 1]
