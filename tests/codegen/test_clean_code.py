"""Generated code passes the project's own linter, formatter and type checker as it is."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from keyword import iskeyword
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtsldsl.codegen import compile_spec
from mtsldsl.codegen.line_breaks import WIDTH, lay_out
from tests.codegen.examples import GOLDEN, NAMES, example
from tests.laws import law

ROOT = Path(__file__).parents[2]
RUFF = Path(sysconfig.get_path("scripts"), "ruff")


def ruff(command: list[str], text: str, name: str) -> subprocess.CompletedProcess[str]:
    """Runs ruff over a text as though it lay in generated/, so that the project's settings count."""
    run = [RUFF, *command, "--stdin-filename", f"generated/{name}", "-"]
    return subprocess.run(run, input=text, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("file", ["model.py", "train.py", "__init__.py"])
def test_ruff_has_nothing_to_say(name: str, file: str) -> None:
    text = compile_spec(example(name))[file]
    checked = ruff(["check", "--no-cache"], text, f"{name}/{file}")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    formatted = ruff(["format", "--no-cache"], text, f"{name}/{file}")
    assert formatted.stdout == text


def test_mypy_strict_has_nothing_to_say(tmp_path: Path) -> None:
    files = []
    for name in NAMES:
        files.append(tmp_path / f"{name}.py")
        files[-1].write_text((GOLDEN / name / "model.py").read_text(encoding="utf-8"), encoding="utf-8")
    # With the project's settings and cache, so that torch is analysed once for the package and for this.
    run = [sys.executable, "-m", "mypy", "--strict", *map(str, files)]
    checked = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


words = st.from_regex(r"[a-z]{1,40}", fullmatch=True).filter(lambda word: not iskeyword(word))
keys = st.from_regex(r"[a-z+]{1,150}", fullmatch=True)


def joined(items: st.SearchStrategy[str], most: int, separator: str = ", ") -> st.SearchStrategy[str]:
    return st.lists(items, min_size=1, max_size=most).map(separator.join)


copies = st.builds('self.{}["{}"]({})'.format, words, keys, joined(words, 5))
sums = joined(words, 5, " + ")
values = st.one_of(
    copies,
    sums,
    st.builds("F.relu({})".format, sums),
    st.builds("torch.cat([{}], dim=1)".format, joined(words, 6)),
    st.builds("F.interpolate({}, size={}.shape[-2:], mode='bilinear')".replace("'", '"').format, words, words),
    st.builds("nn.ModuleDict({{{}}})".format, joined(st.builds('"{}": {}()'.format, keys, words), 6)),
)
statements = st.builds("    {} = {}".format, words, values)
results = st.builds("    return {{{}}}".format, joined(st.builds('"{}": {}'.format, words, copies), 4))


functions = st.builds("    def forward(self, {}) -> Tensor:".format, joined(words.map("{}: Tensor".format), 6))


@law(20)
@given(st.lists(statements, min_size=20, max_size=20), results, functions)
def test_long_statements_are_broken_where_the_formatter_breaks_them(lines: list[str], last: str, function: str) -> None:
    laid_out = lay_out(
        "\n".join(["def forward():", *lines, last, "", "", "class Layer:", function, "        return x", ""])
    )
    formatted = ruff(["format", "--no-cache"], laid_out, "x/model.py")
    assert formatted.stdout == laid_out, formatted.stderr


def test_a_comment_that_does_not_fit_goes_above_its_statement() -> None:
    line = f"    {'x' * 50} = F.relu({'y' * 50})  # (64, 36, 48)"
    assert len(line) > WIDTH
    assert lay_out(line) == f"    # (64, 36, 48)\n    {'x' * 50} = F.relu({'y' * 50})"


def test_text_that_is_no_statement_is_left_alone() -> None:
    line = f'    """{"words, " * 30}"""'
    assert lay_out(line) == line
