"""The graph of the layers of a network, from what each of them reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mtsldsl.ir.body import MIXTURE, Body, Parallel
from mtsldsl.ir.problems import Broken
from mtsldsl.sharing import Backbone


def graph(
    bodies: Mapping[str, Body | Parallel | Broken],
    named: Mapping[str, Iterable[str]] = {},
    alternatives: Mapping[str, Iterable[str]] = {},
) -> Backbone:
    """The layers and what each of them reads; of broken ones what they have in `named`."""
    reads: dict[str, Iterable[str]] = {
        name: named.get(name, ())
        if isinstance(body, Broken)
        else [source for source in body.inputs if source in bodies]
        for name, body in bodies.items()
    }
    mixtures = (name for name, body in bodies.items() if isinstance(body, Parallel) and body.gate == MIXTURE)
    return Backbone(bodies, reads, alternatives, mixtures)
