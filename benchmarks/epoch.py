"""Time of a whole epoch of an all-shared network: ours against a loop written by hand over the same data.

    python benchmarks/epoch.py [--rounds N]

Five tasks on rendered scenes, 160 training images of 64x64 in batches of 16, mirrored at random, 32 for validation; the
encoder-decoder of benchmarks/networks.py, every layer of it shared. Both ways hold the same compact arrays, make
batches of them, train, add up the losses, measure validation (mean IoU, pixel accuracy, RMSE, relative error, angles,
F1, cross entropy, squared error), keep the best weights and write a checkpoint of weights and optimizer. Ours is what a
generated train.py does, with its events and its guard; the other what an engineer writes with care, on PyTorch,
torchmetrics and safetensors alone.

One thread, the process's own CPU time, the two in turn, the median of the rounds' ratios. Both start from the same
weights and see the same batches; the first epoch's losses and metrics are held to be equal to 1e-3. Exits with 1 where
the median is above 1.05.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from networks import SPEC, TASKS, Basic, Up, losses_by_hand, make_stem
from safetensors.torch import save_file
from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics.classification import BinaryF1Score, MulticlassAccuracy, MulticlassConfusionMatrix

import mtsldsl
from mtsldsl.runtime.data import Samples, Splits, batches, steps_per_epoch
from mtsldsl.runtime.learning.evaluation import autocast
from mtsldsl.runtime.learning.learned import NamedParameters
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.built import model_class
from mtsldsl.runtime.run.session import Session
from mtsldsl.runtime.structure.learner import Learner

GOAL = 1.05

Epoch: TypeAlias = Callable[[], dict[str, float]]
"""Trains and validates once; gives the means of the training losses and the metrics of validation."""

SHARING = "\nsharing {\n  stem..dec1 = all\n}\n"

SIZES = {"data.images": 224, "data.batch": 16, "data.augment": "[hflip(0.5)]"}


class Network(nn.Module):
    """One trunk, a head for each task."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = make_stem(width)
        self.enc1 = Basic(width, width)
        self.enc2 = Basic(width, 2 * width, stride=2)
        self.enc3 = Basic(2 * width, 4 * width, stride=2)
        self.dec2 = Up(6 * width, 2 * width)
        self.dec1 = Up(3 * width, width)
        self.heads = nn.ModuleDict({task: nn.Conv2d(width, channels, 1) for task, channels in TASKS.items()})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(n, 3, h, w) -> the outputs of the tasks."""
        enc1 = self.enc1(self.stem(image))
        enc2 = self.enc2(enc1)
        x = self.dec1(self.dec2(self.enc3(enc2), enc2), enc1)
        size = image.shape[-2:]
        return {
            task: F.interpolate(head(x), size=size, mode="bilinear", align_corners=False)
            for task, head in self.heads.items()
        }


def batches_by_hand(
    samples: Samples,
    order: Tensor,
    flips: Tensor | None,
    size: int = 16,
    layout: torch.memory_format = torch.channels_last,
) -> Iterator[dict[str, Tensor]]:
    """Batches of the compact arrays in the order of `order` (n,), each sample mirrored where `flips` (n,) says so;
    images in that layout."""
    for first in range(0, len(order), size):
        chosen = order[first : first + size]
        batch = {name: tensor[chosen] for name, tensor in samples.fields.items()}
        batch["image"] = batch["image"].float().div_(255).contiguous(memory_format=layout)
        batch["label"] = batch["label"].long()
        normal = batch["normal"].float()
        batch["normal"] = normal / normal.square().sum(1, keepdim=True).sqrt_().clamp_min_(1e-12)
        batch["depth"], batch["edge"] = batch["depth"].float(), batch["edge"].float()
        if flips is not None:
            mirrored = flips[first : first + size]
            for name, tensor in batch.items():
                shape = (-1, *[1] * (tensor.dim() - 1))
                batch[name] = torch.where(mirrored.view(shape), tensor.flip(-1), tensor)
            batch["normal"][mirrored, 0] *= -1
        yield batch


class MetricsByHand:
    """The metrics that SPEC has by default, over a validation set; those of `repeat` only where there is an output."""

    def __init__(self) -> None:
        self.confusion = MulticlassConfusionMatrix(5, ignore_index=255, validate_args=False)
        self.pixels = MulticlassAccuracy(5, average="micro", ignore_index=255, validate_args=False)
        self.f1 = BinaryF1Score(validate_args=False)
        self.means = {
            name: MeanMetric(nan_strategy="disable") for name in ("rmse", "abs_rel", "angle", "within", "bce", "mse")
        }

    def update(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> None:
        """Add a batch."""
        classes = outputs["segment"].argmax(dim=1)
        self.confusion.update(classes, batch["label"])
        self.pixels.update(classes, batch["label"])
        self.f1.update(outputs["edge"].sigmoid(), batch["edge"].long())
        measured = batch["depth"] > 0
        depth, wanted = outputs["depth"][measured], batch["depth"][measured]
        known = batch["normal"].any(dim=1)
        cosine = F.cosine_similarity(outputs["normal"], batch["normal"], dim=1)[known]
        angles = torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))
        entropy = F.binary_cross_entropy_with_logits(outputs["edge"], batch["edge"], reduction="none")
        found = {
            "rmse": (depth - wanted).square(),
            "abs_rel": (depth - wanted).abs() / wanted,
            "angle": angles,
            "within": (angles < 11.25).float(),
            "bce": entropy,
        }
        if "repeat" in outputs:
            found["mse"] = (outputs["repeat"] - batch["image"]).square()
        for name, values in found.items():
            self.means[name].update(values)

    def compute(self) -> dict[str, float]:
        """By the names under which ours are reported."""
        confusion = self.confusion.compute()
        hits = confusion.diagonal()
        union = confusion.sum(0) + confusion.sum(1) - hits
        means = {name: float(metric.compute()) for name, metric in self.means.items() if metric.update_called}
        found = {
            "segment.miou": float((hits / union.clamp(min=1)).sum() / (union > 0).sum()),
            "segment.pixel_accuracy": float(self.pixels.compute()),
            "depth.rmse": means["rmse"] ** 0.5,
            "depth.abs_rel": means["abs_rel"],
            "normal.mean_angle": means["angle"],
            "normal.within_11.25": means["within"],
            "edge.f1": float(self.f1.compute()),
            "edge.bce": means["bce"],
        }
        return found | ({"repeat.mse": means["mse"]} if "mse" in means else {})


def epoch_by_hand(model: nn.Module, data: Splits, drawn: Callable[[int], tuple[Tensor, Tensor]], folder: Path) -> Epoch:
    """The epoch that an engineer writes; `drawn` gives the order of the samples and which are mirrored, by epoch."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    done, best = 0, float("inf")

    def epoch() -> dict[str, float]:
        nonlocal done, best
        model.train()
        sums = torch.zeros(len(TASKS))
        order, flips = drawn(done)
        steps = 0
        for batch in batches_by_hand(data.train, order, flips):
            losses = losses_by_hand(model(batch["image"]), batch)
            terms = torch.stack(list(losses.values()))
            optimizer.zero_grad()
            torch.autograd.backward(terms.sum())
            optimizer.step()
            sums.add_(terms.detach())
            steps += 1
        model.eval()
        metrics = MetricsByHand()
        total = 0.0
        with torch.no_grad():
            for batch in batches_by_hand(data.validation, torch.arange(len(data.validation)), None):
                outputs = model(batch["image"])
                total += float(torch.stack(list(losses_by_hand(outputs, batch).values())).sum())
                metrics.update(outputs, batch)
        done += 1
        weights = {name: value.contiguous() for name, value in model.state_dict().items()}
        if total < best:
            best = total
            save_file(weights, str(folder / "best.safetensors"))
        save_file(weights, str(folder / "last.safetensors"))
        state = {
            f"{number}.{key}": value.contiguous()
            for number, each in optimizer.state_dict()["state"].items()
            for key, value in each.items()
        }
        save_file(state, str(folder / "optimizer.safetensors"))
        means = dict(zip(TASKS, (sums / steps).tolist(), strict=True))
        return means | metrics.compute()

    return epoch


