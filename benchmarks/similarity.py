"""Similarity of tasks: all pairs at once against a straightforward pair-by-pair implementation.

Prints a table of time ratios and exits with 1 where a target is missed. One thread, the process's own CPU time, both
ways in turn, the median of the rounds' ratios. Pair by pair: both n x n Gram matrices of every ordered pair are made,
their diagonals zeroed, and HSIC1 is taken three times, by its formula: tr(K~L~) from the product of the matrices. Where
that takes seconds it is timed on some pairs and multiplied. The rows without a target compare with a pair-by-pair
implementation by somebody who takes the trace without the product.

    python benchmarks/similarity.py [rounds]
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence

import attrs
import torch
from torch import Tensor

from mtsldsl.runtime.similarity import alignment_loss, cka_matrix


@attrs.frozen
class Case:
    """One comparison: `pairwise` is to be multiplied by `times` to be as much work as `ours`."""

    name: str
    ours: Callable[[], object]
    pairwise: Callable[[], object]
    times: float
    target: float | None


def hsic(k: Tensor, m: Tensor) -> Tensor:
    """HSIC1 of two Gram matrices with a zero diagonal, (n, n) each, as its formula stands."""
    n = len(k)
    ones = k.new_ones(n)
    corners = (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
    return (torch.trace(k @ m) + corners - 2 / (n - 2) * (ones @ k @ (m @ ones))) / (n * (n - 3))


def frugal_hsic(k: Tensor, m: Tensor) -> Tensor:
    """The same without a product of matrices."""
    n = len(k)
    corners = k.sum() * m.sum() / ((n - 1) * (n - 2))
    return ((k * m).sum() + corners - 2 / (n - 2) * (k.sum(0) @ m.sum(0))) / (n * (n - 3))


def pair_cka(x: Tensor, y: Tensor, hsic: Callable[[Tensor, Tensor], Tensor] = hsic) -> Tensor:
    """Debiased linear CKA of two features (n, d)."""
    k, m = x @ x.T, y @ y.T
    k = k - torch.diag_embed(k.diagonal())
    m = m - torch.diag_embed(m.diagonal())
    return hsic(k, m) / (hsic(k, k) * hsic(m, m)).sqrt()


def matrix_case(
    tasks: int, samples: int, width: int, target: float | None, hsic: Callable[[Tensor, Tensor], Tensor] = hsic
) -> Case:
    torch.manual_seed(0)
    common = torch.randn(samples, width)
    features = torch.stack([common + torch.randn(samples, width) for _ in range(tasks)])
    order = [(i, j) for i in range(tasks) for j in range(tasks)]
    pairs = order[1 :: max(1, len(order) // 12)]
    found = cka_matrix(features)
    assert all(abs(pair_cka(features[i].double(), features[j].double()) - found[i, j]) < 1e-6 for i, j in pairs[:3])
    return Case(
        f"CKA matrix, T={tasks} n={samples} d={width}" + ("" if target else ", no product"),
        lambda: cka_matrix(features),
        lambda: [pair_cka(features[i], features[j], hsic) for i, j in pairs],
        len(order) / len(pairs),
        target,
    )


def alignment_case(tasks: int, batch: int, channels: int, target: float) -> Case:
    torch.manual_seed(0)
    activations = [torch.randn(batch, channels, 4, 4, requires_grad=True) for _ in range(tasks)]

    def pairwise(values: Sequence[Tensor]) -> Tensor:
        means = [value.mean((2, 3)) for value in values]
        found = [pair_cka(means[i], means[j], frugal_hsic) for i in range(tasks) for j in range(i)]
        return 0.2 * (1 - torch.stack(found).mean())

    assert abs(pairwise(activations) - alignment_loss(activations, 0.2)) < 1e-6
    return Case(
        f"alignment loss and gradient, T={tasks} n={batch} d={channels}",
        lambda: torch.autograd.grad(alignment_loss(activations, 0.2), activations),
        lambda: torch.autograd.grad(pairwise(activations), activations),
        1,
        target,
    )


def seconds(run: Callable[[], object], repeats: int) -> float:
    start = time.process_time()
    for _ in range(repeats):
        run()
    return (time.process_time() - start) / repeats


def measure(case: Case, rounds: int) -> tuple[float, float, float]:
    """Median seconds of ours and of pair by pair, and the median ratio."""
    case.ours()
    repeats = max(1, int(0.05 / max(seconds(case.ours, 1), 1e-5)))
    case.pairwise()
    pair_repeats = max(1, int(0.05 / max(seconds(case.pairwise, 1), 1e-5)))
    times = [(seconds(case.ours, repeats), case.times * seconds(case.pairwise, pair_repeats)) for _ in range(rounds)]
    ours, pairwise = zip(*times, strict=True)
    return statistics.median(ours), statistics.median(pairwise), statistics.median(a / b for a, b in times)


def main(arguments: Sequence[str]) -> int:
    rounds = int(arguments[0]) if arguments else 9
    torch.set_num_threads(1)
    cases = [
        matrix_case(5, 800, 64, 1 / 40),
        matrix_case(20, 800, 64, 1 / 100),
        matrix_case(5, 800, 512, 1 / 12),
        matrix_case(5, 800, 64, None, frugal_hsic),
        matrix_case(20, 800, 64, None, frugal_hsic),
        alignment_case(5, 8, 64, 0.20),
        alignment_case(10, 8, 64, 0.15),
    ]
    print(f"{'case':<46} {'ours ms':>9} {'pairs ms':>9} {'ratio':>9} {'target':>9}")
    missed = 0
    for case in cases:
        ours, pairwise, ratio = measure(case, rounds)
        late = case.target is not None and ratio > case.target
        missed += late
        target = "none" if case.target is None else f"{case.target:.4f}"
        end = "  missed" if late else ""
        print(f"{case.name:<46} {1e3 * ours:9.2f} {1e3 * pairwise:9.1f} {ratio:9.4f} {target:>9}{end}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
