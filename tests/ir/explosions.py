"""Short texts that would become huge networks, for the tests of what each is refused by."""

from __future__ import annotations

from collections.abc import Callable

HEADER = "mtl 1\n"
REST = """\
data scenes {
  input = image(3, 32, 32)
}

task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
}

train {
  epochs = 1
}
"""
LEVELS = 30


def rows(start: str, form: str, levels: int = LEVELS) -> str:
    """Definitions of which each uses the one before: `{n}` is its number, `{m}` that of the one before."""
    return "\n".join([start, *(form.format(n=number, m=number - 1) for number in range(1, levels))])


def text_of(definitions: str, stem: str) -> str:
    """A whole text with one layer."""
    return f"{HEADER}{REST}{definitions}\nbackbone {{\n  stem = {stem}\n}}\n"


def text_with_tasks(count: int, head: str, layers: int, stage: str = "relu") -> str:
    """A text with so many tasks that share one block, and so many layers."""
    names = ", ".join(f"t{number}" for number in range(count))
    rest = REST.replace("task depth", f"task [{names}]").replace("conv2d(1, 1)", head)
    lines = "\n".join(f"  l{number} = {stage}" for number in range(layers))
    return f"{HEADER}{rest}backbone {{\n{lines}\n}}\n"


LAST = LEVELS - 1
LONG = "let r = relu * 9000"
EXPLOSIONS = {
    "blocks": (rows("block a0() = relu", "block a{n}() = a{m} | a{m}"), f"a{LAST}"),
    "blocks with arguments": (rows("block a0(x) = conv2d(x, 3)", "block a{n}(x) = a{m}(x) | a{m}(x)"), f"a{LAST}(8)"),
    "constants": (rows("let a0 = relu", "let a{n} = a{m} | a{m}"), f"a{LAST}"),
    "repetitions": (rows("block a0() = relu * 1000", "block a{n}() = a{m} * 1000"), f"a{LAST}"),
    "repeated constants": (rows("let a0 = relu * 9", "let a{n} = a{m} * 9"), f"a{LAST}"),
    "joins": (rows("block a0() = relu", "block a{n}() = concat(a{m}, a{m})"), f"a{LAST}"),
    "residuals": (rows("block a0() = relu", "block a{n}() = residual(a{m}, shortcut=a{m})"), f"a{LAST}"),
    "pipelines as arguments": (rows("block a0(x) = x | x", "block a{n}(x) = a{m}(x | x)"), f"a{LAST}(relu)"),
    "modules": (
        rows('block a0() = module("a:B", relu, out=[3, 32, 32])', "block a{n}() = a{m} | a{m}"),
        f"a{LAST}",
    ),
    "a long constant in a long pipeline": (LONG, "|".join(["r"] * 4500)),
    "a long constant in a wide join": (LONG, f"concat({','.join(['r'] * 4500)})"),
    "a long constant in a joining block": (f"{LONG}\nblock j(x) = concat({','.join('x' * 4000)})", "j(r) | j(r)"),
    "a long constant as values of a module": (LONG, f'module("a:B", {",".join(["r"] * 4500)}, out=[3, 32, 32])'),
    "repetitions side by side": ("", f"concat({', '.join(['relu * 9000'] * 600)})"),
    "a repetition of joins": ("", "concat(concat(relu * 90) * 90) * 90"),
}
"""By its name, what a text defines and what its one layer then is."""


HOSTILE = {
    **{name: text_of(*parts) for name, parts in EXPLOSIONS.items()},
    "many tasks": text_with_tasks(1500, "conv2d(1, 1)", 1),
    "many tasks with many layers": text_with_tasks(700, "conv2d(1, 1)", 400),
}
"""Whole texts that are refused."""

LARGE: dict[str, Callable[[int], str]] = {
    "many tasks": lambda percent: text_with_tasks(200, "conv2d(1, 1)", percent),
    "many layers": lambda percent: text_with_tasks(20, "conv2d(1, 1)", 9 * percent),
    "a long layer": lambda percent: text_of("", f"conv2d(3, 3) * {90 * percent}"),
    "a wide layer": lambda percent: text_of("let r = conv2d(3, 3)", f"concat({','.join(['r'] * 45 * percent)})"),
    "long heads": lambda percent: text_with_tasks(200, f"conv2d(3, 3) * {4 * percent // 10} | conv2d(1, 1)", 1),
}
"""Texts of so many percent of the largest networks that are allowed."""
