from __future__ import annotations

import itertools
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.network.execution import pooled
from mtsldsl.runtime.similarity import alignment_loss, cka, cka_matrix, rsa, rsa_matrix
from tests.given import CONFORMANCE, needs_conformance


def reference() -> tuple[dict[str, Any], Any]:
    return json.loads((CONFORMANCE / "cka.json").read_text()), np.load(CONFORMANCE / "cka.npz")


def slow_cka(x: torch.Tensor, y: torch.Tensor) -> float:
    """Debiased linear CKA by its formula, in double precision."""

    def hsic(k: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
        n = len(k)
        trace = torch.trace(k @ m)
        return trace + k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k @ m).sum()

    kernels = []
    for feature in (x.double(), y.double()):
        centred = feature - feature.mean(0)
        kernel = centred @ centred.T
        kernels.append(kernel - torch.diag(kernel.diagonal()))
    k, m = kernels
    return float(hsic(k, m) / (hsic(k, k) * hsic(m, m)).sqrt())


def features(seed: int, count: int, samples: int, *widths: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    widths = widths or (6,) * count
    common = torch.randn(samples, 3, generator=generator)
    return [
        common @ torch.randn(3, width, generator=generator) + torch.randn(samples, width, generator=generator)
        for width in widths
    ]


@needs_conformance
@pytest.mark.parametrize("name", ["linear_debiased_gram", "linear_biased_gram", "rbf_debiased_gram", "rbf_biased_gram"])
def test_cka_is_that_of_the_reference(name: str) -> None:
    given_values, arrays = reference()
    kernel, estimate, _ = name.split("_")
    for case in given_values["cases"]:
        expected = case["cka"][name]
        found = cka(arrays[f"x{case['id']}"], arrays[f"y{case['id']}"], kernel, estimate == "debiased")
        assert found == pytest.approx(0.0 if expected == "nan" else expected, abs=1e-9), case["kind"]


@needs_conformance
@pytest.mark.parametrize("debiased", [True, False])
def test_similarity_matrices_are_those_of_the_reference(debiased: bool) -> None:
    given_values, arrays = reference()
    for case in given_values["similarity_matrices"]:
        stacked = torch.stack([torch.from_numpy(arrays[f"mat{case['id']}_{task}"]) for task in range(case["T"])])
        expected = torch.tensor(case["results"]["debiased_gram" if debiased else "biased_gram"], dtype=torch.float64)
        torch.testing.assert_close(cka_matrix(stacked, debiased=debiased), expected, rtol=0, atol=1e-6)


@needs_conformance
def test_the_alignment_loss_and_its_gradients_are_those_of_the_reference() -> None:
    given_values, arrays = reference()
    for case in given_values["alignment_loss"]:
        name = f"align{case['id']}"
        activations = [torch.tensor(arrays[f"{name}_act{task}"], requires_grad=True) for task in range(case["T"])]
        loss = alignment_loss(activations, 0.2)
        loss.backward()
        assert loss.item() == pytest.approx(case["loss_f64"], abs=1e-6)
        for task, activation in enumerate(activations):
            expected = torch.from_numpy(arrays[f"{name}_grad64_{task}"])
            error = (activation.grad - expected).abs().max() / expected.abs().max()
            assert error < 5e-6


@pytest.mark.parametrize(
    ("count", "samples", "widths"),
    [
        (2, 300, (40, 40)),  # few features, in single precision
        (2, 90, (600, 600)),  # kernels, in single precision
        (3, 90, (700, 5, 250)),  # kernels, of widths that differ
        (2, 20, (30, 4)),  # in double precision
    ],
)
def test_every_way_of_computing_gives_the_formula(count: int, samples: int, widths: tuple[int, ...]) -> None:
    found = features(1, count, samples, *widths)
    matrix = cka_matrix([10 * feature + 100 for feature in found])
    for i in range(len(found)):
        for j in range(len(found)):
            assert float(matrix[i, j]) == pytest.approx(slow_cka(found[i], found[j]), abs=1e-6)


def test_many_samples_of_wide_features_are_within_a_ten_millionth() -> None:
    found = features(2, 5, 800, *(64,) * 5)
    matrix = cka_matrix(torch.stack(found))
    for i, j in [(0, 1), (3, 4), (4, 0)]:
        assert float(matrix[i, j]) == pytest.approx(slow_cka(found[i], found[j]), abs=1e-7)


def test_a_sample_far_from_all_others_is_computed_in_double_precision() -> None:
    found = features(3, 2, 800, 64, 64)
    for feature in found:
        feature[7] *= 300
    expected = slow_cka(found[0], found[1])
    assert cka(found[0], found[1]) == pytest.approx(expected, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(4, 40), st.integers(1, 50), st.floats(-1e4, 1e4), st.floats(1e-3, 1e6))
def test_cka_ignores_rotation_scale_and_shift(seed: int, samples: int, width: int, shift: float, scale: float) -> None:
    x, y = (feature.double() for feature in features(seed, 2, samples, width, 3))
    rotation = torch.linalg.qr(torch.randn(width, width, dtype=torch.float64))[0]
    assert cka((x @ rotation) * scale + shift, y) == pytest.approx(cka(x, y), abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(4, 40), st.sampled_from(["linear", "rbf"]), st.booleans())
def test_the_matrix_holds_the_pairs_and_follows_a_permutation_of_tasks(
    seed: int, samples: int, kernel: Any, debiased: bool
) -> None:
    found = features(seed, 4, samples, 3, 8, 1, 20)
    matrix = cka_matrix(found, kernel, debiased)
    assert float(matrix[1, 2]) == pytest.approx(cka(found[1], found[2], kernel, debiased), abs=1e-12)
    assert torch.equal(matrix, matrix.T)
    assert torch.equal(matrix.diagonal(), torch.ones(4, dtype=torch.float64))
    order = [2, 0, 3, 1]
    permuted = cka_matrix([found[index] for index in order], kernel, debiased)
    torch.testing.assert_close(permuted, matrix[order][:, order], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e5])
