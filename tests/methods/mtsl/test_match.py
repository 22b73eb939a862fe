"""`match = channels`: copies that are one in another order of channels merge without a loss, whatever reads them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mtsldsl.codegen import compile_spec
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.ir.normal import digest
from mtsldsl.methods.mtsl.learner import Mtsl
from mtsldsl.runtime.data import load_data
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.channels import channels_of, reordering
from mtsldsl.runtime.network.reordering import one_after_the_other, reorder
from mtsldsl.runtime.structure.matching import matched
from mtsldsl.runtime.structure.phase import structural_phase
from tests.runtime.started import started
from tests.runtime.test_phase import Record
from tests.runtime.test_similarity_of_losses import viewed
from tests.scenes import rooms

TEXT = (
    rooms(40)
    + """
backbone {
  stem = conv2d(6, 3, stride=2) | batch_norm | relu
  deep = conv2d(5, 3) | batch_norm | relu | depthwise(3) | conv2d(6, 3) | batch_norm | add(stem) | relu
  last = deep | concat(stem) | conv2d(7, 3) | relu
}

train {
  epochs = 4
  ema    = 0.5
}

structure mtsl {
  phases     = [1, 2]
  similarity = cka(samples=30)
  align      = 0
  threshold  = -1
  match      = channels
}
"""
)


def twins(spec: Spec) -> Training:
    """A training whose copies of `edge` are those of `depth` in another order of channels, with moments that are the
    weights, and a mean of them too; the heads are each its own."""
    training = started(spec, lambda named: torch.optim.Adam(named, lr=1e-3))
    model, tensors = training.model, training.model.state_dict()
    chance = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not name.startswith("heads"):
                noise = 0.3 * torch.randn(tensor.shape, generator=chance)
                tensor.add_(noise.abs() if name.endswith("running_var") else noise)
        for name, tensor in tensors.items():
            if ".edge." in name and not name.startswith("heads"):
                tensor.copy_(tensors[name.replace(".edge.", ".depth.")])
    orders: Any = {}
    for channels in channels_of(spec, tensors):
        if not channels.fixed and all(each.component == {"edge"} for each in channels.copies):
            order = torch.randperm(channels.size, generator=chance)
            orders = one_after_the_other(orders, reordering(channels, order, tensors))
    assert orders
    reorder(model, orders)
    for parameter in model.parameters():
        state = {
            "step": torch.tensor(3.0),
            "exp_avg": parameter.detach().clone(),
            "exp_avg_sq": parameter.detach() ** 2,
        }
        training.optimizer.state[parameter] = state
    assert training.averaged is not None
    training.averaged.update_parameters(model)
    training.epoch = 1
    return training


def outputs(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    with torch.no_grad():
        return dict(model.eval()(images))


def merged(text: str) -> tuple[Training, dict[str, Tensor], dict[str, Tensor], Record]:
    """A phase of twins, with what they computed before, all statistics estimated anew, and after it."""
    spec = loads(text)
    training, data, record = twins(spec), load_data(spec), Record()
    images = data.test.take(torch.arange(6)).fields["image"].float() / 255
    assert spec.structure is not None
    old = training.model
    structural_phase(training, Mtsl(spec.structure.settings), data, record)
    return training, outputs(old, images), outputs(training.model, images), record


def test_twins_merge_without_a_loss_and_so_do_their_moments_and_their_mean() -> None:
    training, before, after, record = merged(TEXT)
    assert [decision.fields["layer"] for decision in training.spec.history] == ["stem"]
    for task, expected in before.items():
        torch.testing.assert_close(after[task], expected, rtol=1e-4, atol=1e-5)
    told = [fields for kind, fields in record.said if kind == "matching"]
    assert [(each["layer"], each["tasks"], each["matched"], each["left"]) for each in told] == [
        ("stem", ["edge"], 1, 0)
    ]
    assert told[0]["correlation"][0] < 0.9 < 0.9999 < told[0]["correlation"][1]
    for name, parameter in training.model.named_parameters():
        torch.testing.assert_close(training.optimizer.state[parameter]["exp_avg"], parameter, msg=name)
    assert training.averaged is not None
    for name, parameter in training.averaged.module.named_parameters():
        torch.testing.assert_close(parameter, training.model.get_parameter(name), msg=name)


def test_without_matching_they_do_not() -> None:
    _, before, after, record = merged(TEXT.replace("  match      = channels\n", ""))
    assert any(float((after[task] - before[task]).abs().max()) > 1e-2 for task in before)
    assert not [kind for kind, _ in record.said if kind == "matching"]


def test_all_layers_at_once_merge_without_a_loss() -> None:
    """Those that are added have one order, which the first of them decides."""
    text = TEXT.replace("threshold  = -1", "choose     = budget(0.56)").replace("[1, 2]", "[1]")
    training, before, after, record = merged(text)
    assert [decision.fields["layer"] for decision in training.spec.history] == ["stem", "deep", "last"]
    for task, expected in before.items():
        torch.testing.assert_close(after[task], expected, rtol=1e-4, atol=1e-5)
    told = [fields for kind, fields in record.said if kind == "matching"]
    assert [(each["layer"], each["matched"], each["left"]) for each in told] == [
        ("stem", 1, 0), ("deep", 1, 1), ("last", 1, 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (("batch_norm | relu\n  deep", "group_norm(2) | relu\n  deep"), "stem"),
        (("conv2d(6, 3) | batch_norm | add(stem)", "conv2d(6, 3, groups=1) | group_norm(3) | add(stem)"), "stem"),
    ],
)
def test_what_tells_channels_apart_leaves_them_and_is_said(change: tuple[str, str], left: str) -> None:
    spec = loads(TEXT.replace(*change))
    training = started(spec, lambda named: torch.optim.Adam(named, lr=1e-3))
    view = viewed(spec, training.model, load_data(spec).train)
    order, told = matched(view, [(left, [frozenset({"depth"}), frozenset({"edge"})])], 30)
    assert order == {}
    assert [(each.layer, each.sets, each.fixed) for each in told] == [(left, 0, 1)]


def test_what_is_frozen_keeps_its_order() -> None:
    spec = loads(TEXT + "\ntuning {\n  last = frozen\n}\n")
    training = started(spec, lambda named: torch.optim.Adam(named, lr=1e-3))
    view = viewed(spec, training.model, load_data(spec).train)
    groups = [(layer, [frozenset({"depth"}), frozenset({"edge"})]) for layer in ("stem", "deep", "last")]
    order, told = matched(view, groups, 30)
    assert not [name for name in order if name.startswith("last")]
    assert [each.sets for each in told] == [0, 1, 0]  # `last` reads what `stem` gives


def test_by_default_nothing_is_matched_and_hash_and_code_stay() -> None:
    plain, said = (loads(TEXT.replace("  match      = channels\n", each)) for each in ("", "  match      = none\n"))
    assert digest(plain) == digest(said) != digest(loads(TEXT))
    assert "match=" not in compile_spec(said)["train.py"]
    assert 'match="channels"' in compile_spec(loads(TEXT))["train.py"]
