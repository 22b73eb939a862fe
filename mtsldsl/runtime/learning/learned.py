"""What a run trains: the parameters of the network, of the balance and of the learner, and their optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from torch import nn
from torch.optim import Optimizer

from mtsldsl.ir import Spec
from mtsldsl.runtime.learning.balance import Balance, make_balance
from mtsldsl.runtime.learning.step import Penalty
from mtsldsl.sharing.component import LEARNER, owner

NamedParameters: TypeAlias = Iterable[tuple[str, nn.Parameter]]
OptimizerFactory: TypeAlias = Callable[[NamedParameters], Optimizer]


def named_parameters(model: nn.Module, balance: Balance, learner: Penalty) -> list[tuple[str, nn.Parameter]]:
    """Everything that is learned, by name: the network's parameters, then those of the balance and of the learner."""
    return [
        *model.named_parameters(),
        *((f"balance.{name}", value) for name, value in balance.named_parameters()),
        *((f"{LEARNER}.{name}", value) for name, value in learner.named_parameters()),
    ]


def balance_of(spec: Spec) -> Balance:
    """The balance of all that a spec trains."""
    weights = {task.name: task.weight for task in spec.trained}
    balance = make_balance(spec.train.balance, tuple(weights), weights)
    balance.may_overflow = spec.train.precision == "fp16"
    return balance


def at_rates(parameters: NamedParameters, lr: float, factors: Mapping[str, float]) -> list[dict[str, Any]]:
    """The groups of parameters of an optimizer: those at the rate `lr`, then for each factor, of the layers, or the
    heads of tasks, that have it, those at the rate `factor * lr`. A group may be empty, so that there are as many
    whatever tasks share."""
    groups: dict[float, list[tuple[str, nn.Parameter]]] = {1.0: [], **{factor: [] for factor in factors.values()}}
    for name, each in parameters:
        groups[factors.get(owner(name), 1.0)].append((name, each))
    # torch takes names of all groups or of none, and finds none in an empty one.
    return [
        {"params": named, "lr": factor * lr, **({} if named else {"param_names": []})}
        for factor, named in groups.items()
    ]


def optimizer_of(make_optimizer: OptimizerFactory, model: nn.Module, balance: Balance, learner: Penalty) -> Optimizer:
    """The optimizer of everything that is learned; a learner with options of its own has a group of its own."""
    named, options = named_parameters(model, balance, learner), learner.options()
    if not options:
        return make_optimizer(named)
    own = {id(parameter) for parameter in learner.parameters()}
    optimizer = make_optimizer([(name, each) for name, each in named if id(each) not in own])
    known = {name: value for name, value in options.items() if name in optimizer.defaults}
    optimizer.add_param_group({"params": [(name, each) for name, each in named if id(each) in own], **known})
    return optimizer
