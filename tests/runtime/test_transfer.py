from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.network.averaging import mean
from mtsldsl.runtime.network.transfer import average_state, carry_state, merged_parameters, origins
from mtsldsl.sharing import Copy
from tests.runtime.hand_built import HandBuilt, images, make_model, make_spec

DTYPES = st.sampled_from([torch.float32, torch.float64, torch.bfloat16])


def random_state(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "conv1.weight": torch.randn(5, 3, 2, 2, generator=generator),
        "norm1.running_mean": torch.randn(5, generator=generator) * 10,
        "norm1.running_var": torch.rand(5, generator=generator) + 0.1,
        "norm1.num_batches_tracked": torch.randint(0, 1000, (), generator=generator),
    }


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(value, right[name]) for name, value in left.items())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 7), DTYPES, st.floats(1e-20, 1e20))
def test_the_mean_of_equal_tensors_is_the_tensor_bit_for_bit(
    seed: int, count: int, dtype: torch.dtype, scale: float
) -> None:
    value = (torch.randn(50, generator=torch.Generator().manual_seed(seed)).double() * scale).to(dtype)
    assert torch.equal(mean([value] * count), value)
    assert torch.equal(mean([value] * count, list(range(1, count + 1))), value)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5), DTYPES, st.booleans())
def test_the_mean_is_the_same_for_every_order(seed: int, count: int, dtype: torch.dtype, weighted: bool) -> None:
    values = [torch.randn(9, generator=torch.Generator().manual_seed(seed + i)).to(dtype) for i in range(count)]
    counts = list(range(1, count + 1))
    expected = mean(values, counts if weighted else None)
    for order in itertools.islice(itertools.permutations(range(count)), 10):
        found = mean([values[i] for i in order], [counts[i] for i in order] if weighted else None)
        assert torch.equal(found, expected)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=3, max_size=5, unique=True))
def test_averages_with_counts_nest_in_any_way(seeds: list[int]) -> None:
    members = [random_state(seed) for seed in seeds]
    together = average_state(members)
    nested, done = members[0], 1
    for member in members[1:]:
        nested = average_state([nested, member], [done, 1])
        done += 1
    for name, value in together.items():
        torch.testing.assert_close(nested[name], value, rtol=1e-5, atol=1e-5)


def test_the_statistics_of_batch_normalisation_are_those_of_all_samples_together() -> None:
    generator = torch.Generator().manual_seed(0)
    samples = [torch.randn(1000, 4, generator=generator) * (1 + i) + 3 * i for i in range(3)]
    members = [
        {
            "running_mean": part.mean(0),
            "running_var": part.var(0, correction=0),
            "num_batches_tracked": torch.tensor(7 + i),
        }
        for i, part in enumerate(samples)
    ]
    found = average_state(members)
    everything = torch.cat(samples)
    torch.testing.assert_close(found["running_mean"], everything.mean(0))
    torch.testing.assert_close(found["running_var"], everything.var(0, correction=0))
    assert found["num_batches_tracked"].item() == 9


def test_equal_members_average_to_themselves() -> None:
    state = random_state(4)
    assert same(average_state([dict(state) for _ in range(3)]), state)


def test_members_that_are_no_copies_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in name or shape"):
        average_state([random_state(0), {**random_state(1), "conv1.weight": torch.zeros(1)}])
    with pytest.raises(ValueError, match="no members"):
        average_state([])
    with pytest.raises(ValueError, match="no counts"):
        average_state([random_state(0)], [0])


def test_origins_of_a_merge_are_its_members_and_of_a_split_what_was_split() -> None:
    apart = make_spec("xyz").sharing
    merged = apart.merge("a", "xy")
    assert origins(apart, merged) == {
        Copy("a", frozenset("xy")): (Copy("a", frozenset("x")), Copy("a", frozenset("y")))
    }
    assert origins(merged, apart) == {Copy("a", frozenset(task)): (Copy("a", frozenset("xy")),) for task in "xy"}
    assert origins(merged, merged) == {}


def evolve(groups: dict[str, list[str]], seed: int = 0) -> tuple[HandBuilt, HandBuilt]:
    old_spec, new_spec = make_spec("xyz"), make_spec("xyz", groups)
    old, new = make_model(old_spec, seed), make_model(new_spec, seed + 1)
    carry_state(old_spec, new_spec, old, new)
    return old, new


def test_what_survives_keeps_its_value_bit_for_bit() -> None:
    old, new = evolve({"a": ["xz", "y"], "b": ["x", "y", "z"], "c": ["x", "y", "z"]})
    old_state, new_state = old.state_dict(), new.state_dict()
    survivors = old_state.keys() & new_state.keys()
    assert all(torch.equal(old_state[name], new_state[name]) for name in survivors)
    assert {name for name in new_state if name not in survivors} == {
        f"a.x+z.{rest}" for rest in average_state([old.get_submodule("a.x").state_dict()])
    }


