"""The algebra and the grouping against numbers that were computed independently."""

from __future__ import annotations

import itertools
import json

import pytest

from mtsldsl.sharing import Backbone, Sharing, decide_grouping, diff, group_tasks, unmerged
from tests.given import CONFORMANCE, needs_conformance

pytestmark = needs_conformance


def load(name):
    return json.loads((CONFORMANCE / name).read_text())


def lists(groups):
    return [list(group) for group in groups]


def chain(layers):
    return Backbone(layers, {layer: (before,) for before, layer in itertools.pairwise(layers)})


def test_groupings_are_the_optima_over_true_partitions():
    cases = load("grouping.json")["cases"]
    assert len(cases) == 65
    for case in cases:
        wanted = case["disjoint_only"]
        decision = decide_grouping(case["similarity"], case["min_similarity"])
        assert lists(decision.partition) == wanted["partition"], case["id"]
        assert lists(decision.accepted) == wanted["accepted"], case["id"]
        assert lists(group_tasks(case["similarity"], case["min_similarity"])) == wanted["accepted"]
        assert decision.value == pytest.approx(wanted["value"], abs=1e-12)
        assert [(step, lists(groups)) for step, _, groups in decision.trace] == [
            (entry["split"], entry["partition"]) for entry in wanted["trace"]
        ]
        assert [value for _, value, _ in decision.trace] == pytest.approx(
            [entry["value"] for entry in wanted["trace"]], abs=1e-12
        )
        assert decision.exact


def test_architectures_are_valid_and_have_the_published_parameters():
    given = load("architectures.json")
    backbone = chain(given["layers"])
    assert given["architectures"]
    for architecture in given["architectures"].values():
        sharing = Sharing(backbone, architecture["parameters_heads"], architecture["sharing"])
        counted = {layer: one * len(sharing[layer]) for layer, one in given["parameters_one_copy"].items()}
        assert counted == architecture["parameters_per_layer"]
        assert sum((*counted.values(), *architecture["parameters_heads"].values())) == architecture["parameters_total"]
        assert not diff(Sharing.each(backbone, sharing.tasks), sharing).splits


def test_sequences_of_structural_phases_are_reproduced_step_by_step():
    given = load("architectures.json")
    backbone = chain(given["layers"])
    assert len(given["sequences"]) == 20
    for sequence in given["sequences"]:
        sharing = Sharing.each(backbone, sequence["tasks"])
        for step in sequence["steps"]:
            eligible = unmerged(sharing)
            assert sorted(sorted(tasks) for _, tasks in eligible) == sorted(
                sorted(tasks) for tasks, _ in step["groups"]
            )
            place = {tasks: layer for layer, tasks in eligible}
            for tasks, partition in step["groups"]:
                for group in partition:
                    if len(group) > 1:
                        sharing = sharing.merge(place[frozenset(tasks)], group)
            wanted = dict(zip(given["layers"], step["sharing_after"], strict=True))
            assert sharing == Sharing(backbone, sequence["tasks"], wanted)
