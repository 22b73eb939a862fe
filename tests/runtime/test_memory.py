"""Memory that is not there, asked for by the libraries themselves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.network.places import located
from mtsldsl.runtime.run.memory import within_memory
from tests.cli.test_dry_run import SPEC

MORE_THAN_AN_ADDRESS_HAS = 2**46


@pytest.mark.parametrize("ask", [torch.empty, np.empty])
def test_too_little_is_reported(ask: Callable[[int], object]) -> None:
    spec = loads(SPEC)
    said = "not enough memory to train this network with batches of 8 samples"
    with pytest.raises(MtlError, match=said) as caught, within_memory(spec):
        ask(MORE_THAN_AN_ADDRESS_HAS)
    (found,) = caught.value.diagnostics
    assert found.code == "MTL812"
    assert found.span == spec.data.span


def test_where_it_was_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = loads(SPEC, "rooms.mtl")
    model = build_model(spec)
    monkeypatch.setattr(
        model.get_submodule("enc.depth"), "forward", lambda image: image.new_empty(MORE_THAN_AN_ADDRESS_HAS)
    )
    said = "not enough memory .*; at rooms.mtl:16, layer enc of depth"
    with pytest.raises(MtlError, match=said), within_memory(spec), located(model, spec):
        model(torch.zeros(1, 3, 8, 8))


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="size of tensor"), within_memory(loads(SPEC)):
        torch.zeros(2) + torch.zeros(3)
