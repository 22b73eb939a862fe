"""Optimizers, schedules of the learning rate and balances of the tasks: names, arguments, and what they are in torch.

Names and defaults of optimizers and schedulers are those of `torch.optim` and `torch.optim.lr_scheduler`. A balance is
a file of its name in `mtsldsl/runtime/learning/balance/`.
"""

from __future__ import annotations

import attrs

from mtsldsl.diagnostics.counted import counted
from mtsldsl.language.constants import Named
from mtsldsl.language.kinds import Call, CallRule, Choice, Flag, Integer, Key, Many, Maybe, Real
from mtsldsl.records import Record

_positive = Real(0, open_minimum=True)
_decay = Real(0, 1, open_maximum=True)
_betas = Many(_decay, length=2)


@attrs.frozen(eq=False, repr=False)
class TorchOptimizer(Record):
    """A class of torch.optim, and whether it has a fused kernel."""

    name: str
    fused: bool = True


TORCH_OPTIMIZERS = {
    "adam": TorchOptimizer("Adam"),
    "adamw": TorchOptimizer("AdamW"),
    "sgd": TorchOptimizer("SGD"),
    "radam": TorchOptimizer("RAdam", fused=False),
}

TORCH_SCHEDULERS = {
    "multistep": "MultiStepLR",
    "step": "StepLR",
    "cosine": "CosineAnnealingLR",
    "exponential": "ExponentialLR",
    "one_cycle": "OneCycleLR",
}
"""Classes of torch.optim.lr_scheduler."""


def _adam(name: str, summary: str, weight_decay: float, switch: Key) -> CallRule:
    return CallRule(
        name,
        summary,
        (
            Key("lr", _positive, "learning rate", 1e-3),
            Key("betas", _betas, "decay of the running means of gradient and square", (0.9, 0.999)),
            Key("eps", _positive, "added to the denominator", 1e-8),
            Key("weight_decay", Real(0), "weight decay", weight_decay),
            switch,
        ),
    )


OPTIMIZERS = Call(
    (
        _adam("adam", "Adam", 0.0, Key("amsgrad", Flag(), "keep the maximum of the squares", False)),
        _adam(
            "adamw",
            "Adam with decoupled weight decay",
            1e-2,
            Key("amsgrad", Flag(), "keep the maximum of the squares", False),
        ),
        CallRule(
            "sgd",
            "stochastic gradient descent",
            (
                Key("lr", _positive, "learning rate", 1e-3),
                Key("momentum", Real(0), "momentum", 0.0),
                Key("dampening", Real(0), "dampening of the momentum", 0.0),
                Key("weight_decay", Real(0), "weight decay", 0.0),
                Key("nesterov", Flag(), "Nesterov momentum", False),
            ),
        ),
        _adam(
            "radam",
            "rectified Adam",
            0.0,
            Key("decoupled_weight_decay", Flag(), "decay weights as adamw does", False),
        ),
    ),
    "optimizers",
)


def nesterov_without_momentum(optimizer: Named) -> bool:
    """Whether an optimizer has Nesterov momentum without what torch asks for beside it."""
    given = optimizer.arguments
    return bool(given.get("nesterov")) and (given["momentum"] == 0 or given["dampening"] != 0)


_share = Real(0, 1, open_minimum=True, open_maximum=True)
_factor = Real(1)
_gamma = Key("gamma", _positive, "factor of the learning rate", 0.1)
_by = Key("by", Choice(("epoch", "step")), "what its numbers count, and after what the rate changes", "epoch")

SCHEDULERS = Call(
    (
        CallRule("none", "a constant learning rate"),
        CallRule(
            "multistep",
            "times gamma at each milestone",
            (Key("milestones", Many(Integer(1), 1), "epochs after which the rate falls"), _gamma, _by),
        ),
        CallRule(
            "step",
            "times gamma every few epochs",
            (Key("step_size", Integer(1), "epochs between two falls"), _gamma, _by),
        ),
        CallRule(
            "cosine",
            "half a cosine from the full rate to eta_min",
            (
                Key("T_max", Maybe(Integer(1)), "epochs of the half cosine", None, "those of the training"),
                Key("eta_min", Real(0), "the last learning rate", 0.0),
                _by,
            ),
        ),
        CallRule(
            "exponential",
            "times gamma every epoch",
            (Key("gamma", _positive, "factor of the learning rate"), _by),
        ),
        CallRule(
            "one_cycle",
            "two half cosines over the steps: up to the full rate, down to next to nothing (Smith and Topin, 2018)",
            (
                Key("pct_start", _share, "the part of the run over which the rate rises", 0.3),
                Key("div_factor", _factor, "the highest rate by the first", 25.0),
                Key("final_div_factor", _factor, "the first rate by the last", 1e4),
            ),
        ),
    ),
    "schedulers",
)


