"""The tasks of benchmarks/synthetic_pairs.py are those of the paper, and what is said of twins is what runs came to."""

from __future__ import annotations

import numpy as np
import pytest

from mtsldsl.sharing import Backbone, Cover, Sharing
from tests.benchmarks.loading import loaded


def test_tasks_of_a_pair_are_almost_the_same_and_others_have_nothing_in_common() -> None:
    with loaded("synthetic_pairs") as script:
        tasks = script.tasks_of(3)
        relation = script.RELATION
    basis, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(16, 4)))
    for pair, letter in enumerate("ab"):
        first, second = basis[:, 2 * pair], basis[:, 2 * pair + 1]
        for number, true in enumerate((first, relation * first + np.sqrt(1 - relation**2) * second), start=1):
            rows, answers = tasks[f"{letter}{number}"]
            line = rows @ true
            waves = sum(np.sin(place * line + (place - 1) ** 2) for place in range(1, 11))
            noise = answers[:, 0] - line - waves
            assert abs(noise.mean()) < 0.001
            assert noise.std() == pytest.approx(0.01, rel=0.05)
            assert np.linalg.norm(true) == pytest.approx(1)
    assert abs(basis[:, 0] @ basis[:, 2]) < 1e-12


def test_agreement_counts_alternatives_that_both_use_or_neither() -> None:
    tasks, alternatives = (
        ("upright1", "upright2", "turned1", "turned2"),
        tuple(f"unit{number}" for number in range(1, 9)),
    )
    backbone = Backbone(["mix"], {"mix": []}, alternatives={"mix": alternatives})
    uses = {"upright1": (1, 2), "upright2": (1, 3), "turned1": (4,), "turned2": (4,)}
    pairs = [(task, f"unit{number}") for task, numbers in uses.items() for number in numbers]
    sharing = Sharing(backbone, tasks, {"mix": Cover.of_pairs(pairs, alternatives)})
    with loaded("mnist_rotated") as script:
        within, between = script.Result(sharing, 0.0, 0.0).agreements()
    assert (within, between) == ([6, 8], [5, 5, 5, 5])
