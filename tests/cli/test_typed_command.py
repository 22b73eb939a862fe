"""The command of a run as it was typed is in its record."""

from __future__ import annotations

import shlex

import pytest

from mtsldsl.cli.train import command
from mtsldsl.cli.typed_command import typed


@pytest.mark.parametrize(
    "words",
    [
        "train",
        "train a.mtl",
        "train a.mtl --set train.epochs=3 --set 'let.width=1 + 2' --threads 2 --quiet",
        "train 'my rooms.mtl' --device cpu --runs out --structure none --sharing each --log csv --log tensorboard",
    ],
)
def test_it_is_what_was_given(words: str) -> None:
    context = command.make_context("train", shlex.split(words)[1:])
    assert typed(context) == f"mtsldsl {words}"


def test_short_names_and_other_orders_mean_the_same() -> None:
    context = command.make_context("train", ["-q", "--threads", "2", "a.mtl"])
    assert typed(context) == "mtsldsl train a.mtl --threads 2 --quiet"
