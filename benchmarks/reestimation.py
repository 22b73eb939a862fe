"""What estimating the statistics of batch normalisations anew after a merge is worth.

    python benchmarks/reestimation.py specs/scenes.mtl --seeds 0 1 2
    python benchmarks/reestimation.py specs/nyuv2_small.mtl --set data.root=data/nyuv2 --set train.epochs=12

trains the spec with every seed, and at every merge evaluates the network before and after it on validation twice: with
the statistics as the transfer leaves them, and with those of both networks estimated anew. Prints by how much the loss
of each task rises, the median over merging phases, and how often it rises by more than a tenth.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import torch
from torch import nn

from mtsldsl.editing import load
from mtsldsl.ir import Spec
from mtsldsl.runtime.data import Samples, Splits
from mtsldsl.runtime.learning.evaluation import evaluate
from mtsldsl.runtime.learning.reestimation import reestimate
from mtsldsl.runtime.run.launch import launch
from mtsldsl.runtime.run.session import Session
from mtsldsl.runtime.structure import phase

Losses = Mapping[str, float]


class Study:
    """Stands in for `reestimate` in a structural phase, and measures on either side of it."""

    def __init__(self) -> None:
        self.validation: Samples | None = None
        self.stale: list[Losses] = []
        self.fresh: list[Losses] = []

    def __call__(self, networks: Sequence[tuple[Spec, nn.Module]], samples: Samples, device: torch.device) -> None:
        """Estimate anew, for the networks before and after a merge."""
        assert self.validation is not None
        self.stale += [evaluate(model, spec, self.validation, device).losses for spec, model in networks]
        reestimate(networks, samples, device)
        self.fresh += [evaluate(model, spec, self.validation, device).losses for spec, model in networks]


class StudiedSession(Session):
    """A run whose validation set the study sees too."""

    study: Study

    def load_data(self) -> Splits:
        """The data set."""
        data = super().load_data()
        self.study.validation = data.validation
        return data


def studied(path: Path, seed: int, settings: Mapping[str, str]) -> Study:
    """A whole run of the spec."""
    study = Study()
    StudiedSession.study = study
    phase.reestimate = study
    spec = load(path, {**settings, "train.seed": str(seed)})
    with tempfile.TemporaryDirectory() as folder:
        launch(StudiedSession.create(spec, path.stem, Path(folder), "cpu", "quiet"))
    return study


def rises(losses: Sequence[Losses]) -> dict[str, list[float]]:
    """By how much each task's loss rises at each merging phase, in percent."""
    found: dict[str, list[float]] = defaultdict(list)
    for before, after in zip(losses[::2], losses[1::2], strict=True):
        for task, loss in before.items():
            found[task].append(100 * (after[task] / loss - 1))
    return found


def main() -> None:
    """Train, and print the table as markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("spec", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    settings = dict(setting.split("=", 1) for setting in options.settings)
    studies = [studied(options.spec, seed, settings) for seed in options.seeds]
    phases = [len(study.fresh) // 2 for study in studies]
    print(f"{options.spec}, seeds {options.seeds}: merging phases {phases}\n")
    print("| task | median rise, as transferred | estimated anew | rises over 10 %, as transferred | estimated anew |")
    print("|---|---|---|---|---|")
    stale, fresh = ([rises(getattr(study, kind)) for study in studies] for kind in ("stale", "fresh"))
    for task in stale[0]:
        before, after = ([value for run in runs for value in run[task]] for runs in (stale, fresh))
        often = (f"{sum(value > 10 for value in values)} of {len(values)}" for values in (before, after))
        print(f"| {task} | {median(before):+.1f} % | {median(after):+.1f} % | {' | '.join(often)} |")


if __name__ == "__main__":
    main()
