"""Planted tasks: who is related to whom, found again in the numbers."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from mtsldsl import loads
from mtsldsl.datasets.planted.language import FIELDS
from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.task_record import Target
from mtsldsl.language.constants import Constant, Shape
from mtsldsl.runtime.data import Samples, Splits, load_data
from tests.runtime.data.factories import spec, task


def planted(shape: Shape = (16,), **options: Constant) -> Splits[Samples]:
    tasks = [task(name, Target("values", 4), name, dense=False) for name in FIELDS]
    return load_data(spec("planted", tasks, shape, **{"samples": 500, **options}))


def maps_of(samples: Samples) -> dict[str, np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    """The linear map (16, 4) that fits each field best."""
    rows = samples.fields[next(iter(samples.fields))].double().numpy()
    return {name: np.linalg.lstsq(rows, samples.fields[name].double().numpy(), rcond=None)[0] for name in FIELDS}


def test_fields_of_a_pair_need_the_same_features_and_those_of_two_pairs_have_none_in_common() -> None:
    maps = maps_of(planted(noise=0.0).train)
    for one in FIELDS:
        assert np.allclose(maps[one].T @ maps[one], np.eye(4), atol=1e-5)
        for other in FIELDS:
            cosines = np.linalg.svd(maps[one].T @ maps[other])[1]  # of the angles between both spaces
            assert np.allclose(cosines, 1 if one[0] == other[0] else 0, atol=1e-4)
    assert np.abs(maps["a1"] - maps["a2"]).max() > 0.1


def test_noise_is_added_to_each_field_by_itself() -> None:
    bare, noisy = (planted(noise=noise, samples=4000).train for noise in (0.0, 0.5))
    noise = np.stack([(noisy.fields[name] - bare.fields[name]).numpy().ravel() for name in FIELDS])
    assert np.allclose(np.cov(noise), 0.25 * np.eye(len(FIELDS)), atol=0.02)


def test_the_seed_decides_and_the_parts_are_as_large_as_they_say() -> None:
    one, same, other = planted(seed=1), planted(seed=1), planted(seed=2)
    assert [len(part) for _, part in one.named()] == [360, 40, 100]
    for (_, part), (_, again), (_, another) in zip(one.named(), same.named(), other.named(), strict=True):
        for name, values in part.fields.items():
            assert torch.equal(values, again.fields[name])
            assert not torch.equal(values, another.fields[name])
    rows = [tuple(row) for _, part in one.named() for row in next(iter(part.fields.values())).tolist()]
    assert len(set(rows)) == 500


@pytest.mark.parametrize("shape", [(11,), (3, 16, 16)])
def test_rows_have_room_for_all_features(shape: Shape) -> None:
    assert len(planted((12,)).train) == 360
    with pytest.raises(MtlError, match=r"MTL602.*rows of at least 12 numbers"):
        planted(shape)


def test_a_field_has_four_numbers() -> None:
    text = (
        "mtl 1\ndata planted {}\ntask c2 {\n  target = values(4)\n  head = linear(outputs)\n}\n"
        "backbone {\n  stem = linear(4)\n}\ntrain {\n  epochs = 1\n}\n"
    )
    assert [each.field for each in loads(text).tasks] == ["c2"]
    with pytest.raises(MtlError, match=re.compile("MTL307.*4 channels", re.DOTALL)):
        loads(text.replace("values(4)", "values(3)"))
