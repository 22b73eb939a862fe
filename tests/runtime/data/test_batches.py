from __future__ import annotations

import pytest
import torch

from mtsldsl.language.constants import Named
from mtsldsl.runtime.data import batches, steps_per_epoch
from tests.runtime.data.factories import compact_samples

STEPS = (Named("hflip", {"p": 0.5}), Named("random_scale", {"factors": (1.0, 1.5)}))


def numbers(found: list[dict[str, torch.Tensor]]) -> list[int]:
    return [int(number) for batch in found for number in batch["kind"]]


def equal(first: list[dict[str, torch.Tensor]], second: list[dict[str, torch.Tensor]]) -> bool:
    return len(first) == len(second) and all(
        torch.equal(x[name], y[name]) for x, y in zip(first, second, strict=True) for name in x
    )


def test_a_batch_has_the_types_that_networks_and_losses_expect() -> None:
    samples = compact_samples(5)
    batch = next(batches(samples, 3))
    assert {name: tensor.dtype for name, tensor in batch.items()} == {
        "image": torch.float32,
        "label": torch.int64,
        "depth": torch.float32,
        "normal": torch.float32,
        "edge": torch.float32,
        "kind": torch.int64,
    }
    assert torch.equal(batch["image"], samples.fields["image"][:3].float() / 255)
    assert batch["image"].is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(batch["normal"].norm(dim=1), torch.ones(()))
    assert torch.equal(batch["label"], samples.fields["label"][:3].long())
    assert set(batch["edge"].unique().tolist()) == {0.0, 1.0}


def test_an_invalid_normal_stays_zero() -> None:
    samples = compact_samples(2)
    samples.fields["normal"][0] = 0
    assert not next(batches(samples, 2))["normal"][0].any()


def test_without_shuffling_samples_come_in_order() -> None:
    assert numbers(list(batches(compact_samples(7), 3))) == list(range(7))


def test_shuffling_gives_every_sample_once() -> None:
    found = numbers(list(batches(compact_samples(20), 3, shuffle=True, seed=1)))
    assert sorted(found) == list(range(20))
    assert found != list(range(20))


def test_a_last_smaller_batch_can_be_left_out() -> None:
    assert [len(batch["kind"]) for batch in batches(compact_samples(7), 3)] == [3, 3, 1]
    assert [len(batch["kind"]) for batch in batches(compact_samples(7), 3, drop_last=True)] == [3, 3]


@pytest.mark.parametrize(("drop_last", "steps"), [(True, 2), (False, 3)])
def test_the_number_of_steps_is_that_of_the_batches(drop_last: bool, steps: int) -> None:
    samples = compact_samples(7)
    assert steps_per_epoch(samples, 3, drop_last=drop_last) == steps
    assert len(list(batches(samples, 3, drop_last=drop_last))) == steps


def test_batches_depend_on_seed_and_epoch_alone() -> None:
    samples = compact_samples(12)
    first = list(batches(samples, 4, seed=3, epoch=2, shuffle=True, augment=STEPS))
    torch.rand(5)
    assert equal(first, list(batches(samples, 4, seed=3, epoch=2, shuffle=True, augment=STEPS)))
    assert numbers(first) != numbers(list(batches(samples, 4, seed=3, epoch=3, shuffle=True)))
    assert numbers(first) != numbers(list(batches(samples, 4, seed=4, epoch=2, shuffle=True)))


def test_the_order_does_not_depend_on_the_augmentation() -> None:
    samples = compact_samples(12)
    plain = list(batches(samples, 4, seed=3, shuffle=True))
    assert numbers(plain) == numbers(list(batches(samples, 4, seed=3, shuffle=True, augment=STEPS)))


def test_the_samples_themselves_are_never_changed() -> None:
    samples = compact_samples(4)
    before = {name: tensor.clone() for name, tensor in samples.fields.items()}
    for batch in batches(samples, 2):
        for tensor in batch.values():
            tensor.zero_()
    assert all(torch.equal(samples.fields[name], tensor) for name, tensor in before.items())


def test_taking_samples_keeps_their_order() -> None:
    taken = compact_samples(6).take(torch.tensor([4, 1]))
    assert len(taken) == 2
    assert taken.fields["kind"].tolist() == [4, 1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_batches_on_a_cuda_device_do_not_wait_for_it_and_equal_those_of_the_host() -> None:
    samples = compact_samples(12)
    on_host = list(batches(samples, 4, seed=3, shuffle=True, augment=STEPS))
    for source in (samples, samples.to("cuda")):
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            on_device = list(batches(source, 4, seed=3, shuffle=True, augment=STEPS, device="cuda"))
        finally:
            torch.cuda.set_sync_debug_mode("default")
        for host, device in zip(on_host, on_device, strict=True):
            assert all(torch.allclose(host[name], device[name].cpu(), atol=1e-5) for name in host)
