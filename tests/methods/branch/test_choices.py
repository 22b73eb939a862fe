"""What `structure branch` decides and starts from, of networks that are made here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import pytest
import torch
from torch import nn

from mtsldsl.editing import loads
from mtsldsl.editing.rewrite import rewritten
from mtsldsl.ir import Spec
from mtsldsl.ir.cost import copy_cost
from mtsldsl.ir.wiring import Value
from mtsldsl.methods.branch.learner import Branch, Settings
from mtsldsl.methods.similarities import Cka, Readout, Rsa, Stitched
from mtsldsl.runtime.data import FieldKind, Mixed, Samples
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.network.transfer import carry_state, origins
from mtsldsl.runtime.similarity import cka_matrix, rsa_matrix
from mtsldsl.runtime.structure.learner import Carry, Proposal
from mtsldsl.sharing import choose_tree
from tests.ir.data_blocks import TWO
from tests.runtime.test_similarity_of_losses import randomised, samples, viewed

TEXT = """\
mtl 1

data arrays {
  path  = "none.npz"
  input = image(3, 8, 8)
  batch = 5
}

task one {
  target = values(1)
  head   = adaptive_avg_pool2d(1) | flatten | linear(1)
}

task two {
  target = values(1)
  head   = adaptive_avg_pool2d(1) | flatten | linear(1)
}

task kind {
  target = classes(3, ignore=255)
  head   = adaptive_avg_pool2d(1) | flatten | linear(3)
}

backbone {
  stem = conv2d(4, 3) | batch_norm | relu
  body = conv2d(8, 3, stride=2) | batch_norm | relu
  rest = body | resize_as(stem) | concat(stem) | conv2d(4, 3) | relu
}