def epoch_of_ours(session: Session, training: Training, data: Splits) -> Epoch:
    """What the loop of a generated train.py does, line by line."""
    spec = session.spec

    def epoch() -> dict[str, float]:
        with session.epoch(training, steps_per_epoch(data.train, 16)) as losses_of_epoch:
            for batch in batches(
                data.train,
                16,
                seed=0,
                epoch=training.epoch,
                shuffle=True,
                augment=spec.data.augment,
                device=session.device,
                drop_last=True,
            ):
                for tasks in training.sets():
                    with autocast("fp32", session.device):
                        outputs = training.forward(batch["image"], tasks)
                    losses = training.losses(outputs, batch)
                    penalty = training.penalty(batch, outputs, losses)
                    training.require_finite(losses, penalty)
                    training.zero_grad(tasks)
                    training.backward(losses, penalty)
                    losses_of_epoch.add(losses, penalty)
                training.optimizer.step()
                losses_of_epoch.end_step()
        found = training.evaluate(data.validation)
        session.end_epoch(training, found)
        metrics = {f"{task}.{name}": value for task, each in found.metrics.items() for name, value in each.items()}
        return losses_of_epoch.means() | metrics

    return epoch


def load_weights(by_hand: Network, ours: nn.Module) -> None:
    """Give the model written by hand the weights and buffers of ours."""
    for layer in ("stem", "enc1", "enc2", "enc3", "dec2", "dec1"):
        (component,) = ours.get_submodule(layer).children()
        target = by_hand.get_submodule(layer)
        target.load_state_dict(dict(zip(target.state_dict(), component.state_dict().values(), strict=True)))
    for task in TASKS:
        component = ours.get_submodule(f"heads.{task}")
        by_hand.heads[task].load_state_dict(
            dict(zip(by_hand.heads[task].state_dict(), component.state_dict().values(), strict=True))
        )


