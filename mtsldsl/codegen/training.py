"""Optimizers and schedulers as the calls of `torch.optim` that a training script makes."""

from __future__ import annotations

from collections.abc import Mapping

from mtsldsl.codegen.literals import literal
from mtsldsl.language.constants import Constant, Named

OPTIMIZERS: Mapping[str, tuple[str, bool, Mapping[str, Constant]]] = {
    "adam": ("Adam", True, {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False}),
    "adamw": ("AdamW", True, {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2, "amsgrad": False}),
    "sgd": ("SGD", True, {"momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False}),
    "radam": (
        "RAdam",
        False,
        {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "decoupled_weight_decay": False},
    ),
}
"""Class in torch.optim, whether it has a fused kernel, and its own defaults, which are left unsaid."""

SCHEDULERS: Mapping[str, str] = {
    "multistep": "MultiStepLR",
    "step": "StepLR",
    "cosine": "CosineAnnealingLR",
    "exponential": "ExponentialLR",
}
"""Class in torch.optim.lr_scheduler."""


def optimizer_call(optimizer: Named) -> str:
    """The optimizer of `parameters`, such as `torch.optim.Adam(parameters, lr=0.001, fused=True)`."""
    name, fused, defaults = OPTIMIZERS[optimizer.name]
    arguments = [
        f"{key}={literal(value)}"
        for key, value in optimizer.arguments.items()
        if key not in defaults or literal(defaults[key]) != literal(value)
    ]
    return f"torch.optim.{name}({', '.join(['parameters', *arguments, *(['fused=True'] if fused else [])])})"


def scheduler_call(scheduler: Named | None) -> str:
    """The schedule of `optimizer`, such as `torch.optim.lr_scheduler.StepLR(optimizer, step_size=10)`, or `None`."""
    if scheduler is None or scheduler.name == "none":
        return "None"
    arguments = [f"{key}={_setting(value)}" for key, value in scheduler.arguments.items()]
    return f"torch.optim.lr_scheduler.{SCHEDULERS[scheduler.name]}({', '.join(['optimizer', *arguments])})"


def _setting(value: Constant) -> str:
    """A list where torch's documentation has one (milestones), else a literal."""
    return f"[{', '.join(map(literal, value))}]" if isinstance(value, tuple) else literal(value)
