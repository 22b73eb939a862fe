"""Training on samples of several sources: which batches come, whom they serve, and what is measured of each source."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import load, loads
from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import Value, copies
from mtsldsl.language import Named
from mtsldsl.methods.mtsl.language import Settings
from mtsldsl.methods.mtsl.learner import compare
from mtsldsl.runtime.data import FieldKind, Mixed, Samples, Schedule, Splits, batches, load_data
from mtsldsl.runtime.data.mixed import shares
from mtsldsl.runtime.learning.evaluation import evaluate
from mtsldsl.runtime.learning.reestimation import BATCHES, reestimate
from mtsldsl.runtime.learning.step import Position
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.built import build_model, model_class
from mtsldsl.runtime.run.data_record import differences, record_of_data, recorded_places
from mtsldsl.runtime.similarity import cka
from mtsldsl.runtime.structure.learner import Learner
from mtsldsl.runtime.structure.view import View
from tests.compare.merging import edited
from tests.given import needs_data
from tests.ir.data_blocks import TWO
from tests.runtime.started import CPU, started
from tests.runtime.two_sources import LARGE, SMALL, written

RULES = [Named("proportional"), Named("equal"), Named("round_robin"), Named("temperature", {"power": 0.5})]
PLAIN = edited(TWO, ("  augment = [hflip]\n", ""))


def counted(sizes: dict[str, int]) -> Mixed:
    """Sources of so many samples, each with its number in its source, in place of a picture."""
    parts = {
        name: Samples({"image": torch.arange(count, dtype=torch.float32)[:, None]}, {"image": FieldKind.PLAIN})
        for name, count in sizes.items()
    }
    return Mixed(parts, loads(PLAIN).streams)


def seen(
    mixed: Mixed, batch: dict[str, int], rule: Named, seed: int, epoch: int
) -> list[tuple[tuple[str, ...], tuple[int, ...]]]:
    """Every batch of an epoch: the tasks that it serves, and the numbers of its samples."""
    order = Schedule.of(mixed, batch, rule, seed=seed, epoch=epoch)
    found = [
        (tasks, tuple(map(int, each["image"].flatten())))
        for tasks, each in order.batches({"small": (), "large": ()}, "cpu")
    ]
    assert len(found) == len(order)
    assert sum(len(numbers) for _, numbers in found) == order.samples
    return found


sizes = st.fixed_dictionaries({"small": st.integers(4, 60), "large": st.integers(3, 40)})


@given(sizes, st.sampled_from(RULES), st.integers(0, 5), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_each_rule_gives_the_batches_that_it_says(sizes: dict[str, int], rule: Named, seed: int, epoch: int) -> None:
    mixed, batch = counted(sizes), {"small": 4, "large": 3}
    found = seen(mixed, batch, rule, seed, epoch)
    count = Counter(tasks[0] for tasks, _ in found)
    have = {"digit": sizes["small"] // 4, "letter": sizes["large"] // 3}
    total = sum(have.values())
    if rule.name == "proportional":
        assert count == have
    elif rule.name == "equal":
        assert set(count.values()) == {math.ceil(total / 2)}
    elif rule.name == "round_robin":
        assert set(count.values()) == {max(have.values())}
        pairs = zip(found[::2], found[1::2], strict=True)
        assert all({one[0], other[0]} == {("digit", "ink"), ("letter",)} for one, other in pairs)
    else:
        weights = {task: math.sqrt(number) for task, number in have.items()}
        for task, number in count.items():
            assert abs(number - max(1, total * weights[task] / sum(weights.values()))) <= 0.5
    for tasks, source, size in ((("digit", "ink"), "small", 4), (("letter",), "large", 3)):
        own = [numbers for served, numbers in found if served == tasks]
        assert {len(numbers) for numbers in own} == {size}
        each = have[tasks[0]]
        for start in range(0, len(own), each):  # one time through the source after the other
            numbers = [number for part in own[start : start + each] for number in part]
            assert len(set(numbers)) == len(numbers)
            assert set(numbers) <= set(range(sizes[source]))


@given(sizes)
@settings(max_examples=20, deadline=None)
def test_with_whole_batches_every_sample_is_seen_once_in_an_epoch(sizes: dict[str, int]) -> None:
    sizes = {"small": sizes["small"] // 4 * 4, "large": sizes["large"] // 3 * 3}
    found = seen(counted(sizes), {"small": 4, "large": 3}, RULES[0], 0, 0)
    for tasks, source in ((("digit", "ink"), "small"), (("letter",), "large")):
        numbers = sorted(number for served, part in found if served == tasks for number in part)
        assert numbers == list(range(sizes[source]))


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    mixed, batch = counted({"small": 40, "large": 30}), {"small": 4, "large": 3}
    for rule in RULES:
        every = {(seed, epoch): seen(mixed, batch, rule, seed, epoch) for seed in (0, 1) for epoch in (0, 1)}
        torch.rand(3)  # what else is drawn does not matter
        assert all(seen(mixed, batch, rule, *key) == found for key, found in every.items())
        assert len({str(found) for found in every.values()}) == 4


def test_two_sources_of_one_size_are_not_in_one_order() -> None:
    found = seen(counted({"small": 40, "large": 30}), {"small": 4, "large": 4}, RULES[0], 0, 0)
    one = [numbers for tasks, numbers in found if tasks == ("letter",)]
    other = [numbers for tasks, numbers in found if tasks != ("letter",)]
    assert one != other[: len(one)]


@pytest.mark.parametrize(("power", "batches"), [(0.0, [34, 34, 34]), (0.5, [70, 23, 7]), (1.0, [90, 10, 1])])
def test_temperature_goes_from_equal_to_proportional(power: float, batches: list[int]) -> None:
    assert shares([90, 10, 1], Named("temperature", {"power": power})) == batches


def test_every_source_gives_a_batch_at_least() -> None:
    assert shares([1000, 1], Named("temperature", {"power": 1.0})) == [1000, 1]
    assert shares([1000, 1, 1], Named("temperature", {"power": 0.9})) == [998, 2, 2]
    assert min(shares([10_000, *[1] * 30], Named("temperature", {"power": 1.0}))) == 1


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    return load(written(tmp_path_factory.mktemp("two"), PLAIN))


@pytest.fixture(scope="module")
def data(two: Spec) -> Splits[Mixed]:
    return load_data(two)


@needs_data
def test_each_source_has_its_own_samples_in_every_split(two: Spec, data: Splits[Mixed]) -> None:
    for name, samples in data.named():
        assert list(samples.parts) == ["small", "large"]
        assert samples.of_task("digit") is samples.of_task("ink") is samples.parts["small"]
        assert set(samples.parts["small"].fields) == {"image", "digit", "ink"}
        assert set(samples.parts["large"].fields) == {"image", "letter"}
        assert len(samples) == len(samples.parts["small"]) + len(samples.parts["large"]), name
    counts = [sum(len(samples.parts[name]) for _, samples in data.named()) for name in ("small", "large")]
    assert counts == [SMALL, LARGE]


def randomised(spec: Spec) -> nn.Module:
    model, generator = build_model(spec), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model


@needs_data
def test_losses_and_metrics_are_those_of_each_task_on_its_own_source(two: Spec, data: Splits[Mixed]) -> None:
    model = randomised(two)
    found = evaluate(model, two, data.train, CPU)
    assert list(found.losses) == list(found.metrics) == ["digit", "ink", "letter"]
    model.eval()
    small, large = data.train.parts["small"], data.train.parts["large"]
    with torch.no_grad():
        outputs = {
            **model(small.fields["image"].float() / 255, ("digit", "ink")),
            **model(large.fields["image"].float(), ("letter",)),
        }
    answers = {name: value.double().numpy() for name, value in outputs.items()}
    for task, samples in (("digit", small), ("letter", large)):
        labels, scores = samples.fields[task].long().numpy(), answers[task]
        logs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
        assert found.losses[task] == pytest.approx(-logs[np.arange(len(labels)), labels].mean(), rel=1e-4)
        assert found.metrics[task]["accuracy"] == pytest.approx((scores.argmax(1) == labels).mean())
    wrong = answers["ink"] - small.fields["ink"].double().numpy()
    assert found.losses["ink"] == pytest.approx(np.abs(wrong).mean(), rel=1e-4)
    assert found.metrics["ink"]["rmse"] == pytest.approx(math.sqrt((wrong**2).mean()), rel=1e-4)
    alone = evaluate(model, two, data.train, CPU, ["letter"])
    assert alone.losses == {"letter": found.losses["letter"]}


def stepped(spec: Spec, served: tuple[str, ...], batch: dict[str, torch.Tensor], training: Training) -> None:
    for tasks in training.sets(served):
        outputs = training.forward(batch["image"], tasks)
        losses = training.losses(outputs, batch)
        training.zero_grad(tasks)
        training.backward(losses, training.penalty(batch, outputs, losses))
    training.optimizer.step()


@needs_data
@pytest.mark.parametrize("balance", ["equal", "uncertainty", "pcgrad", "mgda"])
def test_a_step_moves_nothing_that_its_batch_does_not_serve(two: Spec, data: Splits[Mixed], balance: str) -> None:
    """With momentum and weight decay from earlier steps of all tasks: a batch of digits leaves what letters alone use."""
    spec = loads(edited(PLAIN, ("  sampling = temperature(0.5)\n", f"  balance = {balance}\n")))
    training = Training.start(
        spec,
        model_class(spec),
        Learner(),
        lambda each: torch.optim.AdamW([value for _, value in each], lr=0.01),
        lambda _: None,
        CPU,
    )
    training.model.train()
    order = Schedule.of(data.train, {"small": 16, "large": 8}, Named("round_robin"), seed=0, epoch=0)
    for served, batch in list(order.batches({"small": (), "large": ()}, "cpu"))[:4]:
        stepped(spec, served, batch, training)
    names = {id(value): name for name, value in training.model.named_parameters()}
    names |= {id(value): f"balance.{name}" for name, value in training.balance.named_parameters()}

    def state() -> dict[str, list[torch.Tensor]]:
        kept = training.optimizer.state
        return {
            name: [value.detach().clone(), *(each.clone() for each in kept[value].values())]
            for group in training.optimizer.param_groups
            for value in group["params"]
            if (name := names[id(value)])
        }

    before = state()
    buffers = {name: value.clone() for name, value in training.model.named_buffers()}
    ((served, batch), *_) = order.batches({"small": (), "large": ()}, "cpu")
    stepped(spec, served, batch, training)
    after, used = state(), set()
    for copy in copies(spec):
        if copy.component & set(served):
            used |= {name for name in before if copy.holds(name)}
    used |= {f"balance.log_variance.{task}" for task in served}
    moved = {name for name, parts in before.items() if not all(map(torch.equal, parts, after[name]))}
    assert moved
    assert moved <= used
    assert {name for name in before if name.startswith("heads.")} - used  # there is something to leave
    for name, value in training.model.named_buffers():
        if not any(copy.component & set(served) and copy.holds(name) for copy in copies(spec)):
            assert torch.equal(value, buffers[name])


@needs_data
@pytest.mark.parametrize("balance", ["equal", "relative"])
def test_a_step_of_batches_of_several_sources_has_the_gradient_of_every_task(
    two: Spec, data: Splits[Mixed], balance: str
) -> None:
    """Each task's loss is that of its own samples, of all batches of the step that have some."""
    text = edited(PLAIN, ("  sampling = temperature(0.5)\n", f"  balance = {balance}\n")).replace("batch_norm | ", "")
    spec = loads(text)
    training = started(spec, lambda each: torch.optim.SGD([value for _, value in each], lr=0.0))
    training.model.train()
    order = Schedule.of(data.train, {"small": 16, "large": 8}, Named("round_robin"), seed=0, epoch=0)
    step = list(order.batches({"small": (), "large": ()}, "cpu"))[:4]
    served_tasks: dict[str, list[torch.Tensor]] = {}
    for served, batch in step:
        outputs = training.forward(batch["image"], served)
        for task, loss in training.losses(outputs, batch).values.items():
            served_tasks.setdefault(task, []).append(loss)
    means = {task: torch.stack(losses).mean() for task, losses in served_tasks.items()}
    total = sum(spec.task(task).weight * (loss if balance == "equal" else loss.log()) for task, loss in means.items())
    assert isinstance(total, torch.Tensor)
    wanted = torch.autograd.grad(total, list(training.model.parameters()), materialize_grads=True)
    for served, batch in training.in_steps(step, 4):
        for tasks in training.sets(served):
            outputs = training.forward(batch["image"], tasks)
            losses = training.losses(outputs, batch)
            training.zero_grad(tasks)
            training.backward(losses, training.penalty(batch, outputs, losses))
    assert training.step_is_whole
    assert training.steps == 1
    for (name, parameter), gradient in zip(training.model.named_parameters(), wanted, strict=True):
        found = torch.zeros_like(gradient) if parameter.grad is None else parameter.grad
        assert torch.allclose(found, gradient, rtol=1e-3, atol=1e-5), name


