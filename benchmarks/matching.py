"""What a merge costs, and what matching the channels of its copies takes off that.

    python benchmarks/matching.py specs/planted.mtl --seeds 0 1 2 3 4 5 6 7

trains a network for each task, with every seed and with another one beside it. Tasks are paired as they follow each
other; the first of a pair is from the run of the seed, the second from that too, or from the other run. Then all layers
up to each one are merged, pair by pair: averaged as they are, and with their channels matched first. Prints by how much
the losses rise on validation, the geometric mean over tasks, and its mean and standard error over seeds. Nothing is
trained after that.
"""

from __future__ import annotations

import argparse
import copy
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import attrs
import torch
from torch import nn

from mtsldsl import load_run
from mtsldsl.editing.baseline import load_static, with_sharing_of
from mtsldsl.ir import Spec
from mtsldsl.runtime.data import Splits, load_data
from mtsldsl.runtime.learning.evaluation import evaluate
from mtsldsl.runtime.learning.reestimation import reestimate
from mtsldsl.runtime.learning.step import Position
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.network.reordering import reorder
from mtsldsl.runtime.network.transfer import carry_state
from mtsldsl.runtime.run.launch import launch
from mtsldsl.runtime.run.session import Session
from mtsldsl.runtime.structure.matching import matched
from mtsldsl.runtime.structure.view import View

CPU = torch.device("cpu")
OTHER = 1000
"""So far from a seed is the one of the other run."""


def trained(path: Path, seed: int, settings: Mapping[str, str]) -> tuple[Spec, nn.Module]:
    """Single-task networks of a seed."""
    spec = with_sharing_of(load_static(path, {**settings, "train.seed": str(seed)}), "each")
    with tempfile.TemporaryDirectory() as folder:
        session = Session.create(spec, path.stem, Path(folder), "cpu", "quiet")
        launch(session)
        kept, model = load_run(session.folder.path)
    return kept, model


def losses(spec: Spec, model: nn.Module, data: Splits[Any]) -> Mapping[str, float]:
    """On validation, with statistics of batch normalisation estimated anew."""
    reestimate([(spec, model)], data.train, CPU)
    return evaluate(model, spec, data.validation, CPU).losses


def rise(spec: Spec, model: nn.Module, data: Splits[Any], layers: Sequence[str], *, match: bool) -> float:
    """By what factor the losses rise where pairs of tasks come to share these layers."""
    tasks = spec.sharing.tasks
    pairs = [frozenset(tasks[place : place + 2]) for place in range(0, len(tasks) - 1, 2)]
    sharing = spec.sharing
    for layer in layers:
        for pair in pairs:
            sharing = sharing.merge(layer, pair)
    before, model = losses(spec, model, data), copy.deepcopy(model)
    if match:
        silent: Any = None
        view = View(spec, model, data.train, CPU, Position(), 0, silent, silent, lambda *_, **__: None)
        groups = [(layer, [frozenset((task,)) for task in pair]) for layer in layers for pair in pairs]
        order, _ = matched(view, groups, 800)
        reorder(model, order)
    merged = attrs.evolve(spec, sharing=sharing)
    new = build_model(merged)
    carry_state(spec, merged, model, new)
    after = losses(merged, new, data)
    return math.exp(mean(math.log(after[task] / before[task]) for task in tasks))


def main() -> None:
    """Train, merge, and print the table as markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("spec", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(8)))
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = dict(each.split("=", 1) for each in options.settings)
    found: dict[tuple[str, str, bool], list[float]] = {}
    for seed in options.seeds:
        spec, model = trained(options.spec, seed, settings)
        _, other = trained(options.spec, seed + OTHER, settings)
        mixed, theirs = copy.deepcopy(model), other.state_dict()
        seconds = spec.sharing.tasks[1::2]
        for name, tensor in mixed.state_dict().items():
            if name.split(".")[1] in seconds:
                tensor.data.copy_(theirs[name])
        data, layers = load_data(spec), spec.backbone.layers
        for beginning, network in (("the same", model), ("others", mixed)):
            for count in range(1, len(layers) + 1):
                for match in (False, True):
                    factor = rise(spec, network, data, layers[:count], match=match)
                    found.setdefault((beginning, layers[count - 1], match), []).append(factor)
    print("| initial weights | merged up to | as they are | matched |\n|---|---|---|---|")
    for beginning, layer, match in found:
        if not match:
            cells = []
            for each in (False, True):
                rises = found[beginning, layer, each]
                error = stdev(rises) / math.sqrt(len(rises)) if len(rises) > 1 else math.nan
                cells.append(f"x {mean(rises):.2f} ± {error:.2f}")
            print(f"| {beginning} | `{layer}` | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
