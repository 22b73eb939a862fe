"""Which names a writer may choose: for tasks, layers and the input, and for what a text defines for itself."""

from __future__ import annotations

from collections.abc import Collection
from keyword import iskeyword

from mtsldsl.language.operators import OPERATORS
from mtsldsl.language.operators.own import TAP

RESIDUAL = "residual"
"""The operator that is made of others: it has no entry in the table."""

STAGES = (*(name for name in OPERATORS if name != TAP), RESIDUAL)
"""Every name that may be a stage of a pipeline wherever it stands."""

PARALLEL = "parallel"
"""What stands for a whole layer of alternatives: no stage of a pipeline."""

OUTPUTS = "outputs"
"""What stands in a head for the channels that its target needs."""

WORDS = frozenset(("all", "each", "none", "true", "false", "let", "block", "import", "mtl", PARALLEL))
"""Words with a meaning of their own."""

# fmt: off
MODULE_NAMES = frozenset((
    "T_destination", "add_module", "append", "apply", "bfloat16", "buffers", "call_super_init", "children",
    "clear", "compile", "copy", "cpu", "cuda", "double", "dump_patches", "eval", "extra_repr", "float",
    "forward", "fromkeys", "get", "get_buffer", "get_extra_state", "get_parameter", "get_submodule", "half",
    "heads", "ipu", "items", "keys", "load_state_dict", "modules", "mtia", "named_buffers", "named_children",
    "named_modules", "named_parameters", "parameters", "pop", "popitem", "register_backward_hook",
    "register_buffer", "register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook",
    "register_full_backward_pre_hook", "register_load_state_dict_post_hook",
    "register_load_state_dict_pre_hook", "register_module", "register_parameter",
    "register_state_dict_post_hook", "register_state_dict_pre_hook", "requires_grad_", "self",
    "set_extra_state", "set_submodule", "setdefault", "share_memory", "state_dict", "to", "to_empty", "train",
    "training", "type", "update", "values", "xpu", "zero_grad",
))
# fmt: on
"""Attributes of torch.nn.Module and torch.nn.ModuleDict, which a layer or task of that name would hide."""

GENERATED_NAMES = frozenset(("F", "Model", "Tensor", "annotations", "functional", "nn", "self", "torch"))
"""Names that the generated code gives itself."""

LONGEST_NAME = 100
"""Letters of the name of a task, a layer or the input: files of a run are called after it."""


def reserved(name: str) -> str | None:
    """Why nothing can have the name; None where it is free."""
    if name in STAGES:
        return "is an operator"
    if name in WORDS:
        return "is a word of the language"
    return None


def reserved_in_python(name: str) -> str | None:
    """Why the generated code cannot have the name; None where it can."""
    if iskeyword(name):
        return "is a word of Python, in which the network is written"
    if name in GENERATED_NAMES:
        return "is a name that the generated code uses itself"
    if name.startswith("_"):
        return "starts with an underscore, as names do that the generated code keeps for itself"
    if name in MODULE_NAMES:
        return "is a name that every PyTorch module has"
    return None


def refusal(name: str, *, generated: bool = False, taken: Collection[str] = ()) -> str | None:
    """Why nothing can have the name; None where it is free. `generated`: the generated code has it too; `taken`: what
    the records of a run, where they have it, call something else."""
    reason = reserved(name)
    if reason is None and generated:
        reason = reserved_in_python(name)
    if reason is None and generated and len(name) > LONGEST_NAME:
        reason = f"has {len(name)} letters, more than {LONGEST_NAME}"
    if reason is None and name in taken:
        reason = "is what the record of a run calls something else"
    return reason
