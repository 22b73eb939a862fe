"""The network for two garments in a picture is the LeNet of Lin et al., 2019, and another balance is one setting away."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtsldsl import build_model, load
from mtsldsl.language.optimization import BALANCES

SPEC = Path(__file__).parents[2] / "specs" / "multifashion.mtl"


def test_it_has_the_shapes_and_parameters_of_that_lenet() -> None:
    """Ten kernels of 9x9, twenty of 5x5, each pooled by two, and fifty features for ten classes of either garment."""
    spec = load(SPEC)
    assert [layer.body.shape for layer in spec.layers] == [(10, 14, 14), (20, 5, 5), (50,)]
    trunk = (81 + 1) * 10 + (10 * 25 + 1) * 20 + (20 * 5 * 5 + 1) * 50
    heads = 2 * (50 + 1) * 10
    assert sum(parameter.numel() for parameter in build_model(spec).parameters()) == trunk + heads
    assert spec.sharing.tasks == ("left", "right")
    assert all(len(spec.sharing[layer]) == 1 for layer in spec.backbone.layers)


def test_it_is_trained_as_there() -> None:
    train, data = load(SPEC).train, load(SPEC).data
    assert train.optimizer.name == "sgd"
    assert train.optimizer.arguments["momentum"] == 0.9
    assert data.batch == 256
    assert train.scheduler is not None
    assert train.scheduler.arguments["gamma"] == 0.5


@pytest.mark.parametrize("balance", sorted(rule.name for rule in BALANCES.rules))
def test_every_balance_fits_it(balance: str) -> None:
    assert load(SPEC, {"train.balance": balance}).train.balance.name == balance