def order_and_flips(samples: int) -> Callable[[int], tuple[Tensor, Tensor]]:
    """The order of the training samples and which are mirrored, as ours draws them: read off marked samples."""
    marks = torch.arange(samples)
    image = torch.zeros(samples, 1, 1, 2)
    image[:, 0, 0, 1] = 1  # where it comes first, the sample is mirrored
    marked = Samples({"mark": marks, "image": image}, {"mark": _kind("label"), "image": _kind("plain")})
    augment = mtsldsl.loads(SPEC, overrides={"data.augment": "[hflip(0.5)]"}).data.augment

    def drawn(epoch: int) -> tuple[Tensor, Tensor]:
        of_epoch = list(batches(marked, 16, seed=0, epoch=epoch, shuffle=True, augment=augment, drop_last=True))
        order = torch.cat([batch["mark"] for batch in of_epoch])
        return order, torch.cat([batch["image"][:, 0, 0, 0] > 0 for batch in of_epoch])

    return drawn


def _kind(name: str) -> Any:
    from mtsldsl.runtime.data.fields import FieldKind

    return FieldKind(name)


def make_epochs(folder: Path, sizes: Mapping[str, int | str]) -> dict[str, Epoch]:
    """Both ways, from the same weights on the same data, with what they write below `folder`."""
    spec = mtsldsl.loads(SPEC + SHARING, overrides=sizes)
    session = Session.create(spec, "epoch", folder, "cpu", "quiet")
    data = session.load_data()

    def make_optimizer(parameters: NamedParameters) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=0.001, fused=True)

    training = session.start(model_class(spec), Learner(), make_optimizer, lambda _: None)
    model = Network(16)
    load_weights(model, training.model)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stubs lack the keyword
    written = folder / "by_hand"
    written.mkdir()
    drawn = order_and_flips(len(data.train))
    return {"ours": epoch_of_ours(session, training, data), "by hand": epoch_by_hand(model, data, drawn, written)}


def require_equal(found: Mapping[str, Mapping[str, float]], tolerance: float = 1e-3) -> None:
    """AssertionError where the ways found other losses or metrics."""
    ours, hand = found["ours"], found["by hand"]
    assert ours.keys() == hand.keys(), ours.keys() ^ hand.keys()
    for name, value in ours.items():
        assert abs(value - hand[name]) <= tolerance * max(1, abs(value)), (name, value, hand[name])


def measure(epochs: Mapping[str, Epoch], rounds: int) -> dict[str, list[float]]:
    """The CPU time of an epoch in seconds, of both ways in every round, in turn."""
    times: dict[str, list[float]] = {way: [] for way in epochs}
    for number in range(rounds):
        for way in list(epochs)[:: 1 if number % 2 else -1]:
            start = time.process_time()
            epochs[way]()
            times[way].append(time.process_time() - start)
    return times


def report(times: Mapping[str, Sequence[float]]) -> int:
    """Print what was measured; 1 where the goal is missed, else 0."""
    ratios = [ours / hand for ours, hand in zip(times["ours"], times["by hand"], strict=True)]
    ratio = statistics.median(ratios)
    low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    for way, seconds in times.items():
        print(f"{way:<8} {statistics.median(seconds):.3f} s of CPU an epoch")
    print(f"ours / by hand {ratio:.3f} ({low:.3f}-{high:.3f}), at most {GOAL}{'  missed' if ratio > GOAL else ''}")
    return 1 if ratio > GOAL else 0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Time of a whole epoch, ours against one by hand.")
    parser.add_argument("--rounds", type=int, default=15, help="how often both have their turn (default: 15)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        epochs = make_epochs(Path(folder), SIZES)
        require_equal({way: epoch() for way, epoch in epochs.items()})
        return report(measure(epochs, options.rounds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
