"""What copies are called is spelled and read in one place: any other word there is the word of generated code too."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mtsldsl.codegen import compile_spec
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.sharing import component
from tests.codegen.examples import FRAME, TASK, example

PACKAGE = Path(component.__file__).parents[1]
OWN = "sharing/component.py"
SPELLED = {
    "sharing/parsing.py": "rows as a text of the language has them, with blank space",
    "runtime/run/selection.py": "sets of tasks that keep weights, in the order of the spec",
}
"""Who else has `+` between names, and of what."""
DOTTED = {
    "codegen/classes.py": "modules inside of a body",
    "runtime/network/module_state.py": "what stands last in the name of a tensor",
    "runtime/run/loggers.py": "modules of Python",
    "runtime/run/user_module_record.py": "modules of Python, and their files",
    "runtime/run/selection.py": "metrics of tasks",
    "runtime/run/beginning.py": "metrics of tasks",
    "runtime/learning/balance/remembering.py": "what sets of tasks remember",
}
"""Who parts names at a dot where networks are made and computed, and of what."""
MODULES = sorted(
    place
    for place in (path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
    if place != OWN and "/ready/" not in place
)

MAY_BE = re.compile(r"""["'](\+["']|\.["']|heads\.)|gate\(|(HEADS|layer|layer\.name)\}\.""")
"""What a module has in its text that is looked at closely."""


def parted(nodes: Sequence[ast.AST], joint: str) -> Iterator[ast.AST]:
    """Where a text is joined by it, or parted at it."""
    for node in nodes:
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=by), attr="join")) if by == joint:
                yield node
            case ast.Call(
                func=ast.Attribute(attr="split" | "rsplit" | "partition" | "rpartition"),
                args=[ast.Constant(value=by), *_],
            ) if by == joint:
                yield node


def spelled(nodes: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Where a name in the network is put together from a layer and a copy's, or a gate's name from its task."""
    told = {node.value for node in nodes if isinstance(node, ast.Expr)}  # what docstrings say
    for node in nodes:
        match node:
            case ast.JoinedStr(values=[ast.FormattedValue(value=first), ast.Constant(value=str(dot)), *_]):
                if dot.startswith(".") and ast.unparse(first) in ("HEADS", "layer", "layer.name", "copy.layer"):
                    yield node
            case ast.Constant(value=str(text)) if node not in told and re.search(r"(?<![\w.])gate\(", text):
                yield node
            case ast.Constant(value=str(text)) if node not in told and text.startswith("heads."):
                yield node


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('"+".join(tasks)', 1),
        ('name.split("+")', 1),
        ('name.rpartition("+", 1)', 1),
        ('"-".join(tasks)', 0),
        ('name.split(".")', 0),
    ],
)
def test_what_parts_names_is_found(text: str, found: int) -> None:
    assert len(list(parted([*ast.walk(ast.parse(text))], "+"))) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('f"{HEADS}.{task}"', 1),
        ('f"{copy.layer}.{copy.key}"', 1),
        ("'gate(' + task + ')'", 1),
        ('"""copies[f"gate({value})"]"""; f()', 0),
        ('x = """copies[f"gate({value})"]"""', 1),
        ('x = "self.gate(mean)"', 0),
        ('x = "heads." + task', 1),
        ('f"{layer}: {task}"', 0),
    ],
)
def test_what_spells_names_is_found(text: str, found: int) -> None:
    assert len(list(spelled([*ast.walk(ast.parse(text))]))) == found


def test_no_other_module_spells_or_reads_the_names_of_copies() -> None:
    joined, dotted, spelling = set(), set(), set()
    for place in MODULES:
        text = (PACKAGE / place).read_text(encoding="utf-8")
        if not MAY_BE.search(text):
            continue
        nodes = tuple(ast.walk(ast.parse(text)))
        joined |= {place for _ in parted(nodes, "+")}
        spelling |= {place for _ in spelled(nodes)}
        if place.startswith(("runtime/", "methods/", "codegen/")):
            dotted |= {place for _ in parted(nodes, ".")}
    assert joined == set(SPELLED)
    assert dotted == set(DOTTED)
    assert spelling == {"editing/pipeline_text.py"}, "which writes outputs of a layer's block, in the language"


def of_many_tasks() -> Spec:
    """A network that nine tasks share, whose name the generated code computes."""
    tasks = "".join(TASK.format(name=f"t{place}", head="linear(1)") for place in range(9))
    return loads(
        FRAME.format(tasks=tasks, layers="  stem = conv2d(4, 3) | adaptive_avg_pool2d(1) | flatten")
        + f"sharing {{\n  stem = {' + '.join(f't{place}' for place in range(9))}\n}}\n"
    )


@pytest.mark.parametrize(("word", "now"), [("GATE", "gaze"), ("JOINT", "&")])
def test_generated_code_has_the_words_of_the_one_place(word: str, now: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = str(getattr(component, word))
    specs = (lambda: example("mixture"), lambda: example("sources"), of_many_tasks)
    texts = [compile_spec(spec())["model.py"] for spec in specs]
    monkeypatch.setattr(component, word, now)
    renamed = [compile_spec(spec())["model.py"] for spec in specs]
    assert any(map(operator.ne, texts, renamed))
    for text, other in zip(texts, renamed, strict=True):
        assert [key for key in keys(other) if before in key] == []
        assert [key.replace(now, before) for key in keys(other)] == keys(text)


def keys(text: str) -> list[str]:
    """The texts in the code that are one word, in their order."""
    texts = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    return [each for each in texts if isinstance(each, str) and not re.search(r"\s", each)]