@needs_data
def test_what_looks_back_at_an_earlier_step_needs_nothing_of_the_batches_in_hand(
    two: Spec, data: Splits[Mixed]
) -> None:
    spec = loads(edited(PLAIN, ("  sampling = temperature(0.5)\n", "  balance = famo\n")))
    training = started(spec, lambda each: torch.optim.SGD([value for _, value in each], lr=0.01))
    training.model.train()
    order = Schedule.of(data.train, {"small": 16, "large": 8}, Named("proportional"), seed=0, epoch=0)
    batches = sorted(order.batches({"small": (), "large": ()}, "cpu"), key=lambda pair: pair[0])
    for served, batch in training.in_steps(batches, 2):  # steps of one source, then of the other
        stepped(spec, served, batch, training)
    assert training.steps > 2
    assert all(each.isfinite().all() for each in training.balance.state_dict().values())


@needs_data
def test_statistics_are_those_of_all_sources_that_a_copy_serves(two: Spec, data: Splits[Mixed]) -> None:
    model = randomised(two)
    reestimate([(two, model)], data.train, CPU)
    images = {}
    for stream in two.streams:
        order = batches(
            data.train.parts[stream.name], stream.data.batch, seed=two.train.seed, shuffle=True, drop_last=True
        )
        images[stream.name] = [batch["image"] for _, batch in zip(range(BATCHES), order, strict=False)]

    def channels(convolution: nn.Module, sources: list[str], before: nn.Module | None = None) -> np.ndarray:
        found = []
        for source in sources:
            for image in images[source]:
                with torch.no_grad():
                    read = image if before is None else before(image)
                    found.append(convolution(read).double().movedim(1, -1).reshape(-1, 4).numpy())
        return np.concatenate(found)

    stem = model.get_submodule("stem.digit+ink+letter")
    values = channels(stem.conv1, ["small", "large"])
    np.testing.assert_allclose(stem.norm1.running_mean, values.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(stem.norm1.running_var, values.var(0), rtol=1e-3)

    def normalised(image: torch.Tensor) -> torch.Tensor:  # by the statistics of its own batch, as in training
        made = stem.conv1(image)
        mean, variance = made.mean((0, 2, 3), keepdim=True), made.var((0, 2, 3), keepdim=True, unbiased=False)
        norm = stem.norm1
        scaled = (made - mean) / (variance + norm.eps).sqrt() * norm.weight[:, None, None] + norm.bias[:, None, None]
        return scaled.relu()

    for name, sources in (("mid.digit", ["small"]), ("mid.ink+letter", ["small", "large"])):
        mid = model.get_submodule(name)
        values = channels(mid.conv1, sources, normalised)
        np.testing.assert_allclose(mid.norm1.running_mean, values.mean(0), rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(mid.norm1.running_var, values.var(0), rtol=1e-3)


def independent_cka(x: np.ndarray, y: np.ndarray) -> float:
    """The debiased estimate with the linear kernel, by its definition."""

    def hsic(k: np.ndarray, m: np.ndarray) -> float:
        n, one = len(k), np.ones(len(k))
        k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
        return float(
            np.trace(k @ m) + one @ k @ one * (one @ m @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * one @ k @ m @ one
        )

    k, m = x @ x.T, y @ y.T
    return hsic(k, m) / math.sqrt(hsic(k, k) * hsic(m, m))


class Silent:
    """A watcher that says nothing."""

    def begin_stage(self, title: str, steps: int) -> None:
        """Nothing is drawn."""

    def advance(self) -> None:
        """Nothing is drawn."""


def viewed(spec: Spec, model: nn.Module, samples: Mixed, said: list[tuple[str, dict[str, Any]]]) -> View:
    return View(
        spec,
        model,
        samples,
        CPU,
        position=Position(epoch=1),
        decided=1,
        make_optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        watcher=Silent(),
        say=lambda kind, **fields: said.append((kind, fields)),
    )


MTSL = "structure mtsl {\n  phases     = [1]\n  threshold  = 0.2\n  similarity = cka(samples=60)\n}\n"


def apart(text: str) -> str:
    return text[: text.index("sharing {")] + MTSL


@needs_data
def test_tasks_of_sources_of_one_shape_are_compared_on_the_samples_of_both(tmp_path: Path) -> None:
    spec = load(written(tmp_path, apart(edited(PLAIN, ("24, 24", "16, 16"))), large_size=16))
    samples, model, said = load_data(spec).train, randomised(spec), []
    assert isinstance(spec.structure.settings, Settings)
    found = compare(viewed(spec, model, samples, said), spec.structure.settings)
    assert said == []
    (stem,) = found
    assert (stem.layer, stem.tasks) == ("stem", ("digit", "ink", "letter"))
    images = torch.cat([samples.parts["small"].fields["image"].float() / 255, samples.parts["large"].fields["image"]])
    chosen = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(spec.train.seed))[:60]]
    model.eval()
    with torch.no_grad():
        features = [model.get_submodule(f"stem.{task}")(chosen).mean((2, 3)).double().numpy() for task in stem.tasks]
    for one in range(3):
        for other in range(3):
            wanted = independent_cka(features[one], features[other])
            assert stem.similarity[one][other] == pytest.approx(wanted, abs=1e-4)
            assert cka(features[one], features[other]) == pytest.approx(wanted, abs=1e-6)


@needs_data
def test_tasks_of_sources_of_other_shapes_are_never_compared_and_that_is_said(tmp_path: Path) -> None:
    spec = load(written(tmp_path, apart(PLAIN)))
    said: list[tuple[str, dict[str, Any]]] = []
    found = compare(viewed(spec, randomised(spec), load_data(spec).train, said), spec.structure.settings)
    assert [(each.layer, each.tasks) for each in found] == [("stem", ("digit", "ink"))]
    ((kind, fields),) = said
    assert kind == "incomparable"
    assert fields["layer"] == "stem"
    assert sorted(map(sorted, fields["tasks"])) == [["digit", "ink"], ["letter"]]


@needs_data
def test_values_are_pooled_from_the_bytes_and_the_numbers_of_both_sources_alike(tmp_path: Path) -> None:
    spec = load(written(tmp_path, apart(edited(PLAIN, ("24, 24", "16, 16"))), large_size=16))
    samples = load_data(spec).train
    view = viewed(spec, randomised(spec), samples, [])
    both = view.inputs(("digit", "letter"))
    assert float(both.fields["image"].max()) == 1.0
    assert len(both) == len(samples)
    assert view.inputs(("letter",)).fields["image"] is samples.parts["large"].fields["image"]
    value = Value("stem", frozenset(("letter",)))
    assert view.features([value], 1000)[value].shape[0] == len(samples.parts["large"])


@needs_data
def test_the_record_is_of_each_block_and_differences_name_it(two: Spec, data: Splits[Mixed], tmp_path: Path) -> None:
    record = record_of_data(two, data)
    assert set(record) == {"blocks"}
    assert {name: set(each["sha256"]) for name, each in record["blocks"].items()} == {
        "small": {"image", "digit", "ink"},
        "large": {"image", "letter"},
    }
    events = tmp_path / "events.jsonl"
    events.write_text(json.dumps({"event": "start", "read": record}) + "\n", encoding="utf-8")
    assert differences(two, data, events) == []
    assert recorded_places(two, events) == {
        name: Path(str(record["blocks"][name]["path"])) for name in ("small", "large")
    }
    other = load(Path(two.source.path or two.source.name), {"data.large.seed": 5})
    assert differences(other, load_data(other), events) == [
        "`seed` of `data large` is 5, and was 0; samples that it was trained on may be in its test now"
    ]


def test_too_few_samples_of_one_source_are_told_of_with_its_block(tmp_path: Path) -> None:
    for name, size, fields in (("small", 16, ("digit", "ink")), ("large", 24, ("letter",))):
        count = 30 if name == "small" else 9
        made = {field: np.zeros((count, 1) if field == "ink" else count, dtype=np.int64) for field in fields}
        np.savez(tmp_path / f"{name}.npz", image=np.zeros((count, 1, size, size), np.float32), **made)
    path = tmp_path / "two.mtl"
    path.write_text(PLAIN, encoding="utf-8")
    with pytest.raises(MtlError, match="MTL804") as caught:
        load_data(load(path))
    (found,) = caught.value.diagnostics
    assert found.span is not None
    assert found.span.text.startswith("data arrays large")


def test_a_block_and_a_task_with_samples_of_its_own_may_have_one_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number, name in enumerate(("ink", "other")):
        image = np.full((30, 1, 4, 4), number, np.float32)
        np.savez(tmp_path / f"{name}.npz", image=image, digit=rng.integers(0, 3, 30))
    own = {f"{field}/{what}": array for field in ("ink", "blot") for what, array in (
        ("image", np.full((20, 1, 4, 4), 7 if field == "ink" else 9, np.float32)), ("target", np.ones((20, 1), np.float32)),
    )}  # fmt: skip
    np.savez(tmp_path / "apart.npz", **own)
    block = '\ndata arrays {name} {{\n  path  = "{name}.npz"\n  input = image(1, 4, 4)\n  batch = 4\n{more}}}\n'
    task = "\ntask {name} {{\n  data   = {data}\n  target = {target}\n  head   = flatten | linear(outputs)\n}}\n"
    text = "mtl 1\n" + block.format(name="ink", more="") + block.format(name="apart", more="  apart = true\n")
    text += task.format(name="digit", data="ink", target="classes(3)")
    text += "".join(task.format(name=name, data="apart", target="values(1)") for name in ("ink", "blot"))
    text += "\nbackbone {\n  stem = conv2d(2, 3) | relu\n}\n\ntrain {\n  epochs = 1\n}\n"
    path = tmp_path / "names.mtl"
    path.write_text(text, encoding="utf-8")
    spec = load(path)
    assert [(stream.name, stream.tasks) for stream in spec.streams] == [
        ("ink", ("digit",)), ("apart.ink", ("ink",)), ("blot", ("blot",)),
    ]  # fmt: skip
    train = load_data(spec).train
    assert {task: float(train.of_task(task).fields["image"].max()) for task in ("digit", "ink", "blot")} == {
        "digit": 0, "ink": 7, "blot": 9,
    }  # fmt: skip
    order = Schedule.of(train, {"ink": 4, "apart": 4}, RULES[2], seed=0, epoch=0)
    served = Counter(tasks for tasks, _ in order.batches({"ink": (), "apart": ()}, "cpu"))
    assert len(set(served.values())) == 1
    assert set(served) == {("digit",), ("ink",), ("blot",)}
