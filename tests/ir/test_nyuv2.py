"""The paper's job and network: parameters layer by layer as published, for every published architecture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtsldsl.editing import load
from mtsldsl.ir import Spec
from mtsldsl.sharing import Sharing
from tests.given import CONFORMANCE, needs_conformance

SPEC = Path(__file__).parents[2] / "specs" / "nyuv2.mtl"


@pytest.fixture(scope="module")
def nyuv2() -> Spec:
    return load(SPEC)


def architectures() -> dict[str, dict[str, object]]:
    path = CONFORMANCE / "architectures.json"
    found: dict[str, dict[str, object]] = json.loads(path.read_text())["architectures"] if path.exists() else {}
    return found


@needs_conformance
@pytest.mark.parametrize("name", sorted(architectures()))
def test_a_published_architecture_has_its_parameters(name: str) -> None:
    expected = architectures()[name]
    spec = load(SPEC, {"labels": 19} if name.startswith("cityscapes") else {})
    tasks = spec.sharing.tasks
    cost = spec.with_sharing(Sharing(spec.backbone, tasks, expected["sharing"])).cost()  # type: ignore[arg-type]
    assert {layer: each.parameters for layer, each in cost.layers.items()} == expected["parameters_per_layer"]
    assert {task: head.parameters for task, head in cost.heads.items()} == expected["parameters_heads"]
    assert cost.parameters == expected["parameters_total"]


def test_its_parameters_are_those_of_the_paper(nyuv2: Spec) -> None:
    one = {layer: each.one.parameters for layer, each in nyuv2.cost().layers.items()}
    assert one == {
        "stem": 9_536,
        "enc1": 147_968,
        "enc2": 525_568,
        "enc3": 2_099_712,
        "enc4": 8_393_728,
        "enc5": 9_191_424,
        "dec4": 742_144,
        "dec3": 86_784,
        "dec2": 78_592,
        "dec1": 74_496,
    }
    assert nyuv2.cost().parameters == 107_104_624
    shared = nyuv2.with_sharing(Sharing.all(nyuv2.backbone, nyuv2.sharing.tasks))
    assert shared.cost().parameters == 21_704_816


def test_its_tasks_and_training_are_those_of_the_paper(nyuv2: Spec) -> None:
    assert [(task.name, task.target.kind, task.loss.name, task.field) for task in nyuv2.tasks] == [
        ("segment", "classes", "class_balanced", "label"),
        ("depth", "values", "rmse", "depth"),
        ("normal", "unit_vectors", "l1", "normal"),
        ("edge", "binary", "balanced_bce", "edge"),
        ("autoencode", "reconstruct", "mse", "image"),
    ]
    assert nyuv2.task("segment").target.ignore == 255
    assert (nyuv2.train.epochs, nyuv2.data.batch, nyuv2.data.shape) == (80, 16, (3, 288, 384))
    structure = nyuv2.structure
    assert structure is not None
    assert structure.settings.phases == (3, 5, 7, 9, 13, 17, 25, 33, 41, 49)
    assert structure.values["transfer"].arguments == {"epochs": (1, 1, 2, 2, 2, 2, 4, 4, 8, 8), "lr": 1e-4}
    assert (structure.settings.threshold, structure.settings.align) == (0.8, 0.2)


def test_every_decoder_layer_reads_the_one_before_and_its_skip(nyuv2: Spec) -> None:
    reads = nyuv2.backbone.reads
    assert reads["stem"] == ()
    assert reads["enc5"] == ("enc4",)
    assert [set(reads[f"dec{n}"]) for n in (4, 3, 2, 1)] == [
        {"enc5", "enc4"},
        {"dec4", "enc3"},
        {"dec3", "enc2"},
        {"dec2", "enc1"},
    ]
    assert nyuv2.task("depth").head.inputs == ("dec4", "dec3", "dec2", "dec1", "image")


def test_one_task_alone_costs_its_head_and_one_copy_of_each_layer(nyuv2: Spec) -> None:
    cost = nyuv2.cost()
    layers = sum(each.one.parameters for each in cost.layers.values())
    assert {
        task: alone.parameters - cost.heads[task].parameters for task, alone in cost.tasks.items()
    } == dict.fromkeys(cost.tasks, layers)
    assert sum(alone.flops for alone in cost.tasks.values()) == cost.flops
