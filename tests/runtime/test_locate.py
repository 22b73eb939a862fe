"""A failure inside the network names the line of the spec that it belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mtsldsl.editing import load
from mtsldsl.ir import Spec
from mtsldsl.runtime.learning.finite import anomaly_of_loss, find_anomaly, recorded
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.network.places import located

SCENES = Path(__file__).parents[2] / "specs" / "scenes.mtl"


def line_of(text: str) -> int:
    return next(
        number for number, line in enumerate(SCENES.read_text().splitlines(), 1) if line.strip().startswith(text)
    )


@pytest.fixture(scope="module")
def scenes() -> Spec:
    return load(SCENES)


def test_a_shape_error_in_a_layer_names_its_line(scenes: Spec) -> None:
    model = build_model(scenes)
    model.get_submodule("enc2.depth").conv1 = torch.nn.Conv2d(7, 24, 3)  # not what the spec says
    with pytest.raises(RuntimeError) as caught, located(model, scenes):
        model(torch.zeros(1, 3, 64, 64))
    assert caught.value.__notes__ == [f"{SCENES}:{line_of('enc2 =')}, layer enc2 of depth"]


def test_an_error_in_a_head_names_its_task(scenes: Spec) -> None:
    model = build_model(scenes)
    model.get_submodule("heads.normal").conv1 = torch.nn.Conv2d(7, 3, 1)
    with pytest.raises(RuntimeError) as caught, located(model, scenes):
        model(torch.zeros(1, 3, 64, 64))
    assert caught.value.__notes__ == [f"{SCENES}:{line_of('task normal')}, head of task normal"]


def test_an_error_outside_the_network_is_left_as_it_is(scenes: Spec) -> None:
    with pytest.raises(ValueError, match="elsewhere") as caught, located(build_model(scenes), scenes):
        raise ValueError("elsewhere")
    assert not hasattr(caught.value, "__notes__")


def found(model: torch.nn.Module, spec: Spec, image: torch.Tensor) -> str | None:
    with torch.no_grad(), recorded(model, spec) as outputs:
        model(image)
        where = find_anomaly(model, spec, image, outputs)
    return where.cause if where else None


def test_the_first_layer_that_computes_no_finite_number_is_found(scenes: Spec) -> None:
    model = build_model(scenes).eval()
    image = torch.zeros(2, 3, 64, 64)
    assert found(model, scenes, image) is None
    model.get_buffer("enc3.edge.norm1.running_mean").fill_(float("nan"))
    expected = f"the first to compute such numbers is {SCENES}:{line_of('enc3 =')}, layer enc3 of edge"
    assert found(model, scenes, image) == expected


def test_of_weights_that_are_not_finite_the_last_are_told_for_gradients_go_from_the_losses_to_the_image(
    scenes: Spec,
) -> None:
    model = build_model(scenes)
    for name in ("stem", "enc1", "enc2"):
        with torch.no_grad():
            model.get_parameter(f"{name}.depth.norm1.weight").fill_(float("nan"))
    cause = found(model, scenes, torch.zeros(2, 3, 64, 64))
    assert cause is not None
    assert f"{SCENES}:{line_of('enc2 =')}, layer enc2 of depth" in cause


def test_images_that_are_not_finite_are_told_from_what_is_computed_of_them(scenes: Spec) -> None:
    cause = found(build_model(scenes), scenes, torch.full((2, 3, 64, 64), float("inf")))
    assert cause == "neither is the `image` that it is computed from"


def test_an_alignment_loss_that_is_not_finite_is_that_of_the_structure(scenes: Spec) -> None:
    where = anomaly_of_loss(scenes, "align")
    assert where.cause.endswith(f"so it is {SCENES}:{line_of('structure mtsl')}, the loss `align` of the structure")