def test_a_constant_feature_is_similar_to_nothing_and_never_nan(kernel: Any, value: float) -> None:
    dead = torch.full((12, 5), value)
    live = features(4, 1, 12, 5)[0]
    matrix = cka_matrix([dead, live, dead], kernel)
    assert matrix.tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert cka(dead.double() / 3, dead.double() / 3, kernel) == 0


def test_a_feature_that_differs_in_one_sample_alone_has_a_debiased_similarity_of_zero() -> None:
    single = torch.zeros(800, 64)
    single[5] = 1.7
    assert cka(single, features(5, 1, 800, 64)[0]) == 0


def test_a_feature_that_mostly_repeats_itself_has_a_defined_rbf_kernel() -> None:
    mostly = torch.zeros(20, 3)
    mostly[:3] = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    assert cka(mostly, mostly, "rbf") == 1
    assert math.isfinite(cka(mostly, features(6, 1, 20, 3)[0], "rbf"))


def test_a_large_common_mean_costs_nothing() -> None:
    x, y = features(7, 2, 64, 16, 16)
    near = (x + 1000).double() - 1000
    assert cka(x + 1000, y) == pytest.approx(cka(near, y), abs=1e-9)


@pytest.mark.parametrize("samples", [0, 1, 3])
def test_too_few_samples_are_an_error(samples: int) -> None:
    with pytest.raises(MtlError) as caught:
        cka(torch.randn(samples, 2), torch.randn(samples, 2))
    assert caught.value.diagnostics[0].code == "MTL804"


def test_values_that_are_not_finite_are_an_error() -> None:
    broken = torch.randn(8, 2)
    broken[3, 1] = math.nan
    with pytest.raises(MtlError) as caught:
        cka_matrix([torch.randn(8, 2), broken])
    assert caught.value.diagnostics[0].code == "MTL803"


@pytest.mark.parametrize("wrong", [[torch.zeros(8, 2), torch.zeros(7, 2)], [torch.zeros(8)], []])
def test_features_that_do_not_belong_together_are_refused(wrong: list[torch.Tensor]) -> None:
    with pytest.raises(ValueError, match="features"):
        cka_matrix(wrong)


