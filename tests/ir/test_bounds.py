"""A short text that would become a huge network is refused with a message, as soon as a large one would be read."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import load, loads
from mtsldsl.ir import Spec
from tests.ir.explosions import EXPLOSIONS, HEADER, REST, rows, text_of, text_with_tasks
from tests.timing import clocked, held_within

LARGE = text_of(rows("block a0() = conv2d(3, 3) | relu", "block a{n}() = a{m} | a{m}", 11), "a10")
"""A large network, of 2,048 operators."""

SHARE = 10
"""How much longer than reading that anything here may take; what is worked out in full takes thousands of times as long."""


def read_large() -> Spec:
    return loads(LARGE)


def refused(read: Callable[[], Spec]) -> MtlError:
    """The error, which comes about as soon as a large network would be read."""
    errors: list[MtlError] = []

    def refuse() -> None:
        with pytest.raises(MtlError) as caught:
            read()
        errors.append(caught.value)

    held_within(SHARE, clocked(refuse), clocked(read_large))
    return errors[-1]


@pytest.fixture(scope="module", autouse=True)
def _parser() -> None:
    """The tables of the parser, which are built once a process."""
    read_large()


@pytest.mark.parametrize("name", EXPLOSIONS)
def test_a_short_text_of_millions_of_layers_is_refused(name: str) -> None:
    definitions, stem = EXPLOSIONS[name]
    text = text_of(definitions, stem)
    assert len(text) < 10_000
    error = refused(lambda: loads(text))
    assert [found.code for found in error.diagnostics] == ["MTL111"]
    assert re.search("more than (10,000 operators|50,000 values)", error.diagnostics[0].cause)


SPREAD = {"blocks with arguments", "constants", "joins", "modules", "a long constant in a joining block"}
"""Texts of each kind of definition; the others are spread over files in `make soak`."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in SPREAD else pytest.mark.soak) for name in EXPLOSIONS]
)
def test_it_is_refused_through_imports_as_well(name: str, tmp_path: Path) -> None:
    definitions, stem = EXPLOSIONS[name]
    lines = definitions.split("\n")
    for number in range(3):
        part = "\n".join(lines[number::3])
        onwards = f'import "part{number + 1}.mtl"\n' if number < 2 else ""
        (tmp_path / f"part{number}.mtl").write_text(f"{HEADER}{onwards}{part}\n")
    (tmp_path / "part2.mtl").write_text(
        (tmp_path / "part2.mtl").read_text() + f"backbone {{\n  stem = {stem}\n  enc1 = {stem}\n}}\n"
    )
    (tmp_path / "top.mtl").write_text(f'{HEADER}import "part0.mtl"\n{REST}')
    error = refused(lambda: load(tmp_path / "top.mtl"))
    assert [found.code for found in error.diagnostics] == ["MTL111"]


def test_many_layers_of_a_large_one_are_refused() -> None:
    layers = "\n".join(f"  l{number} = relu * 10000" for number in range(300))
    assert refused(lambda: loads(f"{HEADER}{REST}backbone {{\n{layers}\n}}\n")).diagnostics[0].code == "MTL111"


def test_the_head_of_a_list_of_tasks_counts_for_each() -> None:
    error = refused(lambda: loads(text_with_tasks(100, "relu * 1000 | conv2d(1, 1)", 1)))
    assert [found.code for found in error.diagnostics] == ["MTL111"]


def test_many_tasks_are_refused() -> None:
    error = refused(lambda: loads(text_with_tasks(201, "conv2d(1, 1)", 1)))
    assert [found.code for found in error.diagnostics] == ["MTL111"]
    assert error.diagnostics[0].cause == "the network has 201 tasks"


def test_many_tasks_with_many_layers_are_refused() -> None:
    text = text_with_tasks(200, "conv2d(1, 1)", 101)
    assert len(text) < 10_000
    error = refused(lambda: loads(text))
    assert [found.code for found in error.diagnostics] == ["MTL111"]
    assert "20,200 copies" in error.diagnostics[0].cause


def test_products_of_constants_are_worked_out_once() -> None:
    definitions = rows("let a0 = 1", "let a{n} = a{m} * a{m}", 60)
    text = text_of(definitions, "conv2d(a59, 3)")
    assert loads(text).layer("stem").body.shape[0] == 1
    held_within(SHARE, clocked(lambda: loads(text)), clocked(read_large))


def test_products_of_arguments_are_worked_out_once() -> None:
    definitions = rows("block a0(x) = conv2d(x, 3)", "block a{n}(x) = a{m}(x * x)", 45)
    text = text_of(definitions, "a44(1)")
    assert isinstance(loads(text), Spec)
    held_within(SHARE, clocked(lambda: loads(text)), clocked(read_large))


def test_lists_inside_lists_are_refused() -> None:
    definitions = rows("let a0 = [1, 1]", "let a{n} = [a{m}, a{m}]", 60)
    text = f'{HEADER}{REST}{definitions}\nbackbone {{\n  stem = module("a:B", out=[3, 32, 32], k=a59)\n}}\n'
    assert [found.code for found in refused(lambda: loads(text)).diagnostics] == ["MTL202"]


def test_one_mistake_in_a_macro_that_is_used_thousands_of_times_is_told_once_and_soon() -> None:
    constants = "\n".join(f"let width{number} = {number}" for number in range(100))
    definitions = rows("block a0() = conv2d(widht, 3)", "block a{n}() = a{m} | a{m}", 14)
    text = f"{HEADER}{REST}{constants}\n{definitions}\nbackbone {{\n  stem = a13\n}}\n"
    assert [found.code for found in refused(lambda: loads(text)).diagnostics] == ["MTL107"]


def test_what_is_just_small_enough_is_read() -> None:
    definitions = rows("block a0() = conv2d(3, 3) | relu", "block a{n}() = a{m} | a{m}", 12)
    assert len(loads(text_of(definitions, "a11")).layer("stem").body.steps) == 2**12


@pytest.mark.parametrize(
    "layers",
    [
        "\n".join(
            f"  l{number} = concat({f'l{number - 1}, l{number - 1}' if number else 'image, image'})"
            for number in range(199)
        ),
        "  stem = conv2d(1000000000, 3)",
        "  stem = upsample(100000)",
        "  stem = flatten | linear(900000000) | linear(900000000)",
    ],
)
def test_values_and_weights_that_no_machine_holds_are_refused(layers: str) -> None:
    error = refused(lambda: loads(f"{HEADER}{REST}backbone {{\n{layers}\n}}\n"))
    assert [found.code for found in error.diagnostics] == ["MTL111"]
    assert "a machine" in error.diagnostics[0].cause
