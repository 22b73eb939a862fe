"""The consensus of several runs."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtsldsl.compare.consensus import Consensus, consensus
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.sharing import Sharing
from tests.ir.specs import BACKBONE, LAYERS, TASKS, text
from tests.sharing.strategies import valid_sharings

BASE = loads(text())


def run(name: str, sharing: Sharing) -> Spec:
    lines = "".join(f"  {line}\n" for line in str(sharing).splitlines())
    return loads(text(f"sharing {{\n{lines}}}\n"), name)


def runs(sharings: list[Sharing]) -> list[Spec]:
    return [run(f"run {index}", sharing) for index, sharing in enumerate(sharings)]


def of(found: Consensus, layer: str, one: str, other: str) -> int:
    return next(pair.runs for pair in found.pairs if pair.layer == layer and set(pair.tasks) == {one, other})


some_runs = st.lists(valid_sharings(BACKBONE, TASKS), min_size=2, max_size=4)
quickly = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quickly
@given(some_runs)
def test_every_layer_and_pair_is_counted(sharings: list[Sharing]) -> None:
    found = consensus(runs(sharings))
    assert len(found.pairs) == len(LAYERS) * 6
    for pair in found.pairs:
        one, other = pair.tasks
        assert pair.runs == sum(other in sharing.component(pair.layer, one) for sharing in sharings)


@quickly
@given(some_runs)
def test_a_distance_counts_the_answers_that_differ_from_the_majority(sharings: list[Sharing]) -> None:
    found = consensus(runs(sharings))
    for sharing, distance in zip(sharings, found.distances, strict=True):
        assert distance == sum(
            (pair.tasks[1] in sharing.component(pair.layer, pair.tasks[0])) != (2 * pair.runs > len(sharings))
            for pair in found.pairs
        )
    assert bool(found) == (len({str(sharing) for sharing in sharings}) > 1)


@quickly
@given(some_runs, st.randoms(use_true_random=False))
def test_the_order_of_the_runs_makes_no_difference(sharings: list[Sharing], random: object) -> None:
    shuffled = list(sharings)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert consensus(runs(sharings)).pairs == consensus(runs(shuffled)).pairs


def test_three_seeds_of_which_two_agree() -> None:
    agreed = BASE.sharing.merge("stem", ["segment", "depth"])
    odd = BASE.sharing.merge("stem", ["edge", "normal"])
    found = consensus([run("a", agreed), run("b", odd), run("c", agreed)])
    assert of(found, "stem", "depth", "segment") == 2
    assert of(found, "stem", "edge", "normal") == 1
    assert of(found, "enc1", "depth", "segment") == 0
    assert found.distances == (0, 2, 0)
    assert found.nearest == "a"


def test_a_tie_is_not_shared() -> None:
    found = consensus([BASE, run("b", BASE.sharing.merge("stem", ["segment", "depth"]))])
    assert found.distances == (0, 1)
    assert [pair["shared"] for pair in found.as_json()["pairs"] if pair["runs"] == 1] == [False]


def test_tasks_in_another_order_are_the_same_tasks() -> None:
    segment = text()[text().index("task segment") : text().index("task depth")]
    other = loads(text().replace(segment, "").replace("backbone {", f"{segment}backbone {{"))
    assert consensus([BASE, other]).distances == (0, 0)


def test_specs_of_other_tasks_or_layers_are_refused_by_name() -> None:
    fewer = loads(text().replace("  enc2 = ", "  deep = "), "deep.mtl")
    with pytest.raises(MtlError) as caught:
        consensus([BASE, BASE, fewer])
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == ["MTL407"]
    assert "deep.mtl and <string> do not have the same layers: `enc2`, `deep`" in str(caught.value)


def test_a_consensus_of_more_answers_than_anybody_reads_is_refused() -> None:
    names = ", ".join(f"t{number}" for number in range(150))
    layers = "".join(f"  l{number} = relu\n" for number in range(10))
    large = loads(
        f"mtl 1\ndata scenes {{\n  input = image(3, 8, 8)\n}}\ntask [{names}] {{\n  target = values(1)\n  head = conv2d(1, 1)\n}}\n"
        f"backbone {{\n{layers}}}\ntrain {{\n  epochs = 1\n}}\n"
    )
    with pytest.raises(MtlError, match="10 layers of 150 tasks has 111,750 answers"):
        consensus([large, large, large])