def test_an_unknown_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="cosine"):
        cka(torch.randn(8, 2), torch.randn(8, 2), kernel="cosine")  # type: ignore[arg-type]


def test_pooling_takes_the_mean_over_space_or_tokens_in_single_precision() -> None:
    image = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(pooled(image), image.mean((2, 3)))
    torch.testing.assert_close(pooled(image[:, 0]), image[:, 0].mean(1))
    assert pooled(image[:, 0, 0].bfloat16()).dtype == torch.float32
    assert pooled(torch.full((1, 1, 8, 512), 1.0).bfloat16() * 1.5).item() == 1.5
    with pytest.raises(ValueError, match="activation"):
        pooled(torch.zeros(3))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(4, 12), st.integers(1, 9))
def test_the_alignment_loss_is_one_less_the_mean_of_the_matrix(seed: int, count: int, batch: int, width: int) -> None:
    found = features(seed, count, batch, *(width,) * count)
    matrix = cka_matrix(found)
    mean = (matrix.sum() - matrix.trace()) / (count * (count - 1))
    assert alignment_loss(found, 0.5).item() == pytest.approx(0.5 * (1 - float(mean)), abs=2e-5)


def test_activations_of_other_widths_and_kinds_align() -> None:
    generator = torch.Generator().manual_seed(1)
    image, tokens = torch.randn(9, 4, 3, 3, generator=generator), torch.randn(9, 5, 7, generator=generator)
    expected = 0.2 * (1 - cka(pooled(image), pooled(tokens)))
    assert alignment_loss([image, tokens], 0.2).item() == pytest.approx(expected, abs=1e-6)


def test_aligned_copies_have_no_loss() -> None:
    activation = features(8, 1, 16, 5)[0]
    assert alignment_loss([activation, 3 * activation + 2, activation], 0.2).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e-30, 7.3e5])
def test_the_alignment_loss_of_a_dead_layer_has_a_gradient_of_zero(value: float) -> None:
    dead = torch.full((8, 4, 3, 3), value, requires_grad=True)
    live = [feature[:, :, None, None].requires_grad_() for feature in features(9, 2, 8, 4, 4)]
    loss = alignment_loss([dead, *live], 0.3)
    gradients = torch.autograd.grad(loss, [dead, *live])
    expected = 0.3 * (1 - cka(live[0][..., 0, 0], live[1][..., 0, 0]) / 3)
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    assert gradients[0].abs().max() == 0
    assert all(gradient.isfinite().all() and gradient.abs().max() > 0 for gradient in gradients[1:])


@pytest.mark.parametrize("scale", [1e-15, 1e-25, 1e-40, 1e15])
def test_the_alignment_loss_of_a_very_weak_or_strong_layer_has_a_finite_gradient(scale: float) -> None:
    weak, live = (feature.requires_grad_() for feature in features(10, 2, 8, 4, 4))
    loss = alignment_loss([weak * scale, live], 0.3)
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(loss, [weak, live]))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_what_cannot_be_aligned_costs_nothing(count: int) -> None:
    samples = 3 if count == 2 else 8
    assert alignment_loss([torch.randn(samples, 4) for _ in range(count)], 0.2).item() == 0


def test_the_alignment_loss_never_waits_for_a_value() -> None:
    """Mapped over a dimension, tensors have no value that Python could wait for: `.item()` or an `if` would raise."""
    found = torch.stack(features(12, 3, 8, *(4,) * 3))
    twice = torch.stack([found, found * torch.tensor([1.0, 0.0, 1.0])[:, None, None]])
    losses = torch.vmap(lambda activations: alignment_loss(activations.unbind(), 0.2))(twice)
    assert losses[0].item() == pytest.approx(alignment_loss(found.unbind(), 0.2).item(), abs=1e-6)


def test_the_alignment_loss_is_computed_in_single_precision_under_autocast() -> None:
    found = features(11, 3, 16, *(8,) * 3)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = alignment_loss(found, 0.2)
    assert mixed.item() == alignment_loss(found, 0.2).item()


