"""The network of parameter allocation on Omniglot is that of the paper, and its code is short."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtsldsl import build_model, load
from mtsldsl.codegen import compile_spec
from mtsldsl.datasets.omniglot.language import CHARACTERS, spelt
from mtsldsl.ir import Spec

SPECS = Path(__file__).parents[2] / "specs"

LAYERS, TASKS = 8, 20


@pytest.fixture(scope="module")
def spec() -> Spec:
    return load(SPECS / "omniglot.mtl")


def test_every_alternative_is_there_for_every_task(spec: Spec) -> None:
    routed = [layer for layer in spec.backbone.layers if spec.backbone.alternatives(layer)]
    assert len(routed) == LAYERS
    uses = [spec.sharing.uses(layer, task) for layer in routed for task in spec.sharing.tasks]
    assert sum(map(len, uses)) == 1_120  # binary variables: 8 layers x 7 alternatives x 20 tasks
    assert all(len(each) == 7 for each in uses)


def test_trunk_and_heads_have_the_parameters_of_the_paper_s_network(spec: Spec) -> None:
    """Counted from the shapes: 48 filters with biases, group norms with scale and shift, after each layer one more."""
    convolutions = sum(2 * (48 * 48 * size + 48) + 2 * 96 for size in (9, 25, 49, 7))  # a|b of 3x3, 5x5, 7x7, 1x7|7x1
    strided = 5 * (48 * 48 + 48)  # identities with a stride are 1x1 convolutions
    trunk = (48 + 48 + 96) + LAYERS * (convolutions + 96) + strided
    assert trunk == 3_339_696
    characters = {spelt(name): count for name, count in CHARACTERS.items()}
    model = build_model(spec)
    counted = {name: parameter.numel() for name, parameter in model.named_parameters()}
    assert sum(count for name, count in counted.items() if not name.startswith("heads.")) == trunk
    assert spec.layers[-1].body.shape == (48, 4, 4)
    for task in spec.tasks:
        head = sum(count for name, count in counted.items() if name.startswith(f"heads.{task.name}."))
        assert head == (768 + 1) * characters[task.name]
    assert spec.cost().parameters == sum(counted.values())


def test_every_alphabet_has_the_batches_of_the_paper(spec: Spec) -> None:
    """8,000, of 16 pictures of an alphabet: ten drawings of a character are for training."""
    characters = {spelt(name): count for name, count in CHARACTERS.items()}
    rounds = max(-(-10 * characters[task] // spec.data.batch) for task in spec.sharing.tasks)
    assert (spec.train.sampling.name, spec.data.batch) == ("round_robin", 16)
    assert spec.train.epochs == -(-8_000 // rounds)


def test_digits_are_there_upright_and_turned_twice() -> None:
    rotated = load(SPECS / "mnist_rotated.mtl")
    sources = {task.name: rotated.data_of(task.name).options["rotate"] for task in rotated.tasks}
    assert sources == {"upright1": 0, "upright2": 0, "turned1": 90, "turned2": 90}
    assert len(rotated.sharing.sources) == 4
    assert all(rotated.data_of(task).kind == "mnist" for task in sources)


def test_the_generated_model_has_no_more_lines_than_a_person_reads(spec: Spec) -> None:
    assert len(compile_spec(spec)["model.py"].splitlines()) <= 400


def test_the_small_network_is_the_same_idea() -> None:
    small = load(SPECS / "omniglot_small.mtl")
    large = load(SPECS / "omniglot.mtl")
    assert small.sharing.tasks == large.sharing.tasks
    assert small.data.shape == (1, 28, 28)
    assert small.structure is not None
    assert small.structure.method == "allocation"
    assert all(len(small.backbone.alternatives(f"mix{number}")) == 6 for number in range(1, 5))
