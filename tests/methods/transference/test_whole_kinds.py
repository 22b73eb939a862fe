"""Looking ahead in networks, balances and runs of every kind."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import attrs
import pytest
import torch
from torch import Tensor

from mtsldsl.ir.wiring import copies
from mtsldsl.language.optimization import BALANCES
from mtsldsl.methods.transference.learner import Transference
from mtsldsl.runtime.learning.probe import Probe
from mtsldsl.runtime.learning.step import Position
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.structure.learner import Learner
from tests.methods.transference.looking import (
    LOOKS,
    TEXT,
    batch_of,
    bits,
    losses_by_hand,
    make_step,
    probe_of,
    state_of,
    training,
)


def by_hand(
    made: Training, probe: Probe, rows: Tensor, labels: Mapping[str, Tensor], donor: str, recipient: str
) -> tuple[float, float]:
    """What a plain step of the donor does to the recipient where no weights move but those that both use: exactly, and
    to the first order."""
    users = {copy.name: copy.component for copy in copies(made.spec)}
    names = [
        f"{name}.{each}"
        for name, tasks in users.items()
        if len(tasks) > 1 and {donor, recipient} <= tasks
        for each, _ in made.model.get_submodule(name).named_parameters()
    ]
    model = copy.deepcopy(made.model)
    losses = losses_by_hand(model, probe.random, rows, labels)
    weights = [model.get_parameter(name) for name in names]
    if not weights:
        return 0.0, 0.0
    gradients, others = (
        torch.autograd.grad(losses[task], weights, retain_graph=True, allow_unused=True, materialize_grads=True)
        for task in (donor, recipient)
    )
    inner = sum(float((one * other).sum()) for one, other in zip(gradients, others, strict=True))
    with torch.no_grad():
        for weight, gradient in zip(weights, gradients, strict=True):
            weight -= 0.1 * gradient
    after = losses_by_hand(model, probe.random, rows, labels)
    before = losses[recipient].item()
    return 1 - after[recipient].item() / before, 0.1 * inner / before


NETWORKS = {
    "a layer of some": TEXT,
    "branches that are shared otherwise": TEXT.replace(
        "  stem = linear(8) | batch_norm | relu\n  last = linear(8) | relu\n",
        "  left  = row | linear(4) | batch_norm | relu\n  right = row | linear(4) | dropout(0.3)\n  last  = concat(left, right)\n",
    ).replace("  stem = all\n  last = a + b, c\n", "  left  = a + b, c\n  right = a, b + c\n  last  = each\n"),
    "alternatives": TEXT.replace(
        "last = linear(8) | relu",
        "last = parallel(one=linear(8) | relu, two=linear(8) | dropout(0.2), three=linear(8))",
    ).replace("last = a + b, c", "last = one: a + b, two: b + c, three: c"),
    "alternatives that a gate weighs": TEXT.replace(
        "last = linear(8) | relu", "last = parallel(one=linear(8) | relu, two=linear(8), gate=mixture)"
    ).replace("last = a + b, c", "last = one: a + b, two: b + c"),
    "a layer that no head reads": TEXT.replace(
        "  last = linear(8) | relu\n", "  last = linear(8) | relu\n  idle = linear(3)\n"
    )
    .replace("head   = dropout(0.5) | linear(outputs)", "head   = last | dropout(0.5) | linear(outputs)")
    .replace("last = a + b, c\n", "last = a + b, c\n  idle = a + b, c\n"),
}


@pytest.mark.parametrize("network", NETWORKS)
def test_each_pair_is_measured_on_the_weights_that_both_use(network: str) -> None:
    made = training(NETWORKS[network])
    for seed in range(2):
        make_step(made, *batch_of(seed))
    rows, labels = batch_of(9)
    probe = probe_of(made, rows, labels)
    exact, first = probe.gains(), probe.first_order()
    for donor in "abc":
        for recipient in "abc":
            if donor == recipient:
                continue
            wanted, order = by_hand(made, probe, rows, labels, donor, recipient)
            assert exact[donor, recipient] == pytest.approx(wanted, rel=1e-9, abs=1e-14)
            assert first[donor, recipient] == pytest.approx(order, rel=1e-9, abs=1e-14)
    linked = {frozenset(pair) for pair, gain in exact.items() if gain and len(set(pair)) > 1}
    assert len(linked) == (2 if network.startswith("branches") else 3)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("look", LOOKS)
def test_networks_of_every_kind_are_left_as_they_are(look: str, network: str) -> None:
    made = training(NETWORKS[network], train__optimizer="adam")
    make_step(made, *batch_of(0))
    probe = probe_of(made, *batch_of(9))
    before = bits(state_of(made))
    LOOKS[look](probe)
    assert bits(state_of(made)) == before


class LookingEveryWay(Learner):
    """Looks ahead at each step, in all ways."""

    def observing(self, position: Position) -> bool:
        return True

    def observe(self, probe: Probe) -> None:
        self.found = {name: look(probe) for name, look in LOOKS.items()}


@pytest.mark.parametrize("balance", [rule.name for rule in BALANCES.rules])
def test_a_training_that_looks_ahead_is_the_same_to_the_bit_under_every_balance(balance: str) -> None:
    looking, plain = (
        training(
            TEXT.replace("last = a + b, c", "last = all"), learner, train__optimizer="adam", train__balance=balance
        )
        for learner in (LookingEveryWay(), Learner())
    )
    kept = []
    for made in (looking, plain):
        torch.manual_seed(7)
        for seed in range(4):
            make_step(made, *batch_of(seed, without="b" if seed == 2 else ""))
        made.end_epoch(dict.fromkeys("abc", 1.0))
        kept.append(bits((state_of(made), made.balance.state_dict())))
    assert kept[0] == kept[1]


def test_neither_weights_nor_balance_of_the_tasks_count_in_what_is_measured() -> None:
    found = []
    for text, balance in ((TEXT, "equal"), (TEXT.replace("loss   = mse", "loss   = mse\n  weight = 3.0"), "pcgrad")):
        made = training(text, train__balance=balance)
        torch.manual_seed(0)
        found.append(probe_of(made, *batch_of(0)).gains())
    assert found[0] == pytest.approx(found[1], rel=1e-9)


def looked(made: Training, least: int) -> Transference:
    """The learner after a step that computes sets of tasks apart from so many operations on."""
    made.least = least
    torch.manual_seed(0)
    make_step(made, *batch_of(0))
    assert isinstance(made.learner, Transference)
    return made.learner


@pytest.mark.parametrize("step", LOOKS)
def test_of_tasks_that_share_nothing_nothing_is_measured(step: str) -> None:
    text = TEXT.replace("dropout(0.5) | ", "").replace("stem = all\n", "stem = a + b, c\n")
    apart, whole = (looked(training(text, structure__step=step, structure__every="1"), least) for least in (0, 10**12))
    assert apart.counts.tolist() == whole.counts.tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    torch.testing.assert_close(apart.sums, whole.sums, rtol=1e-9, atol=1e-15)
    assert apart.sums[2].tolist() == apart.sums[:, 2].tolist() == [0, 0, 0]
    assert apart.sums[0, 1] != 0


TWO_BLOCKS = (
    TEXT.replace('data arrays {\n  path  = "none.npz"', 'data arrays one {\n  path  = "one.npz"')
    .replace(
        "task [a, b, c] {",
        'data arrays two {\n  path  = "two.npz"\n  input = row(6)\n}\n\ntask [a, b] {\n  data   = one',
    )
    .replace(
        "backbone {",
        "task c {\n  data   = two\n  target = values(2)\n  head   = linear(outputs)\n  loss   = mse\n}\n\nbackbone {",
    )
    .replace("every = 3", "every = 1")
)


@pytest.mark.parametrize("step", LOOKS)
def test_tasks_of_several_blocks_of_data_have_no_batch_in_common(step: str) -> None:
    made = training(TWO_BLOCKS, structure__step=step)
    plain = training(TWO_BLOCKS, Learner())
    for number, served in enumerate([("a", "b"), ("c",), ("a", "b")]):
        rows, labels = batch_of(number)
        for each in (made, plain):
            torch.manual_seed(number)
            make_step(each, rows, {task: labels[task] for task in served}, served)
    assert isinstance(made.learner, Transference)
    assert made.learner.counts.tolist() == [[2, 2, 0], [2, 2, 0], [0, 0, 1]]
    assert made.learner.sums[2, 2] != 0  # by the stem, which the others share with it
    assert bits(state_of(made)) == bits(state_of(plain))
    (finding,) = told(made)
    assert finding["gained"][2][:2] == [None, None]


def told(made: Training) -> list[dict[str, object]]:
    """What the learner says at the end of an epoch."""
    said: list[dict[str, object]] = []

    @attrs.frozen
    class Heard:
        spec = made.spec

        def say(self, kind: str, **facts: object) -> None:
            said.append(facts)

    made.learner.decide(Heard())  # type: ignore[attr-defined]  # all that it asks of a view
    return said


def test_in_bf16_gains_are_those_of_fp32_though_a_step_is_less_than_the_numbers_of_bf16_are_apart() -> None:
    wide = (
        TEXT.replace("dropout(0.5) | ", "").replace("linear(8)", "linear(64)").replace("last = a + b, c", "last = all")
    )
    coarse, fine = (
        training(wide, train__precision=precision, train__optimizer="sgd(lr=0.001)") for precision in ("bf16", "fp32")
    )
    rows, labels = batch_of(0)
    exact = probe_of(fine, rows, labels).gains()
    probe = probe_of(coarse, rows.float(), {task: each.float() for task, each in labels.items()})
    weights = coarse.model.state_dict()
    assert {each.dtype for each in weights.values() if each.is_floating_point()} == {torch.float32}
    size = sum(map(abs, exact.values()))
    for look, most in ((Probe.gains, 0.01), (Probe.gains_of_optimizer, 0.01), (Probe.first_order, 0.03)):
        found = look(probe)
        assert 0 < sum(abs(found[pair] - exact[pair]) for pair in exact) < most * size
    shared = probe.shared["a"]
    moved = {name: shared[name] - 0.001 * gradient for name, gradient in probe._gradient("a").items()}
    stuck = sum(int((each.bfloat16() == shared[name].bfloat16()).sum()) for name, each in moved.items())
    assert stuck > 0.8 * sum(each.numel() for each in moved.values())
