"""Specs that evolve apart: sides that rename, remove, add and reorder layers and tasks, and change the sharing."""

from __future__ import annotations

import attrs
from hypothesis import strategies as st

from mtsldsl.editing import loads
from mtsldsl.sharing import Sharing

BODIES = {
    "stem": "conv2d(8, 3, stride=2) | batch_norm | relu",
    "enc1": "conv2d(8, 3, stride=2) | relu",
    "enc2": "conv2d(16, 3) | gelu",
    "dec1": "concat({enc1}) | conv2d(8, 3) | batch_norm | relu",
    "dec2": "resize_as({stem}) | concat({stem}) | conv2d(8, 1) | relu",
    "mid": "conv2d(12, 5)",
    "late": "conv2d(10, 7) | gelu",
}
TARGETS = {
    "segment": ("classes(5)", 5),
    "depth": ("values(1)", 1),
    "edge": ("binary(1)", 1),
    "normal": ("unit_vectors(3)", 3),
    "itself": ("reconstruct", 3),
    "parts": ("classes(5)", 5),
}

Partition = frozenset[frozenset[str]]


@attrs.frozen
class Evolving:
    """A spec: layers and tasks by what they are in the base, with their names here, and what each layer shares."""

    layers: tuple[str, ...]
    tasks: tuple[str, ...]
    names: dict[str, str]
    together: dict[str, Partition]
    epochs: int = 4

    def name(self, each: str) -> str:
        """What a layer or task is called here."""
        return self.names.get(each, each)

    def text(self) -> str:
        """The text."""
        lines = [*self._network(), "", "sharing {"]
        for layer in self.layers:
            parts = (" + ".join(map(self.name, part)) for part in sorted(map(sorted, self.together[layer])))
            lines.append(f"  {self.name(layer)} = {', '.join(parts)}")
        return "\n".join([*lines, "}", ""])

    def _network(self) -> list[str]:
        lines = ["mtl 1", "", "data scenes {", "  input = image(3, 32, 32)", "}", ""]
        for task in self.tasks:
            target, channels = TARGETS[task]
            head = f"conv2d({channels}, 1) | resize_as(image)"
            lines += [f"task {self.name(task)} {{", f"  target = {target}", f"  head   = {head}", "}", ""]
        names = {layer: self.name(layer) for layer in BODIES}
        lines += [
            "backbone {",
            *(f"  {self.name(layer)} = {BODIES[layer].format(**names)}" for layer in self.layers),
            "}",
        ]
        return [*lines, "", "train {", f"  epochs = {self.epochs}", "}"]

    def sharing(self) -> Sharing:
        """The sharing, by the names in the base."""
        plain = attrs.evolve(self, names={})
        backbone = loads("\n".join([*plain._network(), ""])).backbone
        return Sharing(backbone, self.tasks, self.together)

    def sharing_as(self, sharing: Sharing) -> Evolving:
        """The spec with that sharing."""
        return attrs.evolve(self, together={layer: frozenset(sharing[layer]) for layer in self.layers})


BASE = Evolving(
    ("stem", "enc1", "enc2", "dec1", "dec2"),
    ("segment", "depth", "edge", "normal"),
    {},
    {},
)


@st.composite
def _merged(draw: st.DrawFn, spec: Evolving, most: int) -> Evolving:
    sharing = spec.sharing()
    for _ in range(draw(st.integers(0, most))):
        if frontier := sharing.frontier():
            layer, tasks = draw(st.sampled_from(frontier))
            part = draw(st.integers(2, len(tasks)))
            components = [each for each in sharing[layer] if each <= tasks][:part]
            sharing = sharing.merge(layer, frozenset[str]().union(*components))
    return spec.sharing_as(sharing)


def _alone(spec: Evolving) -> Evolving:
    each = frozenset(frozenset((task,)) for task in spec.tasks)
    return attrs.evolve(spec, together=dict.fromkeys(spec.layers, each))


_RARELY = st.sampled_from((False, False, True))


@st.composite
def _side(draw: st.DrawFn, base: Evolving, suffix: str) -> Evolving:
    layers, tasks = list(base.layers), list(base.tasks)
    names: dict[str, str] = {}
    together = dict(base.together)
    if draw(_RARELY):
        task = draw(st.sampled_from(tasks))
        tasks.remove(task)
        together = {
            layer: frozenset(part - {task} for part in parts if part != {task}) for layer, parts in together.items()
        }
    if draw(_RARELY):
        task = draw(st.sampled_from(("itself", "parts")))
        tasks.insert(draw(st.integers(0, len(tasks))), task)
        together = {layer: parts | {frozenset((task,))} for layer, parts in together.items()}
    if draw(_RARELY):
        layers.remove(draw(st.sampled_from(("enc2", "dec2"))))
    if draw(_RARELY):
        layer, place = draw(st.sampled_from(("mid", "late"))), draw(st.integers(1, len(layers)))
        layers.insert(place, layer)
        together[layer] = together[layers[place - 1]]
    if draw(_RARELY):
        tasks = list(draw(st.permutations(tasks)))
    for kind in (layers, tasks):
        if draw(_RARELY):
            each = draw(st.sampled_from(kind))
            names[each] = f"{each}_{draw(st.sampled_from((suffix, 'new')))}"
    together = {layer: together[layer] for layer in layers}
    side = Evolving(tuple(layers), tuple(tasks), names, together, 5 if draw(_RARELY) else base.epochs)
    if draw(_RARELY):
        side = _alone(side)
    return draw(_merged(side, 3))


@st.composite
def evolving_sides(draw: st.DrawFn) -> tuple[Evolving, Evolving, Evolving]:
    """A base and two sides that evolved from it."""
    base = draw(_merged(_alone(BASE), 4))
    return base, draw(_side(base, "a")), draw(_side(base, "b"))