def goes_by_steps(scheduler: Named) -> bool:
    """Whether a schedule is advanced once a step, and not once an epoch."""
    return scheduler.name == "one_cycle" or scheduler.arguments.get("by") == "step"


def misfit_of_stop(scheduler: Named, stop: Named, epochs: int) -> tuple[str, str] | None:
    """Why a schedule does not fit a training that may stop before all its epochs, and the remedy."""
    patience = stop.arguments.get("epochs")
    if scheduler.name != "one_cycle" or not isinstance(patience, int) or patience >= epochs:
        return None
    cause = "`one_cycle` brings the rate down at the end of all epochs, and `stop` may end the run before"
    return cause, "leave `stop` out, or take `cosine`"


def misfit_of_schedule(scheduler: Named, length: int, unit: str) -> tuple[str, str] | None:
    """What of a schedule does not fit a training of so many epochs, or steps, and the remedy; `unit` is their name."""
    given = scheduler.arguments
    gamma = given.get("gamma")
    if isinstance(gamma, float | int) and gamma >= 1:
        effect = "raises" if gamma > 1 else "does not change"
        return f"`gamma={gamma:g}` {effect} the learning rate", "take a gamma below 1"
    match scheduler.name, given.get("milestones"), given.get("step_size"), given.get("T_max"):
        case "multistep", tuple(milestones), _, _:
            late = [each for each in milestones if isinstance(each, int) and each >= length]
            if late:
                said = f"the rate never falls at milestone {late[0]}: there are {length} {unit}s"
                return said, f"take milestones before {unit} {length}"
        case "step", _, int(size), _ if size >= length:
            said = f"the rate never falls: a step is {size} {unit}s of {length}"
            return said, f"take a step below {length} {unit}s"
        case "cosine", _, _, int(most) if most != length:
            effect = "is not at its end" if most > length else "rises again"
            remedy = f"leave `T_max` out: it is then the {unit}s"
            return f"the cosine of {most} {unit}s {effect} after {length}", remedy
    return None


STOPS = Call(
    (
        CallRule("none", "after all epochs"),
        CallRule(
            "patience",
            "after so many epochs without a better one on validation",
            (Key("epochs", Integer(1), "epochs without a better one"),),
        ),
    ),
    "rules",
)

SAMPLINGS = Call(
    (
        CallRule("proportional", "all batches of every source, in one shuffled order"),
        CallRule("equal", "as many batches of each source, in all as many as the sources have, rounded up"),
        CallRule(
            "temperature",
            "batches in proportion to those that a source has to the power of a number, in all as many as there are",
            (Key("power", Real(0, 1), "the power: 1 is proportional, 0 equal"),),
        ),
        CallRule("round_robin", "rounds of one batch of every source, as many as the largest source has batches"),
    ),
    "samplings",
)

_preference = Key(
    "preference",
    Maybe(Many(_positive, 2)),
    "in which proportion the losses are to stand, in the order of the tasks",
    None,
    "the same number for all tasks",
)

