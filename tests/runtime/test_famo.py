"""FAMO: the same weights as torchjd's own, which has all tasks in each step."""

from __future__ import annotations

import copy

import pytest
import torch
from torchjd.scalarization import FAMO

from tests.runtime.looking_ahead import batch_of, gradients, learn, training


def test_steps_and_weights_are_those_of_torchjd() -> None:
    made = training("famo(lr=0.3, weight_decay=0.01)", ("dropout(0.5) | ", ""), ("batch_norm | ", ""))
    model = copy.deepcopy(made.model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    own = FAMO(3, lr=0.3, weight_decay=0.01)
    learn(made, range(3))

    def losses(number: int) -> torch.Tensor:
        batch = batch_of(number)
        return torch.stack([(output - batch[task]).square().mean() for task, output in model(batch["row"]).items()])

    for number in range(9):
        optimizer.zero_grad()
        (3 * own(losses(number))).backward()
        optimizer.step()
        with torch.no_grad():
            own.update(losses(number))
    torch.testing.assert_close(made.balance.state_dict()["logits"], own._w.detach(), rtol=1e-4, atol=1e-5)
    assert made.balance.state_dict()["logits"].abs().min() > 0.01
    for one, other in zip(made.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_the_factors_sum_to_the_number_of_tasks_and_are_those_of_the_gradient() -> None:
    made = training("famo")
    weight = torch.nn.Parameter(torch.ones(3))
    losses = {task: (place + 1.0) * weight[place] ** 2 for place, task in enumerate("abc")}
    made.balance.backward(losses, None, [weight])
    factors = torch.stack([made.balance.weighed[task] for task in "abc"])
    assert factors.sum().item() == pytest.approx(3)
    torch.testing.assert_close(factors * torch.tensor([1.0, 2.0, 3.0]), torch.full((3,), 18 / 11), rtol=1e-5, atol=0)
    torch.testing.assert_close(weight.grad, factors * torch.tensor([2.0, 4.0, 6.0]))


def test_the_task_whose_loss_falls_least_gets_more_weight() -> None:
    made = training("famo(lr=0.1)", ("dropout(0.5) | ", ""), ("batch_norm | ", ""), rate=0.01)
    for _ in range(20):
        batch = batch_of(0)
        batch["c"] = torch.where(torch.arange(2) > 0, 30.0, -30.0).expand(16, 2)  # too far away to be reached
        gradients(made, batch)
        made.optimizer.step()
    made.end_epoch({})
    logits = made.balance.state_dict()["logits"]
    assert logits.argmax() == 2


def test_a_task_without_labels_learns_no_weight_and_a_step_leaves_no_trace() -> None:
    made, plain = training("famo"), training("equal")
    for number in range(2):
        gradients(made, batch_of(number, without="b"))
        made.optimizer.step()
    made.end_epoch({})
    state = made.balance.state_dict()
    assert state["logits"][1] == state["steps"][1] == 0
    assert state["steps"].tolist() == [2, 0, 2]
    for number in range(2):
        gradients(plain, batch_of(number, without="b"))
    for name, buffer in plain.model.named_buffers():  # of batch normalisation, after the first step alike
        if name.endswith("num_batches_tracked"):
            assert torch.equal(buffer, made.model.get_buffer(name))


def test_a_task_that_counts_nothing_does_not_steer_the_others() -> None:
    task = "task [a, b, c] {\n  target = values(2)\n  head   = dropout(0.5) | linear(outputs)\n  loss   = mse\n}"
    apart = (
        task.replace("dropout(0.5) | ", "").replace("[a, b, c]", "[a, b]"),
        (task.replace("dropout(0.5) | ", "").replace("[a, b, c]", "c").replace("loss ", "weight = 0\n  loss ")),
    )
    found = []
    for scale in (1.0, 30.0):
        made = training("famo(lr=0.3)", (task, "\n\n".join(apart)))
        for number in range(4):
            batch = batch_of(number)
            batch["c"] = scale * batch["c"]
            gradients(made, batch)
            made.optimizer.step()
        made.end_epoch({})
        found.append({name: value.clone() for name, value in made.balance.state_dict().items()})
    for name, value in found[0].items():
        assert torch.equal(value, found[1][name]), name
        assert value[2] == 0
    assert found[0]["logits"].abs().sum() > 0.1