train {
  epochs = 2
}
"""
SETTINGS = Settings(1, Rsa(samples=100), 0.6, 10, "fresh")


def decided(
    spec: Spec, model: nn.Module, given: Samples | Mixed, settings: Settings = SETTINGS
) -> tuple[Proposal, list[tuple[str, dict[str, Any]]]]:
    said: list[tuple[str, dict[str, Any]]] = []
    view = attrs.evolve(viewed(spec, model, given), say=lambda kind, **fields: said.append((kind, fields)))
    return Branch(settings).decide(view), said


@pytest.mark.parametrize(
    ("similarity", "measured"),
    [(Rsa(samples=100), rsa_matrix), (Cka(samples=100, kernel="linear", debiased=True), cka_matrix)],
    ids=["rsa", "cka"],
)
def test_the_tree_is_the_best_for_the_features_of_every_layer(similarity: Any, measured: Any) -> None:
    spec = loads(TEXT)
    model, given = randomised(spec), samples()
    proposal, said = decided(spec, model, given, attrs.evolve(SETTINGS, similarity=similarity))
    view, tasks = viewed(spec, model, given), spec.sharing.tasks
    expected: dict[str, Any] = {}
    for layer in spec.backbone.layers:
        values = [Value(layer, frozenset((task,))) for task in tasks]
        found = view.features(values, 100)
        expected[layer] = measured([found[value] for value in values]).tolist()
    assert [(kind, fields["layer"]) for kind, fields in said] == [("branch_similarity", each) for each in expected]
    assert {fields["layer"]: fields["similarity"] for _, fields in said} == expected
    cost = spec.cost()
    heads = sum(each.parameters for each in cost.heads.values())
    tree = choose_tree(
        spec.sharing, expected, lambda layer, _: cost.layers[layer].one.parameters, 0.6 * cost.parameters - heads
    )
    assert proposal.sharing == tree.sharing != spec.sharing
    assert proposal.evidence["dissimilarity"] == tree.dissimilarity
    assert attrs.evolve(spec, sharing=tree.sharing).cost().parameters == tree.cost + heads <= 0.6 * cost.parameters


@pytest.mark.parametrize("similarity", [Readout(samples=100), Stitched(samples=100)], ids=lambda c: type(c).__name__)
def test_a_tree_may_be_chosen_by_what_is_read_out(similarity: Any) -> None:
    spec = loads(TEXT)
    proposal, said = decided(spec, randomised(spec), samples(), attrs.evolve(SETTINGS, similarity=similarity))
    assert attrs.evolve(spec, sharing=proposal.sharing).cost().parameters <= 0.6 * spec.cost().parameters
    rows = [row for _, fields in said for row in fields["similarity"]]
    assert all(0 <= value <= 1 for row in rows for value in row)
    assert len(said) == 3


def test_what_is_shared_stays_shared_and_no_more_is_decided_than_is_needed() -> None:
    spec = loads(TEXT + "\nsharing {\n  stem = one + two, kind\n}\n")
    proposal, _ = decided(spec, randomised(spec), samples(), attrs.evolve(SETTINGS, budget=0.97))
    assert (proposal.sharing, proposal.decisions) == (spec.sharing, ())
    proposal, _ = decided(spec, randomised(spec), samples())
    assert spec.sharing <= proposal.sharing
    assert {each.kind for each in proposal.decisions} == {"branch"}


def carried(transfer: str) -> tuple[Carry, Mapping[str, Any]]:
    spec = loads(TEXT)
    model, given = randomised(spec), samples()
    proposal, _ = decided(spec, model, given)
    evolved = rewritten(spec, proposal.sharing, ())
    new, made = build_model(evolved), origins(spec.sharing, evolved.sharing)
    carry_state(spec, evolved, model, new, made)
    carry = Carry(spec, evolved, model, new, made, proposal.decisions)
    prepared = Branch(attrs.evolve(SETTINGS, transfer=transfer)).prepare(carry, viewed(spec, model, given))
    return carry, prepared.optimizer_state


def test_fresh_weights_are_those_that_a_new_run_begins_with_and_nothing_is_remembered() -> None:
    carry, remembered = carried("fresh")
    initial = build_model(carry.new_spec).state_dict()
    assert all(torch.equal(value, initial[name]) for name, value in carry.new_model.state_dict().items())
    assert remembered == {name: {} for name, _ in carry.new_model.named_parameters()}


def test_with_the_mean_nothing_more_is_done() -> None:
    carry, remembered = carried("average")
    assert remembered == {}
    initial = build_model(carry.new_spec).state_dict()
    assert any(not torch.equal(value, initial[name]) for name, value in carry.new_model.state_dict().items())
    head = carry.old_model.get_submodule("heads.one").state_dict()
    assert all(
        torch.equal(value, head[name])
        for name, value in carry.new_model.get_submodule("heads.one").state_dict().items()
    )


def test_tasks_with_inputs_of_other_sizes_are_not_compared_and_share_nothing() -> None:
    spec = loads(TWO[: TWO.index("sharing {")])
    chance = torch.Generator().manual_seed(0)
    small = Samples(
        {"image": torch.rand(12, 1, 16, 16, generator=chance), "digit": torch.zeros(12), "ink": torch.zeros(12, 1)},
        dict.fromkeys(("image", "digit", "ink"), FieldKind.PLAIN),
    )
    large = Samples(
        {"image": torch.rand(12, 1, 24, 24, generator=chance), "letter": torch.zeros(12)},
        dict.fromkeys(("image", "letter"), FieldKind.PLAIN),
    )
    mixed = Mixed({"small": small, "large": large}, spec.streams)
    proposal, said = decided(spec, randomised(spec), mixed, attrs.evolve(SETTINGS, budget=0.8))
    assert [fields["tasks"] for kind, fields in said if kind == "incomparable"] == [[["digit", "ink"], ["letter"]]] * 3
    assert {tuple(fields["tasks"]) for kind, fields in said if kind == "branch_similarity"} == {("digit", "ink")}
    assert proposal.decisions
    for layer in spec.backbone.layers:
        assert proposal.sharing.component(layer, "letter") == {"letter"}
    assert copy_cost(spec, "stem", frozenset({"letter"})) == copy_cost(spec, "stem", frozenset({"digit", "ink"}))
