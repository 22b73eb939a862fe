"""The blocks of the language as data: one schema per block, with the kind, default and meaning of every key."""

from __future__ import annotations

import attrs

from mtsldsl.language.beginnings import WEIGHTS
from mtsldsl.language.kinds import (
    Call,
    CallRule,
    Choice,
    Identifier,
    Integer,
    Keep,
    Key,
    Many,
    Maybe,
    OneOrMany,
    Pipe,
    Real,
    Text,
)
from mtsldsl.language.optimization import BALANCES, OPTIMIZERS, SAMPLINGS, SCHEDULERS, STOPS
from mtsldsl.language.targets import TARGETS, ObjectiveRule
from mtsldsl.records import Record


@attrs.frozen(eq=False, repr=False)
class BlockSchema(Record):
    """A block `kind label { keys }`. `labels` are the labels it may have: None for a name of the writer's choice, an
    empty tuple for no label. `keys` is None where the writer chooses the keys (`backbone`, `tuning`, `sharing`)."""

    kind: str
    summary: str
    keys: tuple[Key, ...] | None
    label: str | None = None
    noun: str = ""
    required: bool = False

    def key(self, name: str) -> Key | None:
        """The key of that name."""
        return next((key for key in self.keys or () if key.name == name), None)


AUGMENTATIONS = Call(
    (
        CallRule(
            "hflip",
            "mirror left and right",
            (Key("p", Real(0, 1), "probability", 0.5),),
        ),
        CallRule(
            "random_scale",
            "enlarge by a random factor of the list and crop to the input's size",
            rest=Key("factors", Real(1), "factors to choose from"),
        ),
    ),
    "augmentations",
)


def _objective(rule: ObjectiveRule) -> CallRule:
    return CallRule(rule.name, "higher is better" if rule.higher_is_better else "lower is better", rule.arguments)


LOSSES = {kind: Call(tuple(map(_objective, rule.losses)), "losses") for kind, rule in TARGETS.items()}
METRICS = {kind: Call(tuple(map(_objective, rule.metrics)), "metrics") for kind, rule in TARGETS.items()}

TARGET = Call(tuple(CallRule(rule.kind, rule.summary, rule.arguments) for rule in TARGETS.values()), "targets")

WEIGHT = Key("weight", Real(0), "factor of the loss", 1.0)
STOP = Key("stop", STOPS, "when the task learns no more", "none")

TASK = BlockSchema(
    "task",
    "what is predicted",
    (
        Key("target", TARGET, "what the task predicts"),
        Key("head", Pipe(), "from the last layer, or the layers it names, to the task's output"),
        Key("loss", Call(()), "loss", None, "the target's first"),
        Key("metrics", Many(Call(())), "metrics", None, "those usual for the target"),
        WEIGHT,
        Key(
            "field",
            OneOrMany(Identifier()),
            "the data set's field of the target; or a column of a table for each of its numbers",
            None,
            "the one for the target's kind",
        ),
        Key("data", Identifier(), "the data block that it reads", None, "the only one"),
        STOP,
    ),
    noun="the task's name",
    required=True,
)

BACKBONE = BlockSchema(
    "backbone", "the layers that tasks may share, one a line, each from the one before", None, required=True
)

PRECISIONS = ("fp32", "bf16", "fp16")
"""Arithmetic of the forward pass."""

SCHEDULER = attrs.evolve(SCHEDULERS, rules=tuple(rule for rule in SCHEDULERS.rules if rule.name != "none"))
"""Those that change the rate."""

TRAIN = BlockSchema(
    "train",
    "how the network is trained",
    (
        Key("epochs", Integer(1), "passes over the training samples"),
        Key("optimizer", OPTIMIZERS, "optimizer", "adam"),
        Key("scheduler", SCHEDULERS, "learning-rate schedule", "none"),
        Key("balance", BALANCES, "how the tasks' losses or gradients are combined", "equal"),
        Key("accumulate", Integer(1), "batches whose gradients are added up for a step", 1),
        Key("clip", Maybe(Real(0, open_minimum=True)), "greatest norm of the gradient of a step", None, "`none`: any"),
        Key("warmup", Integer(0), "first steps of the run, over which the learning rate rises in a straight line", 0),
        Key(
            "ema",
            Maybe(Real(0, 1, open_minimum=True, open_maximum=True)),
            "decay of a running mean of the weights, which is evaluated and kept in their place",
            None,
            "`none`: the weights themselves",
        ),
        Key("precision", Choice(PRECISIONS), "arithmetic of the forward pass", "fp32"),
        Key("seed", Integer(0), "seed of initial weights and of the order of samples", 0),
        Key("sampling", SAMPLINGS, "how sources of samples take turns, where there are several", "proportional"),
        Key(
            "keep",
            Keep(),
            "weights that are kept: of the epoch best by validation, or by a metric of a task; of the last; or a mean",
            "best",
        ),
        Key("stop", STOPS, "when the run ends", "none"),
        Key("init", WEIGHTS, "weights that the network begins with", "none"),
        Key("teachers", Maybe(Text()), "the folder of a run whose network teaches to the end", None, "`none`"),
        Key("teach", Real(0), "how much the answers of `teachers` count beside the labels; 0 for not at all", 1.0),
    ),
    required=True,
)

TUNING = BlockSchema("tuning", "layers, and heads by their tasks, that learn otherwise than the rest", None)

SHARING = BlockSchema("sharing", "which tasks share each layer; a layer without a line is each task's own", None)

HISTORY = BlockSchema("history", "the decisions so far, oldest first", None)

BLOCKS: dict[str, tuple[BlockSchema, ...]] = {
    "data": (),
    "task": (TASK,),
    "backbone": (BACKBONE,),
    "train": (TRAIN,),
    "tuning": (TUNING,),
    "structure": (),
    "sharing": (SHARING,),
    "history": (HISTORY,),
}
"""Every block, in the order in which a spec has them; those of `data` and
`structure` are in `mtsldsl.datasets` and `mtsldsl.methods`."""