def slow_rsa(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> float:
    """RSA by its definition: pairs of samples one by one, and ranks by counting."""

    def dissimilarities(features: np.ndarray[Any, Any]) -> list[float]:
        pairs = itertools.combinations(features.astype(np.float64), 2)
        return [1 - float(np.corrcoef(one, other)[0, 1]) for one, other in pairs]

    def ranks(values: list[float]) -> list[float]:
        close = [[math.isclose(one, other, abs_tol=1e-13) for other in values] for one in values]
        below = [sum(other < one for other, same in zip(values, equal, strict=True) if not same)
                 for one, equal in zip(values, close, strict=True)]  # fmt: skip
        return [under + (sum(equal) + 1) / 2 for under, equal in zip(below, close, strict=True)]

    both = [ranks(dissimilarities(each)) for each in (x, y)]
    return float(np.corrcoef(*both)[0, 1]) if all(len(set(each)) > 1 for each in both) else math.nan


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(4, 12), st.integers(2, 9), st.integers(2, 9), st.booleans())
def test_rsa_is_spearman_of_the_dissimilarities(seed: int, samples: int, width: int, other: int, equal: bool) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((samples, width)), rng.standard_normal((samples, other))
    if equal:  # a sample twice, so that dissimilarities are equal
        x[1], y[1], y[2] = x[0], y[0], y[0]
    expected = slow_rsa(x, y)
    assume(math.isfinite(expected))
    assert rsa(x, y) == pytest.approx(expected, abs=1e-9)


def test_rsa_is_that_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    found = features(3, 3, 40, 5, 30, 8)
    matrix = rsa_matrix(found)
    above = np.triu_indices(40, 1)
    flat = [1 - np.corrcoef(feature.double().numpy())[above] for feature in found]
    for i, j in itertools.product(range(3), repeat=2):
        assert float(matrix[i, j]) == pytest.approx(stats.spearmanr(flat[i], flat[j]).statistic, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(4, 20), st.floats(1e-3, 1e4), st.floats(-1e3, 1e3))
def test_rsa_ignores_the_scale_and_shift_of_each_sample_and_follows_the_order_of_tasks(
    seed: int, samples: int, scale: float, shift: float
) -> None:
    found = [feature.double() for feature in features(seed, 3, samples, 6, 4, 9)]
    matrix = rsa_matrix(found)
    moved = [feature * scale * (1 + torch.arange(samples)[:, None]) + shift for feature in found]
    torch.testing.assert_close(rsa_matrix(moved), matrix, rtol=0, atol=1e-6)
    assert torch.equal(matrix, matrix.T)
    order = [2, 0, 1]
    torch.testing.assert_close(
        rsa_matrix([found[index] for index in order]), matrix[order][:, order], rtol=0, atol=1e-12
    )
    assert torch.equal(matrix.diagonal(), torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("value", [0.0, 0.1, 1e5])
def test_features_that_rank_nothing_are_similar_to_nothing(value: float) -> None:
    live, one = features(4, 2, 12, 5, 1)
    matrix = rsa_matrix([torch.full((12, 5), value), live, one])
    assert matrix.tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_a_dead_sample_has_no_correlation_with_any() -> None:
    x, y = (feature.double() for feature in features(5, 2, 6, 4, 4))
    x[2] = 0.3
    rows = np.corrcoef(np.delete(x.numpy(), 2, 0))
    whole = np.zeros((6, 6))
    whole[np.ix_([0, 1, 3, 4, 5], [0, 1, 3, 4, 5])] = rows
    stats = pytest.importorskip("scipy.stats")
    above = np.triu_indices(6, 1)
    expected = stats.spearmanr(1 - whole[above], 1 - np.corrcoef(y.numpy())[above]).statistic
    assert rsa(x, y) == pytest.approx(expected, abs=1e-9)


def test_features_that_rsa_cannot_compare_are_refused() -> None:
    with pytest.raises(MtlError, match="MTL804"):
        rsa(torch.randn(3, 4), torch.randn(3, 4))
    with pytest.raises(MtlError, match="MTL803"):
        rsa(torch.full((8, 2), math.nan), torch.randn(8, 2))
