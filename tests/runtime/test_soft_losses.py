"""The loss against a teacher's answer of every kind of target: by hand, and smallest where both answer the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mtsldsl.ir.task_record import Target
from mtsldsl.language.constants import Named
from mtsldsl.language.targets import TARGETS
from mtsldsl.runtime.objectives import Loss
from mtsldsl.runtime.objectives.by_target import make_soft_loss

CASES = {
    "classes": (Target("classes", 3, ignore=0), Named("cross_entropy", {"label_smoothing": 0.1, "weight": (1, 2, 3)})),
    "values": (Target("values", 3, valid="positive"), Named("rmse")),
    "unit_vectors": (Target("unit_vectors", 3), Named("l1")),
    "bce": (Target("binary", 3, ignore=255), Named("bce")),
    "dice": (Target("binary", 3), Named("dice", {"smooth": 1.0})),
    "balanced_bce": (Target("binary", 3), Named("balanced_bce", {"positive_weight": 0.9})),
    "focal": (Target("binary", 3), Named("focal", {"gamma": 2.0, "alpha": 0.3})),
}

Numbers = NDArray[np.float64]


def soft(case: str) -> Loss:
    found = make_soft_loss(*CASES[case])
    assert found is not None
    return found


def by_hand(case: str, student: Numbers, teacher: Numbers) -> float:
    """Of outputs (n, 3, ...), entry by entry."""
    rows = [(np.moveaxis(each, 1, -1)).reshape(-1, 3) for each in (student, teacher)]
    found = []
    for mine, theirs in zip(*rows, strict=True):
        if case == "classes":
            wanted = np.exp(theirs) / np.exp(theirs).sum()
            found.append(-(wanted * np.log(np.exp(mine) / np.exp(mine).sum())).sum())
        elif case == "unit_vectors":
            found.append(1 - mine @ theirs / np.sqrt(mine @ mine) / np.sqrt(theirs @ theirs))
        elif case == "values":
            found += list(np.abs(mine - theirs))
        else:
            yes, wanted = 1 / (1 + np.exp(-mine)), 1 / (1 + np.exp(-theirs))
            weight = {"balanced_bce": 0.9, "focal": 0.3}.get(case)
            weights = 1.0 if weight is None else weight * wanted + (1 - weight) * (1 - wanted)
            found += list(-weights * (wanted * np.log(yes) + (1 - wanted) * np.log(1 - yes)))
    return float(np.mean(found))


def outputs(seed: int, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).double(), torch.randn(shape, generator=generator).double()


def test_every_kind_of_target_has_one_but_that_which_is_known_wholly() -> None:
    taught = {target.kind for target, _ in CASES.values()}
    assert taught | {"reconstruct"} == TARGETS.keys()
    assert make_soft_loss(Target("reconstruct", 3), Named("mse")) is None


@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 4), (2, 3, 4, 5)])
@pytest.mark.parametrize("case", CASES)
def test_it_is_what_is_written_of_it(case: str, shape: tuple[int, ...]) -> None:
    """Every entry counts: those of a class that labels ignore, of values that they may not have, and all pixels."""
    student, teacher = outputs(1, shape)
    found = soft(case)(student, teacher)
    assert float(found) == pytest.approx(by_hand(case, student.numpy(), teacher.numpy()), rel=1e-6)
    assert int(soft(case).sums(student, teacher)[-1]) == teacher.numel() // (
        3 if case in ("classes", "unit_vectors") else 1
    )


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1))
def test_it_is_smallest_where_both_answer_the_same_and_pulls_nowhere_there(case: str, seed: int) -> None:
    student, teacher = outputs(seed, (4, 3))
    if case == "unit_vectors":  # whose lengths do not count
        student, teacher = F.normalize(student), F.normalize(teacher)
    same = teacher.clone().requires_grad_()
    least = soft(case)(same, teacher)
    least.backward()  # type: ignore[no-untyped-call]
    assert same.grad is not None
    assert same.grad.abs().max() < 1e-7
    apart = student - teacher
    moved = student.requires_grad_()
    loss = soft(case)(moved, teacher)
    loss.backward()  # type: ignore[no-untyped-call]
    assert moved.grad is not None
    assert float(loss.detach()) > float(least.detach())
    assert float((moved.grad * apart).sum()) > 0


@pytest.mark.parametrize("case", CASES)
def test_several_tasks_at_once_are_each_by_itself(case: str) -> None:
    pairs = [outputs(seed, (4, 3)) for seed in range(3)]
    student, teacher = (torch.cat(each) for each in zip(*pairs, strict=True))
    together = soft(case).value(*soft(case).sums(student, teacher, 3))
    assert together.tolist() == pytest.approx([float(soft(case)(*pair)) for pair in pairs])


@pytest.mark.parametrize("case", CASES)
def test_an_answer_that_is_no_number_is_never_passed_over(case: str) -> None:
    student, teacher = outputs(1, (4, 3))
    teacher[2, 1] = torch.nan
    assert not torch.isfinite(soft(case)(student, teacher))
