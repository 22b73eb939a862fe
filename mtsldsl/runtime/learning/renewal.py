"""Another optimizer and schedule of a training, which go on where those before have stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from mtsldsl.runtime.learning.learned import named_parameters, optimizer_of
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.optimizer_state import ParameterState, carry_optimizer_state, set_parameter_state


def learned_by(training: Training) -> list[tuple[str, nn.Parameter]]:
    """All that is learned, by name."""
    return named_parameters(training.model, training.balance, training.learner)


def renew_optimizer(
    training: Training,
    old_parameters: Sequence[tuple[str, nn.Parameter]] | None = None,
    merged: Mapping[str, Sequence[str]] = {},
    trained: Mapping[str, ParameterState] = {},
) -> None:
    """Make the optimizer and the schedule of what is learned now. A parameter has the state of that of its name among
    the old ones, by default those that are still there, as far as the optimizer had them; or the mean of those that it
    is `merged` from; or, of those that were `trained` apart, the state that they have by then."""
    parameters = learned_by(training)
    optimizer = optimizer_of(training.make_optimizer, training.model, training.balance, training.learner)
    scheduler = training.make_scheduler(optimizer)
    if scheduler is not None and training.scheduler is not None:
        scheduler.load_state_dict(training.scheduler.state_dict())
    known = {id(each) for group in training.optimizer.param_groups for each in group["params"]}
    old = [(name, each) for name, each in old_parameters or parameters if id(each) in known]
    carry_optimizer_state(training.optimizer, old, optimizer, parameters, merged)
    set_parameter_state(optimizer, parameters, trained)
    training.optimizer, training.scheduler = optimizer, scheduler
