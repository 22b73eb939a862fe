"""`structure chance` in the language: at the end of some epochs two tasks merge, whoever they are."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from mtsldsl.language.holding import by_keys
from mtsldsl.language.kinds import CallRule, Integer, Key, LayerName, Many, Real, Tasks
from mtsldsl.language.schema import BlockSchema
from mtsldsl.methods.evidence import Evidence, Finding, Words
from mtsldsl.methods.method import DecisionRule, Fault, Method, Situation, Surroundings, Values
from mtsldsl.sharing import Sharing

BLOCK = BlockSchema(
    "structure",
    "sharing by chance",
    (
        Key("epochs", Many(Integer(1), 1), "epochs at whose end two tasks merge"),
        Key("seed", Integer(0), "seed of which", 0),
        Key("wary", Integer(0), "epoch whose proposal it refuses", 0),
    ),
    label="chance",
)


@attrs.frozen(field_transformer=by_keys(BLOCK.keys))
class Settings:
    """The epochs at whose end it merges, the seed of what, and an epoch at which it refuses its own proposal; held to
    what the block may say."""

    epochs: tuple[int, ...]
    seed: int
    wary: int


JOIN = CallRule(
    "join",
    "tasks that came to share a layer by chance",
    (
        Key("epoch", Integer(0), "epoch at whose end they joined"),
        Key("layer", LayerName(), "the layer"),
        Key("tasks", Tasks(), "the tasks"),
        Key("luck", Real(), "the number that was drawn"),
    ),
)


def contradiction(join: Values, sharing: Sharing) -> str | None:
    """Where the sharing keeps apart what was joined."""
    apart = {sharing.component(join["layer"], task) for task in join["tasks"]}
    return f"the history joins `{join['layer']}`, and the sharing does not" if len(apart) > 1 else None


def faults(values: Values, surroundings: Surroundings) -> Iterator[Fault]:
    """Epochs after the last."""
    for place, epoch in enumerate(values.get("epochs", ())):
        if surroundings.epochs is not None and epoch > surroundings.epochs:
            yield Fault("MTL501", f"epoch {epoch} is after the last", "name an earlier one", "epochs", place)
            return


def doubts(situation: Situation) -> Iterator[Fault]:
    """None: chance has no doubts."""
    yield from ()


@attrs.frozen(kw_only=True)
class Draw(Finding):
    """A place that was drawn."""

    kind = "draw"
    layer: str
    of: int

    def lines(self) -> list[str]:
        """Where, and of how many places."""
        return [f"{self.layer} is drawn of {self.of}"]


def undecided(evidence: Evidence) -> str:
    """Why nothing is joined."""
    return f"{evidence['drawn_from']} places to draw from"


METHOD = Method(
    block=BLOCK,
    decisions=(
        DecisionRule(
            JOIN, ("layer", "tasks"), "luck", contradiction, "join(epoch=1, layer=..., tasks=a + b, luck=0.5)"
        ),
    ),
    faults=faults,
    completed=lambda values, _: values,
    settings=lambda values: Settings(values["epochs"], values["seed"], values["wary"]),
    doubts=doubts,
    learner="Chance",
    phases="epochs",
    findings=(Draw,),
    words=Words(undecided=undecided),
)
