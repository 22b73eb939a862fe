from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from mtsldsl.diagnostics import MtlError
from mtsldsl.methods.mtsl.amalgamation import AmalgamationJob, Gate, amalgamate, amalgamation_loss
from mtsldsl.runtime.network.execution import pooled
from mtsldsl.runtime.network.optimizer_state import set_parameter_state
from mtsldsl.runtime.network.transfer import average_state
from tests.given import CONFORMANCE, needs_conformance
from tests.runtime.hand_built import make_layer


def adam(named: Iterable[tuple[str, nn.Parameter]]) -> Optimizer:
    return Adam(named, lr=0.01)


def noise(count: int, *shape: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(8, *shape, generator=generator) for _ in range(count)]


def make_job(layer: str = "a", channels: int = 4, teachers: int = 2, seed: int = 0) -> AmalgamationJob:
    torch.manual_seed(seed)
    members = [make_layer(layer) for _ in range(teachers)]
    fusion = make_layer(layer)
    fusion.load_state_dict(average_state([member.state_dict() for member in members]))
    return AmalgamationJob(f"{layer}.x+y", fusion, tuple(members), channels)


def state_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, right[name]) for name, value in left.items())


@needs_conformance
def test_the_loss_and_its_gradients_are_those_of_the_reference() -> None:
    arrays: Any = np.load(CONFORMANCE / "amalgamation.npz")
    for case in json.loads((CONFORMANCE / "amalgamation.json").read_text())["cases"]:
        name = f"cc{case['id']}"
        output = torch.tensor(arrays[f"{name}_fusion_out"], requires_grad=True)
        teachers = [torch.from_numpy(arrays[f"{name}_teacher{k}"]) for k in range(case["T"])]
        gates = [Gate(case["C"]) for _ in teachers]
        for k, gate in enumerate(gates):
            weights = {key: torch.from_numpy(arrays[f"{name}_w_gate{k}.{key}"]) for key in gate.layers.state_dict()}
            gate.layers.load_state_dict(weights)
        factors = [gate(pooled(output)) for gate in gates]
        loss = amalgamation_loss(output, teachers, factors)
        loss.backward()
        assert loss.item() == pytest.approx(case["loss"], abs=1e-6)
        torch.testing.assert_close(
            output.grad, torch.from_numpy(arrays[f"{name}_grad_fusion_out"]), rtol=1e-5, atol=1e-7
        )
        for k, gate in enumerate(gates):
            torch.testing.assert_close(factors[k], torch.from_numpy(arrays[f"{name}_gate{k}"]))
            for key, parameter in gate.layers.named_parameters():
                expected = torch.from_numpy(arrays[f"{name}_gw_gate{k}.{key}"])
                torch.testing.assert_close(parameter.grad, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("shape", [(5, 4, 3), (7, 5), (5,)], ids=["image", "tokens", "features"])
def test_a_gate_multiplies_the_channels_of_images_tokens_and_features(shape: tuple[int, ...]) -> None:
    output, teacher = noise(2, *shape)
    gate = torch.rand(8, 5)
    factors = gate[:, :, None, None] if len(shape) == 3 else gate[:, None] if len(shape) == 2 else gate
    expected = (factors * output - teacher).square().mean() + (output - teacher).square().mean()
    torch.testing.assert_close(amalgamation_loss(output, [teacher, teacher], [gate, torch.ones(8, 5)]), expected)


def test_gates_start_open() -> None:
    torch.manual_seed(0)
    factors = Gate(16)(torch.randn(100, 16))
    assert factors.shape == (100, 16)
    assert factors.min() > 0.9


def test_amalgamation_brings_the_component_nearer_to_its_members() -> None:
    job = make_job()
    batches = [[(batch,)] for batch in noise(6, 3, 8, 8)]
    report = amalgamate([job], lambda _: batches, 8, adam)
    losses = report.losses["a.x+y"]
    assert len(losses) == 8
    assert report.steps == 48
    assert losses[-1] < 0.8 * losses[0]


def test_the_component_of_equal_members_stays_what_it_is() -> None:
    job = make_job(teachers=1)
    job = AmalgamationJob("a.x+y", job.fusion, (job.teachers[0], copy.deepcopy(job.teachers[0])), 4)
    batches = noise(4, 3, 8, 8)
    with torch.no_grad():
        for part in (job.fusion, *job.teachers):
            for _ in range(100):
                part(batches[0])
            part.eval()
        before = job.fusion(batches[1])
    amalgamate([job], lambda _: [[(batch,)] for batch in batches], 3, lambda named: Adam(named, lr=1e-3))
    with torch.no_grad():
        after = job.fusion(batches[1])
    assert (after - before).norm() < 0.1 * before.norm()


def test_teachers_are_left_as_they_are() -> None:
    job = make_job("b", 6)
    job.teachers[1].eval()
    before = [state_of(teacher) for teacher in job.teachers]
    modes = [[part.training for part in teacher.modules()] for teacher in job.teachers]
    amalgamate([job], lambda _: [[(batch,)] for batch in noise(3, 4, 8, 8)], 2, adam)
    assert all(same(state, teacher.state_dict()) for state, teacher in zip(before, job.teachers, strict=True))
    assert [[part.training for part in teacher.modules()] for teacher in job.teachers] == modes
    assert all(parameter.grad is None for teacher in job.teachers for parameter in teacher.parameters())


def test_teachers_run_in_evaluation_mode_and_the_component_in_training_mode() -> None:
    job = make_job("b", 6)
    job.fusion.eval()
    seen: list[tuple[str, bool, bool]] = []
    for name, module in [("teacher", job.teachers[0]), ("fusion", job.fusion)]:
        module.register_forward_hook(
            lambda part, _, output, name=name: seen.append((name, part.training, output.requires_grad))
        )
    amalgamate([job], lambda _: [[(batch,)] for batch in noise(1, 4, 8, 8)], 1, adam)
    assert seen == [("teacher", False, False), ("fusion", True, True)]
    assert not any(part.training for part in job.fusion.modules())


def test_nothing_flows_back_into_what_made_the_inputs() -> None:
    job, (image,) = make_job(), noise(1, 3, 8, 8)
    image.requires_grad_()
    amalgamate([job], lambda _: [[(image * 2,)]], 1, adam)
    assert image.grad is None


def test_jobs_trained_together_become_what_they_become_alone() -> None:
    def run(chosen: slice, seed: int) -> tuple[list[dict[str, Tensor]], dict[str, tuple[float, ...]]]:
        jobs = [make_job("a", 4, 2, seed=1), make_job("c", 5, 3, seed=2)][chosen]
        images, b, a = noise(3, 3, 8, 8), noise(3, 6, 4, 4, seed=1), noise(3, 4, 8, 8, seed=2)
        batches = [[(image,), (x, y)][chosen] for image, x, y in zip(images, b, a, strict=True)]
        torch.manual_seed(seed)
        report = amalgamate(jobs, lambda _: batches, 2, adam)
        return [state_of(job.fusion) for job in jobs], dict(report.losses)

    together, losses = run(slice(None), 0)
    alone, loss = run(slice(1), 0)  # the gates of the first job are drawn first
    assert same(together[0], alone[0])
    assert losses["a.x+y"] == loss["a.x+y"]
    assert losses.keys() == {"a.x+y", "c.x+y"}


def test_a_component_with_several_inputs_gets_them_in_order() -> None:
    job = make_job("c", 5)
    b, a = noise(1, 6, 4, 4) + noise(1, 4, 8, 8)
    report = amalgamate([job], lambda _: [[(b, a)]], 1, adam)
    assert report.steps == 1


def test_without_parameters_or_epochs_the_data_is_not_looked_at() -> None:
    def unused(_: int) -> Iterator[list[tuple[Tensor, ...]]]:
        raise AssertionError

    pool = AmalgamationJob("p.x+y", nn.MaxPool2d(2), (nn.MaxPool2d(2), nn.MaxPool2d(2)), 3)
    job = make_job()
    before = state_of(job.fusion)
    assert amalgamate([pool], unused, 5, adam).steps == 0
    assert amalgamate([], unused, 5, adam).losses == {}
    assert amalgamate([job], unused, 0, adam).losses == {"a.x+y": ()}
    assert same(before, job.fusion.state_dict())


def test_a_component_without_parameters_is_left_out_among_others() -> None:
    pool = AmalgamationJob("p.x+y", nn.MaxPool2d(2), (nn.MaxPool2d(2), nn.MaxPool2d(2)), 3)
    report = amalgamate([pool, make_job()], lambda _: [[(image,), (image,)] for image in noise(2, 3, 8, 8)], 1, adam)
    assert report.losses["p.x+y"] == ()
    assert len(report.losses["a.x+y"]) == 1


def test_the_optimizer_state_of_the_component_alone_is_reported_by_its_names() -> None:
    job = make_job()
    report = amalgamate([job], lambda _: [[(batch,)] for batch in noise(3, 3, 8, 8)], 2, adam)
    named = {f"a.x+y.{name}": parameter for name, parameter in job.fusion.named_parameters()}
    assert report.optimizer_state.keys() == named.keys()
    assert all(state["step"] == 6 for state in report.optimizer_state.values())
    optimizer = adam(named.items())
    set_parameter_state(optimizer, named, report.optimizer_state)
    expected = report.optimizer_state["a.x+y.0.weight"]["exp_avg"]
    assert torch.equal(optimizer.state[named["a.x+y.0.weight"]]["exp_avg"], expected)
    assert all(parameter.grad is None for parameter in named.values())


def test_progress_is_told_after_each_step_and_epochs_ask_for_their_own_batches() -> None:
    told: list[tuple[int, int]] = []
    asked: list[int] = []

    def batches(epoch: int) -> Iterator[list[tuple[Tensor, ...]]]:
        asked.append(epoch)
        for batch in noise(epoch + 1, 3, 8, 8):
            yield [(batch,)]

    amalgamate([make_job()], batches, 2, adam, lambda epoch, step, loss: told.append((epoch, step)))
    assert asked == [0, 1]
    assert told == [(0, 1), (1, 1), (1, 2)]


def test_amalgamation_stops_at_the_step_whose_loss_is_not_finite() -> None:
    told: list[int] = []
    batches = [[tuple(noise(1, 6, 4, 4) + noise(1, 4, 8, 8))]] * 9
    with pytest.raises(MtlError, match="MTL803"):
        amalgamate(
            [make_job("c", 5)],
            lambda _: batches,
            1,
            lambda named: SGD(named, lr=1e30),
            lambda _, step, __: told.append(step),
        )
    assert 1 <= len(told) < 4


@pytest.mark.parametrize(
    ("batches", "make", "code"),
    [
        (lambda _: [], adam, "MTL804"),
        (lambda _: [[tuple(noise(1, 6, 4, 4) + noise(1, 4, 8, 8))]] * 5, lambda named: SGD(named, lr=1e30), "MTL803"),
    ],
    ids=["no data", "diverged"],
)
def test_what_cannot_be_amalgamated_is_an_error(
    batches: Callable[[int], Any], make: Callable[..., Optimizer], code: str
) -> None:
    job = make_job("c", 5)
    with pytest.raises(MtlError) as caught:
        amalgamate([job], batches, 2, make)
    assert caught.value.diagnostics[0].code == code
    assert job.fusion.training
