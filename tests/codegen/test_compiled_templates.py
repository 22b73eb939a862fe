"""Templates that lie compiled in the package: what they were made of, and when they are used."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import jinja2
import pytest

import mtsldsl
from mtsldsl.codegen import compile_spec
from mtsldsl.codegen.compiled_templates import READY, TEMPLATES, environment, ready_template, template

PINNED = (Path(__file__).parents[2] / "constraints.txt").read_text(encoding="utf-8").lower().split()

of_this_jinja = pytest.mark.skipif(
    f"jinja2=={jinja2.__version__}" not in PINNED, reason="the templates in the package are of another jinja2"
)

COMPILE = """\
import sys, jinja2
def refuse(*_, **__): raise SystemExit("compiled")
jinja2.Environment.compile = refuse
from mtsldsl.cli import run
run()
"""


@pytest.fixture(autouse=True)
def anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    template.cache_clear()
    environment.cache_clear()


def test_every_template_is_there_compiled_and_no_other() -> None:
    assert {path.stem for path in READY.glob("*.py")} == {"__init__", *(f"{name}_py" for name in TEMPLATES)}
    assert {path.name.partition(".")[0] for path in READY.with_name("templates").iterdir()} == set(TEMPLATES)


@of_this_jinja
@pytest.mark.parametrize("name", TEMPLATES)
def test_it_is_what_jinja2_makes_of_the_text(name: str) -> None:
    assert ready_template(name) == (READY / f"{name}_py.py").read_text(encoding="utf-8"), "run `make tables`"


@of_this_jinja
def test_compile_has_nothing_to_compile_and_keeps_nothing(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-c", COMPILE, "compile", "specs/nyuv2.mtl", "-o", str(tmp_path / "made")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert not list(tmp_path.glob("cache/mtsldsl/template-*"))


@pytest.mark.parametrize("attribute", ["JINJA2", "TEMPLATE"])
def test_those_of_another_version_or_text_are_compiled_and_kept_and_say_the_same(
    attribute: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = mtsldsl.load("specs/nyuv2.mtl")
    ready = compile_spec(spec)
    template.cache_clear()
    for name in TEMPLATES:
        monkeypatch.setattr(import_module(f"mtsldsl.codegen.ready.{name}_py"), attribute, "another")
    assert compile_spec(spec) == ready
    assert len(list(tmp_path.glob("cache/mtsldsl/template-*"))) == len(TEMPLATES)