def test_a_new_component_is_the_average_of_its_members() -> None:
    old, new = evolve({"a": ["xyz"], "b": ["xyz"], "c": ["xy", "z"]})
    members = [old.get_submodule(f"b.{task}").state_dict() for task in "xyz"]
    assert same(new.get_submodule("b.x+y+z").state_dict(), average_state(members))
    members = [old.get_submodule(f"c.{task}").state_dict() for task in "xy"]
    assert same(new.get_submodule("c.x+y").state_dict(), average_state(members))


@pytest.mark.parametrize("training", [False, True])
def test_merging_equal_branches_leaves_every_output_as_it_was(training: bool) -> None:
    old_spec = make_spec("xyz")
    old = make_model(old_spec)
    for layer in ("a", "b", "c"):
        for task in "yz":
            old.get_submodule(f"{layer}.{task}").load_state_dict(old.get_submodule(f"{layer}.x").state_dict())
    new_spec = make_spec("xyz", {"a": ["xyz"], "b": ["xyz"], "c": ["xy", "z"]})
    new = make_model(new_spec, 5)
    carry_state(old_spec, new_spec, old, new)
    for model in (old, new):
        model.train(training)
        for part in model.modules():
            if isinstance(part, nn.Dropout):
                part.eval()
    image = images(5)
    expected = old(image)
    assert all(torch.equal(prediction, expected[task]) for task, prediction in new(image).items())


def test_components_of_several_tasks_weigh_by_their_tasks() -> None:
    start, middle = make_spec("xyz"), make_spec("xyz", {"a": ["xy", "z"], "b": ["x", "y", "z"], "c": ["x", "y", "z"]})
    end = make_spec("xyz", {"a": ["xyz"], "b": ["x", "y", "z"], "c": ["x", "y", "z"]})
    first, second, third, direct = make_model(start), make_model(middle, 1), make_model(end, 2), make_model(end, 3)
    carry_state(start, middle, first, second)
    carry_state(middle, end, second, third)
    carry_state(start, end, first, direct)
    for name, value in third.state_dict().items():
        torch.testing.assert_close(value, direct.state_dict()[name], rtol=1e-5, atol=1e-6)


def test_a_merge_can_be_undone_with_both_parts_as_the_shared_one_was() -> None:
    merged, apart = make_spec("xy", {"a": ["xy"], "b": ["x", "y"], "c": ["x", "y"]}), make_spec("xy")
    old, new = make_model(merged), make_model(apart, 1)
    carry_state(merged, apart, old, new)
    for task in "xy":
        assert same(new.get_submodule(f"a.{task}").state_dict(), old.get_submodule("a.x+y").state_dict())


def test_a_transfer_of_ones_own_gets_the_members_and_their_tasks() -> None:
    old_spec = make_spec("xyz", {"a": ["xy", "z"], "b": ["x", "y", "z"], "c": ["x", "y", "z"]})
    new_spec = make_spec("xyz", {"a": ["xyz"], "b": ["x", "y", "z"], "c": ["x", "y", "z"]})
    old, new = make_model(old_spec), make_model(new_spec, 1)
    weights: list[object] = []

    def heaviest(members: object, counts: object) -> dict[str, Tensor]:
        weights.append(counts)
        return dict(members[0])  # type: ignore[index]

    members = {Copy("a", frozenset("xyz")): [Copy("a", frozenset("xy")), Copy("a", frozenset("z"))]}
    carry_state(old_spec, new_spec, old, new, members, heaviest)
    assert weights == [[2, 1]]
    assert same(new.get_submodule("a.x+y+z").state_dict(), old.get_submodule("a.x+y").state_dict())


def test_a_tensor_from_nowhere_is_an_error_and_changes_nothing() -> None:
    old_spec, new_spec = make_spec("xy"), make_spec("xy", {"a": ["xy"], "b": ["x", "y"], "c": ["x", "y"]})
    new = make_model(new_spec, 1)
    before = {name: value.clone() for name, value in new.state_dict().items()}
    with pytest.raises(MtlError, match=r"a\.x\+y\.0\.weight") as caught:
        carry_state(old_spec, new_spec, make_model(old_spec), new, {})
    assert caught.value.diagnostics[0].code == "MTL805"
    assert same(new.state_dict(), before)


def test_memory_format_and_precision_are_the_new_networks_own() -> None:
    old_spec, new_spec = make_spec("xy"), make_spec("xy", {"a": ["xy"], "b": ["x", "y"], "c": ["x", "y"]})
    new = make_model(new_spec, 1).to(memory_format=torch.channels_last)
    carry_state(old_spec, new_spec, make_model(old_spec), new)
    weight = new.get_submodule("a.x+y.0").weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert weight.requires_grad
    assert math.isfinite(float(weight.detach().sum()))


def test_the_members_of_each_merged_parameter_are_found_by_name() -> None:
    new = make_model(make_spec("xy", {"a": ["xy"], "b": ["x", "y"], "c": ["x", "y"]}))
    names = merged_parameters(new, {Copy("a", frozenset("xy")): [Copy("a", frozenset("x")), Copy("a", frozenset("y"))]})
    assert names == {f"a.x+y.{rest}": [f"a.x.{rest}", f"a.y.{rest}"] for rest in ("0.weight", "1.weight", "1.bias")}
