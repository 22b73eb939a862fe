"""Which layer of one spec became which of another, where layers may have been renamed and changed at once.

A name that both specs have is the same layer, unless the difference is told in fewer words otherwise: two layers that
swapped their names are two renames, not two changed layers in another order. `_Layers.price` counts the words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any

import attrs

from mtsldsl.compare.correspondence import Signature, matched_inputs, renamed_layers, signature
from mtsldsl.ir.model import Layer, Spec
from mtsldsl.records import Record

_CHANGED = 1.0
_RENAMED = 1.2
"""More than a changed line: a name that stayed is worth more than a line."""
_ONE_SIDED = 1.75
"""A layer that is added or removed. A renamed and changed one is told in fewer words than one of each."""
_REORDERED = 1.5
_UNLIKE = 3.0
"""What a changed layer costs on top, as far as it has nothing in common with what it was."""

_MOST_UNLIKE = 0.5
"""A layer of another name that has less in common than this is another layer."""


def matched_layers(before: Spec, after: Spec) -> dict[str, str]:
    """Each layer of `before` that `after` has too, with its name there, in the order of `before`."""
    layers = _Layers.of(before, after)
    exact = renamed_layers(before, after)
    pairs = {name: exact.get(name, name) for name in layers.old if name in layers.new or name in exact}
    guess: Mapping[str, str] | None = None
    for _ in range(2):  # what a layer reads counts as soon as a first guess says which names belong together
        if not any(layers.doubtful(pairs)):
            break
        guess = layers.aligned(pairs, guess)
        pairs = min(layers.improved(pairs, guess), layers.improved(guess, pairs), key=layers.price)
    return pairs


def translation(before: Spec, after: Spec, pairs: Mapping[str, str]) -> dict[str, str]:
    """What each name that a body of `before` may read is called in `after`: no name for a layer that is gone."""
    return {**matched_inputs(before, after), **{name: pairs.get(name, "") for name in before.backbone.layers}}


@attrs.frozen(eq=False, repr=False)
class _Look(Record):
    """What a layer looks like: `words` are its operators and their arguments, numbered where one comes again."""

    place: int
    steps: Signature
    reads: tuple[str, ...]
    words: frozenset[Any]

    @classmethod
    def of(cls, place: int, layer: Layer) -> _Look:
        words: Counter[Any] = Counter()
        for step in (step for body in layer.bodies.values() for step in body.steps):
            words[step.operator] += 1
            words.update((step.operator, key, str(value)) for key, value in step.arguments.items())
        numbered = frozenset((word, number) for word, count in words.items() for number in range(count))
        return cls(place, signature(layer.body), layer.body.inputs, numbered)

    def unlike(self, other: _Look) -> float:
        """From 0, the same words, to 1, none in common."""
        whole = len(self.words) + len(other.words)
        return 1 - 2 * len(self.words & other.words) / whole if whole else 0.0


@attrs.frozen(eq=False, repr=False)
class _Layers(Record):
    """The layers of both specs by name, in their order."""

    before: Spec
    after: Spec
    old: dict[str, _Look]
    new: dict[str, _Look]

    @classmethod
    def of(cls, before: Spec, after: Spec) -> _Layers:
        old, new = (
            {layer.name: _Look.of(place, layer) for place, layer in enumerate(spec.layers)} for spec in (before, after)
        )
        return cls(before, after, old, new)

    def same(self, old: str, new: str, names: Mapping[str, str]) -> bool:
        """Whether two layers compute the same from the same."""
        one, other = self.old[old], self.new[new]
        return one.steps == other.steps and tuple(names.get(each, each) for each in one.reads) == other.reads

    def doubtful(self, pairs: Mapping[str, str]) -> tuple[list[str], list[str]]:
        """The layers of both that are alone or changed, in their order."""
        names = translation(self.before, self.after, pairs)
        certain = {old: new for old, new in pairs.items() if self.same(old, new, names)}
        return (
            [name for name in self.old if name not in certain],
            [name for name in self.new if name not in certain.values()],
        )

    def price(self, pairs: Mapping[str, str]) -> float:
        """How much there is to say about the layers if they are paired so."""
        names = translation(self.before, self.after, pairs)
        places = [self.new[new].place for new in pairs.values()]
        return (
            _ONE_SIDED * (len(self.old) + len(self.new) - 2 * len(pairs))
            + sum(self._price_of(old, new, names) for old, new in pairs.items())
            + _REORDERED * (places != sorted(places))
        )

    def _price_of(self, old: str, new: str, names: Mapping[str, str]) -> float:
        changed = 0.0 if self.same(old, new, names) else _CHANGED + _UNLIKE * self.old[old].unlike(self.new[new])
        return changed + _RENAMED * (old != new)

    def aligned(self, pairs: Mapping[str, str], guess: Mapping[str, str] | None) -> dict[str, str]:
        """The pairs, with the doubtful layers paired anew in their order, as cheap as that can be.

        What they read counts where there is a guess of what it is called.
        """
        names = None if guess is None else translation(self.before, self.after, guess)

        def price(old: str, new: str) -> float:
            one, other = self.old[old], self.new[new]
            if old != new and one.unlike(other) > _MOST_UNLIKE:
                return inf
            if names is None and one.steps == other.steps:
                return _RENAMED * (old != new)
            return self._price_of(old, new, names or {})

        old, new = self.doubtful(pairs)
        found = _cheapest(old, new, price)
        left = {name: name for name in old if name not in found and name in new and name not in found.values()}
        certain = {name: each for name, each in pairs.items() if name not in old}
        return self._in_order({**certain, **found, **left})

    def improved(self, pairs: dict[str, str], other: Mapping[str, str]) -> dict[str, str]:
        """The pairs, with those parts of another pairing that make them cheaper."""
        for part in _exchangeable(pairs, other):
            kept = {name: new for name, new in pairs.items() if name not in part}
            trial = self._in_order({**kept, **{name: other[name] for name in part if name in other}})
            pairs = min(pairs, trial, key=self.price)
        return pairs

    def _in_order(self, pairs: Mapping[str, str]) -> dict[str, str]:
        return {name: pairs[name] for name in self.old if name in pairs}


def _cheapest(old: Sequence[str], new: Sequence[str], price: Callable[[str, str], float]) -> dict[str, str]:
    """The pairs in the order of both that cost least, where a name that is left alone costs too."""
    rows = [[_ONE_SIDED * column for column in range(len(new) + 1)]]
    together: list[list[float]] = []
    for one in old:
        above = rows[-1]
        row = [above[0] + _ONE_SIDED]
        together.append([price(one, other) for other in new])
        for column, cost in enumerate(together[-1]):
            row.append(min(above[column] + cost, above[column + 1] + _ONE_SIDED, row[column] + _ONE_SIDED))
        rows.append(row)
    pairs: dict[str, str] = {}
    i, j = len(old), len(new)
    while i and j:
        if rows[i][j] == rows[i - 1][j - 1] + together[i - 1][j - 1]:
            i, j = i - 1, j - 1
            pairs[old[i]] = new[j]
        elif rows[i][j] == rows[i - 1][j] + _ONE_SIDED:
            i -= 1
        else:
            j -= 1
    return pairs


def _exchangeable(one: Mapping[str, str], other: Mapping[str, str]) -> list[set[str]]:
    """The names at which two pairings differ, in the smallest sets that can be taken from either."""
    parts: list[tuple[set[str], set[str]]] = []
    for name in {**one, **other}:
        if one.get(name) == other.get(name):
            continue
        names, partners = {name}, {pairs[name] for pairs in (one, other) if name in pairs}
        for part in [part for part in parts if part[1] & partners]:
            parts.remove(part)
            names |= part[0]
            partners |= part[1]
        parts.append((names, partners))
    return [names for names, _ in parts]
