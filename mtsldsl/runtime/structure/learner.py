"""The interface of every way to learn sharing: what a run asks a learner, and what a learner may answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
from torch import Tensor, nn

from mtsldsl.ir import Decision, Spec
from mtsldsl.runtime.learning.evaluation import Evaluation
from mtsldsl.runtime.learning.step import Penalty, Position
from mtsldsl.runtime.network.built import build_model, initialise
from mtsldsl.runtime.network.channels import Reordering
from mtsldsl.runtime.network.optimizer_state import ParameterState
from mtsldsl.runtime.network.transfer import Members, carry_state
from mtsldsl.sharing import Sharing
from mtsldsl.sharing.component import owner

if TYPE_CHECKING:
    from mtsldsl.runtime.structure.view import View


@attrs.frozen
class Proposal:
    """What a learner wants: a sharing, and the lines of `history` that say how it came. `evidence` is plain data for
    the record of the phase, of which the method's `words` may speak. Without decisions nothing changes."""

    sharing: Sharing
    decisions: tuple[Decision, ...]
    evidence: Mapping[str, Any] = attrs.field(factory=dict)
    order: Reordering = attrs.field(factory=dict, eq=False)
    """The order that channels of the network get before anything is carried over; its outputs stay what they are."""
    made: Members | None = None
    """For the copies of the sharing those that they come from, where their tasks do not say that: then the network
    changes without decisions too."""
    told: bool = True
    """Whether the record has a phase of it where nothing changes; not of one in which the learner only looks."""


@attrs.frozen(eq=False)
class Carry:
    """A network on its way to another one: `new_model` holds what `old_model` had, and each copy of `made` the mean of
    the copies that it comes from. `beginning` are the weights of the old network when the run began, by name, where
    these were others than the seed gives."""

    old_spec: Spec
    new_spec: Spec
    old_model: nn.Module
    new_model: nn.Module
    made: Members
    decisions: Sequence[Decision]
    beginning: Mapping[str, Tensor] | None = None

    def begin_anew(self) -> None:
        """Give the new network the weights that the run began with: those of its seed, or each copy the mean of what
        the copies of its tasks began with. What is frozen stays as it is."""
        spec = self.new_spec
        if self.beginning is None:
            initialise(self.new_model, spec, spec.train.seed, but=spec.frozen)
            return
        state = self.new_model.state_dict()
        frozen = {name: value.clone() for name, value in state.items() if owner(name) in spec.frozen}
        first = build_model(self.old_spec)
        first.load_state_dict(dict(self.beginning))
        carry_state(self.old_spec, spec, first, self.new_model)
        self.new_model.load_state_dict(frozen, strict=False)


@attrs.frozen(eq=False)
class Prepared:
    """What was done to new copies: the optimizer's state of their parameters by name, where they have one already, and
    plain data for the record of the phase."""

    optimizer_state: Mapping[str, ParameterState] = attrs.field(factory=dict)
    evidence: Mapping[str, Any] = attrs.field(factory=dict)
    anew: bool = False
    """Whether the whole network has new weights: then the optimizer has no state of any."""


class Learner(Penalty):
    """How a run learns which tasks share what. This one learns nothing: `structure none`.

    Made once, it lives through all phases. Its parameters, if any, are trained with the network's; its tensors and
    `facts` are what a checkpoint keeps of it. It never touches files, the optimizer, the display or the network of the
    run.
    """

    exact: ClassVar[bool] = False
    """Whether what it decides is what the network computes already, in evaluation: then nothing is estimated anew or
    measured twice."""
    earlier_best: ClassVar[bool] = False
    """Whether the best epoch may be one before what it decides: each epoch has a sharing of its own, `present`."""

    @property
    def begins_anew(self) -> bool:
        """Whether the network that it chooses begins with what the run began with, which is kept for that."""
        return False

    def begins_with(self, spec: Spec, model: nn.Module) -> None:
        """The network of the run begins with other weights than its seed gives."""

    @property
    def teach(self) -> float:
        """How much the network as it is before the first phase that changes what tasks share teaches from then on, to
        the end: its answers count so many times beside the labels. 0: it does not."""
        return 0.0

    def due(self, position: Position) -> bool:
        """Whether it decides now, at the end of an epoch."""
        return False

    def decide(self, view: View) -> Proposal:
        """What should share what from now on; reads only."""
        return Proposal(view.spec.sharing, ())

    def prepare(self, carry: Carry, view: View) -> Prepared:
        """Bring the new copies, which hold the mean of their members, to where training can go on."""
        return Prepared()

    def accept(self, before: Evaluation, after: Evaluation) -> bool:
        """Whether the evolved network is taken, by what both reach on validation."""
        return True

    def adopted(self, spec: Spec) -> None:
        """The network is this one now."""
