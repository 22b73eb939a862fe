"""A task whose head begins with an earlier layer has copies of the later ones that learn nothing: they take no part in
what is decided, and nothing of it depends on them."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import torch

from mtsldsl import loads
from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.wiring import reading_tasks
from mtsldsl.methods.allocation.learner import Allocation
from mtsldsl.methods.ltb.learner import Ltb
from mtsldsl.methods.split.cutting import Cut, decide_cuts
from mtsldsl.runtime.learning.step import Position, Step
from mtsldsl.sharing import Backbone, Sharing, choose_tree
from tests.methods.each_learner import text

CHAIN = Backbone(["one", "two"], {"two": ["one"]})


def test_who_reads_a_layer_is_found_from_the_heads() -> None:
    everybody, others = frozenset(["a", "b", "early"]), frozenset(["a", "b"])
    assert reading_tasks(loads(text("mtsl"))) == {
        "seen": everybody,
        "wide": everybody,
        "both": everybody,
        "last": others,
    }


def test_a_tree_has_the_same_groups_whatever_copies_are_read_by_nothing() -> None:
    """The mean over the groups of a layer would be less with one more that is never apart."""
    start = Sharing.each(CHAIN, ["a", "b", "c", "early"])
    alike = [[1.0] * 4 for _ in range(4)]
    for one, other, value in ((0, 1, 0.5), (0, 2, 0.1), (1, 2, 0.2)):
        alike[one][other] = alike[other][one] = value
    costs, read_by = {"one": 1, "two": 3}, {"two": "abc"}
    for spent in range(8, 17):
        tree = choose_tree(
            start, dict.fromkeys(CHAIN.layers, alike), lambda layer, _: costs[layer], spent, read_by=read_by
        )
        assert tree.sharing.component("two", "early") == {"early"}
        of_three = Sharing.each(CHAIN, ["a", "b", "c"])
        three = [row[:3] for row in alike[:3]]
        # Without it, and with a copy of the first layer that it may always share.
        without = choose_tree(of_three, dict.fromkeys(CHAIN.layers, three), lambda layer, _: costs[layer], spent - 3)
        assert tree.sharing.partition("two")[:-1] == without.sharing.partition("two")
    with pytest.raises(ValueError, match="even the tree that shares every layer costs 7"):
        choose_tree(start, dict.fromkeys(CHAIN.layers, alike), lambda layer, _: costs[layer], 6, read_by=read_by)


def test_a_budget_counts_copies_that_stay() -> None:
    spec = loads(text("branch"))
    rows = {layer: [spec.sharing.tasks] for layer in ("seen", "wide", "both")}
    least = attrs.evolve(spec, sharing=spec.sharing.given({**rows, "last": [["a", "b"], ["early"]]})).cost().parameters
    part = least / attrs.evolve(spec, sharing=spec.sharing.apart()).cost().parameters
    assert loads(text("branch").replace("budget = 0.85", f"budget = {part + 1e-4}"))
    with pytest.raises(MtlError, match=f"with every layer shared there are {least}"):
        loads(text("branch").replace("budget = 0.85", f"budget = {part - 1e-4}"))


def test_a_task_leaves_a_layer_by_its_own_conflict_though_others_hold_the_next_together() -> None:
    sharing = Sharing.all(CHAIN, ["a", "b", "early"])
    cosines = {layer: np.full((1, 3, 3), 0.5) for layer in CHAIN.layers}
    cosines["one"][:, 2, :2] = cosines["one"][:, :2, 2] = -0.5
    cosines["two"][:, 2, :] = cosines["two"][:, :, 2] = np.nan
    early, others = frozenset(["early"]), frozenset(["a", "b"])
    found = decide_cuts(sharing, cosines, 0.0, read_by={"two": others})
    assert found.made == (Cut("two", early, -0.5), Cut("one", early, -0.5))
    assert set(found.sharing.partition("one")) == set(found.sharing.partition("two")) == {early, others}
    assert decide_cuts(sharing, cosines, 0.0).made == ()


def test_sides_are_those_of_the_tasks_that_read_the_layer() -> None:
    """What is not measured counts as the threshold: it would make the mean of either side nearer to that."""
    tasks = ["a", "b", "c", "x", "y"]
    sharing = Sharing.all(CHAIN, tasks)
    cosines = {layer: np.full((1, 5, 5), np.nan) for layer in CHAIN.layers}
    for one, other, value in ((0, 1, 0.9), (0, 2, 0.2), (1, 2, -0.9)):
        cosines["two"][0, one, other] = cosines["two"][0, other, one] = value
    found = decide_cuts(sharing, cosines, 0.0, read_by={"two": frozenset("abc")})
    assert [(cut.layer, cut.tasks) for cut in found.made] == [("two", frozenset("c"))]
    assert found.sharing.component("two", "x") >= {"x", "y"}


def test_what_a_branch_reads_of_is_chosen_by_the_tasks_that_read_it() -> None:
    spec = loads(text("ltb"))
    assert spec.structure is not None
    learner = Ltb(spec.structure.settings)
    learner.begin(spec)
    with torch.no_grad():
        for layer, chosen in {"last": [1, 1], "both": [0, 2, 1], "wide": [0, 1, 2], "seen": [0, 0, 2]}.items():
            rows = len(chosen)
            learner.logits[layer][:rows, : 2 if layer == "last" else 3] = torch.eye(3)[chosen][
                :, : 2 if layer == "last" else 3
            ]
    found = learner.present(spec.sharing)
    a, b, early = (frozenset([task]) for task in ("a", "b", "early"))
    # Heads of a and b read the last copy of b, which reads that of `both` with the number 2; the row after these is
    # that of early, which passes `last` by.
    assert set(found.partition("last")) == {a | b, early}
    assert set(found.partition("both")) == {a | b, early}
    assert {copy.name: [each.name for each in made] for copy, made in learner.stand_ins(found).items()} == {
        "last.a+b": ["last.b"],
        "last.early": ["last.early"],
        "both.a+b": ["both.early"],
        "both.early": ["both.b"],
        "wide.a+b": ["wide.early"],
        "wide.early": ["wide.b"],
        "seen.a+b": ["seen.early"],
        "seen.early": ["seen.a"],
    }
    choices = learner.choices(Position(0, 0, 0, 0, 0))
    assert choices["heads", "last"].shape == (3, 2)
    assert not choices["heads", "last"][2].any()
    assert choices["heads", "both"].shape == (3, 3)
    assert choices["heads", "both"].sum(1).tolist() == [1, 1, 1]


def test_a_budget_of_allocation_is_of_the_layers_that_a_task_reads() -> None:
    more = "  more = parallel(unit=linear(8) | tanh, copies=2)\n"
    spec = loads(text("allocation").replace("  last =", f"{more}  last =").replace("= both |", "= more |"))
    assert spec.structure is not None
    learner = Allocation(spec.structure.settings)
    learner.begin(spec)
    chosen = torch.tensor([0.9] * 2 + [0.1] * 3)
    with torch.no_grad():
        for logits in learner.logits.values():
            logits.copy_(torch.stack([chosen.log(), (1 - chosen).log()], 1))
    zero = torch.zeros(1)
    wanted = {"a": (2.1 / 5 - 0.4) + 0.1 * (0.1**2 + 0.9**3), "early": (1.8 / 2 - 0.4) + 0.1 * 0.1**2}
    for task, penalty in wanted.items():
        with torch.no_grad():
            found = learner.penalty(Step(Position(0, 0, 0, 0, 0), {}, {task: zero}, {task: zero}, {}))
        assert found is not None
        assert float(found) == pytest.approx(penalty, rel=1e-5)