BALANCES = Call(
    (
        CallRule("equal", "the sum of the losses, each times its task's weight"),
        CallRule("random", "weights drawn anew at every step, which sum to the number of tasks (Lin et al., 2022)"),
        CallRule("relative", "the sum of the losses' logarithms, each times its task's weight: free of their scales"),
        CallRule("geometric_mean", "the geometric mean of the losses (Chennupati et al., 2019)"),
        CallRule(
            "stch",
            "a smooth maximum of the losses (Lin et al., 2024)",
            (Key("mu", _positive, "how smooth: the smaller, the nearer to the largest loss", 0.1),),
        ),
        CallRule(
            "pbi",
            "the losses along a preferred direction, with a penalty for leaving it (Zhang and Li, 2007)",
            (_preference, Key("theta", Real(0), "the penalty", 5.0)),
        ),
        CallRule(
            "cosmos",
            "the losses weighed by a preference, with a reward for lying in its direction (Ruchte and Grabocka, 2021)",
            (_preference, Key("lambda_", Real(0), "the reward", 2.0)),
        ),
        CallRule(
            "famo",
            "weights by which all losses fall at the same rate (Liu et al., 2023)",
            (
                Key("lr", _positive, "learning rate of the weights", 0.025),
                Key("weight_decay", Real(0), "their decay towards the same for all", 1e-3),
            ),
        ),
        CallRule("uncertainty", "weights learned from each task's uncertainty (Kendall et al., 2018)"),
        CallRule("imtl_l", "scales learned that make all losses alike (Liu et al., 2021)"),
        CallRule(
            "dwa",
            "weights from how fast each loss falls (Liu et al., 2019)",
            (Key("temperature", _positive, "softness of the weights", 2.0),),
        ),
        CallRule("pcgrad", "conflicting gradients are projected (Yu et al., 2020)"),
        CallRule("mgda", "the least-norm combination of the gradients (Sener and Koltun, 2018)"),
        CallRule("imtl_g", "a step whose projections onto all gradients are equal (Liu et al., 2021)"),
        CallRule(
            "aligned_mtl",
            "gradients made orthogonal and of one length (Senushkin et al., 2023)",
            (Key("scale_mode", Choice(("min", "median", "rmse")), "which length: of the singular values", "min"),),
        ),
        CallRule(
            "cagrad",
            "conflict-averse gradients (Liu et al., 2021)",
            (Key("c", Real(0), "how far the direction may leave the mean gradient", 0.5),),
        ),
        CallRule(
            "fair_grad",
            "progress allocated fairly between the tasks (Ban and Ji, 2024)",
            (Key("alpha", _positive, "which fairness: 1 is proportional", 1.0),),
        ),
        CallRule("dual_proj", "the mean gradient projected onto the dual cone (Lopez-Paz and Ranzato, 2017)"),
        CallRule("upgrad", "gradients projected onto the dual cone (Quinton and Rey, 2024)"),
        CallRule(
            "pareto",
            "the losses are led to where they stand as preferred, and fall from there (Lin et al., 2019)",
            (_preference, Key("vectors", Integer(2), "preferences in a quarter circle: how narrow the way is", 5)),
        ),
        CallRule("config", "a step whose cosine with every gradient is the same (Liu et al., 2024)"),
        CallRule(
            "grad_drop",
            "where gradients pull both ways one sign is drawn, and the others are dropped (Chen et al., 2020)",
            (Key("leak", Real(0, 1), "the part of each gradient that is never dropped", 0.0),),
        ),
        CallRule(
            "sam_gs",
            "gradients of unlike lengths are made alike, others follow their running means (Borsani et al., 2025)",
            (
                Key("gamma", Real(0, 1), "the similarity of their lengths below which they are made alike", 0.1),
                Key("beta", _decay, "decay of the running mean of the conflict", 0.99),
                Key("max_norm", Real(0), "the greatest length of the step, 0 for any", 1.0),
            ),
        ),
        CallRule(
            "excess_mtl",
            "more weight for tasks that are still far from their best (He et al., 2024)",
            (
                Key("robust_step_size", _positive, "how fast the weights follow", 1.0),
                Key("n_warmup_steps", Integer(0), "steps with equal weights at first", 0),
            ),
        ),
        CallRule(
            "grad_vac",
            "gradients turned until they are as similar as they used to be (Wang et al., 2021)",
            (Key("beta", Real(0, 1), "how much one step changes what is usual", 0.5),),
        ),
        CallRule(
            "nash_mtl",
            "the step on which the tasks agree in Nash's bargaining game (Navon et al., 2022)",
            (
                Key("max_norm", Real(0), "the greatest length of the step, 0 for any", 1.0),
                Key("update_weights_every", Integer(1), "steps between two solutions", 1),
                Key("optim_niter", Integer(1), "the most iterations to a solution", 20),
            ),
        ),
        CallRule(
            "pcd",
            "the gradient of the task with the largest weight, with progress for the others (arXiv 2606.29521, 2026)",
            (
                Key("tau", Real(0, 1), "the part of its own progress that each other task is to make", 0.02),
                Key("beta", _decay, "decay of the running means of squared lengths", 0.999),
            ),
        ),
        CallRule(
            "cr_mogm",
            "the weights of another balance, as a running mean over the steps (Zhou et al., 2022)",
            (
                Key("of", Choice(("mgda", "pcgrad", "imtl_g")), "the balance", "mgda"),
                Key("alpha", Real(0, 1), "decay of the running mean", 0.9),
            ),
        ),
        CallRule(
            "it_mtl",
            "the combination of tasks whose step lowers all losses most (Fifty et al., 2020)",
            (
                Key("candidates", Choice(("all", "singles")), "which combinations: all, or each task and all", "all"),
                Key("every", Integer(1), "steps between two looks ahead", 1),
            ),
        ),
    ),
    "balances",
)

MOST_COMBINED = 10
"""Of which all combinations are looked at, 1023."""


def misfit_of_balance(balance: Named, tasks: int) -> tuple[str, str] | None:
    """What does not fit so many tasks, and the remedy."""
    if balance.name == "it_mtl" and balance.arguments["candidates"] == "all" and tasks > MOST_COMBINED:
        cause = f"`it_mtl` would look ahead at {2**tasks - 1} combinations of {tasks} tasks in a step"
        return cause, f"write `it_mtl(candidates=singles)`; all combinations are for {MOST_COMBINED} tasks at most"
    preference = balance.arguments.get("preference")
    if isinstance(preference, tuple) and len(preference) != tasks:
        cause = (
            f"the preference of `{balance.name}` has {counted(len(preference), 'number')}, and there are {tasks} tasks"
        )
        return cause, "give one for each task, in their order"
    return None
