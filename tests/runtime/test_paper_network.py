"""The paper's job: the built network has the published sizes, and trains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mtsldsl.codegen import compile_spec
from mtsldsl.editing import load
from mtsldsl.ir import Spec
from mtsldsl.runtime.network.built import load_model_class
from mtsldsl.sharing import Sharing
from tests.given import CONFORMANCE, needs_conformance
from tests.runtime.started import started, step

NYUV2 = Path(__file__).parents[2] / "specs" / "nyuv2.mtl"


def architectures() -> dict[str, Any]:
    path = CONFORMANCE / "architectures.json"
    return json.loads(path.read_text(encoding="utf-8"))["architectures"] if path.exists() else {}


def built_sizes(spec: Spec) -> dict[str, int]:
    """Parameters of the network's layers and heads, counted on the built modules, which hold no memory."""
    with torch.device("meta"):
        model = load_model_class(compile_spec(spec)["model.py"], "counted")()
    sizes: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        layer, component, *_ = name.split(".")
        key = f"heads.{component}" if layer == "heads" else layer
        sizes[key] = sizes.get(key, 0) + parameter.numel()
    return sizes


@needs_conformance
@pytest.mark.parametrize("name", sorted(architectures()))
def test_the_built_network_has_the_published_size_layer_by_layer(name: str) -> None:
    published = architectures()[name]
    spec = load(NYUV2, {"labels": "19"} if name.startswith("cityscapes") else {})
    spec = spec.with_sharing(Sharing(spec.backbone, spec.sharing.tasks, published["sharing"]))
    sizes = built_sizes(spec)
    for layer, count in published["parameters_per_layer"].items():
        assert sizes[layer] == count == spec.cost().layers[layer].parameters, layer
    for task, count in published["parameters_heads"].items():
        assert sizes[f"heads.{task}"] == count == spec.cost().heads[task].parameters, task
    assert sum(sizes.values()) == published["parameters_total"] == spec.cost().parameters


@pytest.mark.soak
def test_the_papers_network_makes_a_training_step() -> None:
    spec = load(NYUV2, {"data.input": "image(3, 64, 96)", "data.batch": "2"})
    training = started(spec, lambda parameters: torch.optim.Adam(parameters, lr=1e-4, fused=True))
    generator = torch.Generator().manual_seed(0)
    batch = {
        "image": torch.rand(2, 3, 64, 96, generator=generator),
        "label": torch.randint(0, 40, (2, 64, 96), generator=generator),
        "depth": 1 + torch.rand(2, 1, 64, 96, generator=generator),
        "normal": torch.nn.functional.normalize(torch.randn(2, 3, 64, 96, generator=generator), dim=1),
        "edge": (torch.rand(2, 1, 64, 96, generator=generator) < 0.1).float(),
    }
    before = {name: value.clone() for name, value in training.model.named_parameters() if name.startswith("stem")}
    losses = training.losses(training.model.train()(batch["image"]), batch)
    step(training, losses)
    assert all(torch.isfinite(loss) for loss in losses.values.values())
    after = dict(training.model.named_parameters())
    assert all(not torch.equal(value, after[name]) for name, value in before.items())
