"""Versions of one spec, as what they say and as texts: a base, and two sides that changed it each in its own way."""

from __future__ import annotations

import attrs
from hypothesis import strategies as st

from mtsldsl.sharing import Sharing, format_components
from tests.ir.specs import BACKBONE, LAYERS, TASKS
from tests.sharing.strategies import valid_sharings

TRAIN = {
    "epochs": ("4", "5", "6"),
    "seed": (None, "1", "2"),
    "optimizer": ("adam", "sgd(lr=0.1)", "adam(\n    lr=0.1,  # high\n    eps=0.001)"),
    "precision": (None, "bf16"),
}
BODIES = {
    "stem": ("conv2d(8, 3, stride=2) | batch_norm | relu", "conv2d(8, 3, stride=2) | relu"),
    "enc1": ("conv2d(8, 3, stride=2) | batch_norm | relu", "conv2d(8, 3, stride=2) | gelu", "conv2d(8, 5, stride=2)"),
    "enc2": ("conv2d(16, 3) | batch_norm | relu", "conv2d(16, 3) | batch_norm\n    | gelu"),
    "dec1": ("concat(enc1) | conv2d(8, 3) | batch_norm | relu", "concat(enc1) | conv2d(8, 1)"),
    "dec2": ("resize_as(stem) | concat(stem) | conv2d(8, 3) | relu",),
}
HEADS = {
    "segment": ("classes(5)", "conv2d(5, 1) | resize_as(image)"),
    "depth": ("values(1)", "conv2d(1, 1) | resize_as(image)"),
    "edge": ("binary(1)", "conv2d(1, 1) | resize_as(image)"),
    "normal": ("unit_vectors(3)", "conv2d(3, 1) | resize_as(image)"),
}
WEIGHTS = (None, "0.5", "2.0")
CONSTANTS = (None, "8", "16")
DECISIONS = tuple(
    f"merge(epoch={epoch}, layer={layer}, tasks={tasks}, similarity={similarity})"
    for epoch, layer, tasks, similarity in (
        (1, "stem", "segment + depth", 0.5),
        (1, "stem", "segment + depth", 0.625),
        (1, "stem", "edge + normal", 0.75),
        (2, "enc1", "segment + depth", 0.25),
        (3, "enc2", "segment + depth", -0.5),
    )
)
SLOTS = ("data", "task depth", "train", "epochs", "weight", "stem", "dec2", "end", "top")
COMMENTS = ("# why", "# because", '# a = "b" {')


@attrs.frozen
class Version:
    """What one version says."""

    train: dict[str, str | None]
    bodies: dict[str, str]
    weights: dict[str, str | None]
    constant: str | None
    history: tuple[str, ...]
    sharing: Sharing
    comments: dict[str, str | None]

    def entries(self) -> dict[str, object]:
        """Everything that is merged key by key."""
        found: dict[str, object] = {f"train.{key}": value for key, value in self.train.items()}
        found |= {f"backbone.{key}": value for key, value in self.bodies.items()}
        found |= {f"task.{key}.weight": value for key, value in self.weights.items()}
        return {**found, "let width": self.constant}

    def text(self, ending: str = "\n") -> str:
        """The text."""
        lines: list[str] = [*self._comment("top", ""), "mtl 1", ""]
        if self.constant:
            lines += [f"let width = {self.constant}", ""]
        lines += [*self._comment("data", ""), "data scenes {", "  input = image(3, 32, 32)", "}", ""]
        for task, (target, head) in HEADS.items():
            lines += self._comment(f"task {task}", "")
            lines += [f"task {task} {{", f"  target = {target}", f"  head   = {head}"]
            if self.weights[task]:
                lines.append(f"  weight = {self.weights[task]}{self._behind('weight') if task == 'edge' else ''}")
            lines += ["}", ""]
        lines.append("backbone {")
        for layer, body in self.bodies.items():
            lines += [*self._comment(layer, "  "), f"  {layer} = {body}"]
        lines += ["}", "", f"train {{{self._behind('train')}"]
        for key, value in self.train.items():
            if value:
                lines.append(f"  {key:<9} = {value}{self._behind(key)}")
        lines += ["}", "", "sharing {"]
        lines += [f"  {layer} = {format_components(self.sharing, layer)}" for layer in LAYERS]
        lines.append("}")
        if self.history:
            lines += ["", "history {", *(f"  {line}" for line in self.history), "}"]
        lines += self._comment("end", "")
        return "".join(f"{line}\n" for line in lines).replace("\n", ending)

    def _comment(self, slot: str, indent: str) -> list[str]:
        comment = self.comments.get(slot)
        return [f"{indent}{comment}"] if comment else []

    def _behind(self, slot: str) -> str:
        comment = self.comments.get(slot)
        return f"   {comment}" if comment else ""


@st.composite
def versions(draw: st.DrawFn) -> Version:
    """Any version."""
    return Version(
        train={key: draw(st.sampled_from(values)) for key, values in TRAIN.items()},
        bodies={layer: draw(st.sampled_from(bodies)) for layer, bodies in BODIES.items()},
        weights={task: draw(st.sampled_from(WEIGHTS)) for task in TASKS},
        constant=draw(st.sampled_from(CONSTANTS)),
        history=_in_order(draw(st.sets(st.sampled_from(DECISIONS)))),
        sharing=draw(valid_sharings(BACKBONE, TASKS)),
        comments={slot: draw(st.sampled_from((None, None, *COMMENTS))) for slot in SLOTS},
    )


def _in_order(decisions: set[str]) -> tuple[str, ...]:
    return tuple(decision for decision in DECISIONS if decision in decisions)


@st.composite
def changed(draw: st.DrawFn, base: Version) -> Version:
    """A version that changed some of what the base says."""
    other = draw(versions())

    def some(mine: dict[str, str | None], theirs: dict[str, str | None]) -> dict[str, str | None]:
        return {key: theirs[key] if draw(_RARELY) else value for key, value in mine.items()}

    sharing = base.sharing
    kind = draw(st.sampled_from(("as it was", "merged", "other")))
    if kind == "merged":
        for _ in range(draw(st.integers(1, 3))):
            frontier = sharing.frontier()
            if frontier:
                layer, tasks = draw(st.sampled_from(frontier))
                sharing = sharing.merge(layer, tasks)
    elif kind == "other":
        sharing = other.sharing
    return Version(
        train=some(base.train, other.train),
        bodies=some(base.bodies, other.bodies),  # type: ignore[arg-type]
        weights=some(base.weights, other.weights),
        constant=other.constant if draw(_RARELY) else base.constant,
        history=other.history if draw(_RARELY) else base.history,
        sharing=sharing,
        comments=some(base.comments, other.comments),
    )


_RARELY = st.sampled_from((False, False, False, True))


@st.composite
def three_sides(draw: st.DrawFn) -> tuple[Version, Version, Version]:
    """A base and two versions of it."""
    base = draw(versions())
    return base, draw(changed(base)), draw(changed(base))
