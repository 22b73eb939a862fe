"""The rooms of the package and the one-way streets between them (docs/architecture.md)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mtsldsl"
ALLOWED = {
    "diagnostics": set(),
    "syntax": {"diagnostics"},
    "sharing": {"diagnostics"},
    "spec": {"syntax", "sharing", "diagnostics"},
    "codegen": {"spec", "syntax", "sharing", "diagnostics"},
    "runtime": {"codegen", "spec", "syntax", "sharing", "diagnostics"},
    "cli": {"runtime", "codegen", "spec", "syntax", "sharing", "diagnostics"},
}


def imported_modules(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names.add(str(node.module))
    return names


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_a_room_imports_only_along_the_one_way_streets(room: str) -> None:
    against = []
    for path in sorted((PACKAGE / room).rglob("*.py")):
        for name in imported_modules(path):
            parts = name.split(".")
            if parts[0] == "mtsldsl" and len(parts) > 1 and parts[1] not in ALLOWED[room] | {room}:
                against.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert against == []


def test_every_room_of_the_package_has_its_street() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert rooms == set(ALLOWED)


def test_nothing_but_the_runtime_names_torch() -> None:
    outside = [path for path in PACKAGE.rglob("*.py") if "runtime" not in path.relative_to(PACKAGE).parts]
    leaks = [
        str(path.relative_to(PACKAGE))
        for path in outside
        if any(
            name.split(".")[0] in {"torch", "torchmetrics", "torchjd", "safetensors"} for name in imported_modules(path)
        )
        and path != PACKAGE / "__init__.py"  # for type checkers alone, which the next test shows
    ]
    assert leaks == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["check", "specs/scenes.mtl"],
        ["compile", "specs/scenes.mtl"],
        ["show", "specs/scenes.mtl"],
        ["fmt", "--check", "specs/scenes.mtl"],
        ["explain", "MTL405"],
        ["diff", "specs/scenes.mtl", "specs/scenes.mtl"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_command_that_does_not_compute_never_loads_torch(arguments: list[str], tmp_path: Path) -> None:
    if arguments[0] == "compile":
        arguments = [*arguments, "-o", str(tmp_path)]
    program = (
        "import sys\n"
        "from mtsldsl.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules, 'torch is loaded'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PACKAGE.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_importing_the_package_is_light() -> None:
    program = "import sys, mtsldsl; heavy = {'torch', 'numpy', 'lark', 'jinja2', 'rich'} & set(sys.modules); assert not heavy, heavy"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
